"""A catalog that is looked at and not changed, while a server may be writing to it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from sealift.registry.catalog.database import BUSY_MILLISECONDS, CatalogFailed, Reader, catalog_failure
from sealift.registry.catalog.revision import revision_of, too_new
from sealift.registry.catalog.schema import HEAD, REVISIONS

MOST_FAULTS: Final = 20
"""Lines of SQLite's own check. Where there are more, the file is past reading them all."""


class ReadOnlyCatalog(Reader):
    """The catalog of a registry, opened beside its server or without one."""

    def __init__(self, path: Path, *, older: bool = False) -> None:
        """Open the database at `path`.

        Args:
            path: The SQLite file.
            older: Take one that an older Sealift wrote.

        Raises:
            CatalogFailed: It cannot be read, or a newer or an older Sealift wrote it.
        """
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=BUSY_MILLISECONDS / 1000,
            )
            try:
                found = revision_of(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as failure:
            raise catalog_failure(failure, path) from failure
        if found != HEAD and not (older and found in REVISIONS):
            connection.close()
            if found is not None and found not in REVISIONS:
                raise too_new(path, found)
            raise CatalogFailed(
                f"the catalog {path} has revision {found}, and this command knows {HEAD}",
                why="an older Sealift wrote it",
                hint="start the server once: it makes a backup of the catalog and brings it up to date",
            )
        super().__init__(connection)
        self.path = path

    def copy_to(self, path: Path) -> None:
        """Make a whole copy as of this moment, in a file of its own without a log beside it.

        Uploads that are under way are left out: their bytes are in no backup.

        Raises:
            CatalogFailed: The database cannot be read, or the copy not be written.
        """
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                self._connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
                copy.execute("DELETE FROM upload")
        except sqlite3.Error as failure:
            raise catalog_failure(failure, path) from failure

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with the file, and rows that refer to rows which are not there."""
        found = []
        with closing(self._connection.cursor()) as cursor:
            try:
                for (line,) in cursor.execute(f"PRAGMA integrity_check({MOST_FAULTS})"):
                    if line != "ok":
                        found.append(str(line))
                rows = cursor.execute("PRAGMA foreign_key_check").fetchmany(MOST_FAULTS)
            except sqlite3.DatabaseError as failure:
                return [*found, str(failure)]
        return found + [
            f"a row of {table} refers to a row of {parent} that is not there" for table, _, parent, _ in rows
        ]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
