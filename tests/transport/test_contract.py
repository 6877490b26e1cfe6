"""The contract of `Transport`, on all that claim to be one."""

from collections.abc import AsyncIterator

import pytest
from tests.contracts.transport import TransportContract
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step
from tests.fakes.scripted_transport import ScriptedTransport, Told

from sealift.transport.aiohttp_transport import AiohttpTransport
from sealift.transport.http import ConnectionBroken, Transport
from sealift.transport.logged_transport import LoggedTransport

STEPS = [
    (
        "GET",
        "/ok",
        Reply(200, [("X-A", "1"), ("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer")], b"body"),
    ),
    ("GET", "/moved", Reply(302, [("Location", "/ok")])),
    ("PUT", "/put", Reply(201)),
    ("GET", "/gone", Reply(raw=b"")),
]


@pytest.fixture
async def base() -> AsyncIterator[str]:
    steps = [Step(method, target, reply, times=0, required=False) for method, target, reply in STEPS]
    async with ScriptedRegistry(steps) as server:
        yield server.url


class TestAiohttpTransport(TransportContract):
    @pytest.fixture
    async def transport(self) -> AsyncIterator[Transport]:
        async with AiohttpTransport() as transport:
            yield transport


class TestLoggedTransport(TransportContract):
    @pytest.fixture
    async def transport(self) -> AsyncIterator[Transport]:
        async with AiohttpTransport() as transport:
            yield LoggedTransport(transport, lambda _: None)


class TestScriptedTransport(TransportContract):
    @pytest.fixture
    def base(self) -> str:
        return "https://r.test"

    @pytest.fixture
    def transport(self, base: str) -> Transport:
        return ScriptedTransport(
            {
                f"GET {base}/ok": Told(200, {"x-a": "1"}, ("Basic", "Bearer"), b"body"),
                f"GET {base}/moved": Told(302, {"location": "/ok"}),
                f"PUT {base}/put": Told(201),
                f"GET {base}/gone": ConnectionBroken("it broke"),
            }
        )
