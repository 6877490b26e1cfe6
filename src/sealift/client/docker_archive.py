"""What ``docker save`` writes and ``docker load`` reads, as both ends of a copy: ``docker-archive:FILE``.

Such an archive has layers and a configuration, and no manifest: when it is
read, one is made, as ``docker push`` would make it. Layers that are not
compressed are compressed into an unnamed temporary file, since that is how
registries keep them and nodes fetch them, and their content is checked against
the ``diff_ids`` of the configuration.

Spec: moby, image/spec/v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import asyncio
import hashlib
import json
import os
import tempfile
import threading
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sealift.client.blob_upload import Content
from sealift.client.errors import (
    MADE_AGAIN,
    ContentMismatch,
    LocalMalformed,
    LocalNotFound,
    UnusableManifest,
    local_refusal,
)
from sealift.client.layout import checked
from sealift.client.partial_file import READ_SIZE, PartialFile
from sealift.client.registry_client import Delivery
from sealift.client.stream import closing
from sealift.client.tar_file import TarFile, TarMember, TarWriter
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest, DigestCheck
from sealift.image.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    Manifest,
)
from sealift.image.reference import Repository
from sealift.transport.redaction import printable

MANIFEST_FILE = "manifest.json"
MAX_DOCUMENT = 8 * 1024 * 1024
"""Bytes of ``manifest.json`` or of a configuration."""

COMPRESSION_LEVEL = 6
"""zlib's default: what gzip does without being asked. The output depends on nothing else."""

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer as it will be sent: from its place in the archive, or from a temporary file."""

    descriptor: Descriptor
    member: TarMember
    spool: BinaryIO | None


class DockerArchiveSource:
    """Implements `Source`. The archive holds one image."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._where = f"the archive {printable(str(path))}"
        self._tar: TarFile | None = None
        self._config: bytes = b""
        self._layers: dict[Digest, _Layer] = {}
        self._root: Manifest | None = None
        self._stop = threading.Event()
        self.names: tuple[str, ...] = ()
        """The names under which it was saved; found out by `root`."""

    @property
    def repository(self) -> None:
        """An archive is no repository: nothing is mounted from it."""
        return

    async def root(self) -> Manifest:
        """The manifest that ``docker push`` would have made of the image.

        Raises:
            LocalMalformed: the file is no archive of this kind.
            ContentMismatch: a layer is not what the configuration says.
        """
        if self._root is None:
            self._root = await self._read()
        return self._root

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """There is one manifest: the root."""
        root = await self.root()
        if descriptor.digest != root.digest:
            raise LocalNotFound(f"{self._where} has no manifest {descriptor.digest}")
        return root

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """The configuration, or a layer."""
        await self.root()
        layer = self._layers.get(descriptor.digest)
        if layer is None or self._tar is None:
            yield self._config
            return
        spool = layer.spool
        parts = self._tar.read(layer.member) if spool is None else _read_spool(spool, descriptor.size)
        async with closing(checked(parts, descriptor, self._where)) as stream:
            async for part in stream:
                yield part

    async def close(self) -> None:
        """Let go of the temporary files. They have no names: nothing can be left of them."""
        for layer in self._layers.values():
            if layer.spool is not None:
                layer.spool.close()
        self._layers = {}

    async def _read(self) -> Manifest:
        tar = self._tar = await TarFile.open(self._path)
        entry = await self._entry(tar)
        config = await tar.read_small(str(entry.get("Config")), MAX_DOCUMENT)
        names = entry.get("Layers")
        if config is None or not isinstance(names, list):
            raise self._malformed("its manifest.json names a configuration or layers that are not there")
        self._config = config
        diff_ids = self._diff_ids(config)
        if len(diff_ids) != len(names):
            raise self._malformed(
                f"it has {len(names)} layers, and its configuration speaks of {len(diff_ids)}"
            )
        layers: list[_Layer] = []
        packed: dict[Digest, _Layer] = {}
        for name, diff_id in zip(names, diff_ids, strict=True):
            member = tar.find(str(name))
            if member is None:
                raise self._malformed(f"it lacks the layer {printable(str(name), 100)}")
            if diff_id not in packed:  # docker saves an empty layer as often as it stands in the image
                packed[diff_id] = await self._layer(tar, member, diff_id)
            layers.append(packed[diff_id])
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": Descriptor(DOCKER_CONFIG, Digest.of(config), len(config)).to_document(),
            "layers": [layer.descriptor.to_document() for layer in layers],
        }
        return Manifest.parse(json.dumps(document, indent=3).encode(), DOCKER_MANIFEST)

    async def _entry(self, tar: TarFile) -> dict[str, Any]:
        data = await tar.read_small(MANIFEST_FILE, MAX_DOCUMENT)
        if data is None:
            oci = tar.find("index.json") is not None
            raise LocalMalformed(
                f"{self._where} cannot be read",
                why=f"it holds no {MANIFEST_FILE}",
                hint=f"it looks like an OCI archive: oci-archive:{self._path}" if oci else None,
            )
        try:
            entries = json.loads(data)
        except (ValueError, RecursionError):
            entries = None
        if (
            not isinstance(entries, list)
            or not entries
            or not all(isinstance(each, dict) for each in entries)
        ):
            raise self._malformed(f"its {MANIFEST_FILE} is no list of images")
        if len(entries) > 1:
            raise self._malformed(
                f"it holds {len(entries)} images, and which one is meant cannot be said",
                hint="save the one that you want: docker save -o FILE IMAGE",
            )
        entry: dict[str, Any] = entries[0]
        tags = entry.get("RepoTags")
        self.names = tuple(str(name) for name in tags) if isinstance(tags, list) else ()
        return entry

    def _diff_ids(self, config: bytes) -> list[Digest]:
        try:
            listed = json.loads(config)["rootfs"]["diff_ids"]
            return [Digest.parse(each) for each in listed]
        except Exception as error:  # whatever is wrong with a foreign document, it is this
            raise self._malformed("its configuration names no layers (rootfs.diff_ids)") from error

    async def _layer(self, tar: TarFile, member: TarMember, diff_id: Digest) -> _Layer:
        head = b"".join([part async for part in tar.read(member, 0, 4)])
        packed = head.startswith(_GZIP_MAGIC)
        try:
            work = _unpacked if packed else _packed
            digest, size, actual, spool = await asyncio.to_thread(work, tar.path, member, diff_id, self._stop)
        except asyncio.CancelledError:
            self._stop.set()  # a thread is not cancelled; it looks here after each piece
            raise
        except OSError as error:
            raise local_refusal(error, Path(tempfile.gettempdir()), "write") from error
        except zlib.error as error:
            raise self._malformed("a layer of it is damaged: it cannot be uncompressed") from error
        if actual != diff_id:
            if spool is not None:
                spool.close()
            raise ContentMismatch(
                f"{self._where} is damaged: a layer is not what its configuration says",
                why=f"expected {diff_id}, and it is {actual}",
                hint=MADE_AGAIN,
            )
        layer = _Layer(Descriptor(DOCKER_LAYER_GZIP, digest, size), member, spool)
        return self._layers.setdefault(digest, layer)

    def _malformed(self, why: str, hint: str | None = None) -> LocalMalformed:
        return LocalMalformed(f"{self._where} cannot be read", why=why, hint=hint)


