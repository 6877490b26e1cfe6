from pathlib import Path

import pytest

from sealift.image.digest import Digest
from sealift.registry.blob_store.damage_marks import DamageMarks
from sealift.registry.blob_store.file_stamp import FileStamp

DIGEST = Digest.of(b"one")
OTHER = Digest.of(b"two", "sha512")
STAMP = FileStamp(1, 2, 3, 4, 5)


def test_a_mark_is_seen_by_every_process_and_holds_for_that_file_alone(tmp_path: Path) -> None:
    DamageMarks(tmp_path / "damaged").set(DIGEST, STAMP)
    another = DamageMarks(tmp_path / "damaged")
    assert another.has(DIGEST, STAMP)
    assert not another.has(DIGEST, STAMP._replace(ctime_ns=6))
    assert not another.has(OTHER, STAMP)


def test_what_is_cleared_is_gone(tmp_path: Path) -> None:
    marks = DamageMarks(tmp_path / "damaged")
    marks.set(DIGEST, STAMP)
    marks.set(OTHER, STAMP)
    assert sorted(marks.all()) == sorted([(DIGEST, STAMP), (OTHER, STAMP)])
    assert [marks.clear(DIGEST), marks.clear(DIGEST)] == [True, False]
    assert list(marks.all()) == [(OTHER, STAMP)]


def test_a_disk_that_takes_no_mark_is_no_reason_to_serve_damage(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_text("a file where the directory should be")
    marks = DamageMarks(tmp_path / "damaged")
    marks.set(DIGEST, STAMP)
    assert marks.has(DIGEST, STAMP)
    assert marks.clear(DIGEST)
    assert not marks.has(DIGEST, STAMP)


@pytest.mark.parametrize("content", ["", "1 2 3", "a b c d e", "1 2 3 4 5 6"])
def test_a_file_that_is_no_mark_marks_nothing(tmp_path: Path, content: str) -> None:
    marks = DamageMarks(tmp_path / "damaged")
    marks.set(DIGEST, STAMP)
    next((tmp_path / "damaged").iterdir()).write_text(content)
    assert not marks.has(DIGEST, STAMP)
    assert list(marks.all()) == []
