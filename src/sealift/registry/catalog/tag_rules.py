"""Immutable tags: patterns of the names that must not be moved or deleted, with exceptions.

The rules are a repository's. They are looked at where a tag is moved or removed
(`sealift.registry.catalog.tags`), in the same transaction: no path of the
registry comes to a tag in another way.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from sqlalchemy import bindparam, delete, insert, select

from sealift.errors import SealiftError
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.schema import tag_rule

MAX_PATTERNS: Final = 32
"""Patterns of one kind that a repository may have."""

MAX_PATTERN_CHARACTERS: Final = 128
"""As many as a tag may have (R-REF-6)."""

PATTERN_SHAPE: Final = "^[A-Za-z0-9_*][A-Za-z0-9_.*-]*$"
"""A tag (R-REF-6) in which any character may be a ``*``."""

_PATTERN: Final = re.compile(PATTERN_SHAPE, re.ASCII)

_RULES = Query(
    select(tag_rule.c.kind, tag_rule.c.pattern)
    .where(tag_rule.c.repository_id == bindparam("repository_id"))
    .order_by(tag_rule.c.kind, tag_rule.c.pattern)
)
_CLEAR = Query(delete(tag_rule).where(tag_rule.c.repository_id == bindparam("repository_id")))
_ADD = Query(insert(tag_rule), columns=("repository_id", "kind", "pattern"))


class MalformedTagPattern(SealiftError):
    """The text names no tags: it breaks the grammar of tag patterns, or there are too many."""

    exit_status: ClassVar[int] = 2


class TagImmutable(SealiftError):
    """A rule of the repository keeps a tag where it is. Nothing was changed.

    Attributes:
        tag: The tag.
        pattern: The rule.
    """

    def __init__(self, tag: str, pattern: str, wanted: Literal["moved", "deleted"]) -> None:
        super().__init__(
            f"the tag {tag} is immutable and cannot be {wanted}",
            why=f"the repository's rule {pattern} protects it",
            hint="use another tag; or its owner changes the rule: sealift repo set NAME --immutable …",
        )
        self.tag = tag
        self.pattern = pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRules:
    """Which tags of a repository are immutable. ``*`` stands for any characters, or none."""

    immutable: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    """Tags that are not, whatever `immutable` says."""

    def protecting(self, name: str) -> str | None:
        """The pattern that makes a tag immutable, or None where it may be moved."""
        if any(matches(pattern, name) for pattern in self.exceptions):
            return None
        return next((pattern for pattern in self.immutable if matches(pattern, name)), None)


def matches(pattern: str, name: str) -> bool:
    """Whether a tag has the shape of a pattern.

    It takes the first place for each piece and never goes back, so that no
    pattern takes more than its length times the name's.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *between, last = rest
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    place, end = len(first), len(name) - len(last)
    for piece in between:
        found = name.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def tag_patterns(texts: Iterable[str]) -> tuple[str, ...]:
    """Read a list of patterns as somebody wrote it: each once, sorted.

    Raises:
        MalformedTagPattern: One is none, or there are too many.
    """
    read = sorted(set(texts))
    if len(read) > MAX_PATTERNS:
        raise MalformedTagPattern(
            f"{len(read)} patterns of tags are too many",
            why=f"a repository has at most {MAX_PATTERNS} of a kind",
            hint="write one with a * for several, such as v*",
        )
    for text in read:
        if len(text) > MAX_PATTERN_CHARACTERS or not _PATTERN.fullmatch(text):
            shown = text if len(text) <= MAX_PATTERN_CHARACTERS else text[:40] + "…"
            raise MalformedTagPattern(
                f"{shown!a} is not a pattern of tags",
                why="it is at most 128 letters, digits, '_', '.' and '-', with '*' for any of them",
                hint="write a tag such as latest, or v*, or *-release",
            )
    return tuple(read)


def tag_rules(reader: Reader, repository_id: int) -> TagRules:
    """The rules of a repository."""
    kinds: dict[str, list[str]] = {"immutable": [], "except": []}
    for kind, pattern in reader.all(_RULES, repository_id=repository_id):
        kinds[kind].append(pattern)
    return TagRules(immutable=tuple(kinds["immutable"]), exceptions=tuple(kinds["except"]))


def set_tag_rules(transaction: Transaction, repository_id: int, rules: TagRules) -> None:
    """Give a repository these rules, and no others. Tags that break none of them stay as they are."""
    transaction.run(_CLEAR, repository_id=repository_id)
    for kind, patterns in (("immutable", rules.immutable), ("except", rules.exceptions)):
        for pattern in patterns:
            transaction.run(_ADD, repository_id=repository_id, kind=kind, pattern=pattern)
