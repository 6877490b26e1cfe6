"""Two small Linux programs, put together from their machine code: what the demo's images hold.

The demo needs a real image on a machine with no compiler, no network and no
image to start from. So the programs are written here, instruction by
instruction, for the two architectures that nodes have. Each needs nothing but
the kernel: no libc, no file, no writable disk.

* `ticking_program` prints a numbered line each second.
* `waiting_program` prints nothing: it is the process that holds a Pod's
  namespaces open.

SIGTERM and SIGINT end both at once and with status 0, also where they are
process 1 of a container, for which the kernel drops signals that nobody
handles: they block the two and wait for them (rt_sigtimedwait).

Spec: System V ABI, ELF-64 object file format; Linux system calls of x86-64 and
of the generic table (arm64); Intel SDM volume 2; Arm ARM, A64.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ARCHITECTURES = ("amd64", "arm64")
"""In the spelling of an image's platform."""

COUNTER_WIDTH = 9
"""Digits of the line number, blanks before it included. They last for thirty years."""

_SIGNALS = struct.pack("<Q", 1 << (15 - 1) | 1 << (2 - 1))
"""SIGTERM and SIGINT as a kernel signal set: bit n-1 stands for signal n."""

_ONE_SECOND = struct.pack("<qq", 1, 0)
"""A struct timespec."""

_SEGMENT_DISTANCE = 0x10000
"""Bytes. The largest page of an arm64 kernel, so that each kernel can map the file."""

_TEXT_ADDRESS = 0x400000
_HEADERS_SIZE = 64 + 3 * 56
"""Bytes: the ELF header and three program headers."""


@dataclass(frozen=True, slots=True)
class _Label:
    """A place in the code, to jump to."""

    name: str


@dataclass(frozen=True, slots=True)
class _Link:
    """An instruction that holds the distance in bytes from its own start to a target."""

    target: str
    """A label of the code or a name of the data."""

    size: int
    encode: Callable[[int], bytes]


_Line = bytes | _Label | _Link


def ticking_program(architecture: str, *, line: str, farewell: str) -> bytes:
    """A program that prints `line` and a number each second, and `farewell` when it is told to end.

    It ends with status 1 where its output is closed.

    Raises:
        KeyError: `architecture` is none of `ARCHITECTURES`.
    """
    text = line.encode() + b" " * (COUNTER_WIDTH - 1) + b"1\n"
    data = {
        "signals": _SIGNALS,
        "second": _ONE_SECOND,
        "line": text[:-2],
        "digit": text[-2:],
        "farewell": farewell.encode() + b"\n",
    }
    lengths = {"line": len(text), "farewell": len(data["farewell"])}
    code = {"amd64": _ticking_amd64, "arm64": _ticking_arm64}[architecture](lengths)
    return _link(architecture, code, data)


def waiting_program(architecture: str) -> bytes:
    """A program that does nothing until it is told to end.

    Raises:
        KeyError: `architecture` is none of `ARCHITECTURES`.
    """
    code = {"amd64": _waiting_amd64, "arm64": _waiting_arm64}[architecture]()
    return _link(architecture, code, {"signals": _SIGNALS})


# ---- x86-64: number in eax, arguments in edi, rsi, rdx, r10; -4095 to -1 is an error

_SYSCALL = bytes.fromhex("0f05")
_X_WRITE, _X_SIGPROCMASK, _X_EXIT, _X_SIGTIMEDWAIT = 1, 14, 60, 128


def _mov(register: str, value: int) -> bytes:
    opcode = {"eax": "b8", "edx": "ba", "edi": "bf", "r10d": "41ba"}[register]
    return bytes.fromhex(opcode) + struct.pack("<I", value)


def _zero(register: str) -> bytes:
    return bytes.fromhex({"edx": "31d2", "esi": "31f6", "edi": "31ff"}[register])


def _lea(register: str, target: str) -> _Link:
    """The address of `target`, relative to the next instruction."""
    opcode = bytes.fromhex({"rsi": "488d35", "rdi": "488d3d", "rdx": "488d15", "rbx": "488d1d"}[register])
    return _Link(target, 7, lambda distance: opcode + struct.pack("<i", distance - 7))


def _jump(mnemonic: str, target: str) -> _Link:
    """A short jump: 127 bytes either way."""
    opcode = bytes.fromhex({"jmp": "eb", "js": "78", "jbe": "76"}[mnemonic])
    return _Link(target, 2, lambda distance: opcode + struct.pack("<b", distance - 2))


