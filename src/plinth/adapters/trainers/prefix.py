"""The hidden states that enter the first adapted layer: looked up when stored, computed when not.

The layers below are frozen, so their output per row never changes. It is computed once into a
memory-mapped file (the page cache keeps it in memory while there is room), within a byte budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from plinth.adapters.trainers.chat import EncodedRow
from plinth.adapters.trainers.network import Network, padded
from plinth.adapters.trainers.plan import by_length
from plinth.tuning import read_json, write_json

Tick = Callable[[int], None]
"""Told how many tokens have just been computed."""


def cache_bytes(rows: Sequence[EncodedRow], network: Network) -> int:
    size: int = network.dtype.itemsize
    return sum(row.input_length for row in rows) * network.hidden_size * size


class Prefix:
    """Args: `cached` is decided once per run and kept across restarts, or bits would differ."""

    def __init__(self, network: Network, rows: Sequence[EncodedRow], cached: bool) -> None:
        self._network, self._rows = network, rows
        self.cached = cached and network.first > 0
        self._store: Tensor | None = None
        self._offsets = [0]
        for row in rows:
            self._offsets.append(self._offsets[-1] + row.input_length)

    def prepare(self, path: Path, batch_tokens: int, tick: Tick) -> None:
        """Open the stored activations, or compute them. A half-written file has no `.json` beside it."""
        if not self.cached:
            return
        marker = path.with_suffix(".json")
        expected = {"rows": len(self._rows), "tokens": self._offsets[-1], "hidden": self._network.hidden_size}
        complete = path.exists() and read_json(marker) == expected
        size = self._offsets[-1] * self._network.hidden_size
        self._store = torch.from_file(str(path), shared=True, size=size, dtype=self._network.dtype).view(
            -1, self._network.hidden_size
        )
        if complete:
            return
        marker.unlink(missing_ok=True)
        with torch.no_grad():
            for group in by_length([row.input_length for row in self._rows], batch_tokens):
                hidden = self._compute(group)
                for place, row in enumerate(group):
                    start, stop = self._offsets[row], self._offsets[row + 1]
                    self._store[start:stop] = hidden[place, : stop - start]
                tick(sum(self._rows[row].input_length for row in group))
        write_json(marker, expected)

    def hidden(self, group: Sequence[int]) -> Tensor:
        """(rows, longest, hidden) for these rows, padded with zeros."""
        if self._store is None:
            with torch.no_grad():
                return self._compute(group)
        longest = max(self._rows[row].input_length for row in group)
        result = torch.zeros(len(group), longest, self._network.hidden_size, dtype=self._network.dtype)
        for place, row in enumerate(group):
            start, stop = self._offsets[row], self._offsets[row + 1]
            result[place, : stop - start] = self._store[start:stop]
        return result

    def _compute(self, group: Sequence[int]) -> Tensor:
        ids = padded([list(self._rows[row].ids[:-1]) for row in group])
        return self._network.run(self._network.embed(ids), 0, self._network.first)
