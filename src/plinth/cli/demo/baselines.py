"""The honest cheap rivals, computed on this machine: classifiers that cost seconds to make.

scikit-learn is part of the optional `demo` extra and is imported when it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plinth.cli.demo.dataset import Row
from plinth.kit.errors import MissingExtra

Embed = Callable[[Sequence[str]], list[list[float]]]


@dataclass(frozen=True)
class Fitted:
    """`seconds` answering all test rows, `make_seconds` making the classifier."""

    predictions: tuple[str, ...]
    seconds: float
    make_seconds: float


def tfidf(train: Sequence[Row], test: Sequence[Row]) -> Fitted:
    """Word 1-2-grams and character 1-4-grams (which carry Chinese), logistic regression."""
    learn = _scikit_learn()
    features = learn.make_union(
        learn.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        learn.TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
    )
    model = learn.make_pipeline(features, learn.LogisticRegression(C=10, max_iter=1000))
    return _measure(model, lambda rows: [row.text for row in rows], train, test)


def embedding(train: Sequence[Row], test: Sequence[Row], embed: Embed) -> Fitted:
    """Frozen sentence embeddings of the platform and a logistic regression on top of them."""
    learn = _scikit_learn()
    model = learn.make_pipeline(learn.StandardScaler(), learn.LogisticRegression(C=0.1, max_iter=1000))
    return _measure(model, lambda rows: embed([row.text for row in rows]), train, test)


def _measure(model: Any, features: Callable[[Sequence[Row]], Any], train: Sequence[Row], test: Sequence[Row]) -> Fitted:
    started = time.monotonic()
    model.fit(features(train), [row.label for row in train])
    made = time.monotonic()
    predictions = tuple(str(label) for label in model.predict(features(test)))
    return Fitted(predictions, seconds=time.monotonic() - made, make_seconds=made - started)


class _ScikitLearn:
    """The few names used here, loaded together."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union
        from sklearn.preprocessing import StandardScaler

        self.TfidfVectorizer, self.LogisticRegression = TfidfVectorizer, LogisticRegression
        self.make_pipeline, self.make_union, self.StandardScaler = make_pipeline, make_union, StandardScaler


def _scikit_learn() -> Any:
    try:
        return _ScikitLearn()
    except ImportError:
        raise MissingExtra(extra="demo") from None
