"""The README's pull in five lines, typed as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.peers.ground import Enclosure, await_that, enclosure
from tests.peers.programs import search_path

from sealift.cli.demo.image import write_layout
from sealift.cli.demo.program import ARCHITECTURES, waiting_program

pytestmark = [pytest.mark.peers]

README = Path(__file__).parents[2] / "README.md"

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers: [{name: app, image: 127.0.0.1:5000/admin/app:v1}]
  imagePullSecrets: [{name: regcred}]
"""


def typed(ground: Enclosure, lines: list[str], *, after: str, environment: dict[str, str]) -> str:
    """What a shell shows to somebody who types the first line, waits for `after`, and types the others."""
    transcript = ground.scratch / "transcript"
    with transcript.open("wb") as shown:
        shell = subprocess.Popen(
            ground.wrapped(["bash"]), stdin=subprocess.PIPE, stdout=shown, stderr=shown, env=environment
        )
    assert shell.stdin is not None

    def type_in(*typed: str) -> None:
        assert shell.stdin is not None
        shell.stdin.write("".join(f"{line}\n" for line in typed).encode())
        shell.stdin.flush()

    try:
        type_in("set -e", f"cd {ground.scratch}", lines[0])
        assert await_that(lambda: after in transcript.read_text(), while_=lambda: shell.poll() is None), (
            transcript.read_text()
        )
        type_in(*lines[1:], "kill %1", "wait %1")
        shell.stdin.close()
        status = shell.wait(120)
    finally:
        shell.kill()
    assert status == 0, transcript.read_text()
    return transcript.read_text()


def test_the_five_lines() -> None:
    lines = [line[2:] for line in README.read_text().splitlines() if line.startswith("$ ")]
    assert len(lines) == 5
    with enclosure(own_network=True) as ground:
        programs = {one: waiting_program(one) for one in ARCHITECTURES}
        write_layout(ground.scratch / "app", tag="latest", name="app", programs=programs)
        (ground.scratch / "pod.yaml").write_text(POD)
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{search_path()}",
            "HOME": str(ground.scratch),
        }
        shown = typed(ground, lines, after="serving http://127.0.0.1:5000", environment=environment)
    assert "Login Succeeded" in shown
    assert "1 image: 1 pulls" in shown
