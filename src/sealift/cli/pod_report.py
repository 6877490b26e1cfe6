"""What `sealift node run` prints of its Pods: words for people, or an object a line for programs."""

import json
from collections import Counter
from typing import Any

import click

from sealift.cli.output import API_VERSION
from sealift.node.reports import (
    ContainerEnds,
    ContainerPrints,
    ContainerRuns,
    ContainerWaits,
    PodEvent,
    Report,
)


class Words:
    """Logs to standard output, everything else to standard error.

    Args:
        name_containers: Put Pod and container before each line of a log, as
            ``kubectl logs --prefix`` does.
    """

    def __init__(self, *, name_containers: bool) -> None:
        self._name_containers = name_containers
        self._events: Counter[PodEvent] = Counter()

    def __call__(self, report: Report) -> None:
        """Print one report."""
        pod = f"pod/{report.pod.partition('/')[2]}"
        if isinstance(report, ContainerPrints):
            before = f"[{pod}/{report.container}] " if self._name_containers else ""
            click.echo(before + report.line.text)
        elif isinstance(report, PodEvent):
            event = report.event
            self._events[report] += 1
            times = f" (x{self._events[report]})" if self._events[report] > 1 else ""
            click.echo(f"{event.type:<8} {event.reason:<9} {pod}  {event.message}{times}", err=True)
        elif isinstance(report, ContainerWaits):
            waiting = report.waiting
            click.echo(
                f"{pod} container {report.container} is waiting: {waiting.reason}: {waiting.message}",
                err=True,
            )
        elif isinstance(report, ContainerRuns):
            click.echo(f"{pod} container {report.container} is running", err=True)
        else:
            click.echo(
                f"{pod} container {report.container} ended with status {report.exit_code} ({report.reason})",
                err=True,
            )


class JsonLines:
    """An object a line on standard output, for each report."""

    def __call__(self, report: Report) -> None:
        """Print one report."""
        namespace, _, name = report.pod.partition("/")
        document = {"apiVersion": API_VERSION, **_fields(report)}
        document["object"] = {"kind": "Pod", "namespace": namespace, "name": name}
        click.echo(json.dumps(document, ensure_ascii=False))


def _fields(report: Report) -> dict[str, Any]:
    """Kind and fields of a report; states as in ``status.containerStatuses[].state`` of a Pod."""
    if isinstance(report, PodEvent):
        event = report.event
        return {"kind": "PodEvent", "type": event.type, "reason": event.reason, "message": event.message}
    if isinstance(report, ContainerPrints):
        line = report.line
        return {
            "kind": "ContainerLog",
            "container": report.container,
            "stream": line.stream,
            "time": line.time,
            "line": line.text,
        }
    state: dict[str, Any]
    if isinstance(report, ContainerWaits):
        state = {"waiting": {"reason": report.waiting.reason, "message": report.waiting.message}}
    elif isinstance(report, ContainerEnds):
        state = {"terminated": {"exitCode": report.exit_code, "reason": report.reason}}
    else:
        state = {"running": {}}
    return {"kind": "ContainerState", "container": report.container, "state": state}
