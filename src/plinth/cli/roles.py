"""One process each: what a cluster starts by itself. `plinth up` starts the same modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from plinth.cli.common import home_option, set_option
from plinth.cli.supervisor import MODULES


@click.command()
@home_option
@set_option
def migrate(home: Path, overrides: tuple[str, ...]) -> None:
    """Bring the database schema up to date."""
    from plinth.bootstrap.platform import Platform

    Platform.open(home, overrides).migrate()


def _role(name: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @home_option
    @set_option
    def command(home: Path, overrides: tuple[str, ...]) -> None:
        flags = [part for override in overrides for part in ("--set", override)]
        # replaced, not imported: a face never sees another face, and the process has one name
        os.execv(sys.executable, [sys.executable, "-m", MODULES[name], "--home", str(home), *flags])  # noqa: S606

    return command


api = _role("api", "Run the control plane on a unix socket in the home.")
gateway = _role("gateway", "Run the public port.")
worker = _role("worker", "Run background jobs, event delivery and the engine reconciler.")
