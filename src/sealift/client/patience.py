"""Requests sent with patience: what may pass is tried again, after the wait that is decided in `retry`."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sealift.client.retry import Outcome, RetryPolicy, retry_after_seconds, wait_before_retry
from sealift.transport.http import Request, Response, Transport, Unreachable


class Patience:
    """Sends through a transport, and waits where it makes sense."""

    def __init__(
        self,
        transport: Transport,
        policy: RetryPolicy,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._now = now
        self._sleep = sleep

    async def send(
        self, make: Callable[[], Request], *, once: bool = False, repeatable: bool = False
    ) -> Response:
        """Send, and again while it makes sense. What is returned is the last answer, whatever its status.

        Args:
            make: The request, made anew for each attempt: a streamed body is used up by the first.
            once: Do not try again, whatever happens.
            repeatable: It does no harm when it arrives twice, though its method might.

        Raises:
            Unreachable: no answer came, and another attempt is of no use.
        """
        attempt = 0
        while True:
            attempt += 1
            request = make()
            response: Response | None = None
            failure: Unreachable | None = None
            try:
                response = await self._transport.send(request)
                outcome = Outcome(
                    method=request.method,
                    status=response.status,
                    retry_after=response.headers.get("retry-after"),
                )
            except Unreachable as error:
                failure = error
                outcome = Outcome(method=request.method, failure=error, repeatable=repeatable)
            wait = None if once else wait_before_retry(outcome, attempt, self._policy, now=self._now())
            if wait is None and response is not None:
                return response
            if wait is None and failure is not None:
                raise failure
            if response is not None:
                await response.close()
            await self._sleep(wait or 0.0)

    async def pause(self, attempt: int) -> None:
        """Wait as after attempt number `attempt`; not at all after number 0."""
        if attempt:
            growing = self._policy.first_wait_seconds * (1 << (attempt - 1))
            await self._sleep(min(growing, self._policy.longest_wait_seconds))

    def asked_to_wait(self, response: Response) -> float | None:
        """The seconds that an answer asks for, if it does."""
        return retry_after_seconds(response.headers.get("retry-after"), now=self._now())
