import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.util import CommandError

from sealift.registry.catalog.revision import CatalogTooNew, prepare
from sealift.registry.catalog.schema import HEAD, REVISIONS
from sealift.registry.catalog.upgrade import upgrade


def shape(path: Path) -> dict[str, object]:
    """Everything about a database's tables that a statement could notice."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
            )
        ]
        found: dict[str, object] = {}
        for table in tables:
            indexes = {
                row[1]: (row[2:], connection.execute(f"PRAGMA index_xinfo('{row[1]}')").fetchall())
                for row in connection.execute(f"PRAGMA index_list('{table}')")
            }
            (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            found[table] = (
                connection.execute(f"PRAGMA table_info('{table}')").fetchall(),
                sorted(row[1:] for row in connection.execute(f"PRAGMA foreign_key_list('{table}')")),
                indexes,
                ("AUTOINCREMENT" in sql, "WITHOUT ROWID" in sql, sql.count("CHECK")),
            )
        return found


def test_a_new_database_has_the_shape_that_all_revisions_make(tmp_path: Path) -> None:
    made, upgraded = tmp_path / "made.sqlite3", tmp_path / "upgraded.sqlite3"
    assert prepare(made, backups=tmp_path / "backups") is None
    upgrade(upgraded)
    assert shape(made) == shape(upgraded)
    assert REVISIONS[-1] == HEAD


def test_a_current_one_is_left_alone_and_without_alembic(tmp_path: Path) -> None:
    prepare(tmp_path / "catalog.sqlite3", backups=tmp_path / "backups")
    script = (
        "import sys; from pathlib import Path; from sealift.registry.catalog.revision import prepare;"
        f"path = Path({str(tmp_path)!r});"
        "assert prepare(path / 'catalog.sqlite3', backups=path / 'backups') is None;"
        "print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
    assert not (tmp_path / "backups").exists()


def test_a_newer_one_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    prepare(path, backups=tmp_path / "backups")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogTooNew, match="revision 9999") as refused:
        prepare(path, backups=tmp_path / "backups")
    assert refused.value.exit_status == 8
    assert refused.value.hint


def test_an_older_one_is_copied_before_it_is_upgraded(tmp_path: Path) -> None:
    """There is no older revision yet: one is made up, which Alembic then says it does not know."""
    path = tmp_path / "catalog.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0000')")
        connection.execute("CREATE TABLE old (fact TEXT)")
        connection.execute("INSERT INTO old VALUES ('kept')")
    with pytest.raises(CommandError, match="0000"):
        prepare(path, backups=tmp_path / "backups", known=("0000", *REVISIONS))
    copy = tmp_path / "backups" / "catalog-0000.sqlite3"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT fact FROM old").fetchall() == [("kept",)]
    assert copy.stat().st_mode & 0o777 == 0o600
