"""The README's pull in five lines, typed as it stands."""

import sys
from pathlib import Path

import pytest
from tests.peers.ground import enclosure
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


def test_the_five_lines() -> None:
    lines = [line[2:] for line in README.read_text().splitlines() if line.startswith("$ ")]
    assert len(lines) == 5
    with enclosure(own_network=True) as ground:
        programs = {one: waiting_program(one) for one in ARCHITECTURES}
        write_layout(ground.scratch / "app", tag="latest", name="app", programs=programs)
        (ground.scratch / "pod.yaml").write_text(POD)
        script = "\n".join(["exec 2>&1; set -e", f"cd {ground.scratch}", *lines, "kill %1", "wait %1"])
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{search_path()}",
            "HOME": str(ground.scratch),
        }
        shown = ground.run("bash", "-c", script, env=environment, seconds=60)
    assert shown.status == 0, shown.out
    assert "Login Succeeded" in shown.out
    assert "1 image: 1 pulls" in shown.out
