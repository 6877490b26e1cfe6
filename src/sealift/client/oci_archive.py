"""An OCI image layout in a tar file, as both ends of a copy: ``oci-archive:FILE``."""

from collections.abc import AsyncIterator
from pathlib import Path

from sealift.client.blob_upload import Content
from sealift.client.errors import LocalMalformed
from sealift.client.layout import (
    BLOBS,
    INDEX_FILE,
    LAYOUT_BYTES,
    LAYOUT_FILE,
    REF_NAME,
    LayoutIndex,
    checked,
    read_manifest,
    root_entry,
)
from sealift.client.partial_file import PartialFile
from sealift.client.registry_client import Delivery
from sealift.client.stream import closing
from sealift.client.tar_file import TarFile, TarWriter
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import MAX_MANIFEST_SIZE, Manifest
from sealift.image.reference import Repository
from sealift.transport.redaction import printable


class OciArchiveSource:
    """Implements `Source`. The archive holds one image, or one with a tag that is named."""

    def __init__(self, path: Path, tag: str | None = None) -> None:
        self._path = path
        self._tag = tag
        self._where = f"the archive {printable(str(path))}"
        self._tar: TarFile | None = None
        self.name: str | None = tag
        """The tag of the image, as far as the archive knows one; found out by `root`."""

    @property
    def repository(self) -> None:
        """An archive is no repository: nothing is mounted from it."""
        return

    async def root(self) -> Manifest:
        """The image of the archive.

        Raises:
            LocalMalformed: the file is no archive of this kind.
            LocalNotFound: no such file, or no such image in it.
        """
        tar = await self._opened()
        data = await tar.read_small(INDEX_FILE, MAX_MANIFEST_SIZE)
        if data is None:
            docker = tar.find("manifest.json") is not None
            raise LocalMalformed(
                f"{self._where} cannot be read",
                why=f"it holds no {INDEX_FILE}",
                hint=f"it looks like docker save's: docker-archive:{self._path}" if docker else None,
            )
        entry = LayoutIndex.parse(data, self._where).find(self._tag, self._where)
        self.name = self._tag or entry.annotations.get(REF_NAME)
        return await self.manifest(entry)

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """A manifest of the archive."""
        tar = await self._opened()
        body = await tar.read_small(_blob_name(descriptor.digest), MAX_MANIFEST_SIZE)
        if body is None:
            raise self._missing(descriptor)
        return read_manifest(body, descriptor, self._where)

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob of the archive."""
        tar = await self._opened()
        member = tar.find(_blob_name(descriptor.digest))
        if member is None:
            raise self._missing(descriptor)
        async with closing(checked(tar.read(member), descriptor, self._where)) as stream:
            async for part in stream:
                yield part

    async def close(self) -> None:
        """Nothing is held."""

    async def _opened(self) -> TarFile:
        if self._tar is None:
            self._tar = await TarFile.open(self._path)
        return self._tar

    def _missing(self, descriptor: Descriptor) -> LocalMalformed:
        return LocalMalformed(f"{self._where} is not whole", why=f"it lacks {descriptor.digest}")


class OciArchiveDestination:
    """Implements `Destination`. The file appears, or is replaced, when all is in it."""

    def __init__(self, path: Path, tag: str | None = None) -> None:
        self._path = path
        self._tag = tag
        self._file = PartialFile(path)
        self._writer: TarWriter | None = None

    async def put_blob(
        self,
        blob: Descriptor,
        content: Content,
        *,
        mount_from: Repository | None,  # noqa: ARG002  the protocol's
    ) -> Delivery:
        """Add a blob."""
        writer = await self._opened()
        async with closing(content()) as stream:
            await writer.add(_blob_name(blob.digest), blob.size, stream)
        return Delivery.SENT

    async def put_manifest(self, manifest: Manifest) -> None:
        """Add a manifest."""
        writer = await self._opened()
        await writer.add_bytes(_blob_name(manifest.digest), manifest.body)

    async def finish(self, root: Manifest) -> None:
        """Add the index, and give the file its name."""
        writer = await self._opened()
        index = LayoutIndex.empty().with_entry(root_entry(root, self._tag))
        await writer.add_bytes(LAYOUT_FILE, LAYOUT_BYTES)
        await writer.add_bytes(INDEX_FILE, index.write())
        await writer.finish()

    async def close(self) -> None:
        """Take the half-written file away, if it is one."""
        await self._file.close()

    async def _opened(self) -> TarWriter:
        if self._writer is None:
            self._writer = TarWriter(self._file)
            await self._file.open()
        return self._writer


def _blob_name(digest: Digest) -> str:
    return f"{BLOBS}/{digest.algorithm}/{digest.encoded}"
