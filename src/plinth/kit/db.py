"""One relational database: SQLite (WAL) by default, PostgreSQL by URL. SQLAlchemy 2, synchronous.

A unit of work is `with db.write() as session:` (commits once at the end, rolls back on any error)
or `with db.read() as session:`. Services receive the session; they never commit.
Slices declare tables on `metadata` in their private `store.py`.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from plinth.kit.errors import StorageFull

__all__ = ["Database", "Session", "metadata"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BUSY_TIMEOUT_SECONDS = 30


class Database:
    """Connections to the one database. Thread-safe; make one per process.

    Args:
        url: `sqlite:////abs/path.db` or `postgresql+psycopg://…` (a bare `postgresql://` is accepted).
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed.render_as_string(hide_password=False)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        self.engine: Engine = create_engine(parsed, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may write. On SQLite it takes the write lock at once, so a
        read-then-write can never fail half-way with "database is locked"."""
        with Session(self.engine.execution_options(sqlite_begin="IMMEDIATE")) as session:
            try:
                with session.begin():
                    yield session
            except OperationalError as error:
                raise _translate(error, self.engine) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot to read from; nothing is committed."""
        with Session(self.engine) as session:
            yield session

    def ping(self) -> None:
        """Raise if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # autocommit off in the driver: `_begin_sqlite` decides which BEGIN is sent
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _translate(error: OperationalError, engine: Engine) -> Exception:
    reason = str(error.orig).lower()
    if "disk is full" in reason or "no space left" in reason or getattr(error.orig, "errno", None) == errno.ENOSPC:
        return StorageFull(path=engine.url.database or engine.url.host or "the database server")
    return error
