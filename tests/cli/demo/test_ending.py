"""When a signal is heeded."""

import signal
from collections.abc import Iterator

import pytest

from sealift.cli.demo.ending import SIGNALS, Ending


@pytest.fixture(autouse=True)
def _handlers_of_the_tests() -> Iterator[None]:
    """What `Ending` leaves behind in a process that ends must not reach the next test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_at_once_where_the_demo_itself_waits(number: signal.Signals) -> None:
    with Ending() as ending:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert ending.number == number


def told(ending: Ending, number: signal.Signals, *, times: int) -> int:
    """A command that is told to end meanwhile: how often it went on."""
    went_on = 0
    try:
        with ending.after_this():
            for _ in range(times):
                signal.raise_signal(number)
                went_on += 1
    except KeyboardInterrupt:
        return went_on
    raise AssertionError("it was not heeded")


def test_after_the_command_where_one_runs() -> None:
    with Ending() as ending:
        assert told(ending, signal.SIGTERM, times=1) == 1


def test_twice_is_at_once() -> None:
    with Ending() as ending:
        assert told(ending, signal.SIGINT, times=2) == 1


def test_not_at_all_while_the_machine_is_made_clean() -> None:
    with Ending() as ending:
        with ending.not_now():
            signal.raise_signal(signal.SIGINT)
        assert ending.number is None


def test_a_third_changes_nothing() -> None:
    with Ending() as ending:
        assert told(ending, signal.SIGINT, times=2) == 1
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert ending.number == signal.SIGINT, "the status is that of the signal which was heeded"


def test_whoever_was_told_to_end_hears_nothing_more() -> None:
    with Ending(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    for number in SIGNALS:
        assert signal.getsignal(number) is signal.SIG_IGN
        signal.raise_signal(number)


def test_no_signal_no_interruption() -> None:
    with Ending() as ending, ending.after_this():
        pass
    assert ending.number is None


def test_handlers_are_put_back_and_nohup_is_respected() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, hangup)
    assert {number: signal.getsignal(number) for number in before} == before
