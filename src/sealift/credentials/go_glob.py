"""``path.Match`` of Go: the pattern language of one host label.

Spec: R-KEY-10, R-PY-8; Go ``path.Match``.
"""

import functools
from dataclasses import dataclass
from typing import Literal


class BadPattern(ValueError):
    """The pattern is malformed: Go reports an error, and the kubelet takes that for no match."""


@dataclass(frozen=True, slots=True)
class _Class:
    """A character class, such as ``[^a-c]``."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def holds(self, character: str) -> bool:
        """Whether `character` is in it. A class may hold a slash, unlike ``*`` and ``?``."""
        return any(low <= character <= high for low, high in self.ranges) != self.negated


_Token = Literal["*", "?"] | tuple[str] | _Class
"""A wildcard, one character (in a tuple), or a class."""


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` matches all of `name`.

    ``*`` and ``?`` stop at ``/``; a class is negated with ``^``; a backslash
    takes the next character as it is. Time is bounded by the product of lengths.

    Raises:
        BadPattern: `pattern` is malformed.
    """
    tokens = _tokens(pattern)
    at = token = 0
    star = -1
    resume = 0
    while at < len(name) or token < len(tokens):
        if token < len(tokens) and tokens[token] == "*":
            star, resume = token, at
            token += 1
        elif token < len(tokens) and at < len(name) and _fits(tokens[token], name[at]):
            token += 1
            at += 1
        elif star >= 0 and resume < len(name) and name[resume] != "/":
            resume += 1
            token, at = star + 1, resume
        else:
            return False
    return True


def _fits(token: _Token, character: str) -> bool:
    if isinstance(token, _Class):
        return token.holds(character)
    if isinstance(token, tuple):
        return token[0] == character
    return character != "/"


@functools.lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            tokens.append("*")
        elif character == "?":
            tokens.append("?")
        elif character == "[":
            token, at = _class(pattern, at)
            tokens.append(token)
        else:
            if character == "\\":
                character, at = _escaped(pattern, at)
            tokens.append((character,))
    return tuple(tokens)


def _class(pattern: str, at: int) -> tuple[_Class, int]:
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern.startswith("]", at)):
        low, at = _bound(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _bound(pattern, at + 1)
        ranges.append((low, high))
    return _Class(negated, tuple(ranges)), at + 1


def _bound(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise BadPattern(pattern)
    if pattern[at] == "\\":
        return _escaped(pattern, at + 1)
    return pattern[at], at + 1


def _escaped(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern):
        raise BadPattern(pattern)
    return pattern[at], at + 1
