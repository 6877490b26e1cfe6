"""Who is told of requests, besides whoever made them: counters, the access log, alarms."""

from dataclasses import dataclass, field

from sealift.registry.access_log import AccessLog
from sealift.registry.counters import Alarms, RequestCounters
from sealift.registry.request_id import Traced


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """Told when a request has come, and when it is over."""

    alarms: Alarms = field(default_factory=Alarms)
    requests: RequestCounters | None = None
    """None: nobody asked for metrics."""

    access_log: AccessLog | None = None
    """None: nobody asked for a line for each request."""

    @property
    def is_any(self) -> bool:
        """Whether anybody is told of each request."""
        return self.requests is not None or self.access_log is not None

    def end(  # noqa: PLR0917 - by name they would cost more than the counting
        self,
        trace: Traced,
        principal: str,
        method: str,
        route: str,
        raw_path: bytes,
        status: int,
        received: int,
        sent: int,
        seconds: float,
        given_up: bool,  # noqa: FBT001
        user_agent: str,
    ) -> None:
        """A request is over.

        Args:
            trace: Its id, and where it came from.
            principal: The name of who asked, as it was proven.
            method: As the client wrote it.
            route: The name of its endpoint, out of a bounded set.
            raw_path: Without the query: people put passwords there.
            status: Of the answer; 0 where there was none.
            received: Bytes of its body that were read.
            sent: Bytes of the answer's body that were sent.
            seconds: From its head to the end of the answer.
            given_up: Whether it was ended because its client kept it waiting.
            user_agent: As the client wrote it.
        """
        if self.requests is not None:
            self.requests.end(route, method, status, seconds, received, sent, given_up)
        if self.access_log is not None:
            self.access_log.add(
                trace.request_id,
                trace.client,
                principal,
                method,
                route,
                raw_path.decode("latin-1"),
                status,
                received,
                sent,
                seconds,
                user_agent,
            )
