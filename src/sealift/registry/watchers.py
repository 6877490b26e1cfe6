"""Who is told of requests, besides whoever made them: counters, the access log, alarms."""

from dataclasses import dataclass, field

from sealift.registry.access_log import AccessLog, Entry
from sealift.registry.counters import Alarms, RequestCounters
from sealift.registry.request_id import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """Told when a request has come, and when it is over."""

    alarms: Alarms = field(default_factory=Alarms)
    requests: RequestCounters | None = None
    """None: nobody asked for metrics."""

    access_log: AccessLog | None = None
    """None: nobody asked for a line for each request."""

    def begin(self) -> None:
        """A request has come."""
        if self.requests is not None:
            self.requests.begin()

    def end(
        self,
        *,
        trace: Trace,
        principal: str,
        method: str,
        route: str,
        raw_path: bytes,
        status: int,
        received: int,
        sent: int,
        seconds: float,
        given_up: bool,
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
            self.requests.end(route, method, status, seconds, received=received, sent=sent, given_up=given_up)
        if self.access_log is not None:
            self.access_log.add(
                Entry(
                    request_id=trace.request_id,
                    client=trace.client,
                    principal=principal,
                    method=method,
                    route=route,
                    path=raw_path.decode("latin-1"),
                    status=status,
                    bytes_in=received,
                    bytes_out=sent,
                    seconds=round(seconds, 6),
                    user_agent=user_agent,
                )
            )
