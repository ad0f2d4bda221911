"""The guard on the way: what a request's texts look like when they may leave, and what comes back.

It fails closed. Whatever goes wrong inside (a detector raises, reports nonsense, takes too long, the
text is too long) ends in `GuardUnavailable`, and nothing was sent. Texts and findings never reach
the log or an error's message.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from plinth.kit.clock import Clock
from plinth.privacy.errors import AnswerBlocked, BlockedByPolicy, GuardUnavailable
from plinth.privacy.mask import Mask, StreamUnmasker, json_inside
from plinth.privacy.model import (
    DEFAULT_NAME,
    DEFAULT_POLICY,
    Action,
    DataClass,
    Finding,
    Policy,
    kind_named,
)
from plinth.privacy.ports import Detector
from plinth.privacy.settings import PrivacySettings
from plinth.privacy.streams import StreamScanner
from plinth.privacy.workers import Workers

log = logging.getLogger(__name__)

StandIn = Callable[[str, str], str]
"""`stand_in(kind, value)`: what is written instead of a value."""

INLINE_CHARACTERS = 50_000
"""Up to here fast detectors work on the caller's thread (about a millisecond); beyond, in a thread."""


@dataclass(frozen=True)
class Masked:
    """What may be sent. `texts` are parallel to those given; `found` counts findings by kind;
    `blocked` names the kinds (or the declared data class) that forbid sending, else it is empty."""

    texts: tuple[str, ...] = field(repr=False)
    mask: Mask
    found: Mapping[str, int]
    blocked: tuple[str, ...]
    policy: Policy
    findings: tuple[tuple[Finding, ...], ...] = field(default=(), repr=False)

    def require_allowed(self) -> None:
        """Raises `BlockedByPolicy`."""
        if self.blocked:
            raise BlockedByPolicy(policy=self.policy.name, kinds=", ".join(self.blocked))


class AnswerFilter:
    """For one text of an answer, whole or in pieces: first what the model itself wrote is looked at
    (policies with `answers`), then the request's own values are put back.

    `feed` and `finish` raise `AnswerBlocked` or `GuardUnavailable`; the stream must then end.
    """

    def __init__(self, scanner: StreamScanner | None, unmasker: StreamUnmasker) -> None:
        self._scanner, self._unmasker = scanner, unmasker

    def feed(self, text: str) -> str:
        return self._unmasker.feed(self._scanner.feed(text) if self._scanner else text)

    def finish(self) -> str:
        rest = self._scanner.finish() if self._scanner else ""
        return self._unmasker.feed(rest) + self._unmasker.finish()


