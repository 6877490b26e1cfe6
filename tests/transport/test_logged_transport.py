import pytest
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step

from sealift.transport.aiohttp_transport import AiohttpTransport
from sealift.transport.http import Request, Unreachable
from sealift.transport.logged_transport import LoggedTransport


async def test_heads_are_shown_and_secrets_are_not() -> None:
    lines: list[str] = []
    reply = Reply(401, [("WWW-Authenticate", 'Basic realm="r"'), ("Set-Cookie", "canary")], b"canary")
    async with (
        ScriptedRegistry([Step("POST", "/token?a=canary", reply)]) as server,
        AiohttpTransport() as inner,
    ):
        transport = LoggedTransport(inner, lines.append)
        request = Request(
            method="POST",
            url=f"{server.url}/token?a=canary",
            headers={"Authorization": "Basic canary"},
            body=b"canary",
        )
        response = await transport.send(request)
        await response.close()
    assert lines == [
        f"[1] > POST {server.url}/token?a=***",
        "[1] > Authorization: Basic ***",
        "[1] < 401",
        "[1] < content-length: 6",
        "[1] < set-cookie: ***",
        '[1] < www-authenticate: Basic realm="r"',
    ]


async def test_what_did_not_come_back_is_told() -> None:
    lines: list[str] = []
    async with AiohttpTransport() as inner:
        with pytest.raises(Unreachable):
            await LoggedTransport(inner, lines.append).send(Request(method="GET", url="https://r.invalid/"))
    assert lines[0] == "[1] > GET https://r.invalid/"
    assert lines[1].startswith("[1] ! cannot reach r.invalid")
