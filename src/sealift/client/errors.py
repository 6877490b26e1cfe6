"""What can go wrong between us and a registry, and what a command then ends with.

The tree, with the exit status of the contract:

* `Unreachable` (sealift.transport)   no answer at all                                   6
* `RegistryClientError`
  - `RegistryRefused`     an answer, and it is an error                                  2
    - `Unauthenticated`   401 after every credential was tried                           4
      - `RealmRefused`    the registry names a token server that we do not talk to       4
    - `Denied`            403, or 401 with a token that was granted for a credential     5
    - `NotFound`          404                                                            3
    - `Unsupported`       405: the registry does not do this, or was told not to         5
    - `RateLimited`       429                                                            6
    - `RegistryFailed`    5xx, after the last retry                                      6
    - `RegistryFull`      507, or 413: no room for it there                              7
    - `ContentRefused`    400 DIGEST_INVALID or SIZE_INVALID: it did not get our bytes   7
  - `UnusableAnswer`      a success that makes no sense: no registry, or a broken one    6
  - `UnusableManifest`    what stands under the name is no manifest that can be read      2
  - `PlatformMissing`     the index has no image for the platform that was asked for     3
  - `ContentMismatch`     an answer, and its bytes are not what digest and size say      7
* `LocalRefusal`          this machine did not let us read or write a file               8
  - `LocalStorageRefused` the disk is full or read-only                                  7
  - `LocalNotFound`       there is no such file, layout, or tag in it                    3
  - `LocalMalformed`      the file is not what it was called                             2
"""

import errno
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Final

from sealift.client.origin import Origin
from sealift.errors import SealiftError
from sealift.protocol.error_codes import ErrorCode, ProtocolError
from sealift.transport.redaction import printable, redacted_url

MAX_MESSAGE = 300
"""Characters of a registry's own words that an error repeats."""


class RegistryClientError(SealiftError):
    """Something went wrong in talking to a registry that did answer."""

    exit_status: ClassVar[int] = 6


class RegistryRefused(RegistryClientError):
    """An answer, and it is an error.

    Attributes:
        http_status: The status of the answer that decided.
        method: The method of the request.
        url: Where it went, with secrets in its query masked.
        errors: What the registry said, code by code; empty where it said nothing readable.
    """

    exit_status: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        method: str,
        url: str,
        errors: Sequence[ProtocolError] = (),
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, why=why, hint=hint)
        self.http_status = http_status
        self.method = method
        self.url = redacted_url(url)
        self.errors = tuple(errors)


class Unauthenticated(RegistryRefused):
    """401 after every credential was tried, or without one to try."""

    exit_status: ClassVar[int] = 4


class RealmRefused(Unauthenticated):
    """The registry sends us for a token to a place that gets no credential from us (R-AUT-5)."""


class Denied(RegistryRefused):
    """We are known there, and may not do this."""

    exit_status: ClassVar[int] = 5


class NotFound(RegistryRefused):
    """No such thing, or not for us: a private registry may answer so for what we may not see."""

    exit_status: ClassVar[int] = 3


class Unsupported(RegistryRefused):
    """The registry does not do this, or was configured not to (deleting, mostly)."""

    exit_status: ClassVar[int] = 5


class RateLimited(RegistryRefused):
    """Too many requests.

    Attributes:
        retry_after_seconds: What the registry asked for, or None where it named no time.
    """

    exit_status: ClassVar[int] = 6

    retry_after_seconds: float | None = None


class RegistryFailed(RegistryRefused):
    """The registry failed by itself (5xx), and went on failing when asked again."""

    exit_status: ClassVar[int] = 6


class RegistryFull(RegistryRefused):
    """The registry has no room for it."""

    exit_status: ClassVar[int] = 7


class ContentRefused(RegistryRefused):
    """The registry did not get the bytes that the digest or the size says."""

    exit_status: ClassVar[int] = 7

    def as_unsupported(self) -> Unsupported:
        """The same answer, where it means that the registry does not do this."""
        return Unsupported(
            str(self),
            http_status=self.http_status,
            method=self.method,
            url=self.url,
            errors=self.errors,
            why=self.why,
        )


class UnusableAnswer(RegistryClientError):
    """An answer that no registry should give: HTML, a missing header, a redirect in circles."""

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, why=why, hint=hint or "see the whole exchange: run it again with --debug")


class UnusableManifest(RegistryClientError):
    """What stands under the name is no manifest that can be read: too long, broken, or of a dead format."""

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, why=why, hint=hint or "look at it: sealift inspect --raw IMAGE")


class PlatformMissing(RegistryClientError):
    """The index is there, and has nothing for the platform that was asked for."""

    exit_status: ClassVar[int] = 3


class ContentMismatch(RegistryClientError):
    """The bytes that came are not what digest and size say. None of them was kept."""

    exit_status: ClassVar[int] = 7

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(
            message,
            why=why,
            hint=hint
            or "try again; if it stays so, what is kept there is damaged: put the image there again",
        )


