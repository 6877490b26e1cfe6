"""All that a registry holds, as a place to read from: what a takeover begins with.

A registry over the wire is one, and so is the file tree of one that does not
run. Both give the same things by the same names, and both may have gaps:
a tag that stands for nothing, a blob that is damaged. A gap is told where it
is met, and what is beside it can be read all the same.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import Manifest
from sealift.image.reference import Repository


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should be there and cannot be read."""

    place: str
    """What it was called: a tag, a digest, a path. Safe to print."""

    error: SealiftError


class Holdings(Protocol):
    """What a registry holds.

    Whatever is read by digest is checked against it; names, tags and digests
    are given only where they obey the grammar.
    """

    def repositories(self, wanted: Callable[[str], bool]) -> AsyncIterator[str | Gap]:
        """The repositories that `wanted` takes, each once."""

    def tags(self, name: str) -> AsyncIterator[str | Gap]:
        """The tags of a repository."""

    async def digest_of(self, name: str, tag: str) -> Digest:
        """What a tag stands for now."""

    def revisions(self, name: str) -> AsyncIterator[Digest | Gap]:
        """Manifests of a repository that can be found without a tag. There may be none to find so."""

    async def manifest(self, name: str, digest: Digest) -> Manifest:
        """A manifest of a repository, checked."""

    def referrers(self, name: str, digest: Digest) -> AsyncIterator[Digest]:
        """The manifests that refer to this one, as far as `revisions` does not give them."""

    async def has_blob(self, name: str, blob: Descriptor) -> bool:
        """Whether the repository has this blob, by its size at least."""

    def blob(self, name: str, blob: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes, checked: the iteration raises at its end if they are not what they should be."""

    def mountable(self, name: str) -> Repository | None:
        """The repository of a registry from which blobs may be mounted, where this is one."""
