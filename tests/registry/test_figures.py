"""What is stored, counted beside the registry."""

import asyncio
from pathlib import Path

from tests.registry.scene import NOON, Scene, call

from sealift.registry.catalog.database import connect
from sealift.registry.figures import PIECE_ROWS, LatestFigures, count


async def test_what_is_counted(scene: Scene) -> None:
    await scene.push_image("v1", "a/b", salt="1")
    await scene.push_image("v1", "a/c", salt="1")
    await scene.push_image("v2", "a/c", salt="2")
    await scene.uploads.start(call("POST", name="a/b"))
    found = await asyncio.to_thread(count, scene.catalog.path)
    bodies = [f'{{"salt":"{salt}"}}' for salt in "12"] + [f"layer {salt}" for salt in "12"]
    assert (found.repositories, found.manifests, found.uploads_open) == (2, 3, 1)
    assert (found.blobs, found.blob_bytes) == (4, sum(map(len, bodies)))
    assert found.catalog_bytes >= scene.catalog.path.stat().st_size


async def test_they_are_counted_once_in_a_while(scene: Scene) -> None:
    now = [1000.0]
    latest = LatestFigures(scene.catalog.path, clock=lambda: now[0])
    first = await latest.get(patience_seconds=30)
    assert first is not None
    assert first.blobs == 0
    await scene.push_blob(b"one")
    now[0] += 29.0
    assert await latest.get(patience_seconds=30) is first
    now[0] += 2.0
    second = await latest.get(patience_seconds=30)
    assert second is not None
    assert second.blobs == 1


async def test_a_catalog_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"no database, and long enough to tell" * 100)
    assert await LatestFigures(tmp_path / "catalog.sqlite3").get(patience_seconds=30) is None


def test_the_pieces_of_a_large_table_are_all_of_it(scene: Scene) -> None:
    """More repositories, blobs and manifests than two pieces hold."""
    many = 2 * PIECE_ROWS + 17
    connection = connect(scene.catalog.path)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO blob (digest, size, created_at) VALUES (?, 3, 0)",
        ((f"sha256:{number:064x}",) for number in range(many)),
    )
    connection.executemany(
        "INSERT INTO repository (name, created_at, created_by) VALUES (?, 0, 'x')",
        ((f"r{number}",) for number in range(many)),
    )
    connection.execute("COMMIT")
    connection.close()
    found = count(scene.catalog.path, now=lambda: NOON)
    assert (found.blobs, found.blob_bytes, found.repositories, found.at) == (many, 3 * many, many, NOON)
