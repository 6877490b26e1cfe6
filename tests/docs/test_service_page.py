"""The page on running it as a service, and the unit beside it: what can be read off a program is."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.peers.ground import this_machine
from tests.peers.programs import require_program

from sealift.cli.server_settings import resolve
from sealift.registry.metrics import METRICS

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "docs" / "how-to" / "run-as-a-service.md"
UNIT = ROOT / "deploy" / "systemd" / "sealift.service"


def _block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", SERVICE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "sealift.toml"
    file.write_text(_block("toml"))
    won = resolve({}, {}, file)
    assert {name for name, each in won.items() if str(file) in each.source} == set(
        tomllib.loads(_block("toml"))
    )


def test_the_rules_of_the_page_speak_of_metrics_that_there_are() -> None:
    rules = yaml.safe_load(_block("yaml"))["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"sealift_[a-z_]+", rule["expr"])}
    assert len(named) >= 5
    assert named <= {metric.name for metric in METRICS}


@pytest.mark.peers
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """But for the program, which is not in /opt here."""
    program = require_program("systemd-analyze")
    unit = tmp_path / "sealift.service"
    unit.write_text(UNIT.read_text().replace("/opt/sealift/bin/sealift", "/bin/true"))
    with this_machine() as ground:
        verified = ground.run(program, "verify", "--man=no", str(unit))
    told = [line for line in verified.err.splitlines() if "sealift" in line]
    assert (verified.status, told) == (0, [])
