"""Reversible masking, for the length of one request.

The same value always gets the same placeholder, and no placeholder occurs in the texts by itself, so
`unmask(masked)` is the original. Values are held in memory only and never shown by `repr`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from plinth.privacy.model import kind_named

_placeholder = re.compile(r"<[A-Z_]{1,40}_[0-9]{1,9}>")


class Mask:
    """Args: `texts` are all texts of the request; placeholders avoid what they contain."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._taken = {found for text in texts for found in _placeholder.findall(text)}
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._next: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Mask({len(self)} values)"

    @property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(self._values)

    def placeholder(self, kind: str, value: str) -> str:
        """The stand-in for a value of that kind, such as `<PHONE_1>`."""
        label = kind_named(kind).label
        known = self._placeholders.get((label, value))
        if known is None:
            known = self._placeholders[label, value] = self._unused(label)
            self._values[known] = value
        return known

    def _unused(self, label: str) -> str:
        number = self._next.get(label, 0) + 1
        while f"<{label}_{number}>" in self._taken:
            number += 1
        self._next[label] = number
        return f"<{label}_{number}>"

    def unmask(self, text: str, written: Callable[[str], str] = str) -> str:
        """Put the values back. `written` says how a value is spelled in the text (`json_inside`)."""
        if not self._values:
            return text
        return _placeholder.sub(lambda m: written(self._values[m[0]]) if m[0] in self._values else m[0], text)


def json_inside(value: str) -> str:
    """A value as it has to look inside a JSON string (the arguments of a tool call)."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


class StreamUnmasker:
    """Puts values back into text that arrives in pieces.

    Held back: only an ending that is the beginning of a placeholder in use, so at most one
    placeholder's length less one. However the text is cut, the pieces of output join to the same.
    """

    def __init__(self, mask: Mask, written: Callable[[str], str] = str) -> None:
        self._mask, self._written = mask, written
        self._beginnings = {p[:length] for p in mask.placeholders for length in range(1, len(p))}
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        # no placeholder has a second '<', so only the last one can still be open
        opening = text.rfind("<")
        cut = opening if opening >= 0 and text[opening:] in self._beginnings else len(text)
        self._held = text[cut:]
        return self._mask.unmask(text[:cut], self._written)

    def finish(self) -> str:
        """What was still held back, at the end of the text."""
        held, self._held = self._held, ""
        return held
