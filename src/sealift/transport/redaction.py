"""What of an HTTP exchange a log may show.

An allow-list, not a block-list: a header or query parameter that nobody
thought of is masked. That is how a signed storage URL, a cookie or next
year's token header stays out of a terminal and out of a CI log.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

MASK = "***"

SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-ranges",
        "access-control-allow-origin",
        "age",
        "allow",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "docker-content-digest",
        "docker-distribution-api-version",
        "docker-upload-uuid",
        "etag",
        "host",
        "if-none-match",
        "last-modified",
        "oci-chunk-min-length",
        "oci-filters-applied",
        "oci-subject",
        "oci-tag",
        "range",
        "ratelimit-limit",
        "ratelimit-remaining",
        "retry-after",
        "sealift-version",
        "server",
        "transfer-encoding",
        "user-agent",
        "vary",
        "warning",
        "www-authenticate",
        "x-content-type-options",
        "x-request-id",
    }
)
"""Header names, lower case, whose values are shown as they are."""

URL_HEADERS = frozenset({"link", "location"})
"""Headers that hold a URL: shown with its query redacted."""

SHOWN_PARAMETERS = frozenset(
    {
        "account",
        "artifactType",
        "client_id",
        "digest",
        "digest-algorithm",
        "from",
        "last",
        "mount",
        "n",
        "next_page",
        "ns",
        "offline_token",
        "scope",
        "service",
        "tag",
    }
)
"""Query parameters whose values are shown. All else (``_state``, ``X-Amz-Signature``) is masked."""

MAX_SHOWN = 2000
"""Characters of one value that are shown. A log line is for reading."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINK = re.compile(r"<([^<>]*)>")


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    r"""`text` made safe for a terminal: no control or direction characters, no lone surrogates, not endless.

    What a server sends may hold escape sequences that repaint the screen; they come out as ``\x1b``.
    """
    cut = text if len(text) <= limit else text[:limit] + "…"
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), cut)


def redacted_url(url: str) -> str:
    """The URL without user info, and with every query value masked that is not on the list."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    shown = "&".join(
        f"{quote(name, safe='')}={quote(value, safe=':/,@') if name in SHOWN_PARAMETERS else MASK}"
        for name, value in pairs
    )
    if parts.query and not pairs:
        shown = MASK
    return printable(urlunsplit((parts.scheme, host, parts.path, shown, "")))


def redacted_header(name: str, value: str) -> str:
    """The value of one header as a log may show it."""
    lowered = name.lower()
    if lowered in SHOWN_HEADERS:
        return printable(value)
    if lowered == "location":
        return redacted_url(value)
    if lowered == "link":
        return printable(_LINK.sub(lambda match: f"<{redacted_url(match[1])}>", value))
    if lowered == "authorization":
        scheme, space, _ = value.partition(" ")
        known = space and scheme.lower() in {"basic", "bearer"}
        return f"{scheme} {MASK}" if known else MASK
    return MASK


def redacted_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """All headers as a log may show them, names as they came."""
    return [(printable(name), redacted_header(name, value)) for name, value in headers.items()]
