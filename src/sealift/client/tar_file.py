"""Tar files, read by place and written in one go. Nothing is ever extracted by a name.

Reading makes an index of the headers: which name stands at which byte. The
content is then read at its place, so that a member called ``../../etc/passwd``,
an absolute one, a device or a link out of the archive is a key that nobody
asks for, and never a path on this machine (go-containerregistry #2227).

Spec: POSIX.1-2017, pax; GNU tar's long names and base-256 sizes.
"""

import asyncio
import os
import posixpath
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from sealift.client.errors import LocalMalformed, local_refusal
from sealift.client.partial_file import PartialFile, read_slice
from sealift.transport.redaction import printable

BLOCK = 512
MAX_MEMBERS = 100_000
"""Of one archive. An image has some dozens of blobs."""

MAX_EXTENSION = 1024 * 1024
"""Bytes of a pax header or a long name. A larger one is an attack on memory."""

MAX_LINKS = 8
"""Links to links that are followed inside the archive. docker writes one."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member: a file's place, or a link's target."""

    kind: Literal["file", "symlink", "hardlink"]
    start: int
    """The first byte of its content in the archive."""

    size: int
    target: str = ""


class TarFile:
    """An archive that is read."""

    def __init__(self, path: Path, members: Mapping[str, TarMember]) -> None:
        self.path = path
        self._members = members

    @classmethod
    async def open(cls, path: Path) -> "TarFile":
        """Read the headers of an archive.

        Raises:
            LocalNotFound, LocalRefusal: it cannot be opened.
            LocalMalformed: it is no tar file, a compressed one, or damaged.
        """
        try:
            return cls(path, await asyncio.to_thread(_scan, path))
        except OSError as error:
            raise local_refusal(error, path, "read") from error

    def find(self, name: str) -> TarMember | None:
        """The file under a name, through links inside the archive; None where there is none."""
        for _ in range(MAX_LINKS):
            member = self._members.get(name)
            if member is None or member.kind == "file":
                return member
            base = posixpath.dirname(name) if member.kind == "symlink" else ""
            inside = _inside(posixpath.join(base, member.target))
            if inside is None:
                return None
            name = inside
        return None

    def read(self, member: TarMember, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        """The content of a member, or `size` bytes of it from byte `start` on."""
        left = member.size - start
        return read_slice(self.path, member.start + start, left if size is None else min(size, left))

    async def read_small(self, name: str, limit: int) -> bytes | None:
        """A whole member of at most `limit` bytes; None where there is none of this name.

        Raises:
            LocalMalformed: it is longer.
        """
        member = self.find(name)
        if member is None:
            return None
        if member.size > limit:
            raise LocalMalformed(
                f"cannot read {printable(str(self.path))}", why=f"its {name} is longer than {limit} bytes"
            )
        return b"".join([part async for part in self.read(member)])


def _inside(name: str) -> str | None:
    """A name as a key of the index; None for one that leads out of the archive."""
    if name.startswith("/"):
        return None
    normal = posixpath.normpath(name)
    return None if normal == ".." or normal.startswith("../") else normal


def _scan(path: Path) -> dict[str, TarMember]:
    with path.open("rb") as file:
        return _Scanner(file, path).members()


class _Scanner:
    """Walks from header to header."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._end = os.fstat(file.fileno()).st_size
        self._members: dict[str, TarMember] = {}

    def members(self) -> dict[str, TarMember]:
        extended: dict[str, str] = {}
        position, count = 0, 0
        while header := self._header(position):
            count += 1
            if count > MAX_MEMBERS:
                raise self._refusal(f"it has more than {MAX_MEMBERS} members")
            kind, size = header[156:157], self._number(header[124:136])
            content = position + BLOCK
            if kind in b"xLK" and kind:
                extended |= self._extension(kind, content, size)
            elif kind != b"g":
                if "size" in extended and extended["size"].isdecimal():
                    size = int(extended["size"][:18])
                self._enter(header, kind, content, size, extended)
                extended = {}
            position = content + (size + BLOCK - 1) // BLOCK * BLOCK
            if content + size > self._end:
                raise self._refusal("it ends in the middle of a member")
        return self._members

    def _header(self, position: int) -> bytes | None:
        self._file.seek(position)
        header = self._file.read(BLOCK)
        if not header.strip(b"\0"):
            return None  # two empty blocks, or the end of the file, which is as good
        if len(header) < BLOCK or not self._is_header(header):
            for magic, name in _COMPRESSED.items():
                if position == 0 and header.startswith(magic):
                    raise self._refusal(
                        f"it is compressed with {name}", hint=f"uncompress it first, with {name} -d"
                    )
            raise self._refusal("it is no tar file" if position == 0 else "it is damaged")
        return header

    @staticmethod
    def _is_header(header: bytes) -> bool:
        stored = header[148:156].strip(b"\0 ")
        if not stored or stored.strip(b"01234567"):
            return False
        return int(stored, 8) == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])

    def _number(self, field: bytes) -> int:
        if field[0] & 0x80:
            value = int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1  # noqa: PLR2004  GNU's base 256
        else:
            digits = field.strip(b"\0 ")
            value = int(digits, 8) if digits and not digits.strip(b"01234567") else (-1 if digits else 0)
        if not 0 <= value <= self._end:
            raise self._refusal("it holds a size that cannot be")
        return value

    def _extension(self, kind: bytes, content: int, size: int) -> dict[str, str]:
        """What a pax header or a long name says of the member that follows."""
        if size > MAX_EXTENSION:
            raise self._refusal(f"it holds a header of more than {MAX_EXTENSION} bytes")
        self._file.seek(content)
        data = self._file.read(size)
        if kind != b"x":
            text = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            return {"path" if kind == b"L" else "linkpath": text}
        return _pax_records(data)

    def _enter(
        self, header: bytes, kind: bytes, content: int, size: int, extended: Mapping[str, str]
    ) -> None:
        name = extended.get("path") or _name(header)
        target = extended.get("linkpath") or _text(header[157:257])
        inside = _inside(name)
        if inside is None:
            return
        if kind in {b"0", b"\0", b"7"}:
            self._members[inside] = TarMember("file", content, size)
        elif kind == b"1":
            self._members[inside] = TarMember("hardlink", content, 0, target)
        elif kind == b"2":
            self._members[inside] = TarMember("symlink", content, 0, target)

    def _refusal(self, why: str, hint: str | None = None) -> LocalMalformed:
        return LocalMalformed(f"cannot read {printable(str(self._path))}", why=why, hint=hint)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    name = _text(header[0:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _pax_records(data: bytes) -> dict[str, str]:
    """``LENGTH KEY=VALUE`` lines. What is malformed ends the list."""
    records: dict[str, str] = {}
    while data:
        digits, space, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0  # noqa: PLR2004  below the limit anyway
        if not space or not len(digits) < length <= len(data):
            break
        key, _, value = data[len(digits) + 1 : length].rstrip(b"\n").partition(b"=")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return records


class TarWriter:
    """An archive that is written, member after member, into a file that is not yet there under its name."""

    def __init__(self, file: PartialFile) -> None:
        self._file = file
        self._lock = asyncio.Lock()

    async def add(self, name: str, size: int, parts: AsyncIterator[bytes]) -> None:
        """Add a file. Members come one after another, however many tasks call this.

        Raises:
            ValueError: `parts` are not `size` bytes. The archive is worth nothing then.
        """
        async with self._lock:
            await self._file.write(_written_header(name, size))
            start = self._file.position
            async for part in parts:
                await self._file.write(part)
            if self._file.position - start != size:
                raise ValueError("the content is not as long as the header says")
            await self._file.write(b"\0" * (-size % BLOCK))

    async def add_bytes(self, name: str, data: bytes) -> None:
        """Add a small file."""
        await self.add(name, len(data), _once(data))

    async def finish(self) -> None:
        """End the archive, and give it its name."""
        async with self._lock:
            await self._file.write(b"\0" * (2 * BLOCK))
            await self._file.commit()


def _written_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