def _ticking_amd64(lengths: Mapping[str, int]) -> list[_Line]:
    return [
        *_block_signals_amd64(),
        _Label("again"),
        *_write_amd64("line", lengths["line"]),
        bytes.fromhex("4885c0"),  # test %rax,%rax
        _jump("js", "fail"),
        _lea("rbx", "digit"),
        _Label("carry"),
        bytes.fromhex("800b10"),  # orb $0x10,(%rbx): a blank (0x20) becomes '0' (0x30), a digit stays
        bytes.fromhex("fe03"),  # incb (%rbx)
        bytes.fromhex("803b39"),  # cmpb $'9',(%rbx)
        _jump("jbe", "wait"),
        bytes.fromhex("c60330"),  # movb $'0',(%rbx)
        bytes.fromhex("48ffcb"),  # dec %rbx
        _jump("jmp", "carry"),
        _Label("wait"),
        _mov("eax", _X_SIGTIMEDWAIT),
        _lea("rdi", "signals"),
        _zero("esi"),
        _lea("rdx", "second"),
        _mov("r10d", 8),
        _SYSCALL,
        bytes.fromhex("4885c0"),  # test %rax,%rax: the signal, or an error where the second is over
        _jump("js", "again"),
        *_write_amd64("farewell", lengths["farewell"]),
        _zero("edi"),
        _jump("jmp", "exit"),
        _Label("fail"),
        _mov("edi", 1),
        _Label("exit"),
        _mov("eax", _X_EXIT),
        _SYSCALL,
    ]


def _waiting_amd64() -> list[_Line]:
    return [
        *_block_signals_amd64(),
        _Label("wait"),
        _mov("eax", _X_SIGTIMEDWAIT),
        _lea("rdi", "signals"),
        _zero("esi"),
        _zero("edx"),
        _mov("r10d", 8),
        _SYSCALL,
        bytes.fromhex("4885c0"),  # test %rax,%rax
        _jump("js", "wait"),
        _zero("edi"),
        _mov("eax", _X_EXIT),
        _SYSCALL,
    ]


def _block_signals_amd64() -> list[_Line]:
    return [
        _mov("eax", _X_SIGPROCMASK),
        _zero("edi"),  # SIG_BLOCK
        _lea("rsi", "signals"),
        _zero("edx"),
        _mov("r10d", 8),
        _SYSCALL,
    ]


def _write_amd64(name: str, length: int) -> list[_Line]:
    return [_mov("eax", _X_WRITE), _mov("edi", 1), _lea("rsi", name), _mov("edx", length), _SYSCALL]


# ---- arm64: number in x8, arguments in x0 to x3; -4095 to -1 is an error

_A_WRITE, _A_EXIT, _A_SIGPROCMASK, _A_SIGTIMEDWAIT = 64, 93, 135, 137


def _word(value: int) -> bytes:
    return struct.pack("<I", value)


_SVC = _word(0xD4000001)


def _movz(register: int, value: int) -> bytes:
    """``mov xN, #value``, 16 bits."""
    return _word(0xD2800000 | value << 5 | register)


def _adr(register: int, target: str) -> _Link:
    """The address of `target`, up to 1 MiB away."""
    return _Link(
        target,
        4,
        lambda distance: _word(
            0x10000000 | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5 | register,
        ),
    )


def _branch(target: str) -> _Link:
    return _Link(target, 4, lambda distance: _word(0x14000000 | distance >> 2 & 0x3FFFFFF))


def _branch_lower_or_same(target: str) -> _Link:
    return _Link(target, 4, lambda distance: _word(0x54000009 | (distance >> 2 & 0x7FFFF) << 5))


def _branch_negative(target: str) -> _Link:
    """``tbnz x0, #63``: where the system call failed."""
    return _Link(target, 4, lambda distance: _word(0xB7F80000 | (distance >> 2 & 0x3FFF) << 5))


