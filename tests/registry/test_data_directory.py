import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.registry.data_directory import FORMAT, DataDirectory, DataDirectoryRefused


def test_a_new_directory(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "deep" / "data")
    with data.lock():
        data.prepare()
    assert sorted(each.name for each in data.path.iterdir()) == [
        "blobs",
        "catalog.sqlite3",
        "format",
        "lock",
        "reserve",
        "uploads",
    ]
    assert (data.path / "format").read_text() == f"{FORMAT}\n"
    assert data.path.stat().st_mode & 0o777 == 0o700
    data.prepare()


def test_a_second_owner_is_refused_by_name(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    with data.lock():
        with pytest.raises(DataDirectoryRefused, match=f"process {os.getpid()}") as refused:
            data.lock()
        assert refused.value.exit_status == 8
        script = (
            "from pathlib import Path; from sealift.registry.data_directory import *\n"
            f"try: DataDirectory(Path({str(tmp_path)!r})).lock()\n"
            "except DataDirectoryRefused as refused: print(refused)"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert f"process {os.getpid()}" in ran.stdout
    with data.lock():
        pass


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    script = (
        "import os; from pathlib import Path; from sealift.registry.data_directory import *\n"
        f"DataDirectory(Path({str(tmp_path)!r})).lock(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    with DataDirectory(tmp_path).lock():
        pass


@pytest.mark.parametrize("written", [f"{FORMAT + 1}\n", "999"])
def test_a_newer_format_is_refused_by_name(tmp_path: Path, written: str) -> None:
    (tmp_path / "format").write_text(written)
    with pytest.raises(DataDirectoryRefused, match=f"format {written.strip()}"):
        DataDirectory(tmp_path).prepare()
    assert [each.name for each in tmp_path.iterdir()] == ["format"]


def test_what_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("hello")
    with pytest.raises(DataDirectoryRefused, match="number"):
        DataDirectory(tmp_path).prepare()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataDirectoryRefused, match="cannot be used") as refused:
        DataDirectory(tmp_path / "data").lock()
    assert "File exists" in str(refused.value.why)


def test_a_lock_that_made_the_directory_can_leave_no_trace(tmp_path: Path) -> None:
    made = DataDirectory(tmp_path / "new")
    with made.lock() as lock:
        lock.unmake()
    assert not made.path.exists()
    (tmp_path / "mine").mkdir()
    with DataDirectory(tmp_path / "mine").lock() as lock:
        lock.unmake()
    assert (tmp_path / "mine" / "lock").exists()
