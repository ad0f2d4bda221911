"""Every `Detector` reports sound spans in code points and is the same from any thread."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plinth.adapters.detectors.engine import StandardLocator
from plinth.adapters.detectors.identifiers import IdentifierDetector
from plinth.adapters.detectors.presidio import PresidioDetector
from plinth.kit.errors import MissingExtra
from plinth.privacy import Detector, InMemoryDetector

EMAIL = "zhang.wei@example.com"
WORDS = {EMAIL: "email", "13800138000": "phone"}
has_presidio = importlib.util.find_spec("presidio_analyzer") is not None


def presidio() -> Detector:
    if not has_presidio:
        pytest.skip("presidio-analyzer is not installed")
    return PresidioDetector()


ADAPTERS: dict[str, Callable[[], Detector]] = {
    "twin": lambda: InMemoryDetector(WORDS),
    "identifiers": IdentifierDetector,
    "identifiers without RE2": lambda: IdentifierDetector(StandardLocator),
    "presidio": presidio,
}


@pytest.fixture(params=ADAPTERS, scope="module")
def detector(request: pytest.FixtureRequest) -> Detector:
    return ADAPTERS[request.param]()


@pytest.mark.parametrize("before", ["", "Mail ", "邮箱：", "🙂🙂 写信到 ", "x\u0000y "])
@pytest.mark.parametrize("after", ["", " please", "，谢谢", "\n\n🙂"])
def test_offsets_are_code_points(detector: Detector, before: str, after: str) -> None:
    found = [f for f in detector.detect(f"{before}{EMAIL}{after}") if f.kind == "email"]
    assert [(f.start, f.end) for f in found] == [(len(before), len(before) + len(EMAIL))]


@given(
    text=st.text(max_size=120) | st.text(alphabet="0123456789 -()+.@aX身份证：王先生电话\ud800\u200b０１", max_size=120)
)
@settings(max_examples=150, deadline=None)
def test_every_finding_is_sound(detector: Detector, text: str) -> None:
    findings = detector.detect(text)
    for finding in findings:
        assert finding.kind in detector.kinds
        assert 0 <= finding.start < finding.end <= len(text)
        assert 0 <= finding.score <= 1
    ordered = sorted((f.start, f.end) for f in findings)
    assert all(a[1] <= b[0] for a, b in pairwise(ordered)), "findings overlap"


def test_nothing_is_found_in_nothing(detector: Detector) -> None:
    assert list(detector.detect("")) == []


def test_it_may_be_called_from_several_threads(detector: Detector) -> None:
    text = f"{EMAIL} " * 5
    expected = sorted(detector.detect(text), key=lambda f: f.start)
    assert len(expected) == 5
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(detector.detect, [text] * 40):
            assert sorted(found, key=lambda f: f.start) == expected


@pytest.mark.skipif(has_presidio, reason="presidio-analyzer is installed")
def test_a_missing_presidio_says_so() -> None:
    with pytest.raises(MissingExtra):
        PresidioDetector()
