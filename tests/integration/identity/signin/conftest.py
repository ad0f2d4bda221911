"""Fixtures for signing in; see `town.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.identity.signin.town import Home, Town
from plinth.identity.signin import InMemoryWeb
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database


@pytest.fixture
def town(db: Database, database_url: str, clock: FixedClock, tmp_path: Path) -> Iterator[Town]:
    town = Town(database_url, clock, tmp_path / "setup.token", InMemoryWeb())
    with town.stack:
        yield town


@pytest.fixture
def home(town: Town) -> Home:
    return Home(town)
