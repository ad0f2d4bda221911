"""Looks at an answer while it is being written, across the borders of its pieces.

The text is cut into segments at places where no identifier continues: after a line end, after Chinese
or English punctuation followed by a space, and after a space behind an ordinary word. Each segment is
looked at together with the `CONTEXT` characters before it. Where a segment ends depends on the text
alone, so the result is the same however the text arrives in pieces.

Held back: the segment in progress, usually a word or a clause, never more than `HOLD_BACK` characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable

HOLD_BACK = 256
"""Most characters that wait for the end of their segment."""

CONTEXT = 48
"""Characters before a segment that its findings may depend on."""

_FORCED_CUT = HOLD_BACK - 64

# after a space only behind a word of small letters: `GB82 WEST 1234` and `139 2269 2488` go on
_BREAK = re.compile(r"[\n\r。！？；，、：…]|(?<![A-Za-z0-9])[a-z]{2,}[.,;:!?)]{0,2} |[.,;:!?] ")

Redact = Callable[[str, int], tuple[str, list[tuple[int, int]]]]
"""`redact(text, start)`: the text from `start` on with everything found there replaced, and the spans
that were found in `text`, sorted; findings that begin before `start` do not count."""


class StreamScanner:
    """Args: `redact` replaces what it finds; it may raise, which ends the stream."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._context = ""
        self._pending = ""

    def feed(self, text: str) -> str:
        text = self._pending + text
        done: list[str] = []
        at = 0
        while length := self._segment(text[at : at + HOLD_BACK]):
            done.append(self._take(text[at : at + length]))
            at += length
        self._pending = text[at:]
        return "".join(done)

    def finish(self) -> str:
        """What was still held back, at the end of the text."""
        done = self._take(self._pending) if self._pending else ""
        self._context = self._pending = ""
        return done

    def _segment(self, text: str) -> int:
        """Length of the first complete segment of at most `HOLD_BACK` characters, 0 while there is none."""
        found = _BREAK.search(text)
        if found:
            return found.end()
        return self._forced(text) if len(text) == HOLD_BACK else 0

    def _forced(self, text: str) -> int:
        """A cut in `HOLD_BACK` characters without a break, never through a finding."""
        offset = len(self._context)
        _, spans = self._redact(self._context + text, offset)
        cut = offset + _FORCED_CUT
        for start, end in spans:
            if start < cut < end:
                cut = start if start > offset else end
        return cut - offset

    def _take(self, segment: str) -> str:
        redacted, _ = self._redact(self._context + segment, len(self._context))
        self._context = (self._context + segment)[-CONTEXT:]
        return redacted
