from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient

from plinth.gateway.costs import shares_of_records
from plinth.gateway.costs.http import router
from plinth.gateway.usage.http import organization_router
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from support import client_for
from unit.gateway.costs.desk import NOON, Desk, sdk


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(float(NOON))


@pytest.fixture
def desk(db: Database, clock: FixedClock) -> Desk:
    return Desk(db, clock)


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    door: Any = desk.door
    routers = (
        router(desk.db, desk.service, desk.reports, desk.clock, door),
        organization_router(desk.db, desk.clock, shares_of_records, door),
    )
    with client_for(*routers) as client:
        yield client


@pytest.fixture
def official(client: TestClient) -> Iterator[openai.OpenAI]:
    with sdk(client) as official:
        yield official
