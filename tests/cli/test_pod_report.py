"""What `sealift node run` prints for each report."""

import json

import pytest

from sealift.cli.pod_report import JsonLines, Words
from sealift.node.cri_log import LogLine
from sealift.node.messages import Event, Waiting
from sealift.node.reports import (
    ContainerEnds,
    ContainerPrints,
    ContainerRuns,
    ContainerWaits,
    PodEvent,
    Report,
)

POD = "default/nginx-pod"
TIME = "2026-11-23T13:40:55Z"
EVENT = PodEvent(POD, Event("Warning", "Failed", "Error: ErrImagePull"))
REPORTS: tuple[Report, ...] = (
    EVENT,
    ContainerWaits(POD, "nginx", Waiting("ErrImagePull", "401")),
    ContainerRuns(POD, "nginx"),
    ContainerPrints(POD, "nginx", LogLine("stderr", "héllo", TIME)),
    ContainerEnds(POD, "nginx", 137, "OOMKilled"),
)


def test_words(capsys: pytest.CaptureFixture[str]) -> None:
    words = Words(name_containers=False)
    for report in REPORTS:
        words(report)
    printed = capsys.readouterr()
    assert printed.out == "héllo\n"
    assert printed.err == (
        "Warning  Failed    pod/nginx-pod  Error: ErrImagePull\n"
        "pod/nginx-pod container nginx is waiting: ErrImagePull: 401\n"
        "pod/nginx-pod container nginx is running\n"
        "pod/nginx-pod container nginx ended with status 137 (OOMKilled)\n"
    )


def test_an_event_that_comes_again_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    words = Words(name_containers=False)
    for _ in range(3):
        words(EVENT)
    assert [line[-5:] for line in capsys.readouterr().err.splitlines()] == ["ePull", " (x2)", " (x3)"]


def test_several_containers_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Words(name_containers=True)(REPORTS[3])
    assert capsys.readouterr().out == "[pod/nginx-pod/nginx] héllo\n"


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = JsonLines()
    for report in REPORTS:
        lines(report)
    printed = capsys.readouterr()
    assert printed.err == ""
    common = {
        "apiVersion": "sealift.dev/v1alpha1",
        "object": {"kind": "Pod", "namespace": "default", "name": "nginx-pod"},
    }
    state = {**common, "kind": "ContainerState", "container": "nginx"}
    assert [json.loads(line) for line in printed.out.splitlines()] == [
        {
            **common,
            "kind": "PodEvent",
            "type": "Warning",
            "reason": "Failed",
            "message": "Error: ErrImagePull",
        },
        {**state, "state": {"waiting": {"reason": "ErrImagePull", "message": "401"}}},
        {**state, "state": {"running": {}}},
        {
            **common,
            "kind": "ContainerLog",
            "container": "nginx",
            "stream": "stderr",
            "time": TIME,
            "line": "héllo",
        },
        {**state, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
    ]
