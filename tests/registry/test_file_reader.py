import os
from pathlib import Path

import pytest

from sealift.registry.file_reader import LEAST_PIECE_BYTES, MOST_PIECE_BYTES, TOGETHER_BYTES, FileReader


@pytest.fixture
def content() -> bytes:
    return os.urandom(2 * MOST_PIECE_BYTES + 5)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "blob"
    file.write_bytes(content)
    return file


async def _read_all(reader: FileReader, start: int, stop: int) -> bytes:
    read = b""
    while start + len(read) < stop:
        piece = await reader.read(start + len(read), stop - start - len(read))
        assert 0 < len(piece) <= MOST_PIECE_BYTES
        read += piece
    return read


@pytest.mark.parametrize("start", [0, 1, MOST_PIECE_BYTES, MOST_PIECE_BYTES + 3])
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
        assert await reader.read(0, 5) == b"Linux"


async def test_many_readers_read_less_at_a_time(path: Path) -> None:
    readers = [FileReader(path) for _ in range(TOGETHER_BYTES // LEAST_PIECE_BYTES)]
    assert len(await readers[0].read(0, MOST_PIECE_BYTES)) == LEAST_PIECE_BYTES
    for reader in readers:
        reader.close()
    with FileReader(path) as alone:
        assert len(await alone.read(0, MOST_PIECE_BYTES)) == MOST_PIECE_BYTES


async def test_what_was_read_stays_what_it_was_when_another_reads(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 100)
    (tmp_path / "b").write_bytes(b"b" * 100)
    with FileReader(tmp_path / "a") as first, FileReader(tmp_path / "b") as second:
        one = await first.read(0, 100)
        two = await second.read(0, 100)
    assert (one, two) == (b"a" * 100, b"b" * 100)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileReader(tmp_path / "missing")
