"""Challenges: what a 401 asks for.

Spec: RFC 9110, section 11.6.1, as containerd reads it (R-AUT-1 to R-AUT-5): one
challenge a header line, and reading stops at the first thing that does not fit.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_LENGTH: Final = 16 * 1024
"""Characters of a header line that are looked at."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*", re.ASCII)
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_RANK: Final = {"bearer": 0, "digest": 1, "basic": 2}


@dataclass(frozen=True, slots=True)
class Challenge:
    """A way to authenticate that a server offers, and the parameters for it."""

    scheme: str
    """Lower case: ``bearer``, ``basic``, ``digest``."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case, values as they were sent."""

    def __str__(self) -> str:
        """The header line, each value quoted, since scopes hold commas (R-AUT-2)."""
        written = ",".join(f'{name}="{_quotable(value)}"' for name, value in self.parameters.items())
        scheme = self.scheme.capitalize()
        return f"{scheme} {written}" if written else scheme


def parse_challenge(line: str) -> Challenge | None:
    """The challenge in one header line. None where it is of no scheme that we know.

    A second challenge in the same line is lost, as it is for every client.
    """
    line = line[:MAX_LENGTH]
    match = _TOKEN.match(line)
    scheme = match[0].lower() if match else ""
    if match is None or scheme not in _RANK:
        return None
    parameters: dict[str, str] = {}
    position = match.end()
    while True:
        name = _TOKEN.match(line, _skip_space(line, position))
        if name is None or not line.startswith("=", name.end()):
            break
        value, position = _value(line, name.end() + 1)
        parameters[name[0].lower()] = value
        position = _skip_space(line, position)
        if not line.startswith(",", position):
            break
        position += 1
    return Challenge(scheme, parameters)


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of an answer in the order to try them: Bearer, Digest, Basic (R-AUT-4)."""
    read = (parse_challenge(line) for line in lines)
    return tuple(sorted((each for each in read if each is not None), key=lambda each: _RANK[each.scheme]))


def _skip_space(line: str, position: int) -> int:
    match = _SPACE.match(line, position)
    return position if match is None else match.end()


def _value(line: str, position: int) -> tuple[str, int]:
    """A token or a quoted string, and where it ends. One that is not closed is empty and ends the line."""
    if line.startswith('"', position):
        quoted = _QUOTED.match(line, position)
        return (_ESCAPED.sub(r"\1", quoted[1]), quoted.end()) if quoted else ("", len(line))
    token = _TOKEN.match(line, position)
    return (token[0], token.end()) if token else ("", position)


def _quotable(value: str) -> str:
    """The inside of a quoted string. Nothing in it can end the header line."""
    return _TO_ESCAPE.sub(r"\\\1", _UNSAFE.sub("", value))
