"""A report made of invented hits, for the tests of the page and the words."""

from __future__ import annotations

from plinth.cli.demo.machine import Machine
from plinth.cli.demo.report import (
    Answer,
    DataFacts,
    Deployed,
    Missing,
    Money,
    Price,
    Report,
    Timing,
    Tokens,
    Tuning,
    contender,
    difference,
    judge,
)
from unit.demo.fake_platform import PARITY

N = 200
MODEL = "ft:smollm2-135m-instruct:org:support:abcd1234"


def hits(correct: int, shift: int = 0) -> list[bool]:
    """`correct` of N rows right, beginning at row `shift`."""
    return [(index - shift) % N < correct for index in range(N)]


def report(language: str = "en", *, tuned: int = 150, embedding: int = 170, synthetic: bool = True) -> Report:
    found = {
        "base": hits(14),
        "few_shot": hits(40),
        "tuned": hits(tuned),
        "tfidf": hits(160, 7),
        "embedding": hits(embedding, 3),
    }
    price = Price(per_hour=Money(currency="CNY", micros=400_000))
    seconds = {"base": 41.0, "few_shot": 63.0, "tuned": 22.0, "tfidf": 0.04, "embedding": 6.1}
    made = {"tuned": 143.0, "tfidf": 0.9, "embedding": 31.0}
    contenders = [
        contender(
            key,
            row,
            seconds[key],
            made.get(key, 0.0),
            price,
            model=MODEL if key == "tuned" else None,
            tokens=Tokens(prompt=23456, cached=12000, completion=812) if key in ("base", "few_shot", "tuned") else None,
            correct_exact=sum(row) - 2 if key in ("base", "few_shot") else None,
        )
        for key, row in found.items()
    ]
    return Report(
        language=language,
        created_at=1_800_000_000.0,
        data=DataFacts(
            source="bank_service",
            synthetic=synthetic,
            split="given",
            labels=["lost_card", "statement"],
            train_rows=756,
            validation_rows=60,
            test_rows=240,
            evaluated_rows=N,
            skipped_rows=0,
            majority_share=0.085,
        ),
        contenders=contenders,
        not_measured=[Missing(key="embedding", reason="<b>invented</b>")],
        differences=[difference(key, "tuned", found) for key in ("base", "few_shot", "tfidf", "embedding")],
        verdict=judge(found),
        tuning=Tuning(
            job_id="ftjob-1",
            base="smollm2-135m-instruct",
            model=MODEL,
            seed=7,
            seconds=143.0,
            trained_tokens=91234,
            epochs=4,
        ),
        parity=PARITY,
        platform_comparison={"n": N, "difference": {"value": 0.55}, "mcnemar_p": 0.0},
        deployed=Deployed(name="support", target=MODEL, contender="tuned"),
        answers=[
            Answer(
                question="卡丢了 <script>",
                expected="lost_card",
                answer="lost_card",
                first_token_seconds=0.2,
                seconds=0.3,
            )
        ],
        price=price,
        machine=Machine(processor="Example CPU", cores=2, memory_bytes=8 << 30, system="Linux"),
        versions={"plinth": "0.1.0", "openai": "3.54.0"},
        timings=[Timing(stage="tune", seconds=143.0), Timing(stage="evaluate", seconds=120.0)],
    )
