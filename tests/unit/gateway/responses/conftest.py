"""The fixtures of `fakes.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from unit.gateway.responses.fakes import FakePort, Site, served


@pytest.fixture
def port() -> FakePort:
    return FakePort()


@pytest.fixture
def site(db: Database, clock: FixedClock, port: FakePort) -> Iterator[Site]:
    with served(port.app) as port.url:
        made = Site(db, clock, port.url)
        with served(made.app()) as url:
            made.url = url
            yield made


@pytest.fixture
def sdk(site: Site) -> Iterator[OpenAI]:
    with site.sdk() as client:
        yield client
