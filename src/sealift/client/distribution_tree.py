"""The file tree of a CNCF Distribution registry, read without that registry.

    docker/registry/v2/
      blobs/ALGORITHM/HE/HEX/data                                 every blob, manifests too
      repositories/NAME/
        _manifests/revisions/ALGORITHM/HEX/link                   a manifest of the repository
        _manifests/tags/TAG/current/link                          what a tag stands for
        _layers/ALGORITHM/HEX/link                                a blob of the repository

A link file holds a digest and nothing else. Where it is gone, the thing was
deleted there, and its bytes wait for the collection: such a thing is not
brought back. A blob is of a repository only where the repository has a link
to it, else a manifest could name what its author was never allowed to read.

The tree is somebody else's writing: a link file has at most `MAX_LINK` bytes,
a digest becomes part of a path only after it was parsed, what is opened lies
inside the tree with all symbolic links resolved, and is a regular file.

Spec: CNCF Distribution, registry/storage/paths.go, versions 2.x and 3.x.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from sealift.client.errors import LocalMalformed, LocalNotFound, LocalRefusal, UnusableManifest, local_refusal
from sealift.client.holdings import Gap
from sealift.client.layout import checked, read_manifest
from sealift.client.partial_file import read_slice
from sealift.client.stream import closing
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.manifest import MAX_MANIFEST_SIZE, Manifest
from sealift.image.reference_grammar import MAX_PATH_LENGTH, is_component, is_tag
from sealift.transport.redaction import printable

LEVELS = ("docker", "registry", "v2")
"""From what Distribution calls its root directory down to the two halves."""

REPOSITORIES, BLOBS = "repositories", "blobs"
LINK, DATA = "link", "data"

MAX_LINK = 256
"""Bytes of a link file. The longest digest has 135."""

MAX_HISTORY = 3
"""Digests that a broken tag once stood for, as far as they are told. Of more nobody knows which."""

HINT = "rebuild or push it there again, or leave it behind"


def find_tree(directory: Path) -> Path:
    """The ``v2`` directory of a tree, from any of its levels.

    Raises:
        LocalNotFound: there is no such directory.
        LocalMalformed: it is none of the levels.
    """
    shown = printable(str(directory))
    if not directory.is_dir():
        raise LocalNotFound(f"there is no directory {shown}", hint=f"ls -ld {shown}")
    candidates = [directory.joinpath(*LEVELS[number:]) for number in range(len(LEVELS) + 1)]
    if directory.name in {REPOSITORIES, BLOBS}:
        candidates.append(directory.parent)
    for candidate in candidates:
        if (candidate / REPOSITORIES).is_dir():
            return candidate.resolve()
    raise LocalMalformed(
        f"{shown} is not the file tree of a registry",
        why=f"there is no {'/'.join((*LEVELS, REPOSITORIES))} in it",
        hint="name the directory that stands as rootdirectory in the configuration of the old registry",
    )


class DistributionTree:
    """Implements `Holdings`."""

    def __init__(self, directory: Path) -> None:
        """`directory` is any level of the tree, see `find_tree`."""
        self._root = find_tree(directory)
        self._where = f"the tree {printable(str(directory))}"

    async def repositories(self, wanted: Callable[[str], bool]) -> AsyncIterator[str | Gap]:
        """Every directory that has manifests or layers, by the path that leads to it."""
        waiting = [""]
        while waiting:
            name = waiting.pop()
            place = self._root / REPOSITORIES / name
            try:
                entries = await asyncio.to_thread(_directories, place)
            except OSError as error:
                yield Gap(name or REPOSITORIES, local_refusal(error, place, "read"))
                continue
            if name and wanted(name) and entries.keys() & {"_manifests", "_layers"}:
                yield name
            for entry, is_link in sorted(entries.items(), reverse=True):
                path = f"{name}/{entry}" if name else entry
                if entry.startswith("_"):
                    continue
                if is_link:
                    yield Gap(printable(path), self._malformed(path, "it is a symbolic link: not followed"))
                elif not is_component(entry) or len(path) > MAX_PATH_LENGTH:
                    yield Gap(printable(path), self._malformed(path, "it cannot be the name of a repository"))
                else:
                    waiting.append(path)

    async def tags(self, name: str) -> AsyncIterator[str | Gap]:
        """Every directory under ``_manifests/tags``."""
        place = self._repository(name) / "_manifests" / "tags"
        for tag, is_link in sorted((await self._listed(place)).items()):
            if is_link or not is_tag(tag):
                why = "it is a symbolic link: not followed" if is_link else "it cannot be a tag"
                yield Gap(printable(tag), self._malformed(f"{name}:{tag}", why))
            else:
                yield tag

    async def digest_of(self, name: str, tag: str) -> Digest:
        """What ``current/link`` holds.

        Raises:
            LocalNotFound: the tag stands for nothing.
            LocalMalformed: the link is empty, cut off or no digest.
        """
        path = self._repository(name) / "_manifests" / "tags" / tag / "current" / LINK
        try:
            found = await self._link(path)
        except LocalMalformed as error:
            error.hint = await self._hint_of_history(name, tag) or error.hint
            raise
        if found is None:
            raise LocalNotFound(
                f"the tag {name}:{tag} stands for nothing", why="it has no current/link", hint=HINT
            )
        return found

    async def _hint_of_history(self, name: str, tag: str) -> str | None:
        """What a tag whose link is broken stood for at some time, which the tree notes without an order."""
        place = self._repository(name) / "_manifests" / "tags" / tag / "index"
        known: list[str] = []
        with contextlib.suppress(LocalRefusal):
            for algorithm in await self._listed(place):
                for encoded in await self._listed(place / algorithm):
                    with contextlib.suppress(MalformedDigest):
                        known.append(str(Digest.parse(f"{algorithm}:{encoded}")))
        if not known or len(known) > MAX_HISTORY:
            return None
        return f"it stood for {' or '.join(sorted(known))}: set it by hand, or push it there again"

    async def revisions(self, name: str) -> AsyncIterator[Digest | Gap]:
        """Every manifest whose link is there, whether or not a tag stands for it."""
        place = self._repository(name) / "_manifests" / "revisions"
        for algorithm in sorted(await self._listed(place)):
            for encoded in sorted(await self._listed(place / algorithm)):
                try:
                    digest = Digest.parse(f"{algorithm}:{encoded}")
                    if await self._has_link(self._revision(name, digest), digest):
                        yield digest
                except (LocalMalformed, MalformedDigest) as error:
                    yield Gap(printable(f"{algorithm}:{encoded}"), error)

    async def manifest(self, name: str, digest: Digest) -> Manifest:
        """A manifest of the repository.

        Raises:
            LocalNotFound: it was deleted, was never there, or its bytes are gone.
            ContentMismatch: its bytes are not what the digest says.
            UnusableManifest: it is none that can be read, of schema 1 for one.
        """
        if not await self._has_link(self._revision(name, digest), digest):
            raise LocalNotFound(
                f"{name}@{digest} is not there",
                why="it was deleted: the repository has no link to it",
                hint=HINT,
            )
        path = await self._data(digest)
        body = b"".join([part async for part in read_slice(path, 0, MAX_MANIFEST_SIZE + 1)])
        if len(body) > MAX_MANIFEST_SIZE:
            raise UnusableManifest(
                f"{name}@{digest} cannot be read",
                why=f"it is longer than {MAX_MANIFEST_SIZE} bytes",
                hint=HINT,
            )
        # The tree does not say its type: the document does. The descriptor's own type counts for nothing.
        return read_manifest(body, Descriptor("", digest, len(body)), self._where)

    async def referrers(self, name: str, digest: Digest) -> AsyncIterator[Digest]:  # noqa: ARG002  the protocol's
        """None: they are among the revisions."""
        nothing: tuple[Digest, ...] = ()
        for found in nothing:
            yield found

    async def has_blob(self, name: str, blob: Descriptor) -> bool:
        """Whether the repository has a link to the blob, and the blob is as long as it should be."""
        try:
            path = await self._blob_file(name, blob.digest)
            return await asyncio.to_thread(lambda: path.stat().st_size) == blob.size
        except (LocalNotFound, LocalMalformed, OSError):
            return False

    async def blob(self, name: str, blob: Descriptor) -> AsyncIterator[bytes]:
        """A blob of the repository."""
        path = await self._blob_file(name, blob.digest)
        parts = read_slice(path, 0, blob.size + 1)
        async with closing(checked(parts, blob, self._where)) as stream:
            async for part in stream:
                yield part

    def mountable(self, name: str) -> None:  # noqa: ARG002  the protocol's
        """A tree is no registry: nothing is mounted from it."""
        return

    # ------------------------------------------------------------------ paths

    def _repository(self, name: str) -> Path:
        return self._root / REPOSITORIES / name

    def _revision(self, name: str, digest: Digest) -> Path:
        revisions = self._repository(name) / "_manifests" / "revisions"
        return revisions / digest.algorithm / digest.encoded / LINK

    async def _blob_file(self, name: str, digest: Digest) -> Path:
        link = self._repository(name) / "_layers" / digest.algorithm / digest.encoded / LINK
        if not await self._has_link(link, digest):
            raise LocalNotFound(
                f"{digest} is not in {name}", why="the repository has no link to this blob", hint=HINT
            )
        return await self._data(digest)

    async def _data(self, digest: Digest) -> Path:
        """Where the bytes are. A parsed digest holds no dots and no slashes."""
        path = self._root / BLOBS / digest.algorithm / digest.encoded[:2] / digest.encoded / DATA
        real = await asyncio.to_thread(self._inside, path)
        if real is None:
            raise LocalNotFound(f"{digest} is not there", why="the tree has no bytes for it", hint=HINT)
        return real

    def _inside(self, path: Path) -> Path | None:
        """The path with all symbolic links resolved; None where it does not exist.

        Raises:
            LocalMalformed: it leads out of the tree.
        """
        try:
            real = path.resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RuntimeError) as error:
            raise self._malformed(str(path), f"it cannot be followed: {type(error).__name__}") from None
        if not real.is_relative_to(self._root):
            raise self._malformed(str(path), "a symbolic link leads out of the tree: not followed")
        return real

    # ------------------------------------------------------------------ links

    async def _has_link(self, path: Path, digest: Digest) -> bool:
        """Whether there is a link to `digest` at its own place."""
        found = await self._link(path)
        if found is not None and found != digest:
            raise self._malformed(str(path), f"it stands at the place of {digest} and holds {found}")
        return found is not None

    async def _link(self, path: Path) -> Digest | None:
        """What a link file holds; None where there is no such file."""
        real = await asyncio.to_thread(self._inside, path)
        if real is None:
            return None
        data = b"".join([part async for part in read_slice(real, 0, MAX_LINK + 1)])
        if not data.strip():
            raise self._malformed(
                str(path), "the link file is empty: the old registry was stopped while it wrote it"
            )
        if len(data) > MAX_LINK:
            raise self._malformed(str(path), f"the link file has more than {MAX_LINK} bytes")
        try:
            return Digest.parse(data.decode("ascii", "backslashreplace").strip())
        except MalformedDigest as error:
            raise self._malformed(str(path), f"the link file holds no digest: {error.why}") from None

    async def _listed(self, place: Path) -> dict[str, bool]:
        """The directories in a directory, and whether each is a symbolic link. None where it is missing."""
        real = await asyncio.to_thread(self._inside, place)
        if real is None:
            return {}
        try:
            return await asyncio.to_thread(_directories, real)
        except OSError as error:
            raise local_refusal(error, place, "read") from error

    def _malformed(self, place: str, why: str) -> LocalMalformed:
        shown = printable(place.removeprefix(f"{self._root}/"))
        return LocalMalformed(f"{shown} cannot be read", why=why, hint=HINT)


def _directories(place: Path) -> dict[str, bool]:
    """The names of directories in a directory; True for what is a symbolic link instead."""
    with os.scandir(place) as entries:
        return {
            entry.name: entry.is_symlink()
            for entry in entries
            if entry.is_symlink() or entry.is_dir(follow_symlinks=False)
        }
