"""Which shape the database on the disk has, and bringing it to the one this code knows.

The usual start costs one read: the revision is the one expected. Alembic is
imported only where there is something to upgrade.
"""

import importlib
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from sealift.errors import SealiftError
from sealift.registry.catalog.database import connect
from sealift.registry.catalog.schema import HEAD, METADATA, REVISIONS


class CatalogTooNew(SealiftError):
    """The database was written by a newer Sealift; this one would not know what it overlooks."""

    exit_status = 8


def prepare(path: Path, *, backups: Path, known: Collection[str] = REVISIONS) -> Path | None:
    """Make the database at `path` ready for this code: create it, upgrade it, or see that it is current.

    One process does this, before any other opens the database.

    Args:
        path: The SQLite file; its directory exists.
        backups: The directory that gets a copy before an upgrade.
        known: The revisions that can be upgraded from.

    Returns:
        The backup that was made, if an older database was upgraded.

    Raises:
        CatalogTooNew: The database is newer than this code.
    """
    with closing(connect(path)) as connection:
        found = revision_of(connection)
        if found == HEAD:
            return None
        if found is None:
            _create(connection)
            return None
        if found not in known:
            raise too_new(path, found)
        backups.mkdir(mode=0o700, exist_ok=True)
        copy = backups / f"{path.stem}-{found}.sqlite3"
        _back_up(connection, copy)
    importlib.import_module("sealift.registry.catalog.upgrade").upgrade(path)
    return copy


def too_new(path: Path, found: str) -> CatalogTooNew:
    """The refusal of a catalog with a revision that is not known here."""
    return CatalogTooNew(
        f"the catalog {path} has revision {found}, which this Sealift does not know",
        why=f"it was written by a newer Sealift; this one knows revisions up to {HEAD}",
        hint="start the newer Sealift, or restore a backup made with this one",
    )


def revision_of(connection: sqlite3.Connection) -> str | None:
    """The revision the database says it has, or None for an empty database."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in tables:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _create(connection: sqlite3.Connection) -> None:
    """Make every table, as running all revisions would, in one transaction."""
    dialect = sqlite.dialect()
    connection.execute("BEGIN IMMEDIATE")
    for table in METADATA.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    connection.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    connection.execute("COMMIT")


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    """A whole copy of the database at `copy`, under its final name only once it is whole."""
    partial = copy.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as target:
        connection.backup(target)
    partial.chmod(0o600)
    partial.replace(copy)
