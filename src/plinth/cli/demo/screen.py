"""What the person at the terminal sees: stages, progress, streamed answers, the closing table.

On a terminal progress is a live bar; anywhere else (a pipe, CI) it is a plain line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from plinth.kit import i18n
from plinth.kit.errors import MissingExtra

PLAIN_LINE_SECONDS = 10.0
Progress = Callable[[int, int, str], None]  # done, total, remark


class Screen:
    """Args: `console` is a `rich.console.Console`; tests hand in one that records."""

    def __init__(self, language: str, console: Any = None, stages: int = 9) -> None:
        self.language = language
        self.console = console or _console()
        self._stage, self._stages = 0, stages

    def say(self, key: str, **fields: Any) -> None:
        self.print(self.text(key, **fields))

    def text(self, key: str, **fields: Any) -> str:
        return i18n.text("demo", key, self.language, **fields)

    def print(self, text: str, *, end: str = "\n", style: str | None = None) -> None:
        """Text exactly as it is: no markup, and nothing in it can steer the terminal."""
        safe = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
        self.console.print(safe, end=end, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def stage(self, key: str) -> None:
        """Announce the next stage."""
        self._stage += 1
        title = self.text(f"stage_{key}")
        self.print(f"[{self._stage}/{self._stages}] {title}", style="bold")

    def token(self, text: str) -> None:
        """A piece of an answer, shown at once."""
        self.print(text, end="")

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        if not self.console.is_terminal:
            yield self._plain(title)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("    {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[remark]}"),
        )
        with Bar(*columns, console=self.console) as bar:
            task = bar.add_task(title, total=None, remark="")

            def update(done: int, total: int, remark: str) -> None:
                bar.update(task, completed=done, total=total, remark=remark)

            yield update

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table

        table = Table(show_edge=False, pad_edge=False)
        for index, name in enumerate(header):
            table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def _plain(self, title: str) -> Progress:
        last = 0.0
        shown = ""

        def update(done: int, total: int, remark: str) -> None:
            nonlocal last, shown
            line = f"    {title} {done}/{total} {remark}".rstrip()
            now = time.monotonic()
            if line != shown and (done >= total or now - last >= PLAIN_LINE_SECONDS):
                last, shown = now, line
                self.print(line)

        return update


def duration(seconds: float, screen: Screen) -> str:
    """Seconds for people: `0.1 s` (or less), `48 s`, `3 min`."""
    if seconds < 0.95:
        return screen.text("seconds", n=f"{max(seconds, 0.1):.1f}")
    if seconds < 90:
        return screen.text("seconds", n=round(seconds))
    return screen.text("minutes", n=round(seconds / 60))


def _console() -> Any:
    try:
        from rich.console import Console
    except ImportError:
        raise MissingExtra(extra="demo") from None
    return Console()
