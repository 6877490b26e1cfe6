import asyncio
import fcntl
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete
from tests.cli.outcomes import damage, files_in
from tests.registry.scene import OTHER, REPOSITORY, Scene, call, open_scene

from sealift.image.digest import Digest
from sealift.registry.backup import BackupRefused, BackupReport, NotABackup, back_up
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.catalog.database import Catalog, Query, Transaction
from sealift.registry.catalog.schema import blob, blob_link
from sealift.registry.data_directory import DataDirectory
from sealift.registry.restore import RestoreReport, restore
from sealift.registry.storage_check import StorageReport, check_storage

LAYER = Digest.of(b"layer ")
Place = Callable[[str], Path]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path / "data") as opened:
        yield opened


@pytest.fixture(params=["directory", "tar"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a backup goes, of either kind."""
    return lambda name: tmp_path / (name if request.param == "directory" else f"{name}.tar")


def data_of(scene: Scene) -> DataDirectory:
    return DataDirectory(scene.catalog.path.parent)


def file_of(scene: Scene, digest: Digest) -> Path:
    assert isinstance(scene.store, FilesystemBlobStore)
    return scene.store.path_of(digest)


def modes(directory: Path) -> set[int]:
    return {path.stat().st_mode & 0o077 for path in [directory, *directory.rglob("*")]}


async def test_what_comes_back_is_what_was_there(scene: Scene, place: Place, tmp_path: Path) -> None:
    await scene.push_image("v1")
    await scene.push_image("v2", OTHER, salt="x")
    (data_of(scene).path / "admin-password").write_text("hunter2")
    report = back_up(data_of(scene), place("backup"))
    assert report == BackupReport(blobs=4, bytes=36, copied_blobs=4, copied_bytes=36)
    assert modes(place("backup")) == {0}  # password hashes and signing keys are in it
    back = DataDirectory(tmp_path / "new" / "place")
    assert restore(place("backup"), back) == RestoreReport(blobs=4, bytes=36)
    assert modes(back.path) == {0}
    assert check_storage(back, deep=True) == StorageReport(deep=True, blobs=4, bytes=36, manifests=2, tags=2)
    assert files_in(back.blobs) == files_in(data_of(scene).blobs)
    assert b"hunter2" not in b"".join(files_in(back.path).values())
    back.prepare()
    with Catalog(back.catalog) as catalog:
        store = FilesystemBlobStore(blobs=back.blobs, uploads=back.uploads)
        again = Scene(catalog=catalog, store=store, clock=scene.clock, limits=scene.limits)
        assert await again.get_manifest("v1") == await scene.get_manifest("v1")
        assert await again.get_manifest("v2", OTHER) == await scene.get_manifest("v2", OTHER)
        await again.push_image("v3", salt="y")
        store.close()


async def test_an_upload_that_is_under_way_is_not_in_it(scene: Scene, place: Place, tmp_path: Path) -> None:
    await scene.uploads.start(call("POST", name=REPOSITORY))
    back_up(data_of(scene), place("backup"))
    back = DataDirectory(tmp_path / "back")
    restore(place("backup"), back)
    with closing(sqlite3.connect(back.catalog)) as raw:
        assert raw.execute("SELECT count(*) FROM upload").fetchone() == (0,)


async def test_a_second_backup_copies_what_is_new_and_drops_what_has_gone(
    scene: Scene, tmp_path: Path
) -> None:
    old = await scene.push_blob(b"old")
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    scene.catalog.write_now(lambda transaction: _forget(transaction, old))
    await scene.push_blob(b"new")
    report = back_up(data_of(scene), tmp_path / "backup")
    assert (report.blobs, report.copied_blobs, report.copied_bytes) == (3, 1, 3)
    kept = files_in(data_of(scene).blobs)
    del kept[str(file_of(scene, old).relative_to(data_of(scene).blobs))]
    assert files_in(tmp_path / "backup" / "blobs") == kept
    assert len(list((tmp_path / "backup").glob("catalog-*"))) == 1
    assert not list((tmp_path / "backup").rglob("*.partial"))


async def test_a_backup_that_has_rotted_is_believed_by_size_and_mended_by_a_deep_one(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    rotten = tmp_path / "backup" / "blobs" / "sha256" / LAYER.encoded[:2] / LAYER.encoded
    damage(rotten)
    assert back_up(data_of(scene), tmp_path / "backup").copied_blobs == 0
    assert back_up(data_of(scene), tmp_path / "backup", deep=True).copied_blobs == 1
    assert rotten.read_bytes() == b"layer "


@pytest.mark.parametrize("harm", ["changed", "short", "missing"])
async def test_a_damaged_blob_is_left_out_and_named_and_a_restore_names_its_images(
    scene: Scene, place: Place, tmp_path: Path, harm: str
) -> None:
    await scene.push_image("v1")
    await scene.push_image("whole", salt="x")
    path = file_of(scene, LAYER)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"lawyer" if harm == "changed" else b"lay")
    report = back_up(data_of(scene), place("backup"))
    assert (report.blobs, report.damaged) == (3, [str(LAYER)])
    # a server beside knows, and a push puts it right
    assert await scene.store.size_of(LAYER) != len(b"layer ")
    back = DataDirectory(tmp_path / "back")
    brought = restore(place("backup"), back)
    assert (brought.blobs, brought.missing, brought.images) == (3, [str(LAYER)], [f"{REPOSITORY}:v1"])
    assert [fault.code for fault in check_storage(back, deep=True).faults] == ["blob-missing"]


async def test_a_blob_that_rotted_in_the_backup_is_not_brought_back(scene: Scene, tmp_path: Path) -> None:
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    damage(tmp_path / "backup" / "blobs" / "sha256" / LAYER.encoded[:2] / LAYER.encoded)
    brought = restore(tmp_path / "backup", DataDirectory(tmp_path / "back"))
    assert brought.missing == [str(LAYER)]
    assert not list((tmp_path / "back" / "blobs").rglob(f"*{LAYER.encoded}*"))


async def test_a_backup_that_was_stopped_leaves_the_one_before_whole(scene: Scene, tmp_path: Path) -> None:
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    document = (tmp_path / "backup" / "backup.json").read_bytes()
    await scene.push_image("v2", salt="x")
    back_up(data_of(scene), tmp_path / "backup")
    # as if it had ended before its last step: the old document, and what comes before it
    (tmp_path / "backup" / "backup.json").write_bytes(document)
    with pytest.raises(NotABackup, match="not all of one"):
        restore(tmp_path / "backup", DataDirectory(tmp_path / "back"))
    back_up(data_of(scene), tmp_path / "backup")
    assert restore(tmp_path / "backup", DataDirectory(tmp_path / "back")).blobs == 4


@pytest.mark.parametrize("cut", [100, 5000, 0.5, 0.99])
async def test_a_file_that_is_not_all_of_a_backup(scene: Scene, tmp_path: Path, cut: float) -> None:
    await scene.push_image("v1")
    await scene.push_blob(os.urandom(300_000))
    back_up(data_of(scene), tmp_path / "backup.tar")
    whole = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "backup.tar").write_bytes(whole[: int(cut if cut > 1 else cut * len(whole))])
    with pytest.raises(NotABackup):
        restore(tmp_path / "backup.tar", DataDirectory(tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert not any(name.startswith(".") for name in files_in(tmp_path))


async def test_a_catalog_that_rotted_in_the_backup(scene: Scene, tmp_path: Path) -> None:
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    (catalog,) = (tmp_path / "backup").glob("catalog-*")
    content = bytearray(catalog.read_bytes())
    content[-1] ^= 1
    catalog.write_bytes(content)
    with pytest.raises(NotABackup, match="is damaged"):
        restore(tmp_path / "backup", DataDirectory(tmp_path / "back"))
    assert not (tmp_path / "back").exists()


async def test_a_backup_of_a_newer_version_is_refused_by_name(scene: Scene, tmp_path: Path) -> None:
    back_up(data_of(scene), tmp_path / "backup")
    document = json.loads((tmp_path / "backup" / "backup.json").read_bytes())
    (tmp_path / "backup" / "backup.json").write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(BackupRefused, match="has format 99"):
        restore(tmp_path / "backup", DataDirectory(tmp_path / "back"))
    (data_of(scene).path / "format").write_text("99\n")
    with pytest.raises(Exception, match="has format 99"):
        back_up(data_of(scene), tmp_path / "another")
    assert not (tmp_path / "another").exists()


async def test_a_restore_overwrites_nothing(scene: Scene, tmp_path: Path) -> None:
    back_up(data_of(scene), tmp_path / "backup")
    before = files_in(data_of(scene).path)
    with pytest.raises(BackupRefused, match="not empty"):
        restore(tmp_path / "backup", data_of(scene))
    assert files_in(data_of(scene).path) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(BackupRefused, match="not empty"):
        restore(tmp_path / "backup", DataDirectory(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "backup", DataDirectory(tmp_path / "empty"))


async def test_what_a_restore_that_was_killed_has_left_is_no_hindrance(scene: Scene, tmp_path: Path) -> None:
    await scene.push_image("v1")
    back_up(data_of(scene), tmp_path / "backup")
    shutil.copytree(data_of(scene).path, tmp_path / ".back.restoring")
    assert restore(tmp_path / "backup", DataDirectory(tmp_path / "back")).blobs == 2
    assert check_storage(DataDirectory(tmp_path / "back"), deep=True).faults == []


async def test_places_that_are_no_place_for_a_backup(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.png").write_bytes(b"meow")
    for wrong in (
        tmp_path / "pictures",
        data_of(scene).path / "backup",
        data_of(scene).path / "b.tar",
        tmp_path,
        tmp_path / "no" / "b.tar",
    ):
        with pytest.raises(BackupRefused):
            back_up(data_of(scene), wrong)
    assert files_in(tmp_path / "pictures") == {"cat.png": b"meow"}


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/passwd", "blobs/sha256/aa/" + "b" * 64, "blobs/md5/aa/" + "a" * 64, "other"]
)
def test_a_tar_with_something_else_in_it_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(NotABackup, match="is no backup"):
        restore(tmp_path / "evil.tar", DataDirectory(tmp_path / "back"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def test_a_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("backup.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(NotABackup):
        restore(tmp_path / "evil.tar", DataDirectory(tmp_path / "back"))


async def test_while_blobs_are_being_deleted_it_waits(scene: Scene, tmp_path: Path) -> None:
    await scene.push_image("v1")
    lock = os.open(data_of(scene).collector_lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    running = asyncio.create_task(asyncio.to_thread(back_up, data_of(scene), tmp_path / "backup"))
    done, _ = await asyncio.wait([running], timeout=0.3)
    assert not done
    os.close(lock)
    assert (await running).blobs == 2


def _forget(transaction: Transaction, digest: Digest) -> None:
    for table in (blob_link, blob):
        transaction.run(Query(delete(table).where(table.c.digest == str(digest))))
