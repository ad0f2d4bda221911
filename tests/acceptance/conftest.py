"""One running platform for the tests that only use it; others start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from acceptance.installation import Installation
from plinth.bootstrap.platform import Platform
from plinth.kit.db import Database


def database_flags(request: pytest.FixtureRequest, name: str) -> list[str]:
    """Flags for the database under test (`--database postgresql` makes a fresh one)."""
    if request.config.getoption("--database") == "sqlite":
        return []
    server = request.getfixturevalue("postgresql_server")
    admin = Database(server)
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.close()
    return ["--set", "database.url=" + make_url(server).set(database=name).render_as_string(hide_password=False)]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The derived model files, made once by the product's own code; every installation links them."""
    prepared = Platform.open(tmp_path_factory.mktemp("models"))
    prepared.migrate()
    for form in ("gguf", "huggingface"):
        prepared.catalog.materialise("smollm2-135m-instruct", form)
    prepared.db.close()
    return prepared.home.models


@pytest.fixture(scope="session")
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> Iterator[Installation]:
    """A running platform shared by the session."""
    installation = Installation(tmp_path_factory.mktemp("home"), database_flags(request, "acceptance"), models)
    installation.start()
    yield installation
    installation.close()


@pytest.fixture
def own_platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> Iterator[Installation]:
    """A platform of this test's own, not started, which it may break."""
    installation = Installation(tmp_path_factory.mktemp("own"), database_flags(request, "own"), models)
    yield installation
    installation.close()
