"""JSON as Go's ``encoding/json`` reads and writes it, as far as pull credentials need it.

The kubelet and kubectl are Go programs: a document that Python's ``json`` would
read and Go would refuse (or the other way round) is a Pod that does not start.
So this is a reader of its own: no recursion, no number conversion, duplicate
keys kept in order, and errors in Go's words with the byte they are about.

Spec: R-PY-3 to R-PY-7; RFC 8259; Go 1.26 ``encoding/json`` (the v1 engine).
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_DEPTH: Final = 10_000
"""Levels of nesting that Go reads. One more is an error (R-PY-7)."""


class GoJsonError(ValueError):
    """The document is not JSON, or not of the shape asked for.

    ``str(error)`` is what Go would print. It holds at most one character of the
    document, which the kubelet shows in the Pod's status too.

    Attributes:
        offset: Bytes read before the one that broke a rule, or None where a
            value has the wrong type.
    """

    def __init__(self, text: str, offset: int | None = None) -> None:
        super().__init__(text)
        self.offset = offset


class Literal(Enum):
    """What is neither text nor a container. The value of a number is never needed."""

    NULL = "null"
    BOOLEAN = "bool"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object: its members in the order of the document, duplicates included."""

    members: tuple[tuple[str, "Value"], ...]


@dataclass(frozen=True, slots=True)
class Array:
    """A JSON array."""

    items: tuple["Value", ...]


Value = Object | Array | str | Literal


def kind_of(value: Value) -> str:
    """What Go calls the type of `value` in an ``UnmarshalTypeError``."""
    match value:
        case Object():
            return "object"
        case Array():
            return "array"
        case str():
            return "string"
        case Literal():
            return value.value


_FOLDED: Final = {0x17F: "s", 0x212A: "k"}  # long s, kelvin sign


def fold(name: str) -> str:
    """The form under which Go compares an object key with a field's name.

    Simple case folding, character by character: ``auth`` with a long s (U+017F) fills ``auths``, but
    ``paßword`` does not fill ``password``, as ``str.casefold`` would have it (R-PY-3).
    Only what can fold to ASCII is folded; no field of ours has another character.
    """
    return "".join(c.lower() if c.isascii() else c for c in name.translate(_FOLDED))


