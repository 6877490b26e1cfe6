"""A transport that tells what passes: the exchange that ``--debug`` shows, secrets masked."""

from collections.abc import Callable

from sealift.transport.http import Request, Response, Transport, Unreachable
from sealift.transport.redaction import printable, redacted_header, redacted_headers, redacted_url


class LoggedTransport:
    """Wraps a transport and writes request and response heads, line by line.

    Bodies are never shown: a token request's body is a password, and so is a token answer.
    """

    def __init__(self, transport: Transport, write_line: Callable[[str], None]) -> None:
        self._transport = transport
        self._write_line = write_line
        self._count = 0

    async def send(self, request: Request) -> Response:
        """Send, and tell. Lines of one exchange carry its number, since several run at once."""
        self._count += 1
        number = self._count
        self._write_line(f"[{number}] > {request.method} {redacted_url(request.url)}")
        for name, value in redacted_headers(request.headers):
            self._write_line(f"[{number}] > {name}: {value}")
        try:
            response = await self._transport.send(request)
        except Unreachable as error:
            self._write_line(
                f"[{number}] ! {printable(str(error))} ({printable(error.why or 'no more is known')})"
            )
            raise
        self._write_line(f"[{number}] < {response.status}")
        for name, value in redacted_headers(response.headers):
            self._write_line(f"[{number}] < {name}: {value}")
        for challenge in response.challenges:
            self._write_line(
                f"[{number}] < www-authenticate: {redacted_header('www-authenticate', challenge)}"
            )
        return response