def _packed(
    path: Path, member: TarMember, diff_id: Digest, stop: threading.Event
) -> tuple[Digest, int, Digest, BinaryIO | None]:
    """Compress a layer into a temporary file without a name. Blocking."""
    content, result = DigestCheck(diff_id), hashlib.sha256()
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  it stays open until the source is closed
    try:
        packer = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        with path.open("rb") as file:
            file.seek(member.start)
            left = member.size
            while left and not stop.is_set() and (part := file.read(min(READ_SIZE, left))):
                left -= len(part)
                content.update(part)
                packed = packer.compress(part)
                result.update(packed)
                spool.write(packed)
        if stop.is_set():
            raise InterruptedError("nobody waits for this any more")
        packed = packer.flush()
        result.update(packed)
        spool.write(packed)
        spool.flush()
        size = spool.tell()
    except BaseException:
        spool.close()
        raise
    return Digest("sha256", result.hexdigest()), size, content.digest(), spool


def _unpacked(
    path: Path, member: TarMember, diff_id: Digest, stop: threading.Event
) -> tuple[Digest, int, Digest, BinaryIO | None]:
    """Check a layer that is compressed already. What it unpacks to is hashed and let go. Blocking."""
    content, result = DigestCheck(diff_id), hashlib.sha256()
    unpacker = zlib.decompressobj(_GZIP)
    with path.open("rb") as file:
        file.seek(member.start)
        left = member.size
        while left and not stop.is_set() and (part := file.read(min(READ_SIZE, left))):
            left -= len(part)
            result.update(part)
            while part:
                content.update(unpacker.decompress(part, READ_SIZE))
                part = unpacker.unconsumed_tail
                if unpacker.eof and unpacker.unused_data:  # gzip members may follow each other
                    part, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP)
    content.update(unpacker.flush())
    return Digest("sha256", result.hexdigest()), member.size, content.digest(), None


