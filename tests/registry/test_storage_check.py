import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import bindparam, delete, update
from tests.registry.scene import OTHER, REPOSITORY, Scene, call, index_of, open_scene, refused

from sealift.image.digest import Digest
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.catalog.database import CatalogFailed, Query
from sealift.registry.catalog.revision import CatalogTooNew
from sealift.registry.catalog.schema import blob_link, manifest
from sealift.registry.data_directory import DataDirectory
from sealift.registry.storage_check import Fault, StorageReport, check_storage

LAYER = Digest.of(b"layer ")
HOUR = 3601


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path / "data") as opened:
        yield opened


def check(scene: Scene, *, deep: bool = True) -> StorageReport:
    return check_storage(DataDirectory(scene.catalog.path.parent), deep=deep)


def only(report: StorageReport) -> Fault:
    (fault,) = report.faults
    return fault


@contextmanager
def open_raw(path: Path) -> Iterator[sqlite3.Connection]:
    """The database without our rules."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def file_of(scene: Scene, digest: Digest) -> Path:
    assert isinstance(scene.store, FilesystemBlobStore)
    return scene.store.path_of(digest)


def change(scene: Scene, query: Query, **parameters: object) -> None:
    scene.catalog.write_now(lambda transaction: transaction.run(query, **parameters))


@pytest.mark.parametrize("deep", [True, False])
async def test_what_is_whole(scene: Scene, deep: bool) -> None:
    await scene.push_image("v1")
    await scene.push_image("v2", salt="x")
    assert check(scene, deep=deep) == StorageReport(deep=deep, blobs=4, bytes=36, manifests=2, tags=2)


@pytest.mark.parametrize(
    ("instead", "code"),
    [
        pytest.param(None, "blob-missing", id="missing"),
        pytest.param(b"lay", "blob-size", id="short"),
        pytest.param(b"lawyer", "blob-changed", id="changed"),
    ],
)
async def test_a_damaged_blob_names_its_images_and_what_mends_them(
    scene: Scene, instead: bytes | None, code: str
) -> None:
    await scene.push_image("v1")
    await scene.push_image("v1", OTHER)
    await scene.push_image("unconcerned", salt="x")
    file_of(scene, LAYER).unlink()
    if instead is not None:
        file_of(scene, LAYER).write_bytes(instead)
    fault = only(check(scene))
    assert (fault.code, fault.digest) == (code, str(LAYER))
    assert fault.repositories == (REPOSITORY, OTHER)
    assert fault.images == (f"{REPOSITORY}:v1", f"{OTHER}:v1")
    assert fault.mend == f"sealift push SOURCE REGISTRY/{REPOSITORY}:v1"
    # the server says that it has not got it, so that the push sends it
    asked = call("HEAD", name=REPOSITORY, digest=str(LAYER))
    assert await refused(scene.blobs.get(asked)) == ("BLOB_UNKNOWN", 404)
    await scene.push_image("v1")
    assert check(scene).faults == []


async def test_only_a_deep_check_reads_and_what_it_found_every_check_knows(scene: Scene) -> None:
    await scene.push_image("v1")
    file_of(scene, LAYER).write_bytes(b"lawyer")
    assert check(scene, deep=False).faults == []
    assert only(check(scene)).code == "blob-changed"
    assert only(check(scene, deep=False)).code == "blob-changed"


async def test_an_image_inside_an_index_is_named_by_the_tag_of_the_index(scene: Scene) -> None:
    child = json.dumps(await scene.image()).encode()
    await scene.push_manifest(child)
    await scene.push_manifest(index_of(Digest.of(child), size=len(child)), "multi")
    file_of(scene, LAYER).unlink()
    assert only(check(scene)).images == (f"{REPOSITORY}:multi",)


async def test_a_damaged_blob_that_no_image_needs(scene: Scene) -> None:
    digest = await scene.push_blob(b"alone")
    file_of(scene, digest).unlink()
    assert only(check(scene)).mend.startswith("no image needs it; ")
    change(scene, Query(delete(blob_link)))
    assert only(check(scene)).mend == "no repository has it: there is nothing to do"


async def test_a_rotten_manifest(scene: Scene) -> None:
    digest = await scene.push_image("v1")
    change(scene, Query(update(manifest).values(body=bindparam("rotten"))), rotten=b"{}")
    fault = only(check(scene, deep=False))
    assert (fault.code, fault.digest, fault.images) == (
        "manifest-changed",
        str(digest),
        (f"{REPOSITORY}:v1",),
    )


async def test_a_manifest_without_one_of_its_parts(scene: Scene) -> None:
    await scene.push_image("v1")
    change(scene, Query(delete(blob_link).where(blob_link.c.digest == str(LAYER))))
    fault = only(check(scene))
    assert (fault.code, fault.digest, fault.images) == ("part-missing", str(LAYER), (f"{REPOSITORY}:v1",))


async def test_rows_that_the_rules_of_the_catalog_do_not_allow(scene: Scene) -> None:
    await scene.push_image("v1")
    with open_raw(scene.catalog.path) as raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("DELETE FROM manifest")
        raw.execute("DELETE FROM blob")
    codes = [fault.code for fault in check(scene).faults]
    assert codes.count("link-without-blob") == 2
    assert codes.count("tag-without-manifest") == 1
    assert "catalog-damaged" in codes


async def test_files_without_a_row_do_no_harm_and_are_counted_once_they_are_old(scene: Scene) -> None:
    digest = await scene.push_blob(b"kept")
    strange = file_of(scene, digest).with_name("README.txt")
    strange.write_text("somebody's")
    left = file_of(scene, Digest.of(b"left"))
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"left")
    assert check(scene).garbage_files == 0
    for path in (strange, left, file_of(scene, digest)):
        old = path.stat().st_mtime - HOUR
        os.utime(path, (old, old))
    report = check(scene)
    assert (report.faults, report.garbage_files, report.garbage_bytes) == ([], 2, 14)


async def test_a_catalog_with_rotten_pages(scene: Scene, tmp_path: Path) -> None:
    for n in range(40):
        await scene.push_image(f"v{n}", salt=str(n))
    with open_raw(scene.catalog.path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "copy"
    shutil.copytree(scene.catalog.path.parent, copy)
    rotten = bytearray((copy / "catalog.sqlite3").read_bytes())
    for page in range(0, len(rotten), 4096):
        if b'"layers"' in rotten[page : page + 4096]:
            rotten[page : page + 512] = b"\xa5" * 512
    (copy / "catalog.sqlite3").write_bytes(rotten)
    report = check_storage(DataDirectory(copy), deep=False)
    assert {fault.code for fault in report.faults} >= {"catalog-damaged"}


def test_a_file_that_is_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"nothing like it" * 100)
    with pytest.raises(CatalogFailed):
        check_storage(DataDirectory(tmp_path), deep=False)


def test_a_catalog_of_another_version_is_refused_by_name(scene: Scene) -> None:
    for revision, kind in (("9999", CatalogTooNew), ("0000", CatalogTooNew)):
        with open_raw(scene.catalog.path) as raw:
            raw.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(kind, match=revision):
            check(scene)
