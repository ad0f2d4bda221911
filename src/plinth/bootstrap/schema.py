"""The database schema: apply migrations, and wait until somebody has applied them."""

from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from plinth.kit.db import Database
from plinth.kit.errors import Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_KEY = 7061727


class SchemaMissing(Unavailable):
    """The database schema is not at version {version}. Run: plinth migrate"""

    code = "schema_missing"


@cache
def head() -> str:
    """The newest revision, read from the file names `NNNN_title.py` (no Alembic import)."""
    names = sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    found = re.match(r"\d{4}", names[-1])
    assert found is not None
    return found.group()


def current(db: Database) -> str | None:
    with db.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def migrate(db: Database) -> None:
    """Apply what is missing. Several processes may call it at once; one does the work."""
    if current(db) == head():
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        if not db.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def wait(db: Database, seconds: float = 60.0) -> None:
    """Block until the schema is current. Raises `SchemaMissing`."""
    deadline = time.monotonic() + seconds
    while current(db) != head():
        if time.monotonic() > deadline:
            raise SchemaMissing(version=head())
        time.sleep(0.05)


def autogenerate(connection: Connection, message: str, revision: str) -> None:
    """Write a new migration from the difference to the declared tables (a developer's tool)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.revision(config, message=message, autogenerate=True, rev_id=revision)
