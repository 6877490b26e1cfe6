"""The head of a request: its headers, its query, who sent it, and the URL under which it reached us.

Spec: RFC 9110, sections 5.2 and 7.2; RFC 7239, section 1, for what is not believed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from sealift.protocol.error_codes import ErrorCode
from sealift.registry.refusal import RegistryRefusal

MAX_HEADER_BYTES: Final = 32 * 1024
"""Bytes of all header lines. The server itself refuses a request of a hundred of them."""

MAX_QUERY_BYTES: Final = 16 * 1024
MAX_QUERY_FIELDS: Final = 200

MAX_HOPS: Final = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from its end."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the door is told about where it stands."""

    external_url: str | None = None
    """Scheme and authority that clients use. It decides realms and makes locations absolute."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """From whom ``X-Forwarded-For``, ``-Host`` and ``-Proto`` count."""

    log_requests: bool = False

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

    def _is_proxy(self, scope: Mapping[str, Any]) -> bool:
        client = _address((scope.get("client") or ("",))[0])
        return client is not None and self._trusts(client)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.trusted_proxies)


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
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def refuse_long(headers: Mapping[str, str]) -> None:
    """See that the headers are not too long. Raises: RegistryRefusal: 431."""
    if sum(map(len, headers)) + sum(map(len, headers.values())) > MAX_HEADER_BYTES:
        raise RegistryRefusal(ErrorCode.SIZE_INVALID, "the headers are too long", status=431)


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
