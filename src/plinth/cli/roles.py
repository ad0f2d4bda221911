"""One process each: what `plinth up` starts, and what a cluster starts by itself."""

from __future__ import annotations

from pathlib import Path

import click

from plinth.cli.common import home_option, set_option


@click.command()
@home_option
@set_option
def migrate(home: Path, overrides: tuple[str, ...]) -> None:
    """Bring the database schema up to date."""
    from plinth.bootstrap.platform import Platform

    Platform.open(home, overrides).migrate()


@click.command()
@home_option
@set_option
def api(home: Path, overrides: tuple[str, ...]) -> None:
    """Run the control plane on a unix socket in the home."""
    from plinth.api import serve

    serve(home, overrides)


@click.command()
@home_option
@set_option
def gateway(home: Path, overrides: tuple[str, ...]) -> None:
    """Run the public port."""
    from plinth.api.dataplane import serve

    serve(home, overrides)


@click.command()
@home_option
@set_option
def worker(home: Path, overrides: tuple[str, ...]) -> None:
    """Run background jobs, event delivery and the engine reconciler."""
    from plinth.worker import serve

    serve(home, overrides)
