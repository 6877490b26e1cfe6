"""A registry on a socket, as a client sees it: a token, a repository of its own, requests."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from tests.registry.open_registry import basic
from tests.registry.server.serving import Server

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCTETS: Final = {"content-type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes of the envelope."""
        return [error["code"] for error in self.json["errors"]]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """A descriptor."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def manifest_of(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """An image manifest."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(config, CONFIG),
            "layers": [described(layer, LAYER) for layer in layers],
            **more,
        }
    ).encode()


@dataclass
class Repository:
    """One repository of a served registry, and a token for it."""

    server: Server
    name: str
    also: tuple[str, ...] = ()
    """Repositories that the token may pull from besides."""

    @cached_property
    def token(self) -> str:
        scopes = [
            f"repository:{self.name}:pull,push,delete",
            *(f"repository:{each}:pull" for each in self.also),
        ]
        query = "&".join(f"scope={quote(scope)}" for scope in scopes)
        status, _, body = self.server.ask("GET", f"/token?{query}", auth=basic("admin", self.server.password))
        assert status == 200, body
        return "Bearer " + str(json.loads(body)["token"])

    def ask(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """Send a request; `target` stands below the repository unless it begins with a slash."""
        path = target if target.startswith("/") else f"/v2/{self.name}/{target}"
        return Reply(*self.server.ask(method, path, headers=headers, body=body, auth=self.token))

    def start(self) -> str:
        """Start an upload and return its location."""
        reply = self.ask("POST", "blobs/uploads/", headers={"content-length": "0"}, body=b"")
        assert reply.status == 202, reply
        return reply.headers["location"]

    def push_blob(self, content: bytes, algorithm: str = "sha256") -> str:
        """Push a blob with POST and PUT."""
        digest = digest_of(content, algorithm)
        reply = self.ask("PUT", with_digest(self.start(), digest), headers=OCTETS, body=content)
        assert reply.status == 201, reply
        return digest

    def push_manifest(self, body: bytes, reference: str | None = None, media_type: str = MANIFEST) -> Reply:
        """Push a manifest, by its digest unless a tag is given."""
        return self.ask(
            "PUT",
            f"manifests/{reference or digest_of(body)}",
            headers={"content-type": media_type},
            body=body,
        )

    def push_image(self, tag: str, seed: bytes = b"layer", **more: Any) -> bytes:
        """Push a small image and return its manifest."""
        config = b'{"architecture":"amd64","os":"linux","seed":"' + seed + b'"}'
        self.push_blob(config)
        self.push_blob(seed)
        body = manifest_of(config, seed, **more)
        assert self.push_manifest(body, tag).status == 201
        return body


def with_digest(location: str, digest: str) -> str:
    """A location with the digest appended, its own query kept (R-OCI-5)."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"
