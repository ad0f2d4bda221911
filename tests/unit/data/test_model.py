"""Pure rules: splits, names, lifetimes, encodings."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plinth.data.errors import InvalidExpiry, InvalidSplits
from plinth.data.formats.encoding import Utf8Check, likely_encoding
from plinth.data.model import SplitRule, check_dataset_name, check_expiry, clean_filename, dataset_name_of

# a busy machine is not a defect: no deadline, and slow generation is no failure
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def row(question: str, answer: str = "a", system: str | None = None) -> dict[str, object]:
    first = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*first, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def test_a_known_row_has_a_known_place() -> None:
    """Stored versions rely on it: if this fails, rows have moved between training and test."""
    rule = SplitRule({"train": 0.4, "validation": 0.3, "test": 0.3}, seed=3)
    places = [rule.split_of(row(f"question {n}"))[:2] for n in range(12)]
    assert " ".join(places) == "tr tr tr tr va tr tr va tr tr tr va"


@calm
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**31 - 1))
def test_answer_instruction_and_key_order_do_not_move_a_row(question: str, one: str, two: str, seed: int) -> None:
    rule = SplitRule({"train": 0.5, "test": 0.5}, seed)
    place = rule.split_of(row(question, one))
    assert rule.split_of(row(question, two)) == place
    assert rule.split_of(row(question, two, system=one)) == place
    turned = {"messages": [dict(reversed(m.items())) for m in row(question, one)["messages"]]}  # type: ignore[attr-defined]
    assert rule.split_of(turned) == place


@calm
@given(st.integers(0, 100))
def test_growing_the_training_share_moves_rows_one_way(seed: int) -> None:
    """With two splits, a row that was in the larger one stays there when it grows."""
    small, large = SplitRule({"test": 0.3, "train": 0.7}, seed), SplitRule({"test": 0.2, "train": 0.8}, seed)
    for n in range(50):
        if small.split_of(row(str(n))) == "train":
            assert large.split_of(row(str(n))) == "train"


def test_shares_are_kept_roughly() -> None:
    rule = SplitRule({"train": 0.9, "test": 0.1})
    tested = sum(rule.split_of(row(str(n))) == "test" for n in range(5000))
    assert 400 < tested < 600


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.2}, {"a": 1.0, "b": 0.0}, {"": 1.0}, {"a": float("nan")}])
def test_impossible_splits(shares: dict[str, float]) -> None:
    with pytest.raises(InvalidSplits):
        SplitRule(shares)


@pytest.mark.parametrize(
    ("given_name", "clean"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\训练.csv", "训练.csv"),
        ("a\x00b\n.txt", "ab.txt"),
        ("", "upload"),
        ("/", "upload"),
        (None, "upload"),
        ("x" * 300, "x" * 255),
    ],
)
def test_filenames(given_name: str | None, clean: str) -> None:
    assert clean_filename(given_name) == clean


@calm
@given(st.text(max_size=80))
def test_every_filename_gives_a_valid_dataset_name(name: str) -> None:
    check_dataset_name(dataset_name_of(clean_filename(name)))


def test_dataset_names_of_files() -> None:
    assert dataset_name_of("train.v2.jsonl.gz") == "train.v2"
    assert dataset_name_of("意图 分类.csv") == "意图 分类"
    assert dataset_name_of(".jsonl") == "dataset"


def test_lifetimes() -> None:
    assert check_expiry(None, None, "user_data") is None
    assert check_expiry(None, None, "batch") == 30 * 24 * 3600
    assert check_expiry("created_at", "3600", "batch") == 3600
    for anchor, seconds in (("created_at", None), (None, 3600), ("created_at", "-1"), ("created_at", "²"), ("x", 3600)):
        with pytest.raises(InvalidExpiry):
            check_expiry(anchor, seconds, "batch")


nearly_text = st.lists(
    st.sampled_from([b"a", "é".encode(), "退".encode(), b"\xe9\x80", b"\xff", b"\xf0\x9f"]), max_size=12
)


@calm
@given(nearly_text.map(b"".join), st.lists(st.integers(0, 30), max_size=4))
def test_the_utf8_check_agrees_with_python_however_it_is_cut(raw: bytes, cuts: list[int]) -> None:
    check, start = Utf8Check(), 0
    for cut in [*sorted(cuts), len(raw)]:
        check.feed(raw[start:cut])
        start = max(start, cut)
    check.finish()
    try:
        raw.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = error.start
    assert check.bad_offset == expected


def test_likely_encodings() -> None:
    assert likely_encoding("您好，请问退款".encode("gb18030")) == "GB18030"
    assert likely_encoding("naïve café à la carte".encode("latin-1")) == "Windows-1252"
    assert likely_encoding("text".encode("utf-16")) == "UTF-16"
