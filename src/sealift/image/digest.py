"""Digests: the name that content has because of what it is, and the check that it is so.

Spec: OCI image-spec v1.1, "Digests"; go-digest's validation, as the kubelet,
containerd and docker apply it (R-REF-7, R-REF-8).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from sealift.errors import SealiftError

ENCODED_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Algorithm to the number of lower-case hexadecimal digits that it takes (R-REF-8)."""

_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|sha384:[0-9a-f]{96})", re.ASCII)
_SHAPE = re.compile(r"[a-z0-9](?:[a-z0-9.+_-]*[a-z0-9])?:[a-zA-Z0-9=_-]+", re.ASCII)
_NOT_IN_ALGORITHM = re.compile(r"[.+_-]{2}", re.ASCII)
_MAX_SHOWN = 160


class MalformedDigest(SealiftError):
    """The text is no digest that anyone here could check.

    Attributes:
        text: The whole text, as it was given.
        position: Index into `text` of the first character that broke a rule.
        rule: The rule it broke, as a phrase.
        cause: The words that go-digest uses for it (R-REF-8), for whoever has
            to print what a kubelet prints.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, text: str, *, position: int, rule: str, cause: str) -> None:
        shown = ascii(text) if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]!a}…"
        where = f"at character {position + 1}" if position < len(text) else "at its end"
        super().__init__(f"{shown} is not a digest", why=f"{where}: {rule}")
        self.text = text
        self.position = position
        self.rule = rule
        self.cause = cause


class UnsupportedDigest(MalformedDigest):
    """A digest by its shape, of an algorithm that nobody here computes."""


class DigestMismatch(SealiftError):
    """The bytes are not what their digest says.

    Attributes:
        expected: What the bytes should have been.
        actual: What they are.
    """

    exit_status: ClassVar[int] = 7

    def __init__(self, expected: "Digest", actual: "Digest") -> None:
        super().__init__(
            f"the content does not match its digest {expected}",
            why=f"its digest is {actual}",
            hint="fetch it again; if it stays so, the copy on the other side is damaged or was replaced",
        )
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and what it makes of some content, such as ``sha256:9f86…``.

    Made by hand it is not checked: `parse` and `of` are the ways in.
    """

    algorithm: str
    """``sha256``, ``sha384`` or ``sha512``."""

    encoded: str
    """Lower-case hexadecimal digits, as many as the algorithm makes."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``algorithm:hex``, and nothing around it.

        Raises:
            MalformedDigest: `text` is no digest.
            UnsupportedDigest: It is one, of an algorithm other than our three.
        """
        if _DIGEST.fullmatch(text) is None:
            raise _refusal(text)
        return cls(text[:6], text[7:])

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Self:
        """The digest of `data`.

        Raises:
            UnsupportedDigest: There is no such algorithm here.
        """
        if algorithm not in ENCODED_LENGTHS:
            raise _unsupported(algorithm)
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


class DigestCheck:
    """Hashes a stream as it passes, and says at the end whether it was the right one.

    What was passed on before `verify` returned is not to be trusted.
    """

    __slots__ = ("_algorithm", "_hash", "expected", "size")

    def __init__(self, expected: Digest | None = None, algorithm: str = "sha256") -> None:
        """`expected` decides the algorithm; without one there is `algorithm` and nothing to verify.

        Raises:
            UnsupportedDigest: There is no such algorithm here.
        """
        self.expected = expected
        self._algorithm = algorithm if expected is None else expected.algorithm
        if self._algorithm not in ENCODED_LENGTHS:
            raise _unsupported(self._algorithm)
        self._hash = hashlib.new(self._algorithm)
        self.size = 0
        """Bytes seen so far."""

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Long ones are hashed without holding the interpreter's lock."""
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        """The digest of what was seen so far."""
        return Digest(self._algorithm, self._hash.hexdigest())

    def verify(self) -> None:
        """Return where the content was the expected one, or where none was expected.

        Raises:
            DigestMismatch: It was something else.
        """
        if self.expected is not None and self._hash.hexdigest() != self.expected.encoded:
            raise DigestMismatch(self.expected, self.digest())


_KNOWN_ALGORITHMS = "the algorithm of a digest is sha256, sha384 or sha512"


def _unsupported(text: str) -> UnsupportedDigest:
    return UnsupportedDigest(text, position=0, rule=_KNOWN_ALGORITHMS, cause="unsupported digest algorithm")


def _refusal(text: str) -> MalformedDigest:
    """Why `text` is no digest, in the order in which go-digest asks (R-REF-8)."""
    algorithm, colon, encoded = text.partition(":")
    if not algorithm or not encoded:
        return MalformedDigest(
            text,
            position=len(text) if algorithm else 0,
            rule="a digest is an algorithm, a colon and hexadecimal digits",
            cause="invalid checksum digest format",
        )
    length = ENCODED_LENGTHS.get(algorithm)
    if length is None and _SHAPE.fullmatch(text) and not _NOT_IN_ALGORITHM.search(algorithm):
        return _unsupported(text)
    if length is None:
        return MalformedDigest(
            text, position=0, rule=_KNOWN_ALGORITHMS, cause="invalid checksum digest format"
        )
    start = len(algorithm) + len(colon)
    if len(encoded.encode("utf-8", "surrogatepass")) != length:
        return MalformedDigest(
            text,
            position=start + min(len(encoded), length),
            rule=f"a {algorithm} digest has exactly {length} hexadecimal digits",
            cause="invalid checksum digest length",
        )
    return MalformedDigest(
        text,
        position=start + next(i for i, each in enumerate(encoded) if each not in "0123456789abcdef"),
        rule="the digits of a digest are 0-9 and a-f, in lower case",
        cause="invalid checksum digest format",
    )
