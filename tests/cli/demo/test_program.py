"""The two programs: their bytes against a table, and the real thing where this machine can run it."""

import platform
import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.peers.ground import await_that
from tests.peers.programs import require_program

from sealift.cli.demo.program import ARCHITECTURES, ticking_program, waiting_program

HEADERS = 64 + 3 * 56

WAITING = {
    "amd64": (
        "b80e000000"  # mov $14,%eax        rt_sigprocmask
        "31ff"  # xor %edi,%edi             SIG_BLOCK
        "488d353a000100"  # lea signals(%rip),%rsi
        "31d2"  # xor %edx,%edx
        "41ba08000000"  # mov $8,%r10d
        "0f05"  # syscall
        "b880000000"  # mov $128,%eax       rt_sigtimedwait
        "488d3d24000100"  # lea signals(%rip),%rdi
        "31f6"  # xor %esi,%esi
        "31d2"  # xor %edx,%edx             no timeout
        "41ba08000000"  # mov $8,%r10d
        "0f05"  # syscall
        "4885c0"  # test %rax,%rax
        "78e3"  # js again
        "31ff"  # xor %edi,%edi
        "b83c000000"  # mov $60,%eax        exit
        "0f05"  # syscall
    ),
    "arm64": (
        "000080d2"  # mov x0, #0            SIG_BLOCK
        "21020810"  # adr x1, signals
        "020080d2"  # mov x2, #0
        "030180d2"  # mov x3, #8
        "e81080d2"  # mov x8, #135          rt_sigprocmask
        "010000d4"  # svc #0
        "80010810"  # adr x0, signals
        "010080d2"  # mov x1, #0
        "020080d2"  # mov x2, #0            no timeout
        "030180d2"  # mov x3, #8
        "281180d2"  # mov x8, #137          rt_sigtimedwait
        "010000d4"  # svc #0
        "40ffffb7"  # tbnz x0, #63, again
        "000080d2"  # mov x0, #0
        "a80b80d2"  # mov x8, #93           exit
        "010000d4"  # svc #0
    ),
}
"""The waiting program, instruction by instruction, as a disassembler has it."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_instructions(architecture: str) -> None:
    expected = bytes.fromhex(WAITING[architecture])
    program = waiting_program(architecture)
    assert program[HEADERS : HEADERS + len(expected)].hex() == expected.hex()
    assert program.endswith(struct.pack("<Q", 0x4002)), "SIGTERM (15) and SIGINT (2)"


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_header(architecture: str, machine: int) -> None:
    program = ticking_program(architecture, line="x", farewell="y")
    (magic, kind, number, version, entry, segments, *_rest, count) = struct.unpack_from(
        "<16sHHIQQQIHHH", program
    )
    assert magic == b"\x7fELF\x02\x01\x01" + bytes(9)
    assert (kind, number, version, entry, segments, count) == (2, machine, 1, 0x400000 + HEADERS, 64, 3)
    code, data, stack = (struct.unpack_from("<IIQQQQQQ", program, 64 + 56 * index) for index in range(3))
    assert code[:4] == (1, 5, 0, 0x400000), "readable and executable, from the start of the file"
    assert data[:2] == (1, 6), "readable and writable"
    assert stack[:2] == (0x6474E551, 6), "a stack that is not executed"
    for _, _, offset, address, _, size, memory, alignment in (code, data):
        assert offset % alignment == address % alignment
        assert size == memory
        assert offset + size <= len(program)
    assert data[3] // 0x10000 > (code[3] + code[5]) // 0x10000, "no page holds both, however large pages are"


def test_the_same_bytes_each_time() -> None:
    assert [ticking_program(one, line="a", farewell="b") for one in ARCHITECTURES] == [
        ticking_program(one, line="a", farewell="b") for one in ARCHITECTURES
    ]


def test_another_architecture_is_refused() -> None:
    with pytest.raises(KeyError):
        waiting_program("riscv64")


@contextmanager
def running(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def check_ticking(argv: list[str], *, end: signal.Signals) -> None:
    with running(argv) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines == ["app: line        1\n", "app: line        2\n"]
        process.send_signal(end)
        rest = process.communicate(timeout=20)[0].splitlines()
        assert rest[-1] == "app: told to stop"
        assert len(rest) <= 2, "at once: not after the next second, nor the one after that"
        assert process.returncode == 0


RT_SIGTIMEDWAIT = {"x86_64": 128, "aarch64": 137}[platform.machine()]
"""The call that the waiting program waits in, by this machine's number. An emulator makes it, too."""


def is_waiting(process: subprocess.Popen[str]) -> bool:
    """Whether it has blocked its signals and waits for them: before that, a signal would just end it."""
    return Path(f"/proc/{process.pid}/syscall").read_text().startswith(f"{RT_SIGTIMEDWAIT} ")


def check_waiting(argv: list[str], *, end: signal.Signals) -> None:
    with running(argv) as process:
        assert await_that(lambda: is_waiting(process), while_=lambda: process.poll() is None)
        process.send_signal(end)
        assert process.wait(20) == 0


def write_programs(directory: Path, architecture: str) -> tuple[str, str]:
    paths = []
    for name, content in (
        ("ticking", ticking_program(architecture, line="app: line", farewell="app: told to stop")),
        ("waiting", waiting_program(architecture)),
    ):
        path = directory / name
        path.write_bytes(content)
        path.chmod(0o755)
        paths.append(str(path))
    return paths[0], paths[1]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_runs_on_this_machine(tmp_path: Path, end: signal.Signals) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    ticking, waiting = write_programs(tmp_path, machine)
    check_waiting([waiting], end=end)
    check_ticking([ticking], end=end)


def test_counts_past_nine(tmp_path: Path) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    program = bytearray(ticking_program(machine, line="n", farewell="x"))
    program[program.index(b"        1\n") : program.index(b"\n", program.index(b"        1\n"))] = (
        b"      199"
    )
    path = tmp_path / "ticking"
    path.write_bytes(program)
    path.chmod(0o755)
    with running([str(path)]) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["n      199\n", "n      200\n"]


@pytest.mark.peers
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_arm64_runs_in_an_emulator(tmp_path: Path, end: signal.Signals) -> None:
    emulator = require_program("qemu-aarch64")
    ticking, waiting = write_programs(tmp_path, "arm64")
    check_waiting([emulator, waiting], end=end)
    check_ticking([emulator, ticking], end=end)
