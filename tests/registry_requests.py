"""Pushing to a running server request by request, for tests that look at each answer."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.served import Reply, Served, basic

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    """The SHA-256 of some bytes, as a digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Pusher:
    """An account at a server, and a repository."""

    served: Served
    repository: str = "admin/app"
    name: str = "admin"
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.password = self.password or self.served.admin_password

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request below ``/v2/REPOSITORY``, or an absolute path."""
        target = path if path.startswith(("/", "http")) else f"/v2/{self.repository}/{path}"
        sent = {"Authorization": basic(self.name, self.password), **(headers or {})}
        return self.served.ask(method, target, body, sent)

    def push_blob(self, content: bytes) -> Reply:
        """A blob in one request."""
        return self.ask("POST", f"blobs/uploads/?digest={digest_of(content)}", content)

    def begin(self) -> Reply:
        """Begin an upload."""
        return self.ask("POST", "blobs/uploads/")

    def push_manifest(self, tag: str, config: bytes, *layers: bytes, **more: Any) -> Reply:
        """A manifest of blobs that are there."""
        return self.ask(
            "PUT", f"manifests/{tag}", manifest(config, *layers, **more), {"Content-Type": MANIFEST}
        )

    def push_image(self, tag: str, layer: bytes) -> bytes:
        """An image of one layer, all of it answered with 201; its manifest."""
        config = json.dumps({"tag": tag}).encode()
        for blob in (config, layer):
            reply = self.push_blob(blob)
            assert reply.status == 201, reply
        reply = self.push_manifest(tag, config, layer)
        assert reply.status == 201, reply
        return manifest(config, layer)


def manifest(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """An image manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers],
        **more,
    }
    return json.dumps(document).encode()


def code_of(reply: Reply) -> tuple[int, str]:
    """The status of a refusal and the code in its envelope."""
    return reply.status, str(json.loads(reply.body)["errors"][0]["code"])
