"""What a real server asked of the system, from a log of strace; and what a power cut would leave of it.

The model is as hard as POSIX allows. Until its file is synced, each write is
there or not or torn at a sector, whatever came before or after it; until its
directory is synced, each change of a name is there or not. A sync counts for
what had returned before it was called, and from when it returns. One mercy: a
rename is whole or not at all, though the old name may stay beside the new one.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

TRACED = (
    "openat,mkdir,write,pwrite64,pwritev,pwritev2,ftruncate,fallocate,rename,renameat,renameat2,"
    "unlink,unlinkat,link,linkat,fsync,fdatasync,sendto,writev,sendmsg,msync,sync_file_range"
)

SECTOR = 512

_LINE = re.compile(rb"(\d+) +(\w+)\((.*)$", re.DOTALL)
_REST = re.compile(rb"(\d+) +<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_RESULT = re.compile(rb"\) += (-?\d+)(?:<.*>)?(?: E\w+ .*)?$", re.DOTALL)
_TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BUFFER = re.compile(rb'iov_base="((?:[^"\\]|\\.)*)"', re.DOTALL)
_FILE = re.compile(rb"^\d+<([^>]*)>")


def strace(log: Path) -> tuple[str, ...]:
    """The command line that runs a program and writes what it asks into `log`."""
    shown = ("-f", "-yy", "-qq", "-v", "-s", "100000000", "-e", "signal=none")
    return ("strace", *shown, "-e", f"trace={TRACED}", "-o", str(log))


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call that did not fail: when it was begun and had returned, as places in the log."""

    name: str
    begun: int
    returned: int
    file: str
    """The file or the connection of its first argument, if that is open."""
    texts: tuple[bytes, ...]
    """Its paths or its bytes."""
    number: int
    """Its last numeric argument: where it writes, or to what size it cuts."""
    flags: bytes


def read_log(log: Path) -> list[SystemCall]:
    """All calls, in the order in which they were begun."""
    open_calls: dict[bytes, tuple[int, bytes, bytes]] = {}
    found = []
    for place, line in enumerate(log.read_bytes().split(b"\n")):
        if rest := _REST.match(line):
            began, name, arguments = open_calls.pop(rest[1])
            arguments += rest[3]
        elif begin := _LINE.match(line):
            began, name, arguments = place, begin[2], begin[3]
            if arguments.endswith(b" <unfinished ...>"):
                open_calls[begin[1]] = (began, name, arguments.removesuffix(b" <unfinished ...>"))
                continue
        else:
            continue
        result = _RESULT.search(arguments)
        if result is None or int(result[1]) < 0:
            continue
        found.append(_call(name.decode(), began, place, arguments[: result.start()], int(result[1])))
    return sorted(found, key=lambda call: call.begun)


def _call(name: str, begun: int, returned: int, arguments: bytes, result: int) -> SystemCall:
    file = _FILE.match(arguments)
    texts = tuple(map(_plain, (_BUFFER if b"iov_base=" in arguments else _TEXT).findall(arguments)))
    outside = _TEXT.sub(b"", arguments)
    numbers = re.findall(rb", (\d+)(?=,|$)", outside)
    number = int(numbers[-1]) if numbers else 0
    if name == "pwritev2":  # descriptor, buffers, how many, where, flags
        number = int(re.findall(rb"\], \d+, (\d+), ", outside)[-1])
    if name in {"write", "pwrite64", "pwritev", "pwritev2"}:
        assert sum(map(len, texts)) == result, (name, "a short write")
    return SystemCall(name, begun, returned, file[1].decode() if file else "", texts, number, outside)


def _plain(shown: bytes) -> bytes:
    """The bytes that strace shows as a literal of C."""
    if b"\\" not in shown:
        return shown
    literal = ast.literal_eval('b"' + shown.decode("ascii") + '"')
    assert isinstance(literal, bytes)
    return literal


# ------------------------------------------------------------------ the disk


