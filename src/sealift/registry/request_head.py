"""The head of a request: its headers, its query, who sent it, and the URL under which it reached us.

Spec: RFC 9110, sections 5.2 and 7.2; RFC 7239, section 1, for what is not believed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from sealift.protocol.error_codes import ErrorCode
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.request_id import HEADER, is_well_formed
from sealift.registry.settings import Connections

MAX_QUERY_BYTES: Final = 16 * 1024
MAX_QUERY_FIELDS: Final = 200

MAX_HOPS: Final = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from its end."""
_KNOWN: Final = {
    name.encode("ascii"): name
    for name in (
        *("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type"),
        *("host", "if-none-match", "range", "transfer-encoding", "user-agent"),
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", HEADER),
    )
}
"""Header names as nearly every request has them: to find one here costs less than to decode it."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the door is told about where it stands."""

    external_url: str | None = None
    """Scheme and authority that clients use. It decides realms and makes locations absolute."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """From whom ``X-Forwarded-For``, ``-Host``, ``-Proto`` and ``X-Request-Id`` count."""

    header_bytes: int = Connections().header_bytes
    """The most that all header lines of a request may have together."""

    def base_url(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Scheme and authority under which the client reached us.

        Raises:
            RegistryRefusal: 400: the Host header names no host.
        """
        if self.external_url is not None:
            return self.external_url
        scheme, host = scope["scheme"], headers.get("host", "")
        if self.trusted_proxies and self._is_proxy(scope):
            forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip()
            scheme = forwarded if forwarded in {"http", "https"} else scheme
            host = headers.get("x-forwarded-host", "").partition(",")[0].strip() or host
        if not _HOST.fullmatch(host):
            raise RegistryRefusal(ErrorCode.UNSUPPORTED, "the Host header names no host", status=400)
        return f"{scheme}://{host}"

    def client_address(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
        """The IP address of whoever asks; None for a peer that has none, such as a Unix socket's.

        It is the peer of the connection. Where that is a proxy that is named,
        it is the last one in ``X-Forwarded-For`` that is no such proxy: what
        stands before it may be anybody's invention. Where a named proxy wrote
        something that is no address there, it is the proxy's own.
        """
        address = _address((scope.get("client") or ("",))[0])
        if address is None:
            return None
        if self._trusts(address):
            for text in reversed(headers.get("x-forwarded-for", "").split(",")[-MAX_HOPS:]):
                before = _address(_without_port(text.strip()))
                if before is None:
                    break
                address = before
                if not self._trusts(address):
                    break
        return str(address)

    def trace(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
        """The id that a named proxy gave the request, and the address of whoever asks; each may be empty."""
        address = self.client_address(scope, headers) or ""
        if not self.trusted_proxies or not self._is_proxy(scope):
            return "", address
        given = headers.get(HEADER, "")
        return given if is_well_formed(given) else "", address

    def _is_proxy(self, scope: Mapping[str, Any]) -> bool:
        client = _address((scope.get("client") or ("",))[0])
        return client is not None and self._trusts(client)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.trusted_proxies)


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as people write it. One socket for both families shows IPv4 as ``::ffff:10.0.0.1``."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    """An entry of ``X-Forwarded-For``: some proxies add the port, and brackets for IPv6."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, _ = text.partition(":")
    return host if colon and text.count(":") == 1 else text


def read_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; a repeated header joined with commas. Spec: RFC 9110, section 5.2."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = _KNOWN.get(name) or name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def refuse_long(headers: Mapping[str, str], most: int) -> None:
    """See that the headers have no more than `most` bytes. Raises: RegistryRefusal: 431."""
    if sum(map(len, headers)) + sum(map(len, headers.values())) > most:
        raise RegistryRefusal(
            ErrorCode.SIZE_INVALID, f"the headers of a request have at most {most} bytes here", status=431
        )


def read_query(raw: bytes) -> dict[str, tuple[str, ...]]:
    """The fields of a query, in the order in which they came.

    Raises:
        RegistryRefusal: 414: it is too long. 400: it is no UTF-8, or has too many fields.
    """
    if not raw:
        return {}
    if len(raw) > MAX_QUERY_BYTES:
        raise RegistryRefusal(ErrorCode.SIZE_INVALID, "the query is too long", status=414)
    query: dict[str, tuple[str, ...]] = {}
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict"
        )
    except ValueError:
        raise RegistryRefusal(ErrorCode.UNSUPPORTED, "the query cannot be read", status=400) from None
    for name, value in pairs:
        query[name] = (*query.get(name, ()), value)
    return query
