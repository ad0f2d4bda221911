"""`plinth routes …`: read and change the routes of a project, directly on the platform's database.

It needs no running platform and no key: who may open the home may do this. Running gateways take a
change up within a second.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from plinth.cli.common import home_option, set_option
from plinth.kit import i18n

if TYPE_CHECKING:
    from plinth.gateway.routes import Plan, Route, RouteService, Target
    from plinth.identity import Actor
    from plinth.kit.db import Database

Command = TypeVar("Command", bound=Callable[..., Any])

_STICKY = ("user", "conversation", "none")


def _text(key: str, /, **fields: Any) -> str:
    return i18n.text("routes", key, i18n.from_environment(), **fields)


@dataclass(frozen=True)
class _Place:
    """A project's routes, opened by the person at the command line."""

    db: Database
    service: RouteService
    actor: Actor


def _open(home: Path, overrides: tuple[str, ...], project: str | None) -> _Place:
    from plinth.bootstrap import schema
    from plinth.bootstrap.gateway import parts_of
    from plinth.bootstrap.platform import Platform
    from plinth.identity import PERMISSIONS, Actor, Role

    if not home.expanduser().is_dir():
        raise click.ClickException(_text("no_home", home=home))
    platform = Platform.open(home, overrides)
    schema.wait(platform.db, 0)
    with platform.db.read() as session:
        projects = platform.identity.active_projects(session)
    if project is None and len(projects) == 1:
        project = next(iter(projects))
    if project is None:
        raise click.UsageError(_text("which_project", projects=", ".join(sorted(projects)) or "-"))
    if project not in projects:
        raise click.ClickException(_text("no_project", project=project, projects=", ".join(sorted(projects)) or "-"))
    return _Place(
        platform.db,
        parts_of(platform).routes,
        Actor(projects[project], project, "", "system", PERMISSIONS[Role.developer]),
    )


def _options(command: Command) -> Command:
    project = click.option("--project", metavar="ID", envvar="PLINTH_PROJECT", help=_text("option_project"))
    return home_option(set_option(project(command)))


def _expected(command: Command) -> Command:
    return click.option(
        "--expected-version", "expected", type=click.IntRange(0), metavar="N", help=_text("option_expected")
    )(command)


@click.group(help=_text("help"))
def routes() -> None:
    pass


@routes.command("list", help=_text("help_list"))
@_options
@click.option("--json", "as_json", is_flag=True, help=_text("option_json"))
def list_routes(home: Path, overrides: tuple[str, ...], project: str | None, as_json: bool) -> None:
    place = _open(home, overrides, project)
    found: list[Route] = []
    more = True
    with place.db.read() as session:
        while more:
            after = found[-1].id if found else None
            part = place.service.routes(session, place.actor.project_id, after, 100)
            found, more = found + part[:100], len(part) > 100
    found.sort(key=lambda route: route.name)
    if as_json:
        click.echo(_json([_document(route) for route in found]))
    elif found:
        heads = [_text(f"head_{name}") for name in ("name", "version", "targets", "canary", "changed")]
        rows = [(r.name, str(r.version), _shares(r.plan.targets), _canary(r.plan), _when(r.updated_at)) for r in found]
        click.echo(_table(heads, rows))
    else:
        click.echo(_text("none"))


@routes.command(help=_text("help_show"))
@click.argument("name")
@_options
@click.option("--plan", "plan_only", is_flag=True, help=_text("option_plan"))
def show(name: str, home: Path, overrides: tuple[str, ...], project: str | None, plan_only: bool) -> None:
    from plinth.gateway.routes import document_of

    place = _open(home, overrides, project)
    with place.db.read() as session:
        route = place.service.route(session, place.actor.project_id, name)
        missing = place.service.missing_models(session, route)
    click.echo(_json(document_of(route.plan) if plan_only else {**_document(route), "missing_models": missing}))
    if missing:
        click.echo(_text("missing", models=", ".join(missing)), err=True)


@routes.command("set", help=_text("help_set"))
@click.argument("name")
@_options
@_expected
@click.option("--target", "targets", multiple=True, metavar="MODEL[=WEIGHT]", help=_text("option_target"))
@click.option("--fallback", "fallbacks", multiple=True, metavar="MODEL", help=_text("option_fallback"))
@click.option("--file", "file", type=click.File(encoding="utf-8"), help=_text("option_file"))
def set_route(name: str, home: Path, overrides: tuple[str, ...], project: str | None, **given: Any) -> None:
    from plinth.gateway.routes import Plan, UnknownRoute

    place = _open(home, overrides, project)
    if bool(given["file"]) == bool(given["targets"] or given["fallbacks"]):
        raise click.UsageError(_text("file_or_targets"))
    service, actor, expected = place.service, place.actor, given["expected"]
    with place.db.write() as session:
        if given["file"]:
            route = service.put(session, actor, name, _read(given["file"]), expected)
        else:
            changes: dict[str, Any] = {"fallbacks": given["fallbacks"]} if given["fallbacks"] else {}
            if given["targets"]:
                changes["targets"] = tuple(map(_target, given["targets"]))
            try:
                route = service.change(
                    session, actor, name, lambda plan: dataclasses.replace(plan, **changes), expected
                )
            except UnknownRoute:
                route = service.put(session, actor, name, Plan(**{"targets": (), **changes}), expected)
    click.echo(_text("saved", name=route.name, version=route.version, targets=_shares(route.plan.targets)))