# ---------------------------------------------------------------- reading
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final = {"t": "true", "f": "false", "n": "null"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_LONE = re.compile("[\ud800-\udfff]")
_VALUE = "looking for beginning of value"


def read(data: bytes) -> Value:
    """Read one JSON document.

    Each byte that is not UTF-8 becomes one U+FFFD, and so does half of a
    surrogate pair (R-PY-7).

    Raises:
        GoJsonError: It is not JSON, or nested deeper than `MAX_DEPTH`.
    """
    return _Reader(data).document()


class _Reader:
    """One pass over a document, with a stack of its own."""

    def __init__(self, data: bytes) -> None:
        # A byte that is not UTF-8 is kept as a lone surrogate until it is known where it stands.
        self._text = data.decode("utf-8", "surrogateescape")
        self._at = 0

    def document(self) -> Value:
        value = self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._unexpected("after top-level value")
        return value

    def _value(self) -> Value:
        """Read the value that starts here, containers without recursion."""
        stack: list[tuple[list[tuple[str, Value]], str] | list[Value]] = []
        while True:
            self._skip()
            opener = self._peek()
            if opener in {"{", "["}:
                if len(stack) >= MAX_DEPTH:
                    raise GoJsonError("exceeded max depth", self._offset() + 1)
                self._at += 1
                self._skip()
                if self._peek() == ("}" if opener == "{" else "]"):
                    self._at += 1
                    value: Value = Object(()) if opener == "{" else Array(())
                else:
                    stack.append(([], self._key()) if opener == "{" else [])
                    continue
            else:
                value = self._scalar(opener)
            while True:
                if not stack:
                    return value
                closed = self._continue(stack, value)
                if closed is None:
                    break
                value = closed

    def _continue(
        self, stack: list[tuple[list[tuple[str, Value]], str] | list[Value]], value: Value
    ) -> Value | None:
        """Put `value` into the innermost container. Returns that container if it ends here."""
        top = stack[-1]
        self._skip()
        following = self._peek()
        if isinstance(top, list):
            top.append(value)
            if following not in {",", "]"}:
                raise self._unexpected("after array element")
            self._at += 1
            if following == "]":
                stack.pop()
                return Array(tuple(top))
            return None
        members, key = top
        members.append((key, value))
        if following not in {",", "}"}:
            raise self._unexpected("after object key:value pair")
        self._at += 1
        if following == "}":
            stack.pop()
            return Object(tuple(members))
        self._skip()
        stack[-1] = (members, self._key())
        return None

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._unexpected("looking for beginning of object key string")
        key = self._string()
        self._skip()
        if self._peek() != ":":
            raise self._unexpected("after object key")
        self._at += 1
        return key

    def _scalar(self, first: str) -> Value:
        if first == '"':
            return self._string()
        word = _WORDS.get(first)
        if word is not None:
            for wanted in word:
                if self._peek() != wanted:
                    raise self._unexpected(f"in literal {word} (expecting '{wanted}')")
                self._at += 1
            return Literal.NULL if word == "null" else Literal.BOOLEAN
        if first == "-" or (first.isascii() and first.isdigit()):
            return self._number()
        raise self._unexpected(_VALUE)

    def _number(self) -> Literal:
        found = _NUMBER.match(self._text, self._at)
        if found is None:  # "-" and no digit
            self._at += 1
            raise self._unexpected("in numeric literal")
        self._at = found.end()
        broken = self._peek()
        if broken == "." and "." not in found[0] and "e" not in found[0].lower():
            self._at += 1
            raise self._unexpected("after decimal point in numeric literal")
        if broken in {"e", "E"} and "e" not in found[0].lower():
            self._at += 1
            if self._peek() in {"+", "-"}:
                self._at += 1
            raise self._unexpected("in exponent of numeric literal")
        return Literal.NUMBER

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._broken_string()
        self._at = found.end()
        inner = found[0][1:-1]
        if "\\" not in inner:
            # What is a surrogate here was a byte that is no UTF-8.
            return _LONE.sub("\ufffd", inner) if not inner.isascii() else inner
        return _unescape(_LONE.sub("\ufffd", inner))

    def _broken_string(self) -> GoJsonError:
        """The error of a string that does not end, or not well."""
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            if character < " ":
                return self._unexpected("in string literal")
            if character == "\\":
                self._at += 1
                escape = self._peek()
                if escape == "u":
                    for _ in range(4):
                        self._at += 1
                        if self._peek() not in _HEX:
                            return self._unexpected("in \\u hexadecimal character escape")
                elif escape not in _ESCAPED:
                    return self._unexpected("in string escape code")
            self._at += 1
        return self._unexpected("in string literal")

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _offset(self) -> int:
        return len(self._text[: self._at].encode("utf-8", "surrogateescape"))

    def _unexpected(self, context: str) -> GoJsonError:
        if self._at >= len(self._text):
            return GoJsonError("unexpected end of JSON input", self._offset())
        byte = self._text[self._at].encode("utf-8", "surrogateescape")[0]
        return GoJsonError(f"invalid character {_quoted(byte)} {context}", self._offset() + 1)


def _quoted(byte: int) -> str:
    """One byte as Go's scanner shows it: it takes the byte for a character."""
    special = {0x27: r"'\''", 0x22: "'\"'", 0x5C: r"'\\'"}
    short = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r"}
    if byte in special:
        return special[byte]
    if byte in short:
        return f"'{short[byte]}'"
    if byte < 0x20 or byte == 0x7F:  # noqa: PLR2004  controls, DEL
        return f"'\\x{byte:02x}'"
    if byte < 0x80 or chr(byte).isprintable():  # noqa: PLR2004  ASCII
        return f"'{chr(byte)}'"
    return f"'\\u{byte:04x}'"


def _unescape(text: str) -> str:
    """Resolve the escapes of a string whose syntax was checked."""
    parts: list[str] = []
    at = 0
    while found := _ESCAPE.search(text, at):
        parts.append(text[at : found.start()])
        at = found.end()
        if found[2] is not None:
            parts.append(_ESCAPED[found[2]])
            continue
        unit = int(found[1], 16)
        if 0xD800 <= unit < 0xDC00 and (low := _ESCAPE.match(text, at)) and low[1]:  # noqa: PLR2004  UTF-16
            second = int(low[1], 16)
            if 0xDC00 <= second < 0xE000:  # noqa: PLR2004  a pair of surrogates
                parts.append(chr(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00)))
                at = low.end()
                continue
        parts.append("\ufffd" if 0xD800 <= unit < 0xE000 else chr(unit))  # noqa: PLR2004  half a pair
    parts.append(text[at:])
    return "".join(parts)


# ---------------------------------------------------------------- writing
_MUST_ESCAPE = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT: Final = {
    '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


def quote(text: str) -> str:
    r"""A JSON string as ``json.Marshal`` writes it, quotes included.

    `text` may hold bytes that are not UTF-8 as ``surrogateescape`` keeps them:
    each is written as ``\ufffd``.

    Spec: R-PY-7.
    """
    return '"' + _MUST_ESCAPE.sub(lambda found: _escaped(found[0]), text) + '"'


def _escaped(character: str) -> str:
    short = _SHORT.get(character)
    if short is not None:
        return short
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    return f"\\u{ord(character):04x}"