class PrivacyGuard:
    """Args: `detectors` all look at every text; what any of them finds counts."""

    def __init__(self, detectors: Sequence[Detector], settings: PrivacySettings, clock: Clock) -> None:
        if not detectors:
            raise ValueError("a guard without a detector would let everything through")
        self._detectors, self._settings, self._clock = tuple(detectors), settings, clock
        self._fast = tuple(detector for detector in detectors if detector.linear_time)
        self._workers = Workers(settings.threads)
        self.kinds: frozenset[str] = frozenset().union(*(detector.kinds for detector in detectors))

    async def outgoing(self, texts: Sequence[str], policy: Policy, data_class: DataClass | None = None) -> Masked:
        """Look at the texts of a request before they leave. `data_class` is what the route or the
        caller declares the texts to be. Raises `GuardUnavailable`."""
        try:
            characters = self._measure(texts)
            budget = self._budget(characters)
            look = partial(self._look, tuple(texts), policy, data_class, budget)
            if len(self._fast) == len(self._detectors) and characters <= INLINE_CHARACTERS:
                return look()
            return await asyncio.wait_for(asyncio.wrap_future(self._workers.submit(look)), budget)
        except GuardUnavailable:
            raise
        except Exception as error:  # fail closed: whatever went wrong, nothing is sent
            raise self._refusal(error) from None

    def check(self, texts: Sequence[str], policy: Policy, data_class: DataClass | None = None) -> Masked:
        """Like `outgoing`, for a caller that may block its thread."""
        try:
            budget = self._budget(self._measure(texts))
            future = self._workers.submit(partial(self._look, tuple(texts), policy, data_class, budget))
            try:
                return future.result(budget)
            finally:
                future.cancel()
        except GuardUnavailable:
            raise
        except Exception as error:  # fail closed: whatever went wrong, nothing is sent
            raise self._refusal(error) from None

    def answer(self, masked: Masked, *, json_text: bool = False) -> AnswerFilter:
        """For one text of the answer. `json_text` for tool arguments, where values go into JSON strings.

        Answers are looked at by fast detectors only (a model cannot keep up with a stream)."""
        unmasker = StreamUnmasker(masked.mask, json_inside if json_text else str)
        scanner = StreamScanner(partial(self._redact, masked.policy)) if masked.policy.answers else None
        return AnswerFilter(scanner, unmasker)

    def _measure(self, texts: Sequence[str]) -> int:
        characters = sum(map(len, texts))
        if characters > self._settings.max_characters:
            raise GuardUnavailable(
                reason=f"it has {characters} characters of text, more than the {self._settings.max_characters} allowed."
            )
        return characters

    def _budget(self, characters: int) -> float:
        return self._settings.base_seconds + characters / 1000 * self._settings.seconds_per_kilocharacter

    def _look(self, texts: tuple[str, ...], policy: Policy, data_class: DataClass | None, budget: float) -> Masked:
        """Raises `TimeoutError` after `budget` seconds, as soon as a detector returns."""
        deadline = self._clock.monotonic() + budget
        found: list[list[Finding]] = []
        for text in texts:
            found.append(_all_findings(self._detectors, text))
            if self._clock.monotonic() > deadline:
                raise TimeoutError
        if not any(found) and not policy.refuses(data_class):  # most requests: as they are
            return Masked(texts, Mask(()), {}, (), policy, tuple([()] * len(texts)))
        counts = Counter(finding.kind for findings in found for finding in findings)
        blocked = sorted(kind for kind in counts if policy.action(kind) is Action.block)
        if policy.refuses(data_class):
            blocked.insert(0, f"{data_class} data")
        mask = Mask(texts)
        sent: tuple[str, ...] = ()
        if not blocked:
            sent = tuple(_replaced(t, f, policy, mask.placeholder) for t, f in zip(texts, found, strict=True))
        return Masked(sent, mask, dict(counts), tuple(blocked), policy, tuple(map(tuple, found)))

    def _redact(self, policy: Policy, text: str, start: int) -> tuple[str, list[tuple[int, int]]]:
        try:
            findings = [f for f in _all_findings(self._fast, text) if f.start >= start]
        except Exception as error:  # fail closed: what could not be looked at is not passed on
            raise self._refusal(error) from None
        blocked = sorted({f.kind for f in findings if policy.action(f.kind) is Action.block})
        if blocked:
            raise AnswerBlocked(policy=policy.name, kinds=", ".join(blocked))
        shifted = [Finding(f.kind, f.start - start, f.end - start, f.score) for f in findings]
        return _replaced(text[start:], shifted, policy, _redaction), sorted((f.start, f.end) for f in findings)

    def _refusal(self, error: Exception) -> GuardUnavailable:
        # the error's own words may quote the text
        log.error("the privacy guard failed; the request was refused", extra={"error": type(error).__name__})
        if isinstance(error, TimeoutError):
            return GuardUnavailable(reason="it took too long.")
        return GuardUnavailable(reason="a detector failed.")


def policy_named(policies: Mapping[tuple[str, str], Policy], project_id: str, name: str | None) -> Policy:
    """The policy of a request, from `PrivacyService.snapshot`: the one its route names, else the
    project's `default`, else `DEFAULT_POLICY`. Raises `GuardUnavailable` when the named one is gone."""
    if name is None:
        return policies.get((project_id, DEFAULT_NAME), DEFAULT_POLICY)
    found = policies.get((project_id, name)) or (DEFAULT_POLICY if name == DEFAULT_NAME else None)
    if found is None:
        raise GuardUnavailable(reason=f"its route names the privacy policy '{name}', which does not exist.")
    return found


def _redaction(kind: str, _value: str) -> str:
    return f"[{kind_named(kind).label}]"


def _all_findings(detectors: Sequence[Detector], text: str) -> list[Finding]:
    """Sound findings of all detectors, sorted. Raises `ValueError` for nonsense."""
    found: list[Finding] = []
    for detector in detectors:
        for finding in detector.detect(text):
            sound = (
                isinstance(finding, Finding)
                and finding.kind in detector.kinds
                and type(finding.start) is type(finding.end) is int
                and 0 <= finding.start < finding.end <= len(text)
                and math.isfinite(finding.score)
                and 0 <= finding.score <= 1
            )
            if not sound:
                raise ValueError("a detector reported an impossible finding")
            found.append(finding)
    return sorted(found, key=lambda f: (f.start, f.end, f.kind))


def _replaced(text: str, findings: Sequence[Finding], policy: Policy, stand_in: StandIn) -> str:
    """The text with every finding to be masked replaced. Findings that overlap are masked as one, of
    the surest one's kind; a kind that is allowed gives way to one that is not."""
    parts: list[str] = []
    at = 0
    for group in _overlapping([f for f in findings if policy.action(f.kind) is not Action.allow]):
        start, end = group[0].start, max(f.end for f in group)
        surest = max(group, key=lambda f: (f.score, f.end - f.start))
        parts += (text[at:start], stand_in(surest.kind, text[start:end]))
        at = end
    parts.append(text[at:])
    return "".join(parts)


def _overlapping(findings: Sequence[Finding]) -> list[list[Finding]]:
    groups: list[list[Finding]] = []
    end = -1
    for finding in findings:
        if finding.start >= end:
            groups.append([])
        groups[-1].append(finding)
        end = max(end, finding.end)
    return groups
