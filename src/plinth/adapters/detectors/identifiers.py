"""Our own detector: identifiers in English and Chinese text, with checksums where they have one.

One pass says which families of patterns occur; only those are looked at closely. Nothing backtracks
and every step works in a bounded neighbourhood, so time is proportional to the text.
"""

from __future__ import annotations

from collections.abc import Iterator

from plinth.adapters.detectors import chinese, fold, numbers, tokens
from plinth.adapters.detectors.engine import Locator, Span, locator
from plinth.privacy import KINDS, Finding

_PATTERNS = {
    "fold": fold.NEEDED,
    "number": numbers.NUMBER,
    "plate": tokens.PLATE,
    "ipv4": tokens.IPV4,
    "ipv6": tokens.IPV6,
    "credential": tokens.CREDENTIAL,
    "label": tokens.LABEL,
    "name_before": chinese.NAME_BEFORE,
    "name_after": chinese.NAME_AFTER,
    "address": chinese.ADDRESS,
}


class IdentifierDetector:
    """Args: `engine` finds the patterns; the default is the fastest that is installed."""

    linear_time = True
    kinds = frozenset(KINDS) - {"organization"}

    def __init__(self, engine: type[Locator] | None = None) -> None:
        self._locator = locator(_PATTERNS) if engine is None else engine(_PATTERNS)  # type: ignore[call-arg]

    def detect(self, text: str) -> list[Finding]:
        places = self._locator.locate(text)
        if "fold" not in places:
            return _without_overlaps(text, _candidates(text, places))
        folded = fold.Folded(text)
        found = _without_overlaps(folded.text, _candidates(folded.text, self._locator.locate(folded.text)))
        return [Finding(f.kind, *folded.original(f.start, f.end), f.score) for f in found]


def _candidates(text: str, places: dict[str, list[Span]]) -> Iterator[Finding]:
    if "@" in text:
        yield from tokens.emails(text)
    if not places:
        return
    if runs := places.get("number"):
        yield from numbers.find_numbers(text, runs)
        yield from tokens.beside_numbers(text, runs)
    if plates := places.get("plate"):
        yield from tokens.plates(text, plates)
    if addresses := (*places.get("ipv4", ()), *places.get("ipv6", ())):
        yield from tokens.ip_addresses(text, addresses)
    if credentials := places.get("credential"):
        yield from tokens.credentials(text, credentials)
    if labels := places.get("label"):
        yield from tokens.labelled(text, labels)
    if not places.keys().isdisjoint(("name_before", "name_after")):
        yield from chinese.names(text, places.get("name_before", ()), places.get("name_after", ()))
    if found := places.get("address"):
        yield from chinese.addresses(text, found)


def _without_overlaps(text: str, candidates: Iterator[Finding]) -> list[Finding]:
    """The surest finding wins its span, then the longest. What only a loser covered stays a finding of
    the loser's kind: whatever was found is covered by something."""
    ordered = sorted(candidates, key=lambda f: (-f.score, f.start - f.end, f.start))
    if len(ordered) < 2:
        return ordered
    kept: list[Finding] = []
    taken = bytearray(max(f.end for f in ordered))
    for finding in ordered:
        at = finding.start
        while at < finding.end:
            start = taken.find(0, at, finding.end)
            if start < 0:
                break
            stop = taken.find(1, start, finding.end)
            at = finding.end if stop < 0 else stop
            if any(c.isalnum() for c in text[start:at]):
                kept.append(Finding(finding.kind, start, at, finding.score))
        taken[finding.start : finding.end] = b"\x01" * (finding.end - finding.start)
    return sorted(kept, key=lambda f: f.start)