async def _read_spool(spool: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """A temporary file from its beginning. By place, not by position: several may read it."""
    position = 0
    while position < size:
        part = await asyncio.to_thread(os.pread, spool.fileno(), min(READ_SIZE, size - position), position)
        if not part:
            return
        position += len(part)
        yield part


class DockerArchiveDestination:
    """Implements `Destination`, for one image of one platform. The file appears when all is in it."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        """`name` is what ``docker load`` will call the image, with its tag; None leaves it without."""
        self._path = path
        self._name = name
        self._file = PartialFile(path)
        self._writer: TarWriter | None = None

    async def put_blob(
        self,
        blob: Descriptor,
        content: Content,
        *,
        mount_from: Repository | None,  # noqa: ARG002  the protocol's
    ) -> Delivery:
        """Add a layer or the configuration."""
        writer = await self._opened()
        async with closing(content()) as stream:
            await writer.add(_member_name(blob), blob.size, stream)
        return Delivery.SENT

    async def put_manifest(self, manifest: Manifest) -> None:
        """Such an archive keeps no manifest; an index does not go in at all.

        Raises:
            UnusableManifest: it is an index, or no image.
        """
        if manifest.is_index or manifest.config is None:
            raise UnusableManifest(
                "a docker archive holds one image of one platform",
                why=f"{manifest.digest} is an index",
                hint="choose one with --platform, or write an oci-archive: of all",
            )
        if manifest.config.media_type not in {DOCKER_CONFIG, OCI_CONFIG}:
            raise UnusableManifest(
                "a docker archive holds images",
                why=f"the configuration of {manifest.digest} is of type {manifest.config.media_type}",
                hint="write an oci-archive: of it",
            )

    async def finish(self, root: Manifest) -> None:
        """Add ``manifest.json``, and give the file its name."""
        if root.config is None:
            raise ValueError("put_manifest has refused this before")
        writer = await self._opened()
        document = [
            {
                "Config": _member_name(root.config),
                "RepoTags": [self._name] if self._name is not None else None,
                "Layers": [_member_name(layer) for layer in root.layers],
            }
        ]
        await writer.add_bytes(MANIFEST_FILE, json.dumps(document).encode())
        await writer.finish()

    async def close(self) -> None:
        """Take the half-written file away, if it is one."""
        await self._file.close()

    async def _opened(self) -> TarWriter:
        if self._writer is None:
            self._writer = TarWriter(self._file)
            await self._file.open()
        return self._writer


def _member_name(blob: Descriptor) -> str:
    if blob.media_type in {DOCKER_CONFIG, OCI_CONFIG}:
        return f"{blob.digest.encoded}.json"
    return f"{blob.digest.encoded}.tar.gz" if "gzip" in blob.media_type else f"{blob.digest.encoded}.tar"