@routes.command(help=_text("help_canary"))
@click.argument("name")
@click.argument("percent", type=click.FloatRange(0, 100), required=False)
@_options
@_expected
@click.option("--model", metavar="MODEL", help=_text("option_model"))
@click.option("--sticky", type=click.Choice(_STICKY), help=_text("option_sticky"))
@click.option("--promote", is_flag=True, help=_text("option_promote"))
@click.option("--stop", is_flag=True, help=_text("option_stop"))
def canary(
    name: str, percent: float | None, home: Path, overrides: tuple[str, ...], project: str | None, **given: Any
) -> None:
    from plinth.gateway.routes import Canary, Sticky, Target

    wanted = {"model": given["model"], "percent": percent, "sticky": given["sticky"] and Sticky(given["sticky"])}
    changes = {field: value for field, value in wanted.items() if value is not None}
    if [given["promote"], given["stop"], bool(changes)].count(True) != 1:
        raise click.UsageError(_text("one_of_canary"))

    def edit(plan: Plan) -> Plan:
        if given["stop"]:
            return dataclasses.replace(plan, canary=None)
        if given["promote"]:
            if plan.canary is None:
                raise click.ClickException(_text("no_canary", name=name))
            return dataclasses.replace(plan, targets=(Target(plan.canary.model),), canary=None)
        if plan.canary is not None:
            return dataclasses.replace(plan, canary=dataclasses.replace(plan.canary, **changes))
        if not {"model", "percent"} <= changes.keys():
            raise click.UsageError(_text("canary_needs", name=name))
        return dataclasses.replace(plan, canary=Canary(**changes))

    place = _open(home, overrides, project)
    with place.db.write() as session:
        route = place.service.change(session, place.actor, name, edit, given["expected"])
    shown = {"targets": _shares(route.plan.targets), "canary": _canary(route.plan)}
    click.echo(_text("canary_saved", name=name, version=route.version, **shown))


@routes.command(help=_text("help_history"))
@click.argument("name")
@_options
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help=_text("option_limit"))
@click.option("--json", "as_json", is_flag=True, help=_text("option_json"))
def history(name: str, home: Path, overrides: tuple[str, ...], project: str | None, limit: int, as_json: bool) -> None:
    from plinth.gateway.routes import document_of

    place = _open(home, overrides, project)
    with place.db.read() as session:
        found = place.service.history(session, place.actor.project_id, name, None, limit)[:limit]
    if as_json:
        documents = [{**vars(v), "plan": document_of(v.plan) if v.plan else None} for v in found]
        click.echo(_json(documents))
        return
    heads = [_text(f"head_{head}") for head in ("version", "action", "by", "changed", "targets", "canary")]
    rows = []
    for version in found:
        action = _text(f"action_{version.action}", restored=version.restored)
        shown = (_shares(version.plan.targets), _canary(version.plan)) if version.plan else ("-", "-")
        rows.append((str(version.number), action, version.principal, _when(version.created_at), *shown))
    click.echo(_table(heads, rows))


@routes.command(help=_text("help_rollback"))
@click.argument("name")
@_options
@_expected
@click.option("--to", "version", type=click.IntRange(1), metavar="N", help=_text("option_to"))
def rollback(
    name: str,
    home: Path,
    overrides: tuple[str, ...],
    project: str | None,
    expected: int | None,
    version: int | None,
) -> None:
    place = _open(home, overrides, project)
    with place.db.write() as session:
        route = place.service.roll_back(session, place.actor, name, version, expected)
    click.echo(_text("saved", name=route.name, version=route.version, targets=_shares(route.plan.targets)))


@routes.command(help=_text("help_delete"))
@click.argument("name")
@_options
@_expected
@click.option("--yes", is_flag=True, help=_text("option_yes"))
def delete(
    name: str, home: Path, overrides: tuple[str, ...], project: str | None, expected: int | None, yes: bool
) -> None:
    place = _open(home, overrides, project)
    if not yes:
        click.confirm(_text("really_delete", name=name), abort=True)
    with place.db.write() as session:
        place.service.delete(session, place.actor, name, expected)
    click.echo(_text("deleted", name=name))


def _target(text: str) -> Target:
    from plinth.gateway.routes import Target

    model, _, weight = text.partition("=")
    try:
        return Target(model, float(weight or 1))
    except ValueError:
        raise click.UsageError(_text("bad_target", text=text)) from None


def _read(file: IO[str]) -> Plan:
    from plinth.gateway.routes.schemas import read_plan

    try:
        document = json.load(file)
    except ValueError as error:
        raise click.ClickException(_text("not_json", file=file.name, problem=error)) from None
    return read_plan(document)


def _document(route: Route) -> dict[str, Any]:
    from plinth.gateway.routes import document_of

    return {**vars(route), "plan": document_of(route.plan)}


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _shares(targets: Sequence[Target]) -> str:
    total = sum(target.weight for target in targets)
    if len(targets) == 1:
        return targets[0].model
    return ", ".join(f"{target.model} {target.weight / total * 100:.3g} %" for target in targets)


def _canary(plan: Plan) -> str:
    if plan.canary is None:
        return "-"
    sticky = "" if plan.canary.sticky == "none" else f" ({plan.canary.sticky})"
    return f"{plan.canary.model} {plan.canary.percent:g} %{sticky}"


def _when(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(_width, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    ]
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
