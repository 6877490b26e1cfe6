"""A short, repeatable run of each fuzzer: the same seed, the same number of inputs. ``make fuzz`` runs on."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.laws

INPUTS = 8_000
"""For each target: a second or so. A parser that hangs on one input for ten seconds has failed."""

FLAGS = (
    f"-runs={INPUTS}",
    "-seed=1",
    "-max_len=2048",
    "-timeout=10",
    "-rss_limit_mb=2048",
    "-print_final_stats=1",
)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_the_law_of(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.run",
            name,
            str(tmp_path / "corpus"),
            *FLAGS,
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    assert f"stat::number_of_executed_units: {INPUTS}" in ran.stderr


def test_a_law_that_is_broken_is_found(tmp_path: Path) -> None:
    """The harness itself: a parser with a hole that only a guided search finds in so few inputs."""
    program = tmp_path / "hole.py"
    program.write_text(
        "import sys, atheris\n"
        "@atheris.instrument_func\n"
        "def parse(data):\n"
        "    if data[:1] == b'R':\n"
        "        if data[1:2] == b'/':\n"
        "            if data[2:3] == b'!':\n"
        "                raise KeyError('a hole')\n"
        "atheris.Setup(sys.argv, parse)\n"
        "atheris.Fuzz()\n"
    )
    ran = subprocess.run(
        [sys.executable, str(program), "-runs=400000", "-seed=1", f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode != 0
    assert "a hole" in ran.stdout + ran.stderr
