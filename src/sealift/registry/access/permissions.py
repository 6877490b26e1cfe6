"""What somebody may do in a repository: a pure function of the facts.

Four things give rights, and nothing else does:

* An admin has every right everywhere: who hands out grants has them anyway.
* The owner of a repository has every right in it. The first path element names
  the owner; ownership hangs on the account's id, so that an account which takes
  a name over owns nothing that was made under it before.
* A grant gives its actions in the repositories that its pattern names.
* A public repository may be pulled by everyone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, Self

from sealift.errors import SealiftError
from sealift.protocol.scope import Scope
from sealift.registry.exchange import Principal

ALL_ACTIONS: Final[frozenset[str]] = frozenset({"pull", "push", "delete"})
"""The actions that a grant can give."""

PULL: Final[frozenset[str]] = frozenset({"pull"})
NOTHING: Final[frozenset[str]] = frozenset()

MAX_PATTERN_LENGTH: Final = 255
"""Characters. As many as a repository's path may have (R-REF-9)."""

_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
"""One path component. Spec: R-REF-3."""


class MalformedPattern(SealiftError):
    """The text names no repositories: it breaks the grammar of patterns."""

    exit_status: ClassVar[int] = 2

    def __init__(self, text: str, rule: str) -> None:
        super().__init__(
            f"{text!r} is not a repository pattern",
            why=rule,
            hint="write a path such as apps/internal-app, apps/* (one element) or apps/** (one or more)",
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Some repositories, by path: ``*`` is one whole element, a last ``**`` one or more."""

    elements: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern as it is written in a grant.

        Raises:
            MalformedPattern: An element is neither a component (R-REF-3) nor
                ``*`` nor, at the end, ``**``.
        """
        if len(text) > MAX_PATTERN_LENGTH:
            raise MalformedPattern(text[:40] + "…", f"it is longer than {MAX_PATTERN_LENGTH} characters")
        elements = tuple(text.split("/"))
        for place, element in enumerate(elements):
            if element == "*" or (element == "**" and place == len(elements) - 1):
                continue
            if element == "**":
                raise MalformedPattern(text, "** may only be the last element")
            if "*" in element:
                raise MalformedPattern(text, "a * stands for one whole path element, not for a part of one")
            if not element:
                raise MalformedPattern(text, "a path element is empty")
            if not _COMPONENT.fullmatch(element):
                raise MalformedPattern(
                    text, f"{element!r} is no path element: lower case letters, digits and separators"
                )
        return cls(elements)

    def matches(self, repository: str) -> bool:
        """Whether the repository at this path is one of them."""
        path = repository.split("/")
        wanted = self.elements
        if wanted[-1] == "**":
            wanted = wanted[:-1]
            if len(path) <= len(wanted):
                return False
            path = path[: len(wanted)]
        return len(path) == len(wanted) and all(
            mine in ("*", theirs) for mine, theirs in zip(wanted, path, strict=True)
        )

    @property
    def prefix(self) -> str:
        """The beginning that every repository of the pattern shares: all before the first ``*``."""
        literal: list[str] = []
        for element in self.elements:
            if "*" in element:
                return "".join(f"{each}/" for each in literal)
            literal.append(element)
        return "/".join(literal)

    def __str__(self) -> str:
        return "/".join(self.elements)


parse_pattern = lru_cache(maxsize=4096)(Pattern.parse)
"""`Pattern.parse`, remembered: the same few patterns are read on every request."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Some actions in the repositories of a pattern."""

    pattern: Pattern
    actions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """What the catalog says of a repository at the moment of the question."""

    name: str
    exists: bool
    public: bool = False
    owner_id: int | None = None


def is_owner(principal: Principal, repository: RepositoryFacts) -> bool:
    """Whether the repository is, or would be, this principal's own."""
    if principal.id is None:
        return False
    if repository.exists:
        return repository.owner_id == principal.id
    return repository.name.partition("/")[0] == principal.name


def rights(principal: Principal, repository: RepositoryFacts, grants: Iterable[Grant]) -> frozenset[str]:
    """Every action that `principal` may take in `repository`, as things stand now.

    Args:
        principal: Who asks.
        repository: Where. One that does not exist yet may be pushed to by whoever
            would have the right if it existed.
        grants: The grants that this principal holds.
    """
    if principal.id is not None and (principal.is_admin or is_owner(principal, repository)):
        return ALL_ACTIONS
    held: frozenset[str] = PULL if repository.exists and repository.public else NOTHING
    for given in grants:
        if not given.actions <= held and given.pattern.matches(repository.name):
            held |= given.actions
    return held


def grant(wanted: Iterable[Scope], held: Iterable[Scope]) -> tuple[Scope, ...]:
    """The part of `wanted` that `held` covers. What is not covered is left out.

    A token with fewer scopes than were asked for is the protocol's way to say
    no, and not an error. The same repository asked for twice is answered once.

    Spec: distribution, spec/auth/token.md, "Requesting a Token"; R-AUT-7.
    """
    asked = _merged(wanted)
    have = _merged(held)
    return tuple(
        Scope(path, both, kind)
        for (kind, path), actions in asked.items()
        if (both := covered(actions, have.get((kind, path), NOTHING)))
    )


def covered(wanted: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """The part of some actions that is held, where ``*`` asks for, or is, all of them."""
    if "*" in wanted:
        return held
    return wanted if "*" in held else wanted & held


def _merged(scopes: Iterable[Scope]) -> dict[tuple[str, str], frozenset[str]]:
    """Every action asked for, or held, by type and name of the resource."""
    merged: dict[tuple[str, str], frozenset[str]] = {}
    for scope in scopes:
        key = scope.resource_type, scope.repository_path
        merged[key] = merged.get(key, NOTHING) | scope.actions
    return merged
