"""The error codes of the registry protocol: one table for both ends, and the envelope they travel in.

Spec: distribution-spec v1.1.1, "Error Codes" (R-OCI-28); the statuses, and the
codes beyond that list, are distribution's (R-OCI-29).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

MAX_ERRORS: Final = 32
"""Errors of one answer that anyone looks at."""

MAX_REQUEST_ID_LENGTH: Final = 64

MAX_MESSAGE_LENGTH: Final = 1024
"""Characters of a foreign message that are kept."""


class ErrorCode(StrEnum):
    """A reason to refuse, with the HTTP status and the words that go with it.

    It is a `str`: ``error.code == ErrorCode.DENIED`` also holds for the text
    ``DENIED`` that another registry sent.
    """

    status: int
    """The HTTP status that the code comes with, unless a handler knows better."""

    number: int | None
    """N in the specification's ``code-N``; None for codes that only distribution has."""

    meaning: str
    """The message, where there is nothing better to say."""

    def __new__(cls, code: str, status: int, number: int | None, meaning: str) -> Self:
        """A member from its row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.number = number
        member.meaning = meaning
        return member

    BLOB_UNKNOWN = "BLOB_UNKNOWN", 404, 1, "blob unknown to registry"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID", 404, 2, "blob upload invalid"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN", 404, 3, "blob upload unknown to registry"
    DIGEST_INVALID = "DIGEST_INVALID", 400, 4, "provided digest did not match uploaded content"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN", 400, 5, "manifest references content unknown to registry"
    MANIFEST_INVALID = "MANIFEST_INVALID", 400, 6, "manifest invalid"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN", 404, 7, "manifest unknown to registry"
    NAME_INVALID = "NAME_INVALID", 400, 8, "invalid repository name"
    NAME_UNKNOWN = "NAME_UNKNOWN", 404, 9, "repository name not known to registry"
    SIZE_INVALID = "SIZE_INVALID", 400, 10, "provided length did not match content length"
    UNAUTHORIZED = "UNAUTHORIZED", 401, 11, "authentication required"
    DENIED = "DENIED", 403, 12, "requested access to the resource is denied"
    UNSUPPORTED = "UNSUPPORTED", 405, 13, "the operation is unsupported"
    TOOMANYREQUESTS = "TOOMANYREQUESTS", 429, 14, "too many requests"
    TAG_INVALID = "TAG_INVALID", 400, None, "invalid tag"
    MANIFEST_UNVERIFIED = "MANIFEST_UNVERIFIED", 400, None, "manifest failed signature verification"
    PAGINATION_NUMBER_INVALID = "PAGINATION_NUMBER_INVALID", 400, None, "invalid number of results requested"
    RANGE_INVALID = "RANGE_INVALID", 416, None, "invalid content range"
    UNKNOWN = "UNKNOWN", 500, None, "unknown error"
    UNAVAILABLE = "UNAVAILABLE", 503, None, "service unavailable"


_CODES: Final[dict[str, ErrorCode]] = {code.value: code for code in ErrorCode}


@dataclass(frozen=True, slots=True)
class ProtocolError:
    """One error as it travels: code, message, detail."""

    code: str
    """An `ErrorCode`, or the text of one that we do not know."""

    message: str = ""
    detail: Any = None
    """Any JSON. Foreign detail is data: show it to nobody without a look."""


def write_errors(errors: Iterable[ProtocolError]) -> bytes:
    """The JSON body of a refusal (``application/json``)."""
    written: list[dict[str, Any]] = []
    for error in errors:
        entry: dict[str, Any] = {"code": str(error.code), "message": error.message or _meaning(error.code)}
        if error.detail is not None:
            entry["detail"] = error.detail
        written.append(entry)
    return json.dumps({"errors": written}, separators=(",", ":")).encode()


def read_errors(body: bytes) -> tuple[ProtocolError, ...]:
    """The errors in a refusal of any registry or token service; none where it holds none.

    Lenient, since any body may stand there (R-OCI-28): also OAuth's
    ``{"error": …, "error_description": …}`` and the ``{"details": …}`` of old
    token services. Messages lose their control characters, for they end up on
    somebody's terminal.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(document, dict):
        return ()
    listed = document.get("errors")
    if isinstance(listed, list):
        return tuple(_read(entry) for entry in listed[:MAX_ERRORS] if isinstance(entry, dict))
    if isinstance(document.get("error"), str):
        message = document.get("error_description")
        return (ProtocolError(_harmless(document["error"]), _harmless(message)),)
    if isinstance(document.get("details"), str):
        return (ProtocolError(ErrorCode.UNKNOWN, _harmless(document["details"])),)
    return ()


def read_request_id(body: bytes) -> str:
    """The id by which whoever runs a registry finds this refusal in its log; empty where there is none.

    It stands beside ``errors``, as Sealift writes it. Clients look past it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = document.get("requestId") if isinstance(document, dict) else None
    return _harmless(found)[:MAX_REQUEST_ID_LENGTH]


def _read(entry: dict[str, Any]) -> ProtocolError:
    code = _harmless(entry.get("code")) or "UNKNOWN"
    return ProtocolError(_CODES.get(code, code), _harmless(entry.get("message")), entry.get("detail"))


def _harmless(text: object) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(each if each.isprintable() else "\ufffd" for each in text[:MAX_MESSAGE_LENGTH])


def _meaning(code: str) -> str:
    return code.meaning if isinstance(code, ErrorCode) else ""
