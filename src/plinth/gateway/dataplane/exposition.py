"""Prometheus' text format, and one page for all of a machine's gateway processes.

The client library makes a page of a thousand series in 10 ms and more, in which the event loop
answers nobody; here it is text from numbers, and the page can be made a family at a time.
Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, 0.0.4).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_PREFIX, _SUFFIX = "metrics-", ".prom"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels_of(labels: Mapping[str, str]) -> str:
    """`{a="x",b="y"}` without the braces, sorted by name."""
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels.items()))


class Family:
    """One metric: its samples under one name. `kind` is `counter` (give its name without `_total`),
    `gauge` or `histogram`."""

    def __init__(self, name: str, kind: str, text: str) -> None:
        self._sample = self.name = f"{name}_total" if kind == "counter" else name
        self._lines = [f"# HELP {self.name} {text}\n# TYPE {self.name} {kind}\n"]

    def add(self, labels: str, value: float) -> None:
        """`labels` from `labels_of`."""
        self._lines.append(f"{self._sample}{{{labels}}} {float(value)}\n")

    def add_histogram(self, labels: str, buckets: Iterable[tuple[str, int]], total: float) -> None:
        """`buckets` are (upper bound, count of everything up to it); the last one is `+Inf` and counts all."""
        count, bucket = 0, f"{self.name}_bucket{{le="
        for bound, count in buckets:
            self._lines.append(f'{bucket}"{bound}",{labels}}} {count}.0\n')
        self._lines.append(f"{self.name}_count{{{labels}}} {count}.0\n{self.name}_sum{{{labels}}} {float(total)}\n")

    def text(self) -> str:
        return "".join(self._lines)


def merged(pages: Sequence[str]) -> str:
    """One page from several: a family's samples stand together under one heading, as the format wants."""
    families: dict[str, list[str]] = {}
    for page in pages:
        for block in f"\n{page}".split("\n# HELP ")[1:]:
            heading, kind, *samples = block.rstrip("\n").split("\n", 2)
            family = families.setdefault(f"# HELP {heading}\n{kind}\n", [])
            family.extend(f"{lines}\n" for lines in samples)
    return "".join(head + "".join(samples) for head, samples in families.items())


class SharedPages:
    """The pages of all workers of a machine, a file each. The port hands a scrape to any worker; it
    answers for the others with the page that each of them left last.

    Args: `fresh_seconds` is how old a page may be: an older one's worker is gone.
    """

    def __init__(self, folder: Path, worker: str, fresh_seconds: float = 15.0) -> None:
        self._folder, self._worker, self._fresh_seconds = folder, worker, fresh_seconds
        self._path = folder / f"{_PREFIX}{worker}{_SUFFIX}"

    def leave(self, page: str) -> None:
        """Raises `OSError`."""
        unfinished = self._folder / f".{self._path.name}.{os.getpid()}"
        unfinished.write_text(page)
        unfinished.replace(self._path)

    def others(self, now: float) -> list[str]:
        """The other workers' pages. `now` in unix seconds."""
        pages = []
        for path in sorted(self._folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            if path == self._path:
                continue
            try:
                if now - path.stat().st_mtime <= self._fresh_seconds:
                    pages.append(path.read_text())
            except FileNotFoundError:  # its worker has just ended
                pass
        return pages

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
