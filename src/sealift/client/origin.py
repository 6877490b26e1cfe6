"""Scheme, host and port: the unit that a credential belongs to.

Spec: RFC 6454; distribution-spec main, on redirects (R-AUT-15): what is for
one origin is not shown to another.
"""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL leads, without the rest of it."""

    scheme: str
    """``http`` or ``https``."""

    host: str
    """Lower case, without brackets, without the dot that may end a name."""

    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The origin of an absolute URL.

        Raises:
            ValueError: it is no http or https URL, or names no host, or a port that is none.
        """
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("its scheme is neither http nor https")
        if not parts.hostname:
            raise ValueError("it names no host")
        port = parts.port
        return cls(
            parts.scheme,
            parts.hostname.rstrip(".").lower(),
            DEFAULT_PORTS[parts.scheme] if port is None else port,
        )

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``, as one would type it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address, or None where it is a name.

        All spellings that a resolver takes for an address count as one: ``127.1`` and ``0x7f000001`` would
        otherwise slip through a check for private addresses.
        """
        try:
            address = ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return _old_spelling(self.host)
        mapped = getattr(address, "ipv4_mapped", None)
        return mapped if mapped is not None else address

    @property
    def is_loopback(self) -> bool:
        """Whether this is 127.0.0.0/8, ::1 or ``localhost``: this machine, whatever the network does."""
        address = self.address
        return self.host == "localhost" or (address is not None and address.is_loopback)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _old_spelling(host: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address in one of inet_aton's spellings: one to four parts, decimal, octal or hexadecimal."""
    parts = host.split(".")
    numbers: list[int] = []
    for part in parts:
        try:
            if part.startswith("0x"):
                numbers.append(int(part, 16))
            elif part.isascii() and part.isdigit():
                numbers.append(int(part, 8 if len(part) > 1 and part.startswith("0") else 10))
            else:
                return None
        except ValueError:
            return None
    if not 1 <= len(numbers) <= 4 or any(number > 255 for number in numbers[:-1]):  # noqa: PLR2004  dotted quad
        return None
    rest = 8 * (5 - len(numbers))
    if numbers[-1] >= 1 << rest:
        return None
    value = numbers[-1]
    for place, number in enumerate(numbers[:-1]):
        value |= number << (24 - 8 * place)
    return ipaddress.IPv4Address(value)
