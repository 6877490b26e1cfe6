"""The part of a container runtime that knows about images."""

from dataclasses import dataclass
from typing import Protocol

from sealift.credentials.credential import Credential
from sealift.node.sandbox import SandboxConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeImage:
    """An image that the runtime has on this machine."""

    id: str
    """The digest of its configuration, as containerd counts (R-CRI-1)."""

    names: tuple[str, ...] = ()
    """By tag, fully spelt: ``docker.io/library/nginx:latest``."""

    digests: tuple[str, ...] = ()
    """By digest, fully spelt: ``docker.io/library/nginx@sha256:…``."""

    size: int = 0
    """Bytes, as the runtime counts them: containerd gives the compressed size."""


class ImageService(Protocol):
    """Knows which images are here, fetches and removes them.

    Images are named by text and not by `ImageReference`: a runtime is handed
    the spelling of the Pod with at most a tag put on (R-IMG-13), short names
    included, and reads it by its own rules.

    Every implementation passes tests/contracts/image_service.py.

    Spec: Kubernetes CRI, runtime.v1, service ImageService.
    """

    async def status(self, image: str) -> NodeImage | None:
        """What is here under that name or ID (ImageStatus), or None.

        Raises:
            RuntimeRefused: The runtime could not tell.
        """

    async def pull(
        self,
        image: str,
        credential: Credential | None,
        *,
        sandbox: SandboxConfig | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Have the runtime pull an image (PullImage), and return its ID.

        The runtime does the work and the bytes do not pass through here, so
        there is no progress, and no way to cancel but to close the call. It
        asks the registry each time, also where the image is here already.

        Of a credential only user name and password travel (R-SEC-5). One with
        both empty is sent as such; None sends none at all (R-KEY-29). Without
        `timeout_seconds` there is no limit but the runtime's own: a kubelet
        sets none either.

        Raises:
            RuntimeRefused: The pull failed.
        """

    async def remove(self, image: str) -> None:
        """Forget an image with all its names (RemoveImage). An absent one is no error."""

    async def images(self) -> tuple[NodeImage, ...]:
        """All images that are here (ListImages), in no order."""