@dataclass(slots=True)
class File:
    """A file or a directory, by whatever name."""

    is_directory: bool = False
    writes: list["Write"] = field(default_factory=list)
    syncs: list[tuple[int, int]] = field(default_factory=list)
    length: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place; or, where `content` is None, a cut to the size `offset`."""

    begun: int
    returned: int
    offset: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Naming:
    """A change of names: from now on `target` stands for `file`, or for nothing, and `source` for nothing."""

    begun: int
    returned: int
    target: str
    file: File | None
    source: str | None = None


class Disk:
    """A directory as the system calls made it, at any moment and after a power cut at any moment."""

    def __init__(self, root: Path, calls: list[SystemCall]) -> None:
        """Follow the calls that concern what is below `root`, which was empty."""
        self._root = str(root)
        self.names: dict[str, File] = {self._root: File(is_directory=True)}
        self.ever: dict[str, File] = {}
        """The last file that each path stood for, also where it is gone."""
        self.namings: list[Naming] = []
        self.files: list[File] = []
        self.moments: list[int] = []
        """Places in the log right after something changed or was synced. Of writes in a row to one
        file there is the last, since those before it are states that tearing reaches."""
        last = ""
        for call in calls:
            if self._follow(call):
                written = call.file if "write" in call.name else ""
                if written and written == last:
                    self.moments.pop()
                self.moments.append(call.returned + 1)
                last = written

    def _is_here(self, path: str) -> bool:
        # SQLite makes the one anew, and the other holds room and no bytes: a server starts with it or without.
        return path.startswith(self._root + "/") and not path.endswith(("-shm", "/reserve"))

    def _follow(self, call: SystemCall) -> bool:
        paths = [text.decode() for text in call.texts] if not call.file else []
        match call.name:
            case "openat" if b"O_CREAT" in call.flags and self._is_here(path := call.texts[0].decode()):
                assert b"O_TRUNC" not in call.flags or path not in self.names, "a file cut on opening"
                if path in self.names:
                    return False
                self._make(call, path, File())
            case "mkdir" if self._is_here(path := paths[0]):
                self._make(call, path, File(is_directory=True))
            case "rename" if self._is_here(paths[1]):
                source, target = paths
                moved = self.names.pop(source)
                self.names[target] = self.ever[target] = moved
                self.namings.append(Naming(call.begun, call.returned, target, moved, source))
            case "unlink" if self._is_here(path := paths[0]):
                del self.names[path]
                self.namings.append(Naming(call.begun, call.returned, path, None))
            case "write" | "pwrite64" | "pwritev" | "pwritev2" if self._is_here(call.file):
                file, content = self.names[call.file], b"".join(call.texts)
                offset = file.length if call.name == "write" else call.number
                file.length = max(file.length, offset + len(content))
                file.writes.append(Write(call.begun, call.returned, offset, content))
            case "ftruncate" if self._is_here(call.file):
                file = self.names[call.file]
                file.length = call.number
                file.writes.append(Write(call.begun, call.returned, call.number, None))
            case "fsync" | "fdatasync" if call.file == self._root or self._is_here(call.file):
                if call.file not in self.names:
                    return False
                self.names[call.file].syncs.append((call.begun, call.returned))
            case "sendto" | "sendmsg" | "writev" | "openat" | "write" | "fsync" | "fdatasync":
                return False
            case (
                "pwrite64"
                | "pwritev"
                | "pwritev2"
                | "ftruncate"
                | "fallocate"
                | "mkdir"
                | "unlink"
                | "rename"
            ):
                assert not self._is_here(call.file), call
                return False
            case _:
                assert not any(map(self._is_here, [call.file, *paths])), f"not in the model: {call}"
                return False
        return True

    def _make(self, call: SystemCall, path: str, file: File) -> None:
        self.names[path] = self.ever[path] = file
        self.files.append(file)
        self.namings.append(Naming(call.begun, call.returned, path, file))

    def _is_name_synced(self, naming: Naming, moment: int) -> bool:
        directory = self._directory(naming.target)
        return directory is not None and _is_synced(directory, naming, moment)

    def _directory(self, path: str) -> File | None:
        parent = path.rpartition("/")[0]
        return self.names.get(parent)  # directories are never removed here

    def after_power_cut(self, moment: int, keep: "Keep") -> dict[str, bytes | None]:
        """Every path with its bytes, None for a directory, where `keep` decides what no sync has secured."""
        names: dict[str, File] = {}
        for naming in self.namings:
            if naming.begun >= moment:
                continue
            synced = self._is_name_synced(naming, moment)
            if not synced and not keep.name():
                continue
            if naming.file is None:
                names.pop(naming.target, None)
                continue
            names[naming.target] = naming.file
            if naming.source is not None and (keep.whole_renames or not keep.both_names()):
                names.pop(naming.source, None)
        found: dict[str, bytes | None] = {}
        for path, file in sorted(names.items()):
            parent = path.rpartition("/")[0]
            if parent != self._root and parent not in found:
                continue  # its directory is not there
            found[path] = None if file.is_directory else _content(file, moment, keep)
        return found


def _is_synced(file: File, change: Write | Naming, moment: int) -> bool:
    return any(change.returned < begun and returned < moment for begun, returned in file.syncs)


def _content(file: File, moment: int, keep: "Keep") -> bytes:
    content = bytearray()
    for write in file.writes:
        if write.begun >= moment:
            continue
        share = 1.0 if _is_synced(file, write, moment) else keep.share()
        if share == 0:
            continue
        if write.content is None:
            del content[write.offset :]
            content.extend(bytes(write.offset - len(content)))
            continue
        length = len(write.content)
        if share < 1:
            length = min(length, int(length * share) // SECTOR * SECTOR)
        if len(content) < write.offset:
            content.extend(bytes(write.offset - len(content)))
        content[write.offset : write.offset + length] = write.content[:length]
    return bytes(content)


class Keep:
    """What of the unsynced is kept: all, nothing, or what chance says."""

    def __init__(self, part: float, random: Random | None = None) -> None:
        self._part = part
        self._random = random
        self.whole_renames = random is None

    def name(self) -> bool:
        return self._part == 1 if self._random is None else self._random.random() < self._part

    def share(self) -> float:
        """How much of a write: all, nothing, or it is torn."""
        if self._random is None:
            return self._part
        kept = self._random.random() < self._part
        if self._random.random() < 0.3:
            return self._random.random()
        return float(kept)

    def both_names(self) -> bool:
        return self._random is not None and self._random.random() < 0.3
