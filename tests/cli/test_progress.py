import io
import re
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

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


class Screen(io.StringIO):
    """As much of a terminal as rich's bars use: lines, the cursor up, a line erased."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = [""]
        self._row = 0

    def write(self, text: str) -> int:
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|[^\x1b\r\n]+", text):
            if part == "\n":
                self._row += 1
                self.rows += [""] * (self._row + 1 - len(self.rows))
            elif part == "\x1b[1A":
                self._row -= 1
            elif part == "\x1b[2K":
                self.rows[self._row] = ""
            elif not part.startswith("\x1b"):
                self.rows[self._row] += part
        return len(text)


@pytest.fixture
def threads_in_each_others_way() -> Iterator[None]:
    """Threads that take turns so often that each interleaving comes up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_in_each_others_way")
def test_bars_take_no_line_away_but_their_own() -> None:
    screen = Screen()
    blobs = [Descriptor("t", Digest.of(bytes([number])), 1000) for number in range(60)]
    screen.write("before\n")
    with progress_bars(Console(file=screen, force_terminal=True, width=80), seconds_between=0) as bars:
        bars.begin(blobs)
        for ours, next_one in zip(blobs, [*blobs[1:], None], strict=True):
            if ours is blobs[0]:
                bars.restart(ours)
            if next_one is not None:
                bars.restart(next_one)
            bars.advance(ours, 1000)
            bars.end(ours, Delivery.SENT)
    assert [row for row in screen.rows if row] == [
        "before",
        *(f"sha256:{each.digest.encoded[:12]}  1.0 kB  sent" for each in blobs),
    ]


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
