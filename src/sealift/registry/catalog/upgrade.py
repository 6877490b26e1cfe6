"""Bringing an older catalog to the revision this code knows, with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from sealift.registry.catalog.schema import HEAD

MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(path: Path, *, revision: str = HEAD) -> None:
    """Run the revisions that the SQLite file at `path` lacks, up to `revision`."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            command.upgrade(configuration(connection), revision)
    finally:
        engine.dispose()


def configuration(connection: object) -> Config:
    """Alembic's configuration for one open `connection`, without a file of its own."""
    configured = Config()
    configured.set_main_option("script_location", str(MIGRATIONS))
    configured.set_main_option("path_separator", "os")
    configured.attributes["connection"] = connection
    return configured
