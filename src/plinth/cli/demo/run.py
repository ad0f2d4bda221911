"""One run of the demo: the stages in order, their times, the report at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plinth.cli.demo import dataset, machine, stages
from plinth.cli.demo.api import Api, one_sentence
from plinth.cli.demo.errors import Stopped
from plinth.cli.demo.installation import Installation
from plinth.cli.demo.report import (
    CHEAP,
    MICRO,
    MODELS,
    ContenderKey,
    DataFacts,
    Money,
    Price,
    Report,
    Timing,
    contender,
    difference,
    judge,
)
from plinth.cli.demo.screen import Screen
from plinth.cli.demo.words import headline
from plinth.cli.demo.write import write


@dataclass(frozen=True)
class Options:
    """What the command line asked for. `price_per_hour` is in units of `currency`."""

    data: Path | None
    home: Path
    port: int | None
    rows: int
    evaluated: int
    epochs: int | None
    keep: bool
    language: Literal["zh", "en"]
    output: Path
    price_per_hour: float
    currency: str

    @property
    def price(self) -> Price:
        return Price(per_hour=Money(currency=self.currency, micros=round(self.price_per_hour * MICRO)))


@dataclass
class Clock:
    """Announces a stage and notes how long it took."""

    screen: Screen
    timings: list[Timing] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.screen.stage(name)
        started = time.monotonic()
        yield
        self.timings.append(Timing(stage=name, seconds=time.monotonic() - started))


def demo(options: Options) -> Report:
    """Run every stage and write the report.

    Raises:
        PlinthError: one sentence; the platform is shut down by then. `Stopped` after Ctrl-C.
    """
    screen = Screen(options.language)
    clock = Clock(screen)
    installation = Installation(options.home, options.port)
    with clock.stage("prepare"):
        table = dataset.load(options.data)
        prepared = stages.prepare(table, stages.Options(options.rows, options.evaluated, options.epochs), screen)
    try:
        with installation, one_sentence(installation.home):
            report = _loop(options, prepared, installation, clock)
            installation.keep = options.keep
    except KeyboardInterrupt:
        raise Stopped(home=installation.home) from None
    _close(options, installation, report, screen)
    return report


def _loop(options: Options, prepared: stages.Prepared, installation: Installation, clock: Clock) -> Report:
    screen = clock.screen
    with clock.stage("start"):
        api = stages.start(installation, screen)
    with closing(api):
        return _turn(api, options, prepared, installation, clock)


def _turn(api: Api, options: Options, prepared: stages.Prepared, installation: Installation, clock: Clock) -> Report:
    screen = clock.screen
    with clock.stage("upload"):
        files = stages.upload(api, prepared, screen)
    with clock.stage("tune"):
        tuning = stages.tune(api, prepared, files, installation, screen)
    with clock.stage("evaluate"):
        results = stages.evaluate(api, prepared, files, tuning, installation, screen)
    with clock.stage("rivals"):
        stages.rivals(api, prepared, results, screen)
    with clock.stage("deploy"):
        deployed = stages.deploy(api, tuning, results, screen)
    with clock.stage("ask"):
        answers = stages.ask(api, prepared, deployed, screen)
    with clock.stage("report"):
        report = Report(
            language=options.language,
            created_at=time.time(),
            data=_facts(prepared),
            **_figures(results, options.price),
            not_measured=results.missing,
            tuning=tuning,
            parity=stages.parity(api, tuning.model),
            platform_comparison=stages.compare(api, results),
            deployed=deployed,
            answers=answers,
            price=options.price,
            machine=machine.describe(),
            versions=machine.versions(),
            timings=clock.timings,
        )
        for path in write(report, options.output):
            screen.say("written", path=path)
    return report


def _facts(prepared: stages.Prepared) -> DataFacts:
    table = prepared.table
    return DataFacts(
        source=table.source,
        synthetic=table.synthetic,
        split="given" if table.split == "given" else "made",
        labels=list(table.labels),
        train_rows=len(prepared.train),
        validation_rows=len(table.validation),
        test_rows=len(table.test),
        evaluated_rows=len(prepared.test),
        skipped_rows=table.skipped,
        majority_share=dataset.majority_share(prepared.test),
    )


def _figures(results: stages.Results, price: Price) -> dict[str, Any]:
    hits = results.hits
    present: list[ContenderKey] = [key for key in (*MODELS, *CHEAP) if key in hits]
    contenders = [
        contender(
            key,
            found.correct,
            found.seconds,
            found.make_seconds,
            price,
            model=found.model,
            tokens=found.tokens,
            correct_exact=found.exact,
            errored=found.errored,
        )
        for key in present
        for found in [results.measured[key]]
    ]
    differences = [difference(key, "tuned", hits) for key in present if key != "tuned"]
    return {"contenders": contenders, "differences": differences, "verdict": judge(hits)}


def _close(options: Options, installation: Installation, report: Report, screen: Screen) -> None:
    """The table, where the files are, and how to go on."""
    header = [screen.text(f"header_{name}") for name in ("name", "accuracy", "interval", "n", "answer_seconds")]
    header.append(screen.text("header_cost", currency=options.currency))
    rows = [
        (
            screen.text(one.key),
            f"{one.accuracy:.1%}",
            f"{one.interval.low:.1%} – {one.interval.high:.1%}",
            str(one.n),
            f"{one.seconds / one.n:.3f}",
            f"{one.cost_per_1000.micros / MICRO:.4f}",
        )
        for one in report.contenders
    ]
    screen.table(header, rows)
    screen.print(headline(report), style="bold")
    if options.keep:
        screen.say("kept", url=installation.url, pid=installation.pid)
        screen.say("environment", url=installation.url, secret=installation.project_key)
    else:
        screen.say("again", home=installation.home)
