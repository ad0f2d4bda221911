"""From a sampler's raw stacks (`frame;frame;frame count`) to who costs how much."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
_WAITS = ("Condition.wait (threading.py)", "wait (threading.py)")
"""A thread that waits for another is sometimes taken for a busy one."""


@dataclass
class Costs:
    """Samples by function (own time), by function with all it calls, by module (own time)."""

    total: int = 0
    own: Counter[str] = field(default_factory=Counter)
    below: Counter[str] = field(default_factory=Counter)
    modules: Counter[str] = field(default_factory=Counter)


def read(lines: Iterable[str]) -> Counter[str]:
    """How often each stack was seen, waiting threads left out."""
    stacks: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if stack and short(stack.rpartition(";")[2]) not in _WAITS:
            stacks[stack] += int(count)
    return stacks


def costs(stacks: Counter[str]) -> Costs:
    found = Costs()
    for stack, count in stacks.items():
        frames = stack.split(";")
        found.total += count
        found.own[short(frames[-1])] += count
        found.modules[module(frames[-1])] += count
        for frame in {short(frame) for frame in frames}:
            found.below[frame] += count
    return found


def short(frame: str) -> str:
    """`function (module)`, without line numbers and folders."""
    found = _FRAME.match(frame)
    return f"{found['function']} ({module(frame)})" if found else frame


def module(frame: str) -> str:
    """The file from its package on; what is not Python keeps its name."""
    found = _FRAME.match(frame)
    if not found:
        return frame
    parts = Path(found["file"]).parts
    for anchor in ("site-packages", "src"):
        if anchor in parts:
            parts = parts[parts.index(anchor) + 1 :]
    return "/".join(parts[-4:])
