"""What every run of the tests shares: the quick ones first, the network off, and a report of what ran."""

from collections import Counter
from collections.abc import Generator, Iterator

import pytest
from tests.offline import network_off
from tests.peers.programs import INSTALL, MissingProgram

COUNTED_MARKERS = ("peers", "laws", "demo", "slow")
"""The markers whose tests the report counts. A test with none of them is counted as "unmarked"."""

_PROPERTY = "sealift.markers"


@pytest.fixture(autouse=True)
def _offline() -> Iterator[None]:
    """Fail the test that connects to another machine, whatever it makes of the refusal."""
    with network_off() as attempts:
        yield
    if attempts:
        pytest.fail(f"the network is off in tests, and this one wanted: {', '.join(sorted(set(attempts)))}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, then laws, then real programs, then the whole story; else as they stand."""
    for item in items:
        markers = [name for name in COUNTED_MARKERS if item.get_closest_marker(name)]
        # Properties travel with a report from a worker process, markers do not.
        item.user_properties.append((_PROPERTY, ",".join(markers) or "unmarked"))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return max(
        (rank for rank, name in enumerate(("laws", "peers", "demo"), 1) if item.get_closest_marker(name)),
        default=0,
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """After all else: how many ran per marker, what was skipped, why, and how to get what was missing."""
    yield
    if terminalreporter.config.get_verbosity() < 0 or terminalreporter.config.option.collectonly:
        return
    ran, skipped = _counts(terminalreporter)
    terminalreporter.section("what ran, by marker")
    for name in (*COUNTED_MARKERS, "unmarked"):
        left_out = f", {skipped[name]} skipped" if skipped[name] else ""
        terminalreporter.write_line(f"{name:<9} {ran[name]:>6} run{left_out}")
    reasons, packages = _reasons(terminalreporter)
    if not reasons:
        terminalreporter.write_line("skipped        0: everything ran")
        return
    terminalreporter.section("what was skipped, and why")
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number:>6} x {reason}")
    if packages:
        terminalreporter.write_line(f"To run these too: {INSTALL} {' '.join(sorted(packages))}")


def _reports(terminalreporter: pytest.TerminalReporter, *outcomes: str) -> Iterator[pytest.TestReport]:
    for outcome in outcomes:
        for report in terminalreporter.stats.get(outcome, ()):
            if isinstance(report, pytest.TestReport):
                yield report


def _counts(terminalreporter: pytest.TerminalReporter) -> tuple[Counter[str], Counter[str]]:
    """Tests that ran and tests that were skipped, by marker; a test with two markers counts for both."""
    ran: set[tuple[str, str]] = set()
    skipped: set[tuple[str, str]] = set()
    for outcomes, found in (
        (("passed", "failed", "error", "xfailed", "xpassed"), ran),
        (("skipped",), skipped),
    ):
        for report in _reports(terminalreporter, *outcomes):
            for name in str(dict(report.user_properties).get(_PROPERTY, "")).split(","):
                found.add((name, report.nodeid))
    return Counter(name for name, _ in ran), Counter(name for name, _ in skipped)


def _reasons(terminalreporter: pytest.TerminalReporter) -> tuple[Counter[str], set[str]]:
    """Each reason with the number of tests it kept away, and the packages that would bring them back."""
    reasons: Counter[str] = Counter()
    packages: set[str] = set()
    for report in _reports(terminalreporter, "skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] += 1
        if missing := MissingProgram.parse(reason):
            packages.add(missing[1])
    return reasons, packages
