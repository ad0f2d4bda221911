"""Which rows are seen together, in which order: a pure function of lengths, sizes and the seed.

A resumed run computes the same plan and goes on at its step, so it ends with the same bits.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

# rows are sorted by length inside windows of this many batches: little padding, still shuffled
WINDOW_BATCHES = 50


@dataclass(frozen=True)
class Plan:
    """`batches[step]` are row numbers; `epoch_ends` are the steps (counted from 1) that end an epoch."""

    batches: tuple[tuple[int, ...], ...]
    epoch_ends: tuple[int, ...]

    @property
    def steps(self) -> int:
        return len(self.batches)

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.batches).encode()).hexdigest()


def make_plan(lengths: Sequence[int], batch_size: int, epochs: int, seed: int) -> Plan:
    """Every epoch contains every row exactly once, in batches of similar length."""
    chance = random.Random(seed)  # noqa: S311 - reproducible shuffling, not secrecy
    batches: list[tuple[int, ...]] = []
    ends = []
    for _ in range(epochs):
        batches += _epoch(lengths, batch_size, chance)
        ends.append(len(batches))
    return Plan(tuple(batches), tuple(ends))


def _epoch(lengths: Sequence[int], batch_size: int, chance: random.Random) -> list[tuple[int, ...]]:
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches = []
    for start in range(0, len(order), batch_size * WINDOW_BATCHES):
        window = sorted(order[start : start + batch_size * WINDOW_BATCHES], key=lambda row: lengths[row])
        batches += [tuple(window[i : i + batch_size]) for i in range(0, len(window), batch_size)]
    chance.shuffle(batches)
    return batches


def split(rows: Sequence[int], lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Cut one batch into parts of at most `max_tokens` padded tokens (a single longer row stays alone),
    so that memory has a ceiling; gradients of the parts add up to the batch's."""
    parts: list[list[int]] = []
    longest = 0
    for row in rows:
        longest = max(longest, lengths[row])
        if parts and longest * (len(parts[-1]) + 1) <= max_tokens:
            parts[-1].append(row)
        else:
            parts.append([row])
            longest = lengths[row]
    return parts


def by_length(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """All rows, shortest first, in groups of at most `max_tokens` padded tokens (for inference)."""
    return split(sorted(range(len(lengths)), key=lambda row: lengths[row]), lengths, max_tokens)


def learning_rate(step: int, steps: int, peak: float, warmup_fraction: float, final_fraction: float) -> float:
    """Linear warm-up, then a cosine from `peak` to `peak * final_fraction`. `step` counts from 0."""
    warmup = max(1, int(warmup_fraction * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return peak * (final_fraction + (1 - final_fraction) * cosine)
