"""Log files of a runtime, in whatever portions they come."""

import pytest

from sealift.node.cri_log import MAX_LINE, LogLine, LogReader

T1, T2 = "2026-11-23T13:40:55.963153645Z", "2026-11-23T13:40:56.1Z"


def lines_of(data: bytes, *, step: int) -> list[LogLine]:
    reader = LogReader()
    lines = []
    for start in range(0, len(data), step):
        lines += reader.feed(data[start : start + step])
    return lines + reader.finish()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(f"{T1} stdout F hello\n", [LogLine("stdout", "hello", T1)], id="a line"),
        pytest.param(f"{T1} stderr F \n", [LogLine("stderr", "", T1)], id="an empty line"),
        pytest.param(
            f"{T1} stdout F  two  spaces \n", [LogLine("stdout", " two  spaces ", T1)], id="spaces stay"
        ),
        pytest.param(
            f"{T1} stdout P ab\n{T2} stdout F cd\n", [LogLine("stdout", "abcd", T1)], id="parts are joined"
        ),
        pytest.param(
            f"{T1} stdout P ab\n{T2} stderr F err\n{T2} stdout F cd\n",
            [LogLine("stderr", "err", T2), LogLine("stdout", "abcd", T1)],
            id="streams apart",
        ),
        pytest.param(
            f"{T1} stdout P no end\n", [LogLine("stdout", "no end", T1)], id="no line's end at the end"
        ),
        pytest.param(f"{T1} stdout F:x hello\n", [LogLine("stdout", "hello", T1)], id="further tags"),
        pytest.param(
            "garbage\n\n" + f"{T1} stdout F ok\n", [LogLine("stdout", "ok", T1)], id="what is no log"
        ),
    ],
)
def test_lines(data: str, step: int, expected: list[LogLine]) -> None:
    assert lines_of(data.encode(), step=step) == expected


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert lines_of(f"{T1} stdout F a".encode() + b"\xff\n", step=100) == [LogLine("stdout", "a\ufffd", T1)]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reader = LogReader()
    part = f"{T1} stdout P {'x' * 16_000}\n".encode()
    lines = [line for _ in range(100) for line in reader.feed(part)]
    assert lines
    assert all(len(line.text) <= MAX_LINE + 16_000 for line in lines)
