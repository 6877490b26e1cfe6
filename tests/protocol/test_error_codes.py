import json

import pytest

from sealift.protocol.error_codes import (
    MAX_ERRORS,
    MAX_MESSAGE_LENGTH,
    ErrorCode,
    ProtocolError,
    read_errors,
    write_errors,
)


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (
            400,
            """DIGEST_INVALID SIZE_INVALID NAME_INVALID TAG_INVALID MANIFEST_INVALID MANIFEST_UNVERIFIED
            MANIFEST_BLOB_UNKNOWN PAGINATION_NUMBER_INVALID""",
        ),
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "NAME_UNKNOWN MANIFEST_UNKNOWN BLOB_UNKNOWN BLOB_UPLOAD_UNKNOWN BLOB_UPLOAD_INVALID"),
        (405, "UNSUPPORTED"),
        (416, "RANGE_INVALID"),
        (429, "TOOMANYREQUESTS"),
        (500, "UNKNOWN"),
        (503, "UNAVAILABLE"),
    ],
)
def test_statuses_are_those_of_distribution(status: int, codes: str) -> None:
    assert {code.value for code in ErrorCode if code.status == status} == set(codes.split())


def test_the_list_of_the_specification_is_whole() -> None:
    listed = {code.number: code.value for code in ErrorCode if code.number is not None}
    assert listed == {
        1: "BLOB_UNKNOWN",
        2: "BLOB_UPLOAD_INVALID",
        3: "BLOB_UPLOAD_UNKNOWN",
        4: "DIGEST_INVALID",
        5: "MANIFEST_BLOB_UNKNOWN",
        6: "MANIFEST_INVALID",
        7: "MANIFEST_UNKNOWN",
        8: "NAME_INVALID",
        9: "NAME_UNKNOWN",
        10: "SIZE_INVALID",
        11: "UNAUTHORIZED",
        12: "DENIED",
        13: "UNSUPPORTED",
        14: "TOOMANYREQUESTS",
    }


def test_what_is_written() -> None:
    errors = [
        ProtocolError(ErrorCode.DENIED),
        ProtocolError(ErrorCode.NAME_INVALID, "no such name", {"name": "ü"}),
        ProtocolError("SOMETHING_ELSE"),
    ]
    assert json.loads(write_errors(errors)) == {
        "errors": [
            {"code": "DENIED", "message": "requested access to the resource is denied"},
            {"code": "NAME_INVALID", "message": "no such name", "detail": {"name": "ü"}},
            {"code": "SOMETHING_ELSE", "message": ""},
        ]
    }


def test_what_is_written_is_read() -> None:
    errors = (ProtocolError(ErrorCode.BLOB_UNKNOWN, "not here", ["sha256:…"]), ProtocolError("MINE", "x"))
    assert read_errors(write_errors(errors)) == errors
    assert isinstance(read_errors(write_errors(errors))[0].code, ErrorCode)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", (), id="nothing"),
        pytest.param(b"<html>", (), id="a page of a proxy"),
        pytest.param(b"\xff\xfe", (), id="no text"),
        pytest.param(b"[" * 100_000, (), id="deep"),
        pytest.param(b"[]", (), id="a list"),
        pytest.param(b"{}", (), id="an empty object"),
        pytest.param(b'{"errors":null}', (), id="null"),
        pytest.param(b'{"errors":{}}', (), id="an object for a list"),
        pytest.param(b'{"errors":[1,"x",null]}', (), id="entries that are none"),
        pytest.param(b'{"errors":[{}]}', (ProtocolError(ErrorCode.UNKNOWN),), id="an entry without anything"),
        pytest.param(
            b'{"errors":[{"code":1,"message":2}]}', (ProtocolError(ErrorCode.UNKNOWN),), id="numbers"
        ),
        pytest.param(
            b'{"errors":[{"code":"NAME_UNKNOWN"}],"extra":1}',
            (ProtocolError(ErrorCode.NAME_UNKNOWN),),
            id="no message",
        ),
        pytest.param(
            b'{"error":"invalid_grant","error_description":"no"}',
            (ProtocolError("invalid_grant", "no"),),
            id="OAuth",
        ),
        pytest.param(
            b'{"error":"invalid_grant"}', (ProtocolError("invalid_grant"),), id="OAuth without words"
        ),
        pytest.param(
            b'{"details":"incorrect username or password"}',
            (ProtocolError(ErrorCode.UNKNOWN, "incorrect username or password"),),
            id="an old token service",
        ),
        pytest.param(
            b'{"errors":[{"code":"A\\u001b[31m","message":"\\u001b]0;x\\u0007\\ud800"}]}',
            (ProtocolError("A\ufffd[31m", "\ufffd]0;x\ufffd\ufffd"),),
            id="what would write on a terminal",
        ),
    ],
)
def test_reading_is_lenient(body: bytes, expected: tuple[ProtocolError, ...]) -> None:
    assert read_errors(body) == expected


def test_reading_has_limits() -> None:
    body = json.dumps({"errors": [{"code": "X", "message": "m" * 10_000}] * 1_000}).encode()
    errors = read_errors(body)
    assert (len(errors), len(errors[0].message)) == (MAX_ERRORS, MAX_MESSAGE_LENGTH)


def test_a_code_is_its_text() -> None:
    assert f"{ErrorCode.DENIED}" == "DENIED"
    assert ProtocolError("DENIED") == ProtocolError(ErrorCode.DENIED)
