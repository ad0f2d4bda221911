"""Options and helpers that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from plinth.kit import i18n

Command = TypeVar("Command", bound=Callable[..., Any])


def say(key: str, /, **fields: Any) -> str:
    """A text of the `cli` table in the terminal's language."""
    return i18n.text("cli", key, i18n.from_environment(), **fields)


def home_option(command: Command) -> Command:
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="PLINTH_HOME",
        default=Path("~/.plinth"),
        show_default=True,
        help=say("home_option"),
    )(command)


def set_option(command: Command) -> Command:
    return click.option("--set", "overrides", multiple=True, metavar="SECTION.FIELD=VALUE", help=say("set_option"))(
        command
    )