MADE_AGAIN: Final = "make it again, with the tool that wrote it or with sealift pull IMAGE DEST"
"""What mends a layout or an archive that is no good."""


class LocalRefusal(SealiftError):
    """This machine did not let us read or write a file."""

    exit_status: ClassVar[int] = 8


class LocalStorageRefused(LocalRefusal):
    """The disk is full, over quota, or read-only."""

    exit_status: ClassVar[int] = 7


class LocalNotFound(LocalRefusal):
    """There is no such file, layout, or tag in it."""

    exit_status: ClassVar[int] = 3


class LocalMalformed(LocalRefusal):
    """The file is not what it was called: no layout, no archive, or a damaged one."""

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(
            message,
            why=why,
            hint=hint or MADE_AGAIN,
        )


_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


def local_refusal(error: OSError, path: Path, doing: str) -> LocalRefusal:
    """What the operating system's refusal means. `doing` is a verb: ``read``, ``write``."""
    message = f"cannot {doing} {printable(str(path))}"
    why = error.strerror or type(error).__name__
    if error.errno in _STORAGE:
        return LocalStorageRefused(message, why=why, hint=f"df -h {printable(str(path.parent))}")
    if error.errno in _ABSENT and doing == "write":
        return LocalRefusal(message, why=why, hint=f"mkdir -p {printable(str(path.parent))}")
    if error.errno in _ABSENT:
        return LocalNotFound(message, why=why, hint=f"ls -l {printable(str(path.parent))}")
    return LocalRefusal(message, why=why, hint=f"ls -ld {printable(str(path))}")


def told(errors: Sequence[ProtocolError]) -> str | None:
    """The registry's own words on one line, safe to print; None where it said none."""
    parts = [f"{error.code}: {error.message}" if error.message else str(error.code) for error in errors]
    return printable("; ".join(parts), MAX_MESSAGE) or None


def refusal_of(
    doing: str,
    *,
    method: str,
    url: str,
    http_status: int,
    errors: Sequence[ProtocolError] = (),
    credentialed: bool = False,
    granted: bool = False,
    retry_after_seconds: float | None = None,
    registry: str = "",
    request_id: str = "",
) -> RegistryRefused:
    """The error for an answer that refuses.

    Args:
        doing: What was wanted, for "cannot …": ``pull example.com/a:1``.
        method: Of the request that was refused.
        url: Where it went.
        http_status: 400 to 599.
        errors: What the body said.
        credentialed: Whether a credential stood behind the request.
        granted: Whether the registry had given a token for it.
        retry_after_seconds: What a 429 asked for.
        registry: As the user names it, for the next command to type.
        request_id: What the body calls the request, for whoever runs the registry.
    """
    words = told(errors)
    why = f"{registry or Origin.of(url).authority} answered {http_status} {_phrase(http_status)}"
    if words:
        why = f"{why} ({words})"
    if request_id:
        why = f"{why}, request id {printable(request_id)}"
    kind, hint = _kind(
        http_status, {str(error.code) for error in errors}, credentialed=credentialed, granted=granted
    )
    error = kind(
        f"cannot {doing}",
        http_status=http_status,
        method=method,
        url=url,
        errors=errors,
        why=why,
        hint=hint.format(registry=registry or "REGISTRY") if hint else None,
    )
    if isinstance(error, RateLimited):
        error.retry_after_seconds = retry_after_seconds
        if retry_after_seconds is not None:
            error.hint = f"wait {retry_after_seconds:.0f} seconds, then try again"
    return error


_LOG_IN = "sealift login {registry}"


def _kind(  # noqa: C901  one row for each way to be refused
    http_status: int, codes: set[str], *, credentialed: bool, granted: bool
) -> tuple[type[RegistryRefused], str | None]:
    match http_status:
        case 401 if granted and credentialed:
            return (
                Denied,
                "ask its owner for the right on this repository",
            )
        case 401 if credentialed:
            return Unauthenticated, f"the stored user name or password is wrong or has expired: {_LOG_IN}"
        case 401:
            return Unauthenticated, f"if it is private: {_LOG_IN}"
        case 403:
            return Denied, None if credentialed else f"if it is private: {_LOG_IN}"
        case 404:
            return NotFound, "check the name and the tag" + (
                "" if credentialed else f"; if it is private: {_LOG_IN}"
            )
        case 405:
            return Unsupported, None
        case 413:
            return RegistryFull, "ask whoever runs the registry for a higher limit"
        case 507:
            return RegistryFull, "free some space where the registry keeps its data, then run it again"
        case 429:
            return RateLimited, "wait, then try again"
        case 400 if codes & {ErrorCode.DIGEST_INVALID, ErrorCode.SIZE_INVALID}:
            return ContentRefused, "send it again"
        case status if status >= 500:  # noqa: PLR2004  the class of answers that are the server's fault
            return RegistryFailed, "try again later; the registry's own log says more"
    return RegistryRefused, None


def _phrase(http_status: int) -> str:
    try:
        return HTTPStatus(http_status).phrase
    except ValueError:
        return ""