def _ticking_arm64(lengths: Mapping[str, int]) -> list[_Line]:
    return [
        *_block_signals_arm64(),
        _Label("again"),
        *_write_arm64("line", lengths["line"]),
        _branch_negative("fail"),
        _adr(1, "digit"),
        _Label("carry"),
        _word(0x39400022),  # ldrb w2, [x1]
        _word(0x321C0042),  # orr w2, w2, #0x10: a blank (0x20) becomes '0' (0x30), a digit stays
        _word(0x11000442),  # add w2, w2, #1
        _word(0x39000022),  # strb w2, [x1]
        _word(0x7100E45F),  # cmp w2, #'9'
        _branch_lower_or_same("wait"),
        _word(0x52800602),  # mov w2, #'0'
        _word(0x39000022),  # strb w2, [x1]
        _word(0xD1000421),  # sub x1, x1, #1
        _branch("carry"),
        _Label("wait"),
        _adr(0, "signals"),
        _movz(1, 0),
        _adr(2, "second"),
        _movz(3, 8),
        _movz(8, _A_SIGTIMEDWAIT),
        _SVC,
        _branch_negative("again"),
        *_write_arm64("farewell", lengths["farewell"]),
        _movz(0, 0),
        _branch("exit"),
        _Label("fail"),
        _movz(0, 1),
        _Label("exit"),
        _movz(8, _A_EXIT),
        _SVC,
    ]


def _waiting_arm64() -> list[_Line]:
    return [
        *_block_signals_arm64(),
        _Label("wait"),
        _adr(0, "signals"),
        _movz(1, 0),
        _movz(2, 0),
        _movz(3, 8),
        _movz(8, _A_SIGTIMEDWAIT),
        _SVC,
        _branch_negative("wait"),
        _movz(0, 0),
        _movz(8, _A_EXIT),
        _SVC,
    ]


def _block_signals_arm64() -> list[_Line]:
    return [
        _movz(0, 0),  # SIG_BLOCK
        _adr(1, "signals"),
        _movz(2, 0),
        _movz(3, 8),
        _movz(8, _A_SIGPROCMASK),
        _SVC,
    ]


def _write_arm64(name: str, length: int) -> list[_Line]:
    return [_movz(0, 1), _adr(1, name), _movz(2, length), _movz(8, _A_WRITE), _SVC]


# ---- ELF

_MACHINES = {"amd64": 62, "arm64": 183}
"""e_machine: EM_X86_64 and EM_AARCH64."""

_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_EXECUTE, _WRITE, _READ = 1, 2, 4


def _link(architecture: str, code: Sequence[_Line], data: Mapping[str, bytes]) -> bytes:
    """Settle all distances and put headers, code and data into one ELF file.

    Code is mapped readable and executable, data readable and writable, the
    stack not executable: no page is both written and run.
    """
    entry = _TEXT_ADDRESS + _HEADERS_SIZE
    size = sum(_size(line) for line in code)
    data_offset = -(-(_HEADERS_SIZE + size) // 16) * 16
    data_address = _TEXT_ADDRESS + _SEGMENT_DISTANCE + data_offset
    places = _places(code, entry) | _data_places(data, data_address)
    text = bytearray()
    for line in code:
        if isinstance(line, bytes):
            text += line
        elif isinstance(line, _Link):
            text += line.encode(places[line.target] - (entry + len(text)))
    contents = b"".join(data.values())
    headers = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"),  # 64 bits, little endian, version 1, System V
        2,  # ET_EXEC: loaded where it says
        _MACHINES[architecture],
        1,
        entry,
        64,  # the program headers follow this header
        0,  # and there are no sections
        0,
        64,
        56,
        3,
        0,
        0,
        0,
    )
    headers += _segment(_PT_LOAD, _READ | _EXECUTE, 0, _TEXT_ADDRESS, _HEADERS_SIZE + size)
    headers += _segment(_PT_LOAD, _READ | _WRITE, data_offset, data_address, len(contents))
    headers += _segment(_PT_GNU_STACK, _READ | _WRITE, 0, 0, 0)
    return (headers + bytes(text)).ljust(data_offset, b"\0") + contents


def _segment(kind: int, flags: int, offset: int, address: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, _SEGMENT_DISTANCE)


def _size(line: _Line) -> int:
    if isinstance(line, bytes):
        return len(line)
    return line.size if isinstance(line, _Link) else 0


def _places(code: Sequence[_Line], address: int) -> dict[str, int]:
    places = {}
    for line in code:
        if isinstance(line, _Label):
            places[line.name] = address
        address += _size(line)
    return places


def _data_places(data: Mapping[str, bytes], address: int) -> dict[str, int]:
    places = {}
    for name, contents in data.items():
        places[name] = address
        address += len(contents)
    return places
