"""Finds all places that many patterns match, in one pass where google-re2 is installed.

RE2 walks the text once for all patterns and never backtracks; only a pattern that occurs is then
located. Without RE2 the standard library does the same, slower. Patterns must mean the same to both:
no look-around, no back-references, no `\\b`, `\\d`, `\\w` or `\\s`, and bounded repetition wherever
something has to follow, so that the standard library stays linear too.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Protocol

re2: Any
try:
    re2 = importlib.import_module("re2")
except ImportError:  # optional: about twenty times slower without
    re2 = None

Span = tuple[int, int]
_MEMORY_BYTES = 64 << 20


class Locator(Protocol):
    def locate(self, text: str) -> dict[str, list[Span]]:
        """The non-overlapping matches of each pattern that occurs, as code point spans."""
        ...


def locator(patterns: Mapping[str, str]) -> Locator:
    """The fastest there is. `patterns` maps names to patterns."""
    return StandardLocator(patterns) if re2 is None else Re2Locator(patterns)


class StandardLocator:
    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}

    def locate(self, text: str) -> dict[str, list[Span]]:
        found = {name: [match.span() for match in pattern.finditer(text)] for name, pattern in self._patterns.items()}
        return {name: spans for name, spans in found.items() if spans}


class Re2Locator:
    def __init__(self, patterns: Mapping[str, str]) -> None:
        options: Any = re2.Options()
        options.max_mem = _MEMORY_BYTES
        self._names = list(patterns)
        self._set: Any = re2.Set.SearchSet(options)
        for pattern in patterns.values():
            self._set.Add(pattern)
        # a set that ran out of memory reports no match; one that always matches tells the two apart
        self._canary = self._set.Add("")
        self._set.Compile()
        self._patterns: list[Any] = [re2.compile(pattern, options) for pattern in patterns.values()]

    def locate(self, text: str) -> dict[str, list[Span]]:
        # half of a surrogate pair is no text in UTF-8; one character for one keeps the offsets
        data = text.encode("utf-8", "replace")
        hits = set(self._set.Match(data))
        if self._canary not in hits:
            raise MemoryError("RE2 ran out of memory")
        hits.remove(self._canary)
        return {self._names[hit]: self._spans(hit, data, len(data) == len(text)) for hit in sorted(hits)}

    def _spans(self, index: int, data: bytes, ascii_only: bool) -> list[Span]:
        spans = [match.span() for match in self._patterns[index].finditer(data)]
        if ascii_only:
            return spans
        converted, at, characters = [], 0, 0
        for start, end in spans:
            first = characters + len(data[at:start].decode())
            at, characters = end, first + len(data[start:end].decode())
            converted.append((first, characters))
        return converted
