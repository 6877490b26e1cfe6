"""An `ImageService` in memory, with a registry in memory behind it.

    registry = MemoryRegistry({"127.0.0.1:5000/apps/internal-app:latest": {"ashok": "s3cret"}})
    service = MemoryImageService(registry)

A name maps to the accounts that may pull it; no account means that it is
public. Refusals read as containerd 1.6's in front of a registry with Basic
authentication. `pulls` notes each pull with the user name it came with.
It passes tests/contracts/image_service.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from sealift.credentials.credential import Credential
from sealift.image.reference import ImageReference
from sealift.node.errors import RuntimeRefused
from sealift.node.image_service import NodeImage
from sealift.node.sandbox import SandboxConfig


@dataclass(slots=True)
class MemoryRegistry:
    """Images by full name with tag; for each, passwords by user name. A test may change them at any time."""

    images: dict[str, Mapping[str, str]]
    unreachable: bool = False


@dataclass(slots=True)
class MemoryImageService:
    """Holds images by ID, as a runtime does."""

    registry: MemoryRegistry
    present: dict[str, NodeImage] = field(default_factory=dict)
    pulls: list[tuple[str, str | None]] = field(default_factory=list)
    broken: str = ""
    """What ImageStatus fails with, if it is set."""

    async def status(self, image: str) -> NodeImage | None:
        if self.broken:
            raise RuntimeRefused(call="ImageStatus", code="Internal", description=self.broken)
        if image in self.present:
            return self.present[image]
        name = full_name(image)
        return next((one for one in self.present.values() if name in one.names), None)

    async def pull(
        self,
        image: str,
        credential: Credential | None,
        *,
        sandbox: SandboxConfig | None = None,  # noqa: ARG002  the protocol's signature
        timeout_seconds: float | None = None,  # noqa: ARG002
    ) -> str:
        if credential is not None and not encodes(credential):
            raise RuntimeRefused(call="PullImage", code="Internal", description="no UTF-8")
        self.pulls.append((image, None if credential is None else credential.username))
        name = full_name(image)
        self._ask(name, credential)
        image_id = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        self.present[image_id] = NodeImage(id=image_id, names=(name,), size=1028557)
        return image_id

    async def remove(self, image: str) -> None:
        found = await self.status(image)
        if found is not None:
            del self.present[found.id]

    async def images(self) -> tuple[NodeImage, ...]:
        return tuple(self.present.values())

    def _ask(self, name: str, credential: Credential | None) -> None:
        reference = ImageReference.parse(name)
        host, tag = reference.repository.registry, reference.selector
        prefix = f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": '
        if self.registry.unreachable:
            text = (
                f'failed to do request: Head "http://{host}/v2/{reference.repository.path}/manifests/{tag}": '
                f"dial tcp {host}: connect: connection refused"
            )
            raise RuntimeRefused(call="PullImage", code="Unknown", description=prefix + text)
        repository = str(reference.repository)
        accounts = next(
            (
                passwords
                for one, passwords in self.registry.images.items()
                if str(ImageReference.parse(one).repository) == repository
            ),
            {},
        )
        if accounts and not (
            credential is not None
            and credential.username
            and accounts.get(credential.username) == credential.password.reveal()
        ):
            text = f"pulling from host {host} failed with status code [manifests {tag}]: 401 Unauthorized"
            raise RuntimeRefused(call="PullImage", code="Unknown", description=prefix + text)
        if name not in self.registry.images:
            raise RuntimeRefused(call="PullImage", code="NotFound", description=f"{prefix}{name}: not found")


def full_name(image: str) -> str:
    """A name as containerd knows it."""
    return str(ImageReference.parse(image).for_containerd())


def encodes(credential: Credential) -> bool:
    try:
        f"{credential.username}{credential.password.reveal()}".encode()
    except UnicodeEncodeError:
        return False
    return True
