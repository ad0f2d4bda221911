"""`plinth demo`: what a person types. The stages are in `stages.py`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from plinth.kit import i18n

QUICK = {"rows": 240, "evaluated": 60, "epochs": 3}


def _help(key: str) -> str:
    return i18n.text("demo", f"option_{key}", i18n.from_environment())


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help=_help("data"))
@click.option("--home", type=click.Path(path_type=Path), help=_help("home"))
@click.option("--port", type=click.IntRange(1, 65535), help=_help("port"))
@click.option("--rows", type=click.IntRange(20, 1_000_000), default=2000, show_default=True, help=_help("rows"))
@click.option("--evaluated", type=click.IntRange(10, 100_000), default=200, show_default=True, help=_help("evaluated"))
@click.option("--epochs", type=click.IntRange(1, 50), help=_help("epochs"))
@click.option("--quick", is_flag=True, help=_help("quick"))
@click.option("--keep", is_flag=True, help=_help("keep"))
@click.option("--language", type=click.Choice(["zh", "en"]), help=_help("language"))
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path(), help=_help("output"))
@click.option("--price-per-hour", type=click.FloatRange(0, 1e6), default=0.4, show_default=True, help=_help("price"))
@click.option("--currency", default="CNY", show_default=True, help=_help("currency"))
def demo(**given: Any) -> None:
    """Turn the whole loop once: upload, tune, evaluate, deploy, ask, report."""
    from plinth.cli.demo import run

    language: Literal["zh", "en"] = "zh" if (given["language"] or i18n.from_environment()) == "zh" else "en"
    quick = QUICK if given["quick"] else {}
    options = run.Options(
        data=given["data"],
        home=given["home"] or Path("demo-home") / time.strftime("%Y%m%d-%H%M%S"),
        port=given["port"],
        rows=min(given["rows"], quick.get("rows", given["rows"])),
        evaluated=min(given["evaluated"], quick.get("evaluated", given["evaluated"])),
        epochs=given["epochs"] or quick.get("epochs"),
        keep=given["keep"],
        language=language,
        output=given["output"],
        price_per_hour=given["price_per_hour"],
        currency=given["currency"],
    )
    with _terminated_like_interrupted():
        run.demo(options)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: with the platform shut down."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
