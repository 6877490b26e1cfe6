import asyncio
import multiprocessing
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import bindparam, func, insert, select

from sealift.registry.catalog.database import (
    MOST_WRITES_AT_ONCE,
    Catalog,
    CatalogFailed,
    Query,
    Transaction,
    connect,
)
from sealift.registry.catalog.revision import prepare
from sealift.registry.catalog.schema import setting

PUT = Query(insert(setting), columns=("key", "value"))
GET = Query(select(setting.c.value).where(setting.c.key == bindparam("key")))
HELD = Query(select(setting.c.key).where(setting.c.value == "held").order_by(setting.c.key).limit(2))
COUNT = Query(select(func.count()).select_from(setting))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    prepare(tmp_path / "catalog.sqlite3", backups=tmp_path / "backups")
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    with Catalog(path) as opened:
        yield opened


def put(transaction: Transaction, key: str, value: str = "x") -> str:
    transaction.run(PUT, key=key, value=value)
    return key


def putting(key: str) -> Callable[[Transaction], str]:
    return lambda tx: put(tx, key)


def count(catalog: Catalog) -> int:
    row = catalog.first(COUNT)
    assert row is not None
    return int(row[0])


async def test_what_was_written_is_read(catalog: Catalog) -> None:
    assert await catalog.write(lambda tx: put(tx, "a", "1")) == "a"
    assert catalog.first(GET, key="a") == ("1",)
    assert catalog.first(GET, key="b") is None
    assert catalog.all(GET, key="a") == list(catalog.each(GET, key="a")) == [("1",)]


def test_a_statement_holds_its_own_values(catalog: Catalog) -> None:
    catalog.write_now(lambda tx: [put(tx, key, "held") for key in "cab"])
    assert catalog.all(HELD) == [("a",), ("b",)]


async def test_a_write_that_fails_takes_no_other_with_it(catalog: Catalog) -> None:
    started, go_on = threading.Event(), threading.Event()

    def first(tx: Transaction) -> str:
        started.set()
        go_on.wait()
        return put(tx, "first")

    def fails(tx: Transaction) -> None:
        put(tx, "gone")
        raise ValueError("no")

    writes: list[asyncio.Future[str | None]] = [asyncio.ensure_future(catalog.write(first))]
    await asyncio.to_thread(started.wait)
    writes += [
        asyncio.ensure_future(catalog.write(fails)),
        asyncio.ensure_future(catalog.write(lambda tx: put(tx, "second"))),
        asyncio.ensure_future(catalog.write(lambda tx: put(tx, "first"))),
    ]
    await asyncio.sleep(0)
    go_on.set()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[0] == "first"
    assert isinstance(results[1], ValueError)
    assert results[2] == "second"
    assert isinstance(results[3], sqlite3.IntegrityError)
    assert catalog.first(GET, key="gone") is None
    assert count(catalog) == 2


async def test_writes_that_wait_share_a_transaction(catalog: Catalog) -> None:
    statements: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    def first(tx: Transaction) -> str:
        tx._connection.set_trace_callback(statements.append)
        started.set()
        go_on.wait()
        return put(tx, "first")

    writes = [asyncio.ensure_future(catalog.write(first))]
    await asyncio.to_thread(started.wait)
    writes += [asyncio.ensure_future(catalog.write(putting(str(n)))) for n in range(MOST_WRITES_AT_ONCE)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*writes)
    await catalog.write(lambda tx: tx._connection.set_trace_callback(None))
    assert statements.count("COMMIT") == 2
    assert count(catalog) == 1 + MOST_WRITES_AT_ONCE


async def test_a_cancelled_write_is_whole_or_not_there(catalog: Catalog) -> None:
    tasks = [asyncio.create_task(catalog.write(putting(str(n)))) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in results if isinstance(each, str)] == [str(n) for n in range(1, 50, 2)]
    assert count(catalog) >= 25


async def test_a_full_database_is_said_and_goes_on_when_there_is_room(path: Path) -> None:
    with Catalog(path) as catalog:
        await catalog.write(lambda tx: put(tx, "before"))
        limited = await catalog.write(lambda tx: _limit_pages(tx, 1))
        assert limited > 1  # SQLite goes no lower than what is used
        with pytest.raises(CatalogFailed) as failed:
            await catalog.write(lambda tx: put(tx, "large", "x" * 2_000_000))
        assert failed.value.is_full
        assert catalog.first(GET, key="large") is None
        await catalog.write(lambda tx: _limit_pages(tx, 100_000))
        await catalog.write(lambda tx: put(tx, "large", "x" * 2_000_000))
        assert catalog.first(GET, key="before") == ("x",)


async def test_while_the_turn_cannot_be_taken_every_write_is_told(path: Path) -> None:
    turn = path.with_name(path.name + "-turn")
    turn.mkdir()
    with Catalog(path) as catalog:
        for _ in range(2):
            with pytest.raises(CatalogFailed):
                await catalog.write(lambda tx: put(tx, "a"))
        turn.rmdir()
        assert await catalog.write(lambda tx: put(tx, "a")) == "a"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"a letter to my aunt" * 100)
    with pytest.raises(CatalogFailed, match="cannot be used") as failed:
        Catalog(tmp_path / "catalog.sqlite3")
    assert not failed.value.is_full


def _limit_pages(transaction: Transaction, pages: int) -> int:
    row = transaction._connection.execute(f"PRAGMA max_page_count={pages}").fetchone()
    return int(row[0])


async def test_a_durable_write_is_synced_and_another_need_not_be(catalog: Catalog) -> None:
    def synchronous(tx: Transaction) -> int:
        return int(tx._connection.execute("PRAGMA synchronous").fetchone()[0])

    assert await catalog.write(synchronous) == 2
    assert await catalog.write(synchronous, durable=False) == 1
    assert await catalog.write(synchronous) == 2


def test_the_settings_of_a_connection(path: Path) -> None:
    connection = connect(path)
    asked = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")
    }
    connection.close()
    assert asked == {"journal_mode": "wal", "foreign_keys": 1}


def test_closed_is_closed(path: Path) -> None:
    catalog = Catalog(path)
    catalog.write_now(lambda tx: put(tx, "a"))
    catalog.close()
    with pytest.raises(CatalogFailed):
        catalog.write_now(lambda tx: put(tx, "b"))


def _write_many(path: Path, name: str) -> None:
    with Catalog(path) as catalog:
        for n in range(100):
            catalog.write_now(putting(f"{name}-{n}"), durable=False)


def test_processes_take_turns(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write_many, args=(path, name)) for name in ("a", "b", "c")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Catalog(path) as catalog:
        assert count(catalog) == 300
