"""A file has its name when it is whole, and leaves nothing when it is not."""

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest
from tests.client.world import names_in

from sealift.client.errors import LocalRefusal, LocalStorageRefused
from sealift.client.partial_file import PREFIX, WRITE_SIZE, PartialFile, read_slice


async def test_a_file_appears_when_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    async with PartialFile(path) as file:
        await file.write(b"abc")
        await file.write(b"x" * WRITE_SIZE)
        assert not path.exists()
        assert file.position == 3 + WRITE_SIZE
        await file.commit()
    assert path.read_bytes() == b"abc" + b"x" * WRITE_SIZE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names_in(tmp_path) == ["a"]


async def test_what_was_there_stays_until_then(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    async with PartialFile(path) as file:
        await file.write(b"new")
        assert path.read_bytes() == b"old"
        await file.commit()
    assert path.read_bytes() == b"new"


async def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    async def fail() -> None:
        async with PartialFile(tmp_path / "a") as file:
            await file.write(b"x" * WRITE_SIZE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert names_in(tmp_path) == []


async def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with PartialFile(tmp_path / "a") as file:
            await file.write(b"x" * WRITE_SIZE)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    assert "a" not in names_in(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names_in(tmp_path) == []


async def test_a_file_without_a_name_is_gone_with_its_process(tmp_path: Path) -> None:
    async with PartialFile(tmp_path / "a") as file:
        await file.write(b"x" * WRITE_SIZE)
        assert names_in(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
async def test_where_every_file_has_a_name_it_is_another_one(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system_open = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return system_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    path = tmp_path / "a"
    async with PartialFile(path) as file:
        await file.write(b"new")
        (other,) = names_in(tmp_path)
        assert other.startswith(PREFIX)
        await file.commit()
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]
    async with PartialFile(path) as file:
        await file.write(b"newer")
    assert names_in(tmp_path) == ["a"]


async def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    async with PartialFile(tmp_path / "a") as file:
        # The file is open; what it is written to from here on is the device that is always full.
        with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123  a device: opening it does not block
            os.dup2(full.fileno(), file._file.fileno())  # type: ignore[union-attr]  # it is open
        with pytest.raises(LocalStorageRefused) as raised:
            await file.write(b"x" * WRITE_SIZE)
    assert raised.value.exit_status == 7
    assert raised.value.why == "No space left on device"
    assert names_in(tmp_path) == []


async def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalRefusal) as raised:
        await PartialFile(tmp_path / "no" / "a").open()
    assert str(tmp_path / "no" / "a") in str(raised.value)
    assert (raised.value.exit_status, raised.value.hint) == (8, f"mkdir -p {tmp_path / 'no'}")


async def test_a_slice_of_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert [part async for part in read_slice(tmp_path / "a", 2, 5)] == [b"23456"]
    assert [part async for part in read_slice(tmp_path / "a", 8, 5)] == [b"89"]


async def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(LocalRefusal):
            _ = [part async for part in read_slice(path, 0, 1)]
