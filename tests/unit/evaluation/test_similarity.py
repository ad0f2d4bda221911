from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.evaluation.similarity import METRICS, cosine, similarity
from plinth.evaluation.tokens import normalise_label, tokens

words = st.text(alphabet="ab 退款我。", max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我要退款3.5元 Please, NOW!", ["我", "要", "退", "款", "3.5", "元", "please", "now"]),
        ("don't ＡＢＣ １２", ["don't", "abc", "12"]),
        ("カードabc中文def", ["カ", "ー", "ド", "abc", "中", "文", "def"]),
        ("snake_case x1", ["snake", "case", "x", "1"]),
        ("，。！", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize("metric", ["fuzzy_match", *METRICS])
@pytest.mark.parametrize("text", ["the quick brown fox jumps", "我想查询信用卡的账单金额", "卡 card"])
def test_the_same_text_scores_one_and_another_zero(metric: str, text: str) -> None:
    assert similarity(metric, text, text) == pytest.approx(1.0)
    assert similarity(metric, text, "zzz qqq www vvv") == pytest.approx(0.0, abs=0.3 if metric == "fuzzy_match" else 0)
    assert similarity(metric, text, "") == 0.0
    assert similarity(metric, "", "") == 1.0


@pytest.mark.parametrize("metric", ["fuzzy_match", *METRICS])
@given(words, words)
def test_scores_stay_between_zero_and_one(metric: str, left: str, right: str) -> None:
    assert 0.0 <= similarity(metric, left, right) <= 1.0 + 1e-12


@given(words.map(tokens).filter(bool), words.map(tokens).filter(bool), st.integers(1, 5))
def test_rouge_n_by_brute_force(left: list[str], right: list[str], order: int) -> None:
    def grams(text: list[str]) -> Counter[str]:
        return Counter("|".join(text[i : i + order]) for i in range(len(text) - order + 1))

    a, b = grams(left), grams(right)
    shared = sum(min(a[gram], b[gram]) for gram in a)
    if a and b and shared:
        precision, recall = shared / sum(a.values()), shared / sum(b.values())
        assert METRICS[f"rouge_{order}"](left, right) == pytest.approx(2 * precision * recall / (precision + recall))
    elif a or b:
        assert METRICS[f"rouge_{order}"](left, right) == 0.0


@given(words.map(tokens).filter(bool), words.map(tokens).filter(bool))
def test_rouge_l_by_dynamic_programming(left: list[str], right: list[str]) -> None:
    row = [0] * (len(right) + 1)
    for word in left:
        previous = row[:]
        for j, other in enumerate(right, 1):
            row[j] = previous[j - 1] + 1 if word == other else max(previous[j], row[j - 1])
    assert METRICS["rouge_l"](left, right) == pytest.approx(2 * row[-1] / (len(left) + len(right)))


def test_bleu_by_hand() -> None:
    # "the cat sat" against "the cat slept": 2/3, (1+1)/(2+1), (0+1)/(1+1); no brevity penalty
    expected = math.exp((math.log(2 / 3) + math.log(2 / 3) + math.log(1 / 2)) / 3)
    assert similarity("bleu", "the cat sat", "the cat slept") == pytest.approx(expected)
    shortened = similarity("bleu", "the cat", "the cat sat on")
    assert shortened == pytest.approx(math.exp(1 - 4 / 2))


def test_gleu_by_hand() -> None:
    # a b c against a b d: shared a, b, "a b" = 3 of 6
    assert similarity("gleu", "a b c", "a b d") == pytest.approx(0.5)


def test_meteor_counts_chunks() -> None:
    straight = similarity("meteor", "one two three four", "one two three five")
    shuffled = similarity("meteor", "three one four two", "one two three five")
    assert straight == pytest.approx(0.75 * (1 - 0.5 / 27))
    assert shuffled < straight


def test_chinese_is_not_one_word() -> None:
    close = similarity("rouge_1", "请帮我重置网银密码", "请帮我重置手机银行密码")
    assert 0.7 < close < 1.0
    assert similarity("rouge_1", "请帮我重置网银密码", "天气不错") == 0.0


def test_cosine() -> None:
    assert cosine([1, 0], [1, 1]) == pytest.approx(1 / math.sqrt(2))
    assert cosine([0, 0], [1, 1]) == 0.0
    assert cosine([1, 2], [-1, -2]) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    "text",
    [
        "card_arrival",
        "Card Arrival.",
        "**card-arrival**",
        ' "card_arrival"\n',
        "Label: card_arrival",
        "标签：ｃａｒｄ arrival。",
    ],
)
def test_labels_without_decoration(text: str) -> None:
    assert normalise_label(text) == "card arrival"
