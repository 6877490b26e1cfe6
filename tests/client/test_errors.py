import errno
from pathlib import Path

import pytest

from sealift.client.errors import (
    ContentRefused,
    Denied,
    LocalNotFound,
    LocalRefusal,
    LocalStorageRefused,
    NotFound,
    RateLimited,
    RegistryFailed,
    RegistryFull,
    RegistryRefused,
    Unauthenticated,
    Unsupported,
    local_refusal,
    refusal_of,
    told,
)
from sealift.protocol.error_codes import ErrorCode, ProtocolError


@pytest.mark.parametrize(
    ("status", "code", "credentialed", "granted", "kind", "exit_status"),
    [
        pytest.param(401, "UNAUTHORIZED", False, False, Unauthenticated, 4, id="nobody"),
        pytest.param(401, "UNAUTHORIZED", False, True, Unauthenticated, 4, id="an anonymous token is nobody"),
        pytest.param(401, "UNAUTHORIZED", True, False, Unauthenticated, 4, id="a wrong password"),
        pytest.param(401, "DENIED", True, True, Denied, 5, id="a token for a credential, and still refused"),
        pytest.param(403, "DENIED", True, False, Denied, 5, id="403"),
        pytest.param(404, "MANIFEST_UNKNOWN", True, True, NotFound, 3, id="not there"),
        pytest.param(405, "UNSUPPORTED", True, True, Unsupported, 5, id="not done here"),
        pytest.param(413, "SIZE_INVALID", True, True, RegistryFull, 7, id="too large for it"),
        pytest.param(507, "", True, True, RegistryFull, 7, id="its disk is full"),
        pytest.param(429, "TOOMANYREQUESTS", True, True, RateLimited, 6, id="busy"),
        pytest.param(400, "DIGEST_INVALID", True, True, ContentRefused, 7, id="it got other bytes"),
        pytest.param(400, "NAME_INVALID", True, True, RegistryRefused, 2, id="a bad request"),
        pytest.param(500, "UNKNOWN", True, True, RegistryFailed, 6, id="its own fault"),
        pytest.param(503, "UNAVAILABLE", False, False, RegistryFailed, 6, id="not now"),
    ],
)
def test_a_refusal_has_its_class_and_exit_status(  # noqa: PLR0917  a row of the table
    status: int, code: str, credentialed: bool, granted: bool, kind: type[RegistryRefused], exit_status: int
) -> None:
    error = refusal_of(
        "pull r.io/a:1",
        method="GET",
        url="https://r.io/v2/a/manifests/1",
        http_status=status,
        errors=[ProtocolError(code)],
        credentialed=credentialed,
        granted=granted,
        registry="r.io",
    )
    assert (type(error), error.exit_status, error.http_status) == (kind, exit_status, status)
    assert str(error) == "cannot pull r.io/a:1"
    assert (error.why or "").startswith(f"r.io answered {status}")


def test_a_refusal_tells_what_the_registry_said_and_no_secret_of_the_url() -> None:
    error = refusal_of(
        "push r.io/a:1",
        method="PUT",
        url="https://r.io/v2/a/blobs/uploads/1?_state=canary",
        http_status=400,
        errors=[ProtocolError(ErrorCode.NAME_INVALID, "bad \x1b[31mname"), ProtocolError("ODD")],
    )
    assert error.why == "r.io answered 400 Bad Request (NAME_INVALID: bad \\x1b[31mname; ODD)"
    assert error.url == "https://r.io/v2/a/blobs/uploads/1?_state=***"


def test_a_rate_limit_tells_how_long() -> None:
    error = refusal_of("x", method="GET", url="https://r.io/", http_status=429, retry_after_seconds=90)
    assert isinstance(error, RateLimited)
    assert (error.retry_after_seconds, error.hint) == (90, "wait 90 seconds, then try again")


def test_an_unknown_status_is_a_refusal_too() -> None:
    error = refusal_of("x", method="GET", url="https://r.io/", http_status=499)
    assert (type(error), error.why) == (RegistryRefused, "r.io answered 499 ")


def test_told_is_none_where_nothing_was_said() -> None:
    assert told([]) is None


@pytest.mark.parametrize(
    ("number", "doing", "kind", "exit_status"),
    [
        (errno.ENOSPC, "write", LocalStorageRefused, 7),
        (errno.EROFS, "write", LocalStorageRefused, 7),
        (errno.EDQUOT, "write", LocalStorageRefused, 7),
        (errno.ENOENT, "read", LocalNotFound, 3),
        (errno.ENOENT, "write", LocalRefusal, 8),
        (errno.EACCES, "write", LocalRefusal, 8),
        (errno.EISDIR, "write", LocalRefusal, 8),
    ],
)
def test_the_machines_refusals_have_their_exit_status(
    number: int, doing: str, kind: type[LocalRefusal], exit_status: int
) -> None:
    error = local_refusal(OSError(number, "said so"), Path("/some/file"), doing)
    assert (type(error), error.exit_status) == (kind, exit_status)
    assert (str(error), error.why) == (f"cannot {doing} /some/file", "said so")
    assert error.hint
