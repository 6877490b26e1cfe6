"""What every `Transport` does, the fakes included. An implementation's test makes one and runs these."""

from collections.abc import AsyncIterator

import pytest

from sealift.transport.http import Request, Transport, Unreachable


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    """A body as a stream."""
    for each in data:
        yield each


class TransportContract:
    """Wants a fixture ``transport``, and one ``base``: the URL of a server that answers as below.

    * ``GET /ok``: 200, header ``X-A: 1``, challenges ``Basic`` and ``Bearer``, body ``body``
    * ``GET /moved``: 302 to ``/ok``
    * ``PUT /put``: 201
    * ``GET /gone``: no answer at all
    """

    async def test_an_answer_has_status_headers_challenges_and_body(
        self, transport: Transport, base: str
    ) -> None:
        response = await transport.send(Request(method="GET", url=f"{base}/ok"))
        assert (response.status, response.headers["x-a"], response.url) == (200, "1", f"{base}/ok")
        assert response.challenges == ("Basic", "Bearer")
        assert await response.read(10) == b"body"

    async def test_a_redirect_is_an_answer(self, transport: Transport, base: str) -> None:
        response = await transport.send(Request(method="GET", url=f"{base}/moved"))
        await response.close()
        assert (response.status, response.headers["location"]) == (302, "/ok")

    async def test_a_body_is_taken_whole_or_as_a_stream(self, transport: Transport, base: str) -> None:
        for body in (b"abc", parts(b"a", b"bc")):
            request = Request(method="PUT", url=f"{base}/put", body=body, content_length=3)
            response = await transport.send(request)
            await response.close()
            assert response.status == 201

    async def test_a_body_can_be_too_long(self, transport: Transport, base: str) -> None:
        response = await transport.send(Request(method="GET", url=f"{base}/ok"))
        with pytest.raises(ValueError, match="longer than 3 bytes"):
            await response.read(3)

    async def test_a_body_may_be_left_and_let_go_twice(self, transport: Transport, base: str) -> None:
        response = await transport.send(Request(method="GET", url=f"{base}/ok"))
        assert await response.read_start(2) == b"bo"
        await response.close()

    async def test_where_nothing_comes_back_it_is_unreachable(self, transport: Transport, base: str) -> None:
        with pytest.raises(Unreachable):
            await transport.send(Request(method="GET", url=f"{base}/gone"))
