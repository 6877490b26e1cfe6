"""An image in a registry, as one end of a copy."""

from collections.abc import AsyncIterator

from sealift.client.blob_upload import Content
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.image.descriptor import Descriptor
from sealift.image.manifest import FOREIGN_LAYER_TYPES, Manifest
from sealift.image.reference import ImageReference, Repository


class RegistrySource:
    """Implements `Source`. The root is what the reference pointed at when it was first asked for."""

    def __init__(self, client: RegistryClient, reference: ImageReference) -> None:
        self._client = client
        self._reference = reference

    @property
    def repository(self) -> Repository:
        """Where blobs may be mounted from."""
        return self._reference.repository

    async def root(self) -> Manifest:
        """What the reference points at now."""
        return await self._client.fetch_manifest(self._reference)

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """A manifest of the same repository, by digest."""
        reference = ImageReference(repository=self._reference.repository, digest=descriptor.digest)
        return await self._client.fetch_manifest(reference)

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob of the same repository."""
        return self._client.fetch_blob(self._reference.repository, descriptor)

    async def close(self) -> None:
        """Nothing is held."""


class RegistryDestination:
    """Implements `Destination`. A reference without a tag gets the image by its digest only."""

    def __init__(self, client: RegistryClient, reference: ImageReference) -> None:
        self._client = client
        self._reference = reference

    async def put_blob(
        self, blob: Descriptor, content: Content, *, mount_from: Repository | None
    ) -> Delivery:
        """Have a blob there. A layer that must not be distributed is left out, as docker does."""
        repository = self._reference.repository
        if blob.media_type in FOREIGN_LAYER_TYPES:
            return Delivery.LEFT_OUT
        return await self._client.push_blob(repository, blob, content, mount_from=mount_from)

    async def put_manifest(self, manifest: Manifest) -> None:
        """Put a manifest under its digest."""
        reference = ImageReference(repository=self._reference.repository, digest=manifest.digest)
        await self._client.push_manifest(reference, manifest)

    async def finish(self, root: Manifest) -> None:
        """Put the root under the tag, if there is one."""
        if self._reference.tag is not None:
            await self._client.push_manifest(self._reference, root)

    async def close(self) -> None:
        """Nothing is held."""
