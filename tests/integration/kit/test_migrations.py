"""All migrations applied == the tables the slices declare, on the database under test."""

from __future__ import annotations

import threading

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from plinth.bootstrap import schema
from plinth.bootstrap.tables import metadata
from plinth.kit.db import Database


def test_migrations_and_tables_agree(database_url: str) -> None:
    db = Database(database_url)
    schema.migrate(db)
    assert schema.current(db) == schema.head()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata()) == []
    db.close()


def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    failures: list[BaseException] = []

    def run(db: Database) -> None:
        try:
            schema.migrate(db)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(db,)) for db in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert schema.current(databases[0]) == schema.head()
    for db in databases:
        db.close()
