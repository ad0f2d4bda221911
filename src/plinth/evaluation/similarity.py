"""Reference-based text similarity, 0 (nothing shared) to 1 (the same), for Chinese and English.

All but `fuzzy_match` compare the tokens of `tokens.py`. Two empty texts are the same; an empty
text shares nothing with any other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from plinth.evaluation.tokens import tokens

Tokens = Sequence[str]
MAX_ORDER = 4


def similarity(metric: str, candidate: str, reference: str) -> float:
    """Args: `metric` is one of `METRICS`; `candidate` is the text being graded."""
    if metric == "fuzzy_match":
        return fuzzy_match(candidate, reference)
    left, right = tokens(candidate), tokens(reference)
    if not left or not right:
        return float(left == right)
    return METRICS[metric](left, right)


def fuzzy_match(candidate: str, reference: str) -> float:
    """Normalised insert/delete similarity of the characters (rapidfuzz `ratio`)."""
    from rapidfuzz import fuzz

    return fuzz.ratio(candidate, reference) / 100


def bleu(candidate: Tokens, reference: Tokens) -> float:
    """Sentence BLEU up to 4-grams (Papineni et al. 2002), orders above 1 add-one smoothed
    (Lin and Och 2004); texts shorter than 4 tokens use as many orders as they have."""
    orders = min(MAX_ORDER, len(candidate), len(reference))
    logs = 0.0
    for order in range(1, orders + 1):
        shared, total = _overlap(candidate, reference, order), len(candidate) - order + 1
        if order == 1 and not shared:
            return 0.0
        smoothing = 0 if order == 1 else 1
        logs += math.log((shared + smoothing) / (total + smoothing))
    brevity = min(0.0, 1 - len(reference) / len(candidate))
    return math.exp(brevity + logs / orders)


def gleu(candidate: Tokens, reference: Tokens) -> float:
    """Google GLEU (Wu et al. 2016): the smaller of precision and recall over all 1- to 4-grams."""
    shared = sum(_overlap(candidate, reference, order) for order in range(1, MAX_ORDER + 1))
    return shared / max(_grams(len(candidate)), _grams(len(reference)))


def meteor(candidate: Tokens, reference: Tokens) -> float:
    """METEOR (Banerjee and Lavie 2005) with exact matches only: no stems, no synonyms.

    The alignment is greedy from the left and prefers to continue the current chunk.
    """
    free: dict[str, list[int]] = {}
    for position, token in enumerate(reference):
        free.setdefault(token, []).append(position)
    matches = chunks = 0
    previous = -2
    for token in candidate:
        places = free.get(token)
        if not places:
            previous = -2
            continue
        place = previous + 1 if previous + 1 in places else places[0]
        places.remove(place)
        matches += 1
        chunks += place != previous + 1
        previous = place
    if not matches:
        return 0.0
    precision, recall = matches / len(candidate), matches / len(reference)
    mean = 10 * precision * recall / (recall + 9 * precision)
    penalty = 0.0 if matches == len(candidate) == len(reference) and chunks == 1 else 0.5 * (chunks / matches) ** 3
    return mean * (1 - penalty)


def rouge_n(order: int) -> Callable[[Tokens, Tokens], float]:
    """ROUGE-N F1 (Lin 2004). Texts too short for the order are the same or share nothing."""

    def score(candidate: Tokens, reference: Tokens) -> float:
        total = max(0, len(candidate) - order + 1) + max(0, len(reference) - order + 1)
        if not total:
            return float(list(candidate) == list(reference))
        return 2 * _overlap(candidate, reference, order) / total

    return score


def rouge_l(candidate: Tokens, reference: Tokens) -> float:
    """ROUGE-L F1 (Lin 2004): longest common subsequence of tokens."""
    from rapidfuzz.distance import LCSseq

    return 2 * LCSseq.similarity(candidate, reference) / (len(candidate) + len(reference))


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Cosine of two vectors, -1 to 1; 0 if one of them is zero."""
    scale = math.hypot(*left) * math.hypot(*right)
    return math.fsum(a * b for a, b in zip(left, right, strict=True)) / scale if scale else 0.0


def _overlap(candidate: Tokens, reference: Tokens, order: int) -> int:
    return (_ngrams(candidate, order) & _ngrams(reference, order)).total()


def _ngrams(words: Tokens, order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def _grams(length: int) -> int:
    """How many 1- to 4-grams a text of that many tokens has."""
    return sum(max(0, length - order + 1) for order in range(1, MAX_ORDER + 1))


METRICS: dict[str, Callable[[Tokens, Tokens], float]] = {
    "bleu": bleu,
    "gleu": gleu,
    "meteor": meteor,
    "rouge_l": rouge_l,
    **{f"rouge_{order}": rouge_n(order) for order in range(1, 6)},
}
