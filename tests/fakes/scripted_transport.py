"""A `Transport` that answers from a table, for hosts that no test machine has.

What a script holds is either an answer or the error that is raised instead. It
is our own interface and nothing of the network: what happens on a wire is
`tests.fakes.scripted_registry`'s business.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sealift.transport.http import Request, Response, Unreachable


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    challenges: tuple[str, ...] = ()
    body: bytes = b""


Outcome = Told | Unreachable | Callable[[Request], Told]


class ScriptedTransport:
    """Answers ``METHOD URL`` with what the table has: one outcome for ever, or several in turn."""

    def __init__(self, table: Mapping[str, Outcome | Sequence[Outcome]]) -> None:
        self._table = {
            key: list(value) if isinstance(value, Sequence) else [value] for key, value in table.items()
        }
        self.sent: list[Request] = []

    def lines(self) -> list[str]:
        """What was sent, in order."""
        return [f"{request.method} {request.url}" for request in self.sent]

    async def send(self, request: Request) -> Response:
        """The next outcome of this request; the last one stays."""
        self.sent.append(request)
        if request.body is not None and not isinstance(request.body, bytes):
            async for _ in request.body:
                pass
        key = f"{request.method} {request.url}"
        if key not in self._table:
            raise AssertionError(f"the script has nothing for {key}")
        outcomes = self._table[key]
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Unreachable):
            raise outcome
        told = outcome(request) if callable(outcome) else outcome
        return Response(
            status=told.status,
            headers=told.headers,
            url=request.url,
            challenges=told.challenges,
            body=_parts(told.body),
        )


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
