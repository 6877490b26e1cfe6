from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealift.registry.access.audit_trail import MAX_FIELD_CHARACTERS, MOST_ANONYMOUS, MOST_WAITING, AuditTrail
from sealift.registry.catalog.database import Catalog
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exchange import Principal


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    data = DataDirectory(tmp_path / "data")
    with data.lock():
        data.prepare()
        with Catalog(data.catalog, now=lambda: 77) as opened:
            yield opened


def _rows(catalog: Catalog) -> list[tuple[Any, ...]]:
    return catalog._connection.execute(
        "SELECT at, principal_id, principal, action, repository, outcome, detail FROM audit ORDER BY id"
    ).fetchall()


async def test_rows_wait_and_are_written_together(catalog: Catalog) -> None:
    trail = AuditTrail(catalog)
    trail.denied("ashok", "pull", "apps/web", "no grant")
    trail.changed(Principal(id=1, name="admin"), "account.add", "", "ashok")
    assert _rows(catalog) == []
    await trail.close()
    assert _rows(catalog) == [
        (77, None, "ashok", "pull", "apps/web", "denied", "no grant"),
        (77, 1, "admin", "account.add", None, "allowed", "ashok"),
    ]


async def test_nobody_in_particular_fills_no_disk_and_pushes_nobody_out(catalog: Catalog) -> None:
    trail = AuditTrail(catalog)
    for _ in range(MOST_WAITING):
        trail.denied("anonymous", "pull", "apps/web", "not in the token or not held")
    trail.denied("mallory", "pull", "apps/web", "no grant")
    await trail.close()
    rows = _rows(catalog)
    assert [row[2] for row in rows] == [*["anonymous"] * MOST_ANONYMOUS, "mallory", ""]
    assert rows[-1][-1] == f"{MOST_WAITING - MOST_ANONYMOUS} more were not written"


async def test_a_flood_is_counted_and_not_kept(catalog: Catalog) -> None:
    trail = AuditTrail(catalog)
    for _ in range(MOST_WAITING + 7):
        trail.denied("mallory", "pull", "apps/web", "no grant")
    await trail.close()
    rows = _rows(catalog)
    assert len(rows) == MOST_WAITING + 1
    assert rows[-1][-1] == "7 more were not written"


async def test_what_a_stranger_sends_is_cut_and_harmless(catalog: Catalog) -> None:
    trail = AuditTrail(catalog)
    trail.denied("\x1b[31m" + "x" * 10_000, "pull", "a\nb", "no\x00grant")
    await trail.close()
    ((_, _, name, _, repository, _, detail),) = _rows(catalog)
    assert (len(name), name.isprintable()) == (MAX_FIELD_CHARACTERS, True)
    assert (repository, detail) == ("a�b", "no�grant")


async def test_nothing_is_written_where_nothing_happened(catalog: Catalog) -> None:
    await AuditTrail(catalog).close()
    assert _rows(catalog) == []
