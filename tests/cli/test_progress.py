import sys

import pytest

from sealift.cli.progress import PlainProgress, progress
from sealift.cli.progress_bars import progress_bars
from sealift.client.copy import NoProgress, Progress
from sealift.client.registry_client import Delivery
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest

A, B = (Descriptor("t", Digest.of(name), 1000) for name in (b"a", b"b"))
SHORT = f"sha256:{A.digest.encoded[:12]}"


def play(shown: Progress) -> None:
    """A blob that starts over, and one that was there."""
    shown.begin([A, B])
    shown.restart(A)
    shown.advance(A, 600)
    shown.restart(A)
    shown.advance(A, 1000)
    shown.end(A, Delivery.SENT)
    shown.end(B, Delivery.EXISTED)


def test_plain_progress_is_a_line_a_blob(capsys: pytest.CaptureFixture[str]) -> None:
    play(PlainProgress())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "2 blobs, 2.0 kB",
        f"{SHORT}  1.0 kB  sent",
        f"sha256:{B.digest.encoded[:12]}  1.0 kB  exists",
    ]


def test_plain_progress_shows_now_and_then_that_it_lives(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter((0.0, 5.0, 11.0, 12.0, 22.0))
    shown = PlainProgress(clock=lambda: next(moments))
    shown.restart(A)
    for _ in range(4):
        shown.advance(A, 100)
    assert capsys.readouterr().err.splitlines() == [
        f"{SHORT}  200 B of 1.0 kB",
        f"{SHORT}  400 B of 1.0 kB",
    ]


def test_bars_end_with_a_line_a_blob(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as bars:
        play(bars)
        total = bars._bars.tasks[0]
        assert (total.completed, total.total) == (2000, 2000)
    err = capsys.readouterr().err
    assert f"{SHORT}  1.0 kB  sent" in err


@pytest.mark.parametrize(
    ("mode", "terminal", "kind"),
    [
        ("auto", False, PlainProgress),
        ("plain", True, PlainProgress),
        ("none", True, NoProgress),
    ],
)
def test_the_kind_of_progress_is_that_of_the_place(
    mode: str, terminal: bool, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with progress(mode) as shown:  # type: ignore[arg-type]  # one of the modes
        assert type(shown) is kind


def test_a_terminal_gets_bars_and_a_dumb_one_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress("auto") as shown:
        assert type(shown).__name__ == "BarProgress"
    monkeypatch.setenv("TERM", "dumb")
    with progress("auto") as shown:
        assert type(shown) is PlainProgress
