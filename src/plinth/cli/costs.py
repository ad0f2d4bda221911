"""`plinth costs`: show what things cost, and prove that the books close."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plinth.cli.common import home_option, say, set_option

if TYPE_CHECKING:
    from plinth.bootstrap.gateway import GatewayParts
    from plinth.bootstrap.platform import Platform

_HOUR = click.DateTime(["%Y-%m-%dT%H", "%Y-%m-%dT%H:%M"])
_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H"])


@click.group(help=say("costs"))
def costs() -> None:
    pass


@costs.command(help=say("costs_verify"))
@home_option
@set_option
@click.option("--hour", type=_HOUR, required=True, help=say("costs_hour"))
@click.option("--pool", default="local", show_default=True, help=say("costs_pool"))
def verify(home: Path, overrides: tuple[str, ...], hour: datetime, pool: str) -> None:
    """Compute an hour again from its records and compare; exit code 1 when anything differs."""
    from plinth.gateway.costs import decimal_of, hour_name

    platform = _open(home, overrides)
    start = _unix(hour)
    with platform.db.read() as session:
        proof = _parts(platform).bookkeeper.verify(session, pool, start)
    unknown = say("costs_unknown")

    def amount(nanos: int | None) -> str:
        return unknown if nanos is None else f"{decimal_of(nanos):f} {proof.currency}"

    click.echo(f"{pool} {hour_name(start)}")
    for key, value in (
        ("costs_meter", amount(proof.meter_nanos)),
        ("costs_requests", f"{amount(proof.requests_nanos if proof.currency else None)} ({proof.requests})"),
        ("costs_idle", amount(proof.idle_nanos)),
        ("costs_difference", amount(proof.difference) if proof.currency else unknown),
    ):
        click.echo(f"  {say(key)}: {value}")
    click.echo(say("costs_closed"))


@costs.command(help=say("costs_settle"))
@home_option
@set_option
@click.option("--hour", type=_HOUR, help=say("costs_hour"))
@click.option("--pool", default="local", show_default=True, help=say("costs_pool"))
def settle(home: Path, overrides: tuple[str, ...], hour: datetime | None, pool: str) -> None:
    """Settle one hour again, or without `--hour` everything that is due."""
    bookkeeper = _parts(_open(home, overrides)).bookkeeper
    if hour is None:
        click.echo(say("costs_settled", hours=bookkeeper.run_once()))
        return
    click.echo(say("costs_settled", hours=int(bookkeeper.settle_again(pool, _unix(hour)))))


@costs.command(help=say("costs_rebuild"))
@home_option
@set_option
@click.option("--since", type=_DAY, help=say("costs_since"))
@click.option("--until", type=_DAY, help=say("costs_until"))
def rebuild(home: Path, overrides: tuple[str, ...], since: datetime | None, until: datetime | None) -> None:
    """Make the hourly sums from the records again: after an upgrade or a restore."""
    from plinth.gateway.usage import rebuild_hours

    first, last = (None if moment is None else float(_unix(moment)) for moment in (since, until))
    records = rebuild_hours(_open(home, overrides).db, first, last)
    click.echo(say("costs_rebuilt", records=records))


@costs.command(help=say("costs_show"))
@home_option
@set_option
@click.option("--organization", help=say("costs_organization"))
@click.option("--since", type=_DAY, help=say("costs_since"))
@click.option("--until", type=_DAY, help=say("costs_until"))
def show(
    home: Path, overrides: tuple[str, ...], organization: str | None, since: datetime | None, until: datetime | None
) -> None:
    """Costs per line item, by default of the running day."""
    from plinth.gateway.costs import CostQuestion, decimal_of
    from plinth.gateway.usage import HOUR_SECONDS, Scope, Width, Window, hour_of

    platform = _open(home, overrides)
    now = platform.clock.unix()
    start = int(now // 86_400) * 86_400 if since is None else hour_of(_unix(since))
    end = hour_of(now) + HOUR_SECONDS if until is None else hour_of(_unix(until) - 1) + HOUR_SECONDS
    reports = _parts(platform).cost_reports
    window = Window(start, max(end, start + HOUR_SECONDS), Width.hour, None)
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    provisional = False
    with platform.db.read() as session:
        owners = [organization] if organization else sorted(set(platform.identity.active_projects(session).values()))
        for owner in owners:
            report = reports.report(session, CostQuestion(Scope(owner), window, ("line_item",)))
            provisional = provisional or bool(report.provisional)
            for item in report.sums:
                key = item.group[0], say("costs_unknown") if item.nanos is None else item.currency
                nanos, requests = totals.get(key, (0, 0))
                totals[key] = nanos + (item.nanos or 0), requests + item.requests
    for (line_item, currency), (nanos, requests) in sorted(totals.items()):
        amount = "" if currency == say("costs_unknown") else f"{decimal_of(nanos):f} "
        click.echo(f"{line_item}: {amount}{currency} ({requests})")
    if not totals:
        click.echo(say("costs_nothing"))
    if provisional:
        click.echo(say("costs_provisional"))


def _open(home: Path, overrides: tuple[str, ...]) -> Platform:
    from plinth.bootstrap.platform import Platform

    return Platform.open(home, overrides)


def _parts(platform: Platform) -> GatewayParts:
    from plinth.bootstrap.gateway import parts_of

    return parts_of(platform)


def _unix(moment: datetime) -> int:
    """The command line's times are UTC."""
    return int(moment.replace(tzinfo=UTC).timestamp())
