"""What a takeover did: counts by repository, and every failure with its place and its cause."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from sealift.errors import SealiftError


class Kind(Enum):
    """What a failure is about."""

    REPOSITORY = "repository"
    TAG = "tag"
    MANIFEST = "manifest"
    BLOB = "blob"
    CONFLICT = "conflict"
    """A tag that stands for something else in the target, and was left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that was not brought over."""

    kind: Kind
    repository: str
    """Its name in the source."""

    place: str = ""
    """The tag or the digest; empty for the repository itself. Safe to print."""

    what: str
    why: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, kind: Kind, repository: str, place: str, error: SealiftError) -> "Failure":
        """The failure that an error is."""
        return cls(
            kind=kind, repository=repository, place=place, what=str(error), why=error.why, hint=error.hint
        )

    @property
    def name(self) -> str:
        """The place in full, as it would be typed."""
        if not self.place:
            return self.repository
        return f"{self.repository}{'@' if ':' in self.place else ':'}{self.place}"


@dataclass(slots=True)
class Tally:
    """How many of one sort went which way. In a dry run `copied` and `mounted` are what would."""

    copied: int = 0
    mounted: int = 0
    there: int = 0
    """In the target already."""

    left_out: int = 0
    """Layers that must not be distributed, which the source does not have either."""

    failed: int = 0
    size: int = 0
    """Bytes of what was copied, without what was mounted or was there."""

    def add(self, other: "Tally") -> None:
        """Count what another one counted."""
        self.copied += other.copied
        self.mounted += other.mounted
        self.there += other.there
        self.left_out += other.left_out
        self.failed += other.failed
        self.size += other.size

    @property
    def total(self) -> int:
        """All of them, whichever way they went."""
        return self.copied + self.mounted + self.there + self.left_out + self.failed


@dataclass(slots=True)
class RepositoryReport:
    """One repository."""

    name: str
    """In the source."""

    target: str
    """In the target."""

    tags: Tally = field(default_factory=Tally)
    manifests: Tally = field(default_factory=Tally)
    blobs: Tally = field(default_factory=Tally)
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class TakeoverReport:
    """The whole."""

    repositories: list[RepositoryReport] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    """Of what never came to be a repository: a name that is none, a list that cannot be read."""

    stopped: SealiftError | None = None
    """What made it of no use to go on, where something did. Then repositories may be missing here."""

    def all_failures(self) -> Iterator[Failure]:
        """Every failure, repository by repository."""
        yield from self.failures
        for repository in self.repositories:
            yield from repository.failures

    def sum(self) -> RepositoryReport:
        """All repositories as one, without names and failures."""
        whole = RepositoryReport("", "")
        for each in self.repositories:
            whole.tags.add(each.tags)
            whole.manifests.add(each.manifests)
            whole.blobs.add(each.blobs)
        return whole
