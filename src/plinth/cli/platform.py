"""`init`, `up`, `status`, `settings`: what a person types to run an installation."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from plinth import __version__
from plinth.cli import supervisor
from plinth.cli.common import home_option, say, set_option


@click.command()
@home_option
@set_option
@click.option("--name", default="My organization", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the keys as one JSON object.")
def init(home: Path, overrides: tuple[str, ...], name: str, as_json: bool) -> None:
    """Create the first organization, its default project and the first keys."""
    from plinth.bootstrap.platform import Platform

    platform = Platform.open(home, overrides)
    platform.migrate()
    with platform.db.write() as session:
        first = platform.identity.bootstrap_organization(session, name)
    keys = {
        "organization_id": first.organization.id,
        "project_id": first.project.id,
        "admin_key": first.admin_key_secret,
        "project_key": first.project_key_secret,
    }
    if as_json:
        click.echo(json.dumps(keys))
        return
    click.echo(say("initialized", name=name))
    click.echo("  " + say("admin_key", key=keys["admin_key"]))
    click.echo("  " + say("project_key", key=keys["project_key"]))
    click.echo(say("next_step", home=platform.home.root))


@click.command()
@home_option
@set_option
@click.option("--host", default=None, help="Same as --set gateway.host=…")
@click.option("--port", type=int, default=None, help="Same as --set gateway.port=…")
def up(home: Path, overrides: tuple[str, ...], host: str | None, port: int | None) -> None:
    """Start every process of the platform and keep them running."""
    from plinth.bootstrap.platform import Platform

    flags = (*overrides, *_flag("gateway.host", host), *_flag("gateway.port", port))
    platform = Platform.open(home, flags)
    place, server = platform.home, platform.settings.gateway
    arguments = ["--home", str(place.root)]
    for flag in flags:
        arguments += ["--set", flag]
    url = f"http://{server.host}:{server.port}"
    click.echo(say("starting", version=__version__, home=place.root))
    supervisor.take_over(
        {
            "run_folder": str(place.run),
            "log_folder": str(place.logs),
            "arguments": arguments,
            "host": server.host,
            "port": server.port,
            "workers": server.workers,
            "setup_token": str(place.setup_token) if platform.needs_setup() else "",
            "texts": {
                "ready": say("ready", url=url),
                "setup": say("setup", url=f"{platform.console_url or platform.public_address}/console/setup#{{token}}"),
                "stopping": say("stopping"),
                "already_running": "plinth: " + say("already_running", home=place.root, pid="{pid}"),
                "port_taken": "plinth: " + say("port_taken", host=server.host, port=server.port),
            },
        }
    )


@click.command()
@home_option
@set_option
def status(home: Path, overrides: tuple[str, ...]) -> None:
    """Ask the running platform how it is."""
    from plinth.bootstrap.home import Home
    from plinth.bootstrap.settings import load

    server = load(Home(home), overrides).gateway
    url = f"http://{server.host}:{server.port}"
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 (our own address)
            click.echo(json.dumps(json.load(answer), indent=2, ensure_ascii=False))
    except (urllib.error.URLError, OSError):
        raise click.ClickException(say("not_running", url=url, home=home)) from None


@click.command()
@home_option
@set_option
def settings(home: Path, overrides: tuple[str, ...]) -> None:
    """Print every setting with its value; secrets stay hidden."""
    from plinth.bootstrap.home import Home
    from plinth.bootstrap.settings import load

    current = load(Home(home), overrides)
    for section, model in current:
        for field, info in type(model).model_fields.items():
            click.echo(f"{section}.{field} = {getattr(model, field)!r}")
            click.echo(f"    {info.description or ''}  [PLINTH_{section.upper()}__{field.upper()}]")


def _flag(name: str, value: Any) -> tuple[str, ...]:
    return () if value is None else (f"{name}={value}",)
