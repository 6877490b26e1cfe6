"""The wait between two pulls, against R-IMG-19 to R-IMG-22."""

import pytest

from sealift.node.backoff import Backoff, BackoffEntry, after_failure, image_key, is_forgotten, seconds_left


def test_doubles_from_ten_seconds_to_three_hundred() -> None:
    entry = None
    windows = []
    now = 0.0
    for _ in range(8):
        entry = after_failure(entry, now)
        windows.append(entry.window_seconds)
        now += entry.window_seconds
    assert windows == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(100.0, 10.0, id="at the failure"),
        pytest.param(109.5, 0.5, id="just inside"),
        pytest.param(110.0, 0.0, id="the end is not inside"),
        pytest.param(500.0, 0.0, id="long after"),
    ],
)
def test_seconds_left_count_from_the_last_failure(now: float, left: float) -> None:
    assert seconds_left(BackoffEntry(10.0, 100.0), now) == left


def test_nothing_to_wait_for_what_never_failed() -> None:
    assert seconds_left(None, 5.0) == 0.0


@pytest.mark.parametrize(
    ("now", "forgotten"),
    [pytest.param(600.0, False, id="after exactly ten minutes"), pytest.param(600.1, True, id="after more")],
)
def test_forgotten_after_twice_the_longest_wait(now: float, forgotten: bool) -> None:
    assert is_forgotten(BackoffEntry(300.0, 0.0), now) is forgotten


def test_a_forgotten_entry_starts_again() -> None:
    assert after_failure(BackoffEntry(300.0, 0.0), 600.1) == BackoffEntry(10.0, 600.1)


def test_success_does_not_reset() -> None:
    backoff = Backoff()
    backoff.failed("k", 0.0)
    backoff.succeeded(15.0)
    backoff.failed("k", 20.0)
    assert backoff.seconds_left("k", 20.0) == 20.0


def test_success_sweeps_what_is_forgotten() -> None:
    backoff = Backoff()
    backoff.failed("old", 0.0)
    backoff.failed("young", 500.0)
    backoff.succeeded(700.0)
    assert backoff.window_seconds("old", 700.0) == 0.0
    assert backoff.window_seconds("young", 700.0) == 10.0


def test_two_spellings_wait_apart_and_so_do_two_pods() -> None:
    assert (
        len({image_key("u1", "nginx"), image_key("u1", "docker.io/library/nginx"), image_key("u2", "nginx")})
        == 3
    )
    assert image_key("u1", "nginx") == "u1_nginx"
