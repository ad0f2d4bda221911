"""The report's content: what was measured, how sure it is, and what follows from it.

`report.json` is `Report` as JSON. `schema_version` rises when a field changes its meaning or goes
away; new optional fields do not raise it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from plinth.cli.demo.machine import Machine
from plinth.evaluation.statistics import Agreement, mcnemar, paired_difference, rate

ContenderKey = Literal["base", "few_shot", "tuned", "tfidf", "embedding"]
MODELS: tuple[ContenderKey, ...] = ("base", "few_shot", "tuned")
CHEAP: tuple[ContenderKey, ...] = ("tfidf", "embedding")
MICRO = 1_000_000
SIGNIFICANT = 0.05


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(Part):
    """95 %."""

    low: float
    high: float
    method: str


class Tokens(Part):
    prompt: int
    cached: int
    completion: int


class Money(Part):
    """`micros` are millionths of one unit of `currency`."""

    currency: str
    micros: int


class Contender(Part):
    """One way of answering, measured on the same `n` held-out rows as every other.

    `correct` forgives a model's case, punctuation and a sentence around the one label it names;
    `correct_exact` does not (None for classifiers, which cannot miss the form). `make_seconds` is
    what it took to make it (tuning, fitting), `seconds` what answering the n rows took, both wall
    time. `model` is None for classifiers that run beside the platform.
    """

    key: ContenderKey
    model: str | None
    n: int = Field(ge=1)
    correct: int = Field(ge=0)
    correct_exact: int | None = None
    errored: int = 0
    accuracy: float
    interval: Interval
    seconds: float
    make_seconds: float
    tokens: Tokens | None
    cost_per_1000: Money


class Difference(Part):
    """Accuracy of `b` minus accuracy of `a` on the same rows. `p` is McNemar's exact two-sided p."""

    a: ContenderKey
    b: ContenderKey
    difference: float
    interval: Interval
    only_a: int
    only_b: int
    n: int
    p: float

    @property
    def proven(self) -> Literal[-1, 0, 1]:
        """1 when b is better, -1 when a is, 0 when it is not proven: the interval must leave out zero
        *and* the exact test must agree, which is stricter with few rows."""
        if self.p >= SIGNIFICANT:
            return 0
        return 1 if self.interval.low > 0 else -1 if self.interval.high < 0 else 0


class Verdict(Part):
    """`code` says whether the tuned model or the best classifier is better, or that neither is proven
    to be. `prompt` is the better of the two prompts of the untuned base model.
    """

    code: Literal["cheap_wins", "undecided", "tuned_wins", "no_rival"]
    rival: ContenderKey | None
    rival_difference: Difference | None
    prompt: ContenderKey
    prompt_difference: Difference


class DataFacts(Part):
    source: str
    synthetic: bool
    split: Literal["given", "made"]
    labels: list[str]
    train_rows: int
    validation_rows: int
    test_rows: int
    evaluated_rows: int
    skipped_rows: int
    majority_share: float


class Tuning(Part):
    job_id: str
    base: str
    model: str
    seed: int
    seconds: float
    trained_tokens: int | None
    epochs: int | None
    cost: dict[str, Any] | None = None


class Answer(Part):
    question: str
    expected: str
    answer: str
    first_token_seconds: float
    seconds: float


class Deployed(Part):
    name: str
    target: str
    contender: ContenderKey


class Price(Part):
    """What an hour of the whole machine was taken to cost: an assumption of whoever ran the demo."""

    per_hour: Money
    assumed: Literal[True] = True


class Missing(Part):
    key: ContenderKey
    reason: str


class Timing(Part):
    stage: str
    seconds: float


class Report(Part):
    schema_name: Literal["plinth.demo_report"] = "plinth.demo_report"
    schema_version: Literal[1] = 1
    language: Literal["en", "zh"]
    created_at: float
    data: DataFacts
    contenders: list[Contender]
    not_measured: list[Missing]
    differences: list[Difference]
    verdict: Verdict
    tuning: Tuning
    parity: dict[str, Any] | None
    platform_comparison: dict[str, Any] | None
    deployed: Deployed
    answers: list[Answer]
    price: Price
    machine: Machine
    versions: dict[str, str]
    timings: list[Timing]


def contender(
    key: ContenderKey, correct: Sequence[bool], seconds: float, make_seconds: float, price: Price, **more: Any
) -> Contender:
    """A contender from its hits. The whole machine is charged for the whole time."""
    estimate = rate(sum(correct), len(correct))
    if estimate.value is None or estimate.interval is None:
        raise ValueError("no rows were evaluated")
    micros = round(price.per_hour.micros * seconds / 3600 * 1000 / len(correct))
    return Contender(
        key=key,
        model=more.pop("model", None),
        n=len(correct),
        correct=sum(correct),
        accuracy=estimate.value,
        interval=Interval(low=estimate.interval.low, high=estimate.interval.high, method=estimate.interval.method),
        seconds=seconds,
        make_seconds=make_seconds,
        tokens=more.pop("tokens", None),
        cost_per_1000=Money(currency=price.per_hour.currency, micros=micros),
        **more,
    )


def difference(a: ContenderKey, b: ContenderKey, hits: dict[ContenderKey, Sequence[bool]]) -> Difference:
    """b - a with Tango's interval; both must have answered the same rows."""
    pairs = list(zip(hits[a], hits[b], strict=True))
    only_a, only_b = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    both = sum(x and y for x, y in pairs)
    table = Agreement(both, only_a, only_b, len(pairs) - both - only_a - only_b)
    estimate = paired_difference(table)
    if estimate.value is None or estimate.interval is None:
        raise ValueError("no rows were evaluated")
    interval = Interval(low=estimate.interval.low, high=estimate.interval.high, method=estimate.interval.method)
    return Difference(
        a=a,
        b=b,
        difference=estimate.value,
        interval=interval,
        only_a=only_a,
        only_b=only_b,
        n=len(pairs),
        p=mcnemar(only_a, only_b),
    )


def best(keys: Sequence[ContenderKey], hits: dict[ContenderKey, Sequence[bool]]) -> ContenderKey:
    """The most accurate; a tie goes to the one named first."""
    return max(keys, key=lambda key: (sum(hits[key]), -keys.index(key)))


def judge(hits: dict[ContenderKey, Sequence[bool]]) -> Verdict:
    """What the held-out rows say about tuning: against the best classifier, and the best prompt."""
    prompt = best(("base", "few_shot"), hits)
    prompt_difference = difference(prompt, "tuned", hits)
    rivals = [key for key in CHEAP if key in hits]
    if not rivals:
        return Verdict(
            code="no_rival", rival=None, rival_difference=None, prompt=prompt, prompt_difference=prompt_difference
        )
    rival = best(rivals, hits)
    against = difference(rival, "tuned", hits)
    codes: dict[int, Literal["tuned_wins", "cheap_wins", "undecided"]] = {1: "tuned_wins", -1: "cheap_wins"}
    code = codes.get(against.proven, "undecided")
    return Verdict(code=code, rival=rival, rival_difference=against, prompt=prompt, prompt_difference=prompt_difference)
