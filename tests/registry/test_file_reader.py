import os
from pathlib import Path

import pytest

from sealift.registry.file_reader import PIECE_BYTES, FileReader


@pytest.fixture
def content() -> bytes:
    return os.urandom(2 * PIECE_BYTES + 5)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "blob"
    file.write_bytes(content)
    return file


async def _read_all(reader: FileReader, start: int, stop: int) -> bytes:
    read = b""
    while start + len(read) < stop:
        piece = await reader.read(start + len(read), stop - start - len(read))
        assert 0 < len(piece) <= PIECE_BYTES
        read += piece
    return read


@pytest.mark.parametrize("start", [0, 1, PIECE_BYTES, PIECE_BYTES + 3])
async def test_what_is_in_the_file_is_read(path: Path, content: bytes, start: int) -> None:
    with FileReader(path) as reader:
        assert reader.size == len(content)
        assert await _read_all(reader, start, len(content)) == content[start:]
        assert await reader.read(len(content), 10) == b""


async def test_what_is_not_in_the_page_cache_is_read_too(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    with FileReader(path) as reader:
        assert await _read_all(reader, 0, len(content)) == content


async def test_a_file_system_that_cannot_tell_is_read_anyway() -> None:
    """/proc knows no RWF_NOWAIT."""
    with FileReader(Path("/proc/version")) as reader:
        assert await reader.read(0, 5) == b"L"  # it says that it has no bytes, so one is looked at


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileReader(tmp_path / "missing")
