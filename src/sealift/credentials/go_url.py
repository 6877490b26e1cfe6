"""Where a registry key points, taken apart by Go's ``net/url`` and ``net`` rules.

``urllib`` accepts what Go refuses, and what Go refuses is a key that the kubelet
ignores without a word (R-KEY-1, R-PY-9). Only what follows ``https://`` is read
here, and only host and path come out: nothing else counts for a keyring.

Spec: R-KEY-2 to R-KEY-4, R-KEY-9, R-KEY-13; Go 1.26 ``url.Parse``, ``net.SplitHostPort``.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_PORT = re.compile(r"(?::[0-9]*)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9!$&'()*+,;=:\[\]<>\"._~\x80-\U0010ffff-]*", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*", re.ASCII)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ZONE_MARK: Final = "%25"


class UnparsableUrl(ValueError):
    """Go's ``url.Parse`` refuses the text. ``str(error)`` says why, in a phrase."""


@dataclass(frozen=True, slots=True)
class Location:
    """Host and path of a URL. User info, query and fragment are gone."""

    host: str
    """With ``:port`` if there was one, brackets and all."""

    path: str
    """Percent escapes decoded; empty or begins with ``/``."""


def parse(text: str) -> Location:
    """Take ``https://`` + `text` apart.

    Raises:
        UnparsableUrl: Go would refuse it.
    """
    text, _, fragment = text.partition("#")
    if _CONTROL.search(text):
        raise UnparsableUrl("a control character")
    _check_escapes(fragment)
    text = text.partition("?")[0]
    authority, slash, path = text.partition("/")
    user, at, host = authority.rpartition("@")
    parsed = _host(host)
    if at:
        if not _USER.fullmatch(user):
            raise UnparsableUrl("a user name that a URL cannot hold")
        _check_escapes(user)
    return Location(parsed, _unescape(slash + path))


def split_port(host: str) -> tuple[str, str]:
    """Host and port, as ``net.SplitHostPort`` gives them, or (`host`, "") where it fails.

    Brackets go only where a port follows them (R-KEY-13).
    """
    before, colon, port = host.rpartition(":")
    if not colon:
        return host, ""
    if host.startswith("["):
        end = host.find("]")
        if end + 1 != len(before):
            return host, ""
        before = before[1:-1]
    elif ":" in before:
        return host, ""
    if "[" in before + port or "]" in before + port:
        return host, ""
    return before, port


def _host(text: str) -> str:
    """Host and port of an authority without user info."""
    if "[" in text:
        return _bracketed(text)
    name, colon, port = text.partition(":")
    if not _PORT.fullmatch(colon + port):
        raise UnparsableUrl(f"the port {colon + port!r} is not a number")
    return _unescape_host(name) + colon + port


def _bracketed(text: str) -> str:
    """An IPv6 literal in brackets, with or without a port."""
    if not text.startswith("["):
        raise UnparsableUrl("square brackets stand only around a whole IPv6 address")
    end = text.rfind("]")
    if end < 0:
        raise UnparsableUrl("a square bracket that is not closed")
    port = text[end + 1 :]
    if not _PORT.fullmatch(port):
        raise UnparsableUrl(f"the port {port!r} is not a number")
    name, mark, zone = text[1:end].partition(_ZONE_MARK)
    address = _unescape_host(name) + (_unescape(mark + zone) if mark else "")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise UnparsableUrl("square brackets stand only around a whole IPv6 address") from None
    return f"[{address}]{port}"


def _unescape_host(text: str) -> str:
    """Decode a host: escapes may stand for bytes beyond ASCII only."""
    _check_escapes(text)
    for found in _ESCAPE.finditer(text):
        if int(found[1], 16) < 0x80 and found[0] != _ZONE_MARK:  # noqa: PLR2004  ASCII
            raise UnparsableUrl(f"the escape {found[0]} in the host")
    plain = _ESCAPE.sub("", text)
    good = _HOST.match(plain)
    if good is not None and good.end() < len(plain):
        raise UnparsableUrl(f"the character {plain[good.end()]!r} in the host")
    return _unescape(text)


def _check_escapes(text: str) -> None:
    broken = _BROKEN_ESCAPE.search(text)
    if broken is not None:
        raise UnparsableUrl(f"the escape {broken[0]!r}")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    _check_escapes(text)
    source = text.encode("utf-8", "surrogateescape")
    first, *rest = source.split(b"%")
    decoded = first + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in rest)
    return decoded.decode("utf-8", "surrogateescape")
