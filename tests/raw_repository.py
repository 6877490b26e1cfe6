"""A repository spoken to in plain requests: for what no client writes, and for looking at what came of it."""

import hashlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.served import Reply

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    """The SHA-256 of some bytes, as a digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """A descriptor."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def signed_tag(digest: str, suffix: str = ".sig") -> str:
    """The tag under which cosign keeps what belongs to a digest."""
    return digest.replace(":", "-") + suffix


@dataclass(frozen=True, slots=True)
class RawRepository:
    """One repository of a registry that speaks plain HTTP and takes Basic."""

    address: str
    name: str
    authorization: str

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request; `target` stands below the repository unless it begins with a slash."""
        path = target if target.startswith("/") else f"/v2/{self.name}/{target}"
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(
                method, path, body, {"Authorization": self.authorization} | dict(headers or {})
            )
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def push_blob(self, content: bytes, media_type: str = OCI_LAYER) -> dict[str, Any]:
        """Push a blob, and return its descriptor."""
        started = self.ask("POST", "blobs/uploads/", b"")
        assert started.status == 202, started
        location = started.headers["location"].removeprefix(f"http://{self.address}")
        join = "&" if "?" in location else "?"
        sent = self.ask(
            "PUT",
            f"{location}{join}digest={digest_of(content)}",
            content,
            {"Content-Type": "application/octet-stream"},
        )
        assert sent.status == 201, sent
        return described(content, media_type)

    def push(
        self, document: Mapping[str, Any] | bytes, reference: str = "", media_type: str = OCI_MANIFEST
    ) -> dict[str, Any]:
        """Push a manifest under a tag, or under its digest, and return its descriptor."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = self.ask(
            "PUT", f"manifests/{reference or digest_of(body)}", body, {"Content-Type": media_type}
        )
        assert sent.status == 201, sent
        return described(body, media_type)

    def push_image(self, seed: str, reference: str = "", **more: Any) -> dict[str, Any]:
        """Push an image of one small layer, and return its descriptor."""
        config = self.push_blob(
            json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode(), OCI_CONFIG
        )
        layer = self.push_blob(seed.encode())
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": [layer],
            **more,
        }
        return self.push(document, reference)

    def get(self, reference: str) -> Reply:
        """A manifest by tag or digest."""
        return self.ask(
            "GET", f"manifests/{reference}", headers={"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}, */*"}
        )

    def tags(self) -> list[str]:
        """All tags."""
        listed = self.ask("GET", "tags/list")
        return [] if listed.status == 404 else list(json.loads(listed.body)["tags"] or [])

    def referrers(self, subject: str) -> list[str]:
        """The digests of all that refers to a manifest, as the registry itself lists them."""
        listed = self.ask("GET", f"referrers/{subject}")
        assert listed.status == 200, listed
        return [each["digest"] for each in json.loads(listed.body)["manifests"]]
