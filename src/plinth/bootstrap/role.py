"""The command line that every process of the platform shares: `--home DIR [--set section.field=value]…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from plinth.kit.errors import PlinthError


def run(name: str, serve: Callable[[Path, tuple[str, ...]], None]) -> None:
    """Parse the arguments and serve; an expected error is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    options = parser.parse_args()
    try:
        serve(options.home, tuple(options.set))
    except PlinthError as error:
        sys.exit(f"{name}: {error.message}")
