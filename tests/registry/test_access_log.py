"""Lines of the access log: whole, bounded, and harmless."""

import asyncio
import json
from typing import Any

from sealift.registry.access_log import AccessLog, Form

NOON = 1_800_000_000.25


def _log(form: Form, written: list[bytes]) -> AccessLog:
    return AccessLog(form, write=written.append, now=lambda: NOON)


def _add(log: AccessLog, **more: Any) -> None:
    given = {"path": "/v2/", "user_agent": "docker/27", "method": "GET"} | more
    log.add(
        *(
            "0123456789abcdef",
            "192.0.2.1",
            "ashok",
            given["method"],
            "base",
            given["path"],
            200,
            3,
            5,
            0.0123456,
        ),
        given["user_agent"],
    )


async def test_a_line_in_json() -> None:
    written: list[bytes] = []
    log = _log("json", written)
    _add(log)
    assert written == []
    log.flush()
    assert json.loads(b"".join(written)) == {
        "time": "2027-01-15T08:00:00.250Z",
        "kind": "access",
        "requestId": "0123456789abcdef",
        "client": "192.0.2.1",
        "principal": "ashok",
        "method": "GET",
        "route": "base",
        "path": "/v2/",
        "status": 200,
        "bytesIn": 3,
        "bytesOut": 5,
        "seconds": 0.012345,
        "userAgent": "docker/27",
    }


async def test_a_line_for_people() -> None:
    written: list[bytes] = []
    log = _log("text", written)
    _add(log)
    log.flush()
    assert b"".join(written) == (
        b'2027-01-15T08:00:00.250Z 0123456789abcdef 192.0.2.1 ashok "GET /v2/" 200 3 5 12.3ms "docker/27"\n'
    )


async def test_what_a_client_wrote_ends_no_line_and_makes_none_long() -> None:
    for form in ("text", "json"):
        written: list[bytes] = []
        log = _log(form, written)
        nasty = 'x" 200\n\x1b[2J\r\u2028' + "é" * 5000
        _add(log, path=nasty, user_agent=nasty, method=nasty)
        log.flush()
        line = b"".join(written)
        assert line.count(b"\n") == 1
        assert b"\x1b" not in line
        assert len(line) < 4096


async def test_many_lines_are_written_in_whole_pieces_and_a_few_after_a_moment() -> None:
    written: list[bytes] = []
    log = _log("json", written)
    for _ in range(5000):
        _add(log)
    log.flush()
    assert all(piece.endswith(b"\n") and len(piece) <= 64 * 1024 for piece in written)
    assert b"".join(written).count(b"\n") == 5000
    later = asyncio.Event()
    waiting = AccessLog("json", write=lambda _: later.set())
    _add(waiting)
    async with asyncio.timeout(30):
        await later.wait()
