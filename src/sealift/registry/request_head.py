"""The head of a request: its headers, its query, and the URL under which it reached us.

Spec: RFC 9110, sections 5.2 and 7.2; RFC 7239, section 1, for what is not believed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from sealift.protocol.error_codes import ErrorCode
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.settings import Connections

MAX_QUERY_BYTES: Final = 16 * 1024
MAX_QUERY_FIELDS: Final = 200

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the door is told about where it stands."""

    external_url: str | None = None
    """Scheme and authority that clients use. It decides realms and makes locations absolute."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """From whom ``X-Forwarded-Host`` and ``X-Forwarded-Proto`` count."""

    log_requests: bool = False

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

    def _is_proxy(self, scope: Mapping[str, Any]) -> bool:
        try:
            client = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(client in network for network in self.trusted_proxies)


def read_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; a repeated header joined with commas. Spec: RFC 9110, section 5.2."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
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
