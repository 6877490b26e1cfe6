"""Scopes: which actions on which repository a token is asked for, or was given.

Spec: distribution, spec/auth/scope.md, "Resource Scope Grammar" (R-AUT-9, R-AUT-10).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from sealift.image.reference_grammar import MAX_PATH_LENGTH, split

Action = Literal["pull", "push", "delete", "*"]

_ORDER: Final = {"pull": 0, "push": 1, "delete": 2, "*": 3}
_TYPES: Final = frozenset({"repository", "registry"})
_MAX_LENGTH: Final = 1024
"""Characters of one scope. A name has 255, and a host before it perhaps as many."""

_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?", re.ASCII)
_ACTIONS = re.compile(r"[a-z,*]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """Some actions on one repository, such as ``repository:team/api:pull,push``.

    The client asks for one, the issuer grants one and the guard checks one:
    all three use this type, so that they cannot read the string differently.
    """

    repository_path: str
    """The name of the resource: a repository's path, or ``catalog`` (see `CATALOG`)."""

    actions: frozenset[str]
    resource_type: str = "repository"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read one scope. None for what is none, or is of a type that we do not know.

        A class after the type, as in ``repository(plugin)``, is ignored. The
        name may hold the colon of a port: the type ends at the first colon and
        the actions begin after the last.
        """
        kind_text, _, rest = text.partition(":")
        name, colon, actions = rest.rpartition(":")
        kind = _TYPE.fullmatch(kind_text)
        if not colon or kind is None or kind[1] not in _TYPES or len(text) > _MAX_LENGTH:
            return None
        if _ACTIONS.fullmatch(actions) is None or not _is_name(name):
            return None
        return cls(name, frozenset(each for each in actions.split(",") if each), kind[1])

    @classmethod
    def from_access(cls, entry: Mapping[str, Any]) -> Self | None:
        """Read an entry of the ``access`` claim of a token. None for what is none."""
        kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions")
        if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(actions, list):
            return None
        if not all(isinstance(each, str) for each in actions):
            return None
        return cls.parse(f"{kind}:{name}:{','.join(actions)}")

    def to_access(self) -> dict[str, Any]:
        """The entry for the ``access`` claim of a token (spec/auth/jwt.md)."""
        return {"type": self.resource_type, "name": self.repository_path, "actions": self._ordered()}

    def allows(self, wanted: "Scope") -> bool:
        """Whether everything in `wanted` is within this scope. ``*`` is every action."""
        return (
            self.repository_path == wanted.repository_path
            and self.resource_type == wanted.resource_type
            and ("*" in self.actions or wanted.actions <= self.actions)
        )

    def _ordered(self) -> list[str]:
        return sorted(self.actions, key=lambda action: (_ORDER.get(action, len(_ORDER)), action))

    def __str__(self) -> str:
        """The text, with its actions in one fixed order, since naive caches compare it (R-AUT-10)."""
        return f"{self.resource_type}:{self.repository_path}:{','.join(self._ordered())}"


CATALOG: Final = Scope("catalog", frozenset({"*"}), "registry")
"""What listing all repositories asks for."""


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """The scopes of a challenge or a form, with spaces between. What is none is left out: it asks nothing."""
    read = (Scope.parse(each) for each in text.split(" "))
    return tuple(scope for scope in read if scope is not None)


def write_scopes(scopes: Iterable[Scope]) -> str:
    """Several scopes in one text, for a challenge or a form."""
    return " ".join(str(scope) for scope in scopes)


def repository_scope(path: str, *actions: Action) -> Scope:
    """The scope of some actions on one repository."""
    return Scope(path, frozenset(actions))


def _is_name(text: str) -> bool:
    """Whether `text` is a path, with or without a registry before it."""
    parts = split(text)
    return parts is not None and parts[2] is None and parts[3] is None and len(parts[1]) <= MAX_PATH_LENGTH
