"""Base64 as Go's ``encoding/base64`` decodes it, with the byte at which it stops.

Python's decoder either refuses line breaks or drops every foreign byte; Go does
neither (R-PY-6). The position in Go's error is what a user sees in the Pod's status.
"""

import base64
from typing import Final

_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_BREAKS: Final = b"\r\n"
_PAD: Final = ord("=")


class CorruptBase64(ValueError):
    """The text is not base64. ``str(error)`` is Go's wording, without any of the text.

    Attributes:
        offset: Bytes before the one that Go complains of.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode(text: str | bytes, *, padded: bool = True) -> bytes:
    r"""The bytes that `text` stands for: standard alphabet, ``\r`` and ``\n`` skipped anywhere.

    Leftover low bits are not looked at: ``dTp=`` is ``u:`` (R-PY-6).

    Args:
        text: What to decode.
        padded: Whether ``=`` must fill the last four (Go's ``StdEncoding``) or
            must not be there (``RawStdEncoding``).

    Raises:
        CorruptBase64: Go would refuse it.
    """
    source = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    bare = source.translate(None, _BREAKS)
    body = bare.rstrip(b"=") if padded else bare
    padding = len(bare) - len(body)
    if not _ALPHABET.issuperset(body) or not _fits(len(body) % 4, padding, padded=padded):
        raise CorruptBase64(_position(source, padded=padded))
    return base64.b64decode(body + b"=" * (-len(body) % 4))


def _fits(rest: int, padding: int, *, padded: bool) -> bool:
    """Whether a last group of `rest` characters may be followed by that much padding."""
    if rest == 1:
        return False
    return padding == (-rest % 4 if padded else 0)


def _position(source: bytes, *, padded: bool) -> int:
    """Where Go stops, for a text that it refuses: four characters at a time."""
    at = 0
    while True:
        filled = 0
        while filled < 4:  # noqa: PLR2004  characters of a group
            if at == len(source):
                return at - filled
            byte = source[at]
            at += 1
            if byte in _ALPHABET:
                filled += 1
            elif byte not in _BREAKS:
                return _at_foreign(source, at, filled, padded=padded, pad=byte == _PAD)


def _at_foreign(source: bytes, at: int, filled: int, *, padded: bool, pad: bool) -> int:
    """Where Go stops at a foreign byte: `at` is behind it, `filled` digits of its group precede it."""
    if not padded or not pad or filled < 2:  # noqa: PLR2004  one digit is no byte
        return at - 1
    if filled == 2:  # noqa: PLR2004  two digits want two pads
        while at < len(source) and source[at] in _BREAKS:
            at += 1
        if at == len(source):
            return len(source)
        if source[at] != _PAD:
            return at - 1
        at += 1
    while at < len(source) and source[at] in _BREAKS:
        at += 1
    return at
