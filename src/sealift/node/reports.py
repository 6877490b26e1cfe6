"""What is said of a Pod while it runs: to a terminal, to a file, to whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass

from sealift.node.cri_log import LogLine
from sealift.node.messages import Event, Waiting


@dataclass(frozen=True, slots=True)
class PodEvent:
    """An event as a kubelet would send it to the API server."""

    pod: str
    """``namespace/name``."""

    event: Event


@dataclass(frozen=True, slots=True)
class ContainerWaits:
    """``state.waiting`` of a container changed."""

    pod: str
    container: str
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class ContainerRuns:
    """A container runs."""

    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class ContainerPrints:
    """A line of a container's log."""

    pod: str
    container: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class ContainerEnds:
    """A container ended."""

    pod: str
    container: str
    exit_code: int
    reason: str


Report = PodEvent | ContainerWaits | ContainerRuns | ContainerPrints | ContainerEnds
Listener = Callable[[Report], None]
