import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sealift.protocol.scope import CATALOG, Scope
from sealift.protocol.token import (
    MAX_EXPIRES_IN,
    MalformedTokenAnswer,
    TokenAnswer,
    read_access,
    write_access,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"token": "t"}, TokenAnswer(token="t"), id="the least"),
        pytest.param({"access_token": "a"}, TokenAnswer(token="a"), id="under OAuth's name"),
        pytest.param({"token": "t", "access_token": "a"}, TokenAnswer(token="a"), id="both"),
        pytest.param({"token": "t", "access_token": ""}, TokenAnswer(token="t"), id="one is empty"),
        pytest.param(
            {"token": "t", "expires_in": 300, "issued_at": "2026-11-23T12:00:00Z", "refresh_token": "r"},
            TokenAnswer(token="t", expires_in=300, issued_at=NOON, refresh_token="r"),
            id="all of it",
        ),
        pytest.param(
            {"token": "t", "issued_at": "2026-11-23T13:00:00.123456789+01:00"},
            TokenAnswer(token="t", issued_at=NOON.replace(microsecond=123456)),
            id="nanoseconds, elsewhere",
        ),
        pytest.param(
            {"token": "t", "issued_at": "2026-11-23T12:00:00"}, TokenAnswer(token="t"), id="no zone"
        ),
        pytest.param({"token": "t", "issued_at": "soon"}, TokenAnswer(token="t"), id="no time"),
        pytest.param({"token": "t", "issued_at": 1}, TokenAnswer(token="t"), id="a number for a time"),
        pytest.param(
            {"token": "t", "issued_at": "0001-01-01T00:00:00+23:00"}, TokenAnswer(token="t"), id="year zero"
        ),
        pytest.param({"token": "t", "expires_in": 0}, TokenAnswer(token="t"), id="no life"),
        pytest.param({"token": "t", "expires_in": -5}, TokenAnswer(token="t"), id="less than none"),
        pytest.param({"token": "t", "expires_in": "300"}, TokenAnswer(token="t"), id="a text for a life"),
        pytest.param({"token": "t", "expires_in": True}, TokenAnswer(token="t"), id="a bool for a life"),
        pytest.param({"token": "t", "expires_in": float("nan")}, TokenAnswer(token="t"), id="NaN"),
        pytest.param(
            {"token": "t", "expires_in": 90.5}, TokenAnswer(token="t", expires_in=90), id="a fraction"
        ),
        pytest.param(
            {"token": "t", "expires_in": 10**30},
            TokenAnswer(token="t", expires_in=MAX_EXPIRES_IN),
            id="for ever",
        ),
    ],
)
def test_read(document: dict[str, Any], expected: TokenAnswer) -> None:
    assert TokenAnswer.read(json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b"{}",
        b'{"token":""}',
        b'{"token":1}',
        b'{"token":"a\\r\\nX: y"}',
        b'{"token":"\\u00e9"}',
    ],
)
def test_an_answer_without_a_token(body: bytes) -> None:
    with pytest.raises(MalformedTokenAnswer) as caught:
        TokenAnswer.read(body)
    assert caught.value.exit_status == 4


def test_write() -> None:
    answer = TokenAnswer(
        token="t",
        expires_in=300,
        issued_at=NOON.astimezone(timezone(timedelta(hours=1))),
        refresh_token="r",
    )
    assert json.loads(answer.write()) == {
        "token": "t",
        "access_token": "t",
        "expires_in": 300,
        "issued_at": "2026-11-23T12:00:00Z",
        "refresh_token": "r",
    }
    assert json.loads(TokenAnswer(token="t").write()) == {"token": "t", "access_token": "t", "expires_in": 60}


def test_a_token_does_not_show_itself() -> None:
    assert repr(TokenAnswer(token="hush", refresh_token="hush")) == (
        "TokenAnswer(token=***, expires_in=60, issued_at=None)"
    )


def test_the_access_claim() -> None:
    scopes = (Scope("a", frozenset({"pull"})), CATALOG)
    assert read_access(write_access(scopes)) == scopes


@pytest.mark.parametrize("claim", [None, {}, "repository:x:pull", [1, {}, {"type": "x"}]])
def test_a_claim_that_is_none_allows_nothing(claim: object) -> None:
    assert read_access(claim) == ()
