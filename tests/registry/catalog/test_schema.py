"""The database itself refuses what would dangle, whatever the code above it does."""

import re
import sqlite3
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from tests.registry.scene import REPOSITORY, Scene

from sealift.registry.catalog.database import Query
from sealift.registry.catalog.schema import METADATA

MODULES = (
    "accounts",
    "blob_links",
    "deleted_manifests",
    "manifests",
    "repositories",
    "reviews",
    "tag_history",
    "tag_rules",
    "tags",
    "uploads",
)
SMALL_TABLES = {"setting", "signing_key", "grant_", "principal", "account", "upload"}
"""Tables that may be read from end to end: they grow with what people type in, or are swept."""


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM manifest", id="a manifest under a tag"),
        pytest.param("DELETE FROM blob", id="a blob under a link"),
        pytest.param(
            "INSERT INTO tag VALUES (1, 'x', 'sha256:none', 0, 'x')",
            id="a tag of a manifest that is not there",
        ),
        pytest.param("INSERT INTO blob_link VALUES (1, 'sha256:none', 0)", id="a link to no blob"),
        pytest.param("UPDATE repository SET visibility = 'secret'", id="a visibility that is none"),
    ],
)
async def test_what_the_database_refuses(scene: Scene, statement: str) -> None:
    await scene.push_image("v1")
    with pytest.raises(sqlite3.IntegrityError):
        scene.catalog.write_now(lambda tx: tx._connection.execute(statement))


async def test_an_id_is_never_used_again(scene: Scene) -> None:
    scene.make_repository(REPOSITORY)
    ids = []
    for _ in range(2):
        ids += scene.catalog._connection.execute("SELECT id FROM repository").fetchall()
        scene.catalog.write_now(lambda tx: tx._connection.execute("DELETE FROM repository"))
        scene.make_repository(REPOSITORY)
    assert len(set(ids)) == 2


def _queries() -> list[object]:
    found: list[object] = []
    for module in MODULES:
        for name, value in vars(import_module(f"sealift.registry.catalog.{module}")).items():
            if isinstance(value, Query):
                found.append(pytest.param(value, id=f"{module}.{name}"))
    return found


@pytest.mark.parametrize("query", _queries())
async def test_no_question_reads_a_whole_table(scene: Scene, query: Query) -> None:
    sql, held = query.compiled
    parameters = dict.fromkeys(re.findall(r":(\w+)", sql)) | held
    plan = [row[3] for row in scene.catalog._connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    tables = {table.name for table in METADATA.tables.values()} - SMALL_TABLES
    scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] in tables]
    assert [step for step in scans if "INDEX" not in step] == []


@pytest.mark.parametrize("name", sorted(METADATA.tables))
def test_every_table_can_be_made_on_postgresql(name: str) -> None:
    untyped: Any = postgresql.dialect
    made = str(CreateTable(METADATA.tables[name]).compile(dialect=untyped()))
    assert f"CREATE TABLE {name}" in made
