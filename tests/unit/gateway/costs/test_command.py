"""`plinth costs` on a real home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, update

from plinth.bootstrap.platform import Platform
from plinth.cli.costs import costs
from plinth.gateway.costs import Bookkeeper, BooksOpen, CostService, Currencies, HourNotSettled, PoolPriceDraft, store
from plinth.gateway.usage import UsageTable
from plinth.gateway.usage.store import usage_hours
from plinth.kit.clock import FixedClock
from plinth.kit.db import metadata
from unit.gateway.costs.desk import HOUR, NOON, admin, record, remote

# long ago: the command line has the real clock
START = NOON - 730 * 86_400
NAME = "2025-01-15T12"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one settled hour."""
    monkeypatch.setenv("PLINTH_LANG", "en")
    platform = Platform.open(tmp_path)
    metadata.create_all(platform.db.engine)
    clock = FixedClock(START)
    UsageTable(platform.db).add(
        [record("a", START, 1800), record("b", START + 60, 60), remote("c", START + 5, 2_000_000_000)]
    )
    with platform.db.write() as session:
        platform.identity.bootstrap_organization(session, "Acme")
        service = CostService(clock, platform.identity.audit, Currencies("USD"))
        service.set_pool_price(session, admin(), "local", PoolPriceDraft("USD", 1_000_000_001))
    clock.advance(HOUR + 400)
    assert Bookkeeper(platform.db, clock).run_once() == 1
    return tmp_path


def call(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(costs, [arguments[0], "--home", str(home), *arguments[1:]])


def change(home: Path, statement: Any) -> None:
    with Platform.open(home).db.write() as session:
        session.execute(statement)


def test_verify_prints_books_that_close(home: Path) -> None:
    result = call(home, "verify", "--hour", NAME)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"local {NAME}",
        "  meter: 1.000000001 USD",
        "  requests: 0.5 USD (2)",
        "  idle: 0.500000001 USD",
        "  difference: 0 USD",
        "The books close.",
    ]


def test_verify_fails_when_a_share_was_changed_and_settle_repairs_it(home: Path) -> None:
    change(home, update(store.cost_shares).where(store.cost_shares.c.record_id == "usage_b").values(nanos=0))
    failed = call(home, "verify", "--hour", NAME)
    assert (failed.exit_code, type(failed.exception)) == (1, BooksOpen)
    assert call(home, "settle", "--hour", NAME).output == "Hours settled: 1\n"
    assert call(home, "verify", "--hour", NAME).exit_code == 0


def test_an_hour_without_books_is_no_success(home: Path) -> None:
    failed = call(home, "verify", "--hour", "2025-01-15T11")
    assert (failed.exit_code, type(failed.exception)) == (1, HourNotSettled)
    assert call(home, "verify", "--hour", NAME, "--pool", "gpu").exit_code == 1


def test_show(home: Path) -> None:
    shown = call(home, "show", "--organization", "org_a", "--since", NAME, "--until", "2025-01-15T13")
    assert shown.output.splitlines() == [
        "idle: local: 0.500000001 USD (0)",
        "local: small: 0.5 USD (2)",
        "remote: big: 2 USD (1)",
    ]
    assert call(home, "show", "--organization", "org_x", "--since", NAME, "--until", "2025-01-15T13").output == (
        "No costs in this period.\n"
    )


def test_rebuild(home: Path) -> None:
    change(home, delete(usage_hours))
    assert (
        "remote: big"
        not in call(home, "show", "--organization", "org_a", "--since", NAME, "--until", "2025-01-15T13").output
    )
    assert call(home, "rebuild").output == "Records summed again: 3\n"
    shown = call(home, "show", "--organization", "org_a", "--since", NAME, "--until", "2025-01-15T13")
    assert "remote: big: 2 USD (1)" in shown.output
