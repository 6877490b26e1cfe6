"""What a client is told about something that was raised: a status, headers, and the protocol's envelope.

Spec: distribution-spec v1.1.1, "Error Codes"; R-OCI-28, R-OCI-29.
"""

import errno
import logging
from typing import Any, Final

from sealift.errors import SealiftError
from sealift.protocol.endpoints import BadPath, MethodNotAllowed, NoRoute
from sealift.protocol.error_codes import ErrorCode, ProtocolError, write_errors
from sealift.registry.access.passwords import TooManyChecks
from sealift.registry.blob_store.blob_store import BlobDamaged, StorageRefused
from sealift.registry.catalog.database import CatalogFailed
from sealift.registry.counters import Alarms
from sealift.registry.exchange import Answer
from sealift.registry.management.routes import as_refusal
from sealift.registry.refusal import RegistryRefusal

log = logging.getLogger(__name__)

FULL_RETRY_SECONDS: Final = 60
"""When to come back to a disk that is full: somebody has to make room first."""

BUSY_RETRY_SECONDS: Final = 5


NO_FILES_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says where this process, or all of them, may open no more files. It passes."""


class FileDamaged(Exception):
    """A stored file is not what the catalog says. The message is for the log, and has no secret."""


def unmatched(found: NoRoute | MethodNotAllowed | BadPath) -> RegistryRefusal:
    """The refusal for a path that is no endpoint's."""
    if isinstance(found, BadPath):
        return RegistryRefusal(found.code, found.message, status=found.status)
    if isinstance(found, MethodNotAllowed):
        return RegistryRefusal(
            ErrorCode.UNSUPPORTED,
            "that path does not take that method",
            headers={"allow": ", ".join(found.allowed)},
        )
    return RegistryRefusal(ErrorCode.UNSUPPORTED, "there is nothing here", status=404)


def refusal_answer(failure: Exception, alarms: Alarms) -> Answer:
    """The answer for anything that a handler may raise. What nobody foresaw goes to the log, whole."""
    headers: dict[str, str] = {}
    detail: Any = {}
    code: str
    if isinstance(failure, RegistryRefusal):
        status, code, message = failure.status, failure.code, str(failure)
        headers, detail = failure.headers, failure.detail
    elif isinstance(failure, TooManyChecks):
        status, code, message = 429, ErrorCode.TOOMANYREQUESTS, str(failure)
        headers = {"retry-after": str(failure.retry_after_seconds)}
    elif isinstance(failure, StorageRefused | CatalogFailed):
        log.error("%s (%s)", failure, failure.why)
        full = failure.is_full
        status, code, message = 507 if full else 503, ErrorCode.UNAVAILABLE, str(failure)
        headers = {"retry-after": str(FULL_RETRY_SECONDS if full else BUSY_RETRY_SECONDS)}
    elif isinstance(failure, OSError) and failure.errno in NO_FILES_LEFT:
        log.error("no more files can be opened: %s", failure)
        status, code, message = 503, ErrorCode.UNAVAILABLE, "the registry is busy: it has too many files open"
        headers = {"retry-after": str(BUSY_RETRY_SECONDS)}
    elif isinstance(failure, FileDamaged | BlobDamaged):
        alarms.sound("blob", "stored content is damaged: %s", failure)
        status, code, message = 500, ErrorCode.UNKNOWN, "stored content is damaged; pushing it again mends it"
    elif isinstance(failure, SealiftError) and (refusal := as_refusal(failure)) is not None:
        status, code, message = refusal.status, refusal.code, str(refusal)
        headers = refusal.headers
        detail = {key: text for key, text in (("why", refusal.why), ("hint", refusal.hint)) if text}
    elif isinstance(failure, SealiftError):
        log.error("%s (%s)", failure, failure.why)
        status, code, message = 500, ErrorCode.UNKNOWN, str(failure)
    else:
        log.error("a handler failed", exc_info=failure)
        status, code, message = 500, ErrorCode.UNKNOWN, "the registry failed; its log says why"
    return Answer(
        status=status,
        headers={**headers, "content-type": "application/json"},
        body=write_errors([ProtocolError(code, message, detail)]),
    )


def name_request(answer: Answer, request_id: str) -> None:
    """Put a request's id into the JSON of a refusal, beside ``errors``.

    Not into an error's ``detail``: docker prints the detail of some of them, and
    what is said of a refusal would be another text each time.
    """
    body = answer.body
    if isinstance(body, bytes) and body.endswith(b"}") and body != b"{}":
        answer.body = body[:-1] + f',"requestId":"{request_id}"}}'.encode("ascii")
