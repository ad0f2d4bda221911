"""The `plinth` command. Commands load when they are called, so `--help` stays instant."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from plinth import __version__
from plinth.kit import i18n
from plinth.kit.errors import PlinthError

COMMANDS = {
    "init": "plinth.cli.platform:init",
    "up": "plinth.cli.platform:up",
    "demo": "plinth.cli.demo.command:demo",
    "status": "plinth.cli.platform:status",
    "settings": "plinth.cli.platform:settings",
    "password": "plinth.cli.password:password",
    "routes": "plinth.cli.routes:routes",
    "costs": "plinth.cli.costs:costs",
    "migrate": "plinth.cli.roles:migrate",
    "api": "plinth.cli.roles:api",
    "gateway": "plinth.cli.roles:gateway",
    "worker": "plinth.cli.roles:worker",
}


class LazyGroup(click.Group):
    """Knows its commands by name; imports one only to run it. The short help is a translated text."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        language = i18n.from_environment()
        rows = [(name, i18n.text("cli", name, language)) for name in COMMANDS]
        with formatter.section(i18n.text("cli", "commands", language)):
            formatter.write_dl(rows)


@click.command(cls=LazyGroup, help=i18n.text("cli", "plinth", i18n.from_environment()))
@click.version_option(__version__, prog_name="plinth")
def cli() -> None:
    pass


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; an expected error is one sentence on stderr and exit code 1."""
    try:
        return cli.main(args=arguments, prog_name="plinth")
    except PlinthError as error:
        click.echo(f"plinth: {i18n.error_message(error, i18n.from_environment())}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
