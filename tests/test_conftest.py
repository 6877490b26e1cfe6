import textwrap
from pathlib import Path

import pytest
from tests.peers.programs import INSTALL

pytest_plugins = ["pytester"]

HOOKS = """
from tests.conftest import _offline, pytest_collection_modifyitems, pytest_terminal_summary
"""

SETTINGS = f"""
[pytest]
pythonpath = {Path(__file__).parent.parent}
markers =
    peers:
    laws:
    demo:
    slow:
"""

STORY = """
import contextlib, socket
import pytest
from tests.peers.programs import require_program

@pytest.mark.peers
@pytest.mark.slow
def test_real():
    pass

@pytest.mark.peers
def test_missing():
    require_program("no-such-program", package="no-such-package")

@pytest.mark.laws
def test_law():
    pass

def test_plain():
    pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("CI", raising=False)
    pytester.makeini(SETTINGS)
    pytester.makeconftest(HOOKS)
    return pytester


@pytest.mark.parametrize("processes", [pytest.param("0", id="one process"), pytest.param("2", id="xdist")])
def test_the_report_counts_per_marker_and_says_how_to_get_what_was_missing(
    run: pytest.Pytester, processes: str
) -> None:
    run.makepyfile(STORY)
    outcome = run.runpytest_subprocess("-n", processes, "-p", "no:cacheprovider")
    lines = [line.strip() for line in outcome.outlines if line.strip()]
    start = next(index for index, line in enumerate(lines) if "what ran, by marker" in line)
    assert lines[start + 1 : -1] == [
        "peers          1 run, 1 skipped",
        "laws           1 run",
        "demo           0 run",
        "slow           1 run",
        "unmarked       1 run",
        next(line for line in lines if "what was skipped, and why" in line),
        f"1 x no-such-program is not installed: {INSTALL} no-such-package",
        f"To run these too: {INSTALL} no-such-package",
    ]
    assert "3 passed, 1 skipped" in lines[-1]


def test_the_report_says_when_nothing_was_skipped(run: pytest.Pytester) -> None:
    run.makepyfile("def test_plain(): pass")
    outcome = run.runpytest_subprocess()
    outcome.stdout.fnmatch_lines(["unmarked       1 run", "skipped        0: everything ran", "*1 passed*"])


def test_where_nobody_reads_what_was_skipped_a_missing_program_is_a_failure(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    run.makepyfile(STORY)
    run.runpytest_subprocess().assert_outcomes(passed=3, failed=1)


def test_the_quick_ones_come_first(run: pytest.Pytester) -> None:
    run.makepyfile(STORY)
    outcome = run.runpytest_subprocess("--collect-only", "-q")
    assert [line.rpartition("::")[2] for line in outcome.outlines if "::" in line] == [
        "test_plain",
        "test_law",
        "test_real",
        "test_missing",
    ]


def test_a_test_that_swallows_the_refusal_fails_all_the_same(run: pytest.Pytester) -> None:
    run.makepyfile(
        textwrap.dedent("""
        import socket, contextlib
        def test_calls_home():
            with contextlib.suppress(OSError):
                socket.create_connection(("192.0.2.1", 80))
        """)
    )
    outcome = run.runpytest_subprocess()
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*the network is off in tests, and this one wanted: 192.0.2.1*"])
