"""An OCI image layout on disk, as both ends of a copy.

Spec: OCI image-spec v1.1, "OCI Image Layout".
"""

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sealift.client.blob_upload import Content
from sealift.client.errors import (
    MADE_AGAIN,
    ContentMismatch,
    LocalMalformed,
    LocalNotFound,
    UnusableManifest,
    local_refusal,
)
from sealift.client.partial_file import PartialFile, read_slice
from sealift.client.registry_client import Delivery
from sealift.client.stream import closing
from sealift.image.descriptor import Descriptor, MalformedDescriptor
from sealift.image.digest import Digest, DigestCheck, DigestMismatch
from sealift.image.manifest import MANIFEST_TYPES, MAX_MANIFEST_SIZE, OCI_INDEX, MalformedManifest, Manifest
from sealift.image.reference import Repository
from sealift.transport.redaction import printable

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
BLOBS = "blobs"
LAYOUT_VERSION = "1.0.0"
REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation of an entry of the index that holds its tag."""

CONTAINERD_NAME = "io.containerd.image.name"
"""The annotation in which docker and containerd keep the whole name."""

LOCK_POLL_SECONDS = 0.05

LAYOUT_BYTES = json.dumps({"imageLayoutVersion": LAYOUT_VERSION}, separators=(",", ":")).encode()
"""The whole of the file that says: this is a layout."""


class LayoutIndex:
    """The entries of an ``index.json``: which images there are, and under which tags."""

    def __init__(self, document: Mapping[str, Any], entries: Sequence[Descriptor]) -> None:
        self._document = document
        self.entries = tuple(entries)

    @classmethod
    def empty(cls) -> "LayoutIndex":
        """The index of a layout without images."""
        return cls({"schemaVersion": 2, "mediaType": OCI_INDEX}, ())

    @classmethod
    def parse(cls, data: bytes, where: str) -> "LayoutIndex":
        """Read an ``index.json``; `where` is for the error.

        Raises:
            LocalMalformed: it is none.
        """
        try:
            document = json.loads(data)
            listed = document["manifests"] or []
            entries = [Descriptor.from_document(entry) for entry in listed]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            why = "it is not the JSON of an image index"
            raise LocalMalformed(f"{where} cannot be read", why=why) from error
        except MalformedDescriptor as error:
            raise LocalMalformed(f"{where} cannot be read", why=str(error)) from None
        return cls(document, entries)

    def find(self, tag: str | None, where: str) -> Descriptor:
        """The entry with this tag; without one, the only entry there is.

        Raises:
            LocalNotFound: there is none, or there are several to choose from.
        """
        if tag is None:
            found = tuple({entry.digest: entry for entry in self.entries}.values())
        else:
            found = tuple(entry for entry in self.entries if _is_tagged(entry, tag))
        if len({entry.digest for entry in found}) == 1:
            return found[0]
        tags = ", ".join(
            sorted(
                {
                    printable(entry.annotations[REF_NAME], 80)
                    for entry in self.entries
                    if REF_NAME in entry.annotations
                }
            )
        )
        raise LocalNotFound(
            f"no image {tag!r} in {where}" if tag is not None else f"which image of {where} is meant?",
            why=f"it holds {_counted(len(self.entries), 'image')}" + (f", tagged {tags}" if tags else ""),
            hint="name one of its tags: oci:DIR:TAG" if tags else None,
        )

    def with_entry(self, entry: Descriptor) -> "LayoutIndex":
        """The index with one more image. It takes the tag from whoever had it before."""
        tag = entry.annotations.get(REF_NAME)
        kept = [
            each
            for each in self.entries
            if not (tag is not None and each.annotations.get(REF_NAME) == tag)
            and not (each.digest == entry.digest and REF_NAME not in each.annotations)
        ]
        if tag is None and any(each.digest == entry.digest for each in kept):
            return LayoutIndex(self._document, kept)
        return LayoutIndex(self._document, [*kept, entry])

    def write(self) -> bytes:
        """The bytes of the file. What else the document held is kept."""
        document = {**self._document, "manifests": [entry.to_document() for entry in self.entries]}
        return json.dumps(document, indent=2).encode()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _is_tagged(entry: Descriptor, tag: str) -> bool:
    name = entry.annotations.get(CONTAINERD_NAME, "")
    return entry.annotations.get(REF_NAME) == tag or name == tag or name.endswith(f":{tag}")


def root_entry(root: Manifest, tag: str | None, annotations: Mapping[str, str] | None = None) -> Descriptor:
    """The entry of an index for an image."""
    notes = dict(annotations or {})
    if tag is not None:
        notes[REF_NAME] = tag
    return Descriptor(root.media_type, root.digest, len(root.body), notes)


def read_manifest(body: bytes, descriptor: Descriptor, where: str) -> Manifest:
    """A manifest out of a file, checked against its descriptor.

    Raises:
        ContentMismatch: the file is not what the descriptor says.
        UnusableManifest: it is no manifest.
    """
    actual = Digest.of(body, descriptor.digest.algorithm)
    if actual != descriptor.digest:
        raise ContentMismatch(
            f"{where} is damaged: {descriptor.digest} is not what its name says",
            why=f"its digest is {actual}",
            hint=MADE_AGAIN,
        )
    media_type = descriptor.media_type if descriptor.media_type in MANIFEST_TYPES else None
    try:
        return Manifest.parse(body, media_type)
    except MalformedManifest as error:
        raise UnusableManifest(
            f"{descriptor.digest} in {where} is no manifest", why=error.why, hint=error.hint
        ) from None


async def checked(parts: AsyncIterator[bytes], blob: Descriptor, where: str) -> AsyncIterator[bytes]:
    """Pass bytes on and check them against the descriptor as they pass.

    Raises:
        ContentMismatch: at the end, or as soon as they are too many.
    """
    check = DigestCheck(blob.digest)
    async with closing(parts) as stream:
        async for part in stream:
            # Hashing leaves the interpreter's lock: in a thread it goes on beside reading and sending.
            await asyncio.to_thread(check.update, part)
            if check.size > blob.size:
                break
            yield part
    if check.size != blob.size:
        raise ContentMismatch(
            f"{where} is damaged: {blob.digest} is not as long as its descriptor says",
            why=f"{blob.size} bytes are announced",
            hint=MADE_AGAIN,
        )
    try:
        check.verify()
    except DigestMismatch as error:
        raise ContentMismatch(f"{where} is damaged: {error}", why=error.why, hint=MADE_AGAIN) from None


class LayoutSource:
    """Implements `Source`: ``oci:DIR[:TAG]``."""

    def __init__(self, directory: Path, tag: str | None = None) -> None:
        self._directory = directory
        self._tag = tag
        self.name: str | None = tag
        """The tag of the image, as far as the layout knows one; found out by `root`."""

    @property
    def repository(self) -> None:
        """A layout is no repository: nothing is mounted from it."""
        return

    async def root(self) -> Manifest:
        """The image with the tag, or the only one.

        Raises:
            LocalNotFound: no layout there, or no such image in it.
            LocalMalformed: the directory is no layout.
        """
        where = f"the layout {printable(str(self._directory))}"
        layout = await self._read(self._directory / LAYOUT_FILE)
        if b"imageLayoutVersion" not in layout:
            raise LocalMalformed(f"{where} cannot be read", why=f"its file {LAYOUT_FILE} says no version")
        index = LayoutIndex.parse(await self._read(self._directory / INDEX_FILE), where)
        entry = index.find(self._tag, where)
        self.name = self._tag or entry.annotations.get(REF_NAME)
        return await self.manifest(entry)

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """A manifest among the layout's blobs."""
        body = await self._read(blob_file(self._directory, descriptor.digest))
        return read_manifest(body, descriptor, f"the layout {printable(str(self._directory))}")

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob of the layout."""
        path = blob_file(self._directory, descriptor.digest)
        parts = read_slice(path, 0, descriptor.size + 1)
        where = f"the layout {printable(str(self._directory))}"
        async with closing(checked(parts, descriptor, where)) as stream:
            async for part in stream:
                yield part

    async def close(self) -> None:
        """Nothing is held."""

    async def _read(self, path: Path) -> bytes:
        """A small file, whole."""
        data = b"".join([part async for part in read_slice(path, 0, MAX_MANIFEST_SIZE + 1)])
        if len(data) > MAX_MANIFEST_SIZE:
            raise LocalMalformed(
                f"cannot read {printable(str(path))}", why=f"it is longer than {MAX_MANIFEST_SIZE} bytes"
            )
        return data


class LayoutDestination:
    """Implements `Destination`: ``oci:DIR[:TAG]``. The directory is made, or added to."""

    def __init__(self, directory: Path, tag: str | None = None) -> None:
        self._directory = directory
        self._tag = tag

    async def put_blob(
        self,
        blob: Descriptor,
        content: Content,
        *,
        mount_from: Repository | None,  # noqa: ARG002  the protocol's
    ) -> Delivery:
        """Have a blob's file. One that is there is read and checked, and replaced if it is damaged."""
        path = blob_file(self._directory, blob.digest)
        if await asyncio.to_thread(_is_intact, path, blob):
            return Delivery.EXISTED
        await self._make(path.parent)
        async with PartialFile(path) as file, closing(content()) as stream:
            async for part in stream:
                await file.write(part)
            await file.commit()
        return Delivery.SENT

    async def put_manifest(self, manifest: Manifest) -> None:
        """Have a manifest's file."""
        path = blob_file(self._directory, manifest.digest)
        await self._make(path.parent)
        async with PartialFile(path) as file:
            await file.write(manifest.body)
            await file.commit()

    async def finish(self, root: Manifest) -> None:
        """Enter the root into the index, as the last thing. Others may do so at the same time."""
        try:
            async with _locked(self._directory):
                index = await self._index()
                entry = root_entry(root, self._tag)
                async with PartialFile(self._directory / INDEX_FILE) as file:
                    await file.write(index.with_entry(entry).write())
                    await file.commit()
        except OSError as error:
            raise local_refusal(error, self._directory, "write") from error

    async def close(self) -> None:
        """Nothing is held: each file was closed when it was whole, or removed."""

    async def _index(self) -> LayoutIndex:
        path = self._directory / INDEX_FILE
        if not path.exists():
            return LayoutIndex.empty()
        data = b"".join([part async for part in read_slice(path, 0, MAX_MANIFEST_SIZE)])
        return LayoutIndex.parse(data, f"the layout {printable(str(self._directory))}")

    async def _make(self, directory: Path) -> None:
        try:
            await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
            layout = self._directory / LAYOUT_FILE
            if not layout.exists():
                async with PartialFile(layout) as file:
                    await file.write(LAYOUT_BYTES)
                    await file.commit()
        except OSError as error:
            raise local_refusal(error, directory, "write") from error


def blob_file(directory: Path, digest: Digest) -> Path:
    """Where a layout keeps a blob. A parsed digest holds no dots and no slashes."""
    return directory / BLOBS / digest.algorithm / digest.encoded


def _is_intact(path: Path, blob: Descriptor) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != blob.size:
                return False
            check = DigestCheck(blob.digest)
            while part := file.read(1024 * 1024):
                check.update(part)
    except OSError:
        return False
    return check.digest() == blob.digest


@contextlib.asynccontextmanager
async def _locked(directory: Path) -> AsyncIterator[None]:
    """Hold the layout's index for a read and a write of it. Let go when the file is closed, come what may."""
    with (directory / LAYOUT_FILE).open("rb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Not a waiting flock: the holder may be another task of this very loop.
                await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
