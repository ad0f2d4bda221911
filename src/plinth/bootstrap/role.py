"""The command line that every process of the platform shares: `--home DIR [--set section.field=value]…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from plinth.kit.errors import PlinthError


def run(name: str, serve: Callable[..., None], **more: type) -> None:
    """Parse the arguments and serve; an expected error is one sentence on stderr and exit code 1.

    Args:
        more: optional arguments of this role, by name and type; given to `serve` by name when set.
    """
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    for argument, kind in more.items():
        parser.add_argument(f"--{argument.replace('_', '-')}", type=kind, default=argparse.SUPPRESS)
    options = vars(parser.parse_args())
    home, overrides = options.pop("home"), tuple(options.pop("set"))
    try:
        serve(home, overrides, **options)
    except PlinthError as error:
        sys.exit(f"{name}: {error.message}")
