"""The stages of the demo, in order. Each takes what earlier stages made and returns something small.

prepare -> start -> upload -> tune -> evaluate -> rivals -> deploy -> ask -> (report)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plinth.cli.demo import baselines, dataset, prompts
from plinth.cli.demo.api import POLL_SECONDS, Api, connect
from plinth.cli.demo.dataset import Row, Table
from plinth.cli.demo.errors import EvaluationEnded, TuningEnded
from plinth.cli.demo.installation import Installation
from plinth.cli.demo.prompts import ARMS, Arm
from plinth.cli.demo.report import Answer, ContenderKey, Deployed, Missing, Tokens, Tuning, best
from plinth.cli.demo.screen import Progress, Screen, duration
from plinth.kit.errors import MissingExtra

BASE = "smollm2-135m-instruct"
EMBEDDER = "multilingual-e5-small"
NAME = "support"
# room for the worked examples of the few-shot prompt (prompts.yaml)
CONTEXT_TOKENS = 4096
SEED = 7


@dataclass(frozen=True)
class Options:
    """`rows`: most training rows used; `evaluated`: most held-out rows asked; None means the default."""

    rows: int = 2000
    evaluated: int = 200
    epochs: int | None = None
    seed: int = SEED


@dataclass(frozen=True)
class Prepared:
    """The table, cut down to what this run uses."""

    table: Table
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    epochs: int | None
    seed: int


@dataclass(frozen=True)
class Uploaded:
    train: str
    validation: str | None
    test: str


@dataclass
class Measured:
    """What one contender did with the test rows.

    `correct` reads a model's answer kindly (`prompts.read_label`), so that a prompt is not beaten
    by a full stop; `exact` counts what the platform's exact string check passed.
    """

    model: str | None
    correct: tuple[bool, ...]
    seconds: float
    make_seconds: float = 0.0
    exact: int | None = None
    errored: int = 0
    tokens: Tokens | None = None


@dataclass
class Results:
    """What the stages have found so far; the report is written from it."""

    measured: dict[ContenderKey, Measured] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    runs: dict[Arm, str] = field(default_factory=dict)
    eval_id: str = ""

    @property
    def hits(self) -> dict[ContenderKey, Sequence[bool]]:
        return {key: found.correct for key, found in self.measured.items()}


def prepare(table: Table, options: Options, screen: Screen) -> Prepared:
    """Choose the rows."""
    train = tuple(dataset.stratified(table.train, options.rows))
    test = tuple(dataset.stratified(table.test, options.evaluated))
    screen.say("data", source=table.source, train=len(train), test=len(test), labels=len(table.labels))
    if table.synthetic:
        screen.say("synthetic")
    return Prepared(table, train, test, options.epochs, options.seed)


def start(installation: Installation, screen: Screen) -> Api:
    """Make a fresh home, start the platform, connect to it."""
    keys = installation.initialize()
    installation.start()
    api = Api(connect(installation.url, keys.project_key), installation.url, installation.home)
    api.wait_until_whole()
    screen.say("running", url=installation.url, home=installation.home)
    return api


def upload(api: Api, prepared: Prepared, screen: Screen) -> Uploaded:
    """The rows as files: chat JSONL to tune on, items to evaluate on."""
    validation = prepared.table.validation
    files = Uploaded(
        train=api.upload("train.jsonl", prompts.training_file(prepared.train), "fine-tune"),
        validation=api.upload("validation.jsonl", prompts.training_file(validation), "fine-tune")
        if validation
        else None,
        test=api.upload("test.jsonl", prompts.evaluation_file(prepared.test), "evals"),
    )
    screen.say("uploaded", train=len(prepared.train), validation=len(validation), test=len(prepared.test))
    return files


def tune(api: Api, prepared: Prepared, files: Uploaded, installation: Installation, screen: Screen) -> Tuning:
    """Create the fine-tuning job and follow it to its end."""
    started = time.monotonic()
    supervised: Any = {"hyperparameters": {"n_epochs": prepared.epochs or "auto"}}
    optional: Any = {"validation_file": files.validation} if files.validation else {}
    job = api.client.fine_tuning.jobs.create(
        model=BASE,
        training_file=files.train,
        suffix=NAME,
        seed=prepared.seed,
        method={"type": "supervised", "supervised": supervised},
        **optional,
    )
    screen.say("job", id=job.id, base=BASE)
    with screen.progress(screen.text("tuning")) as update:
        job = follow(api, job.id, update, screen)
    extra = job.model_extra or {}
    if job.status != "succeeded" or not job.fine_tuned_model:
        reason = job.error.message if job.error else screen.text("no_reason")
        raise TuningEnded(id=job.id, status=job.status, reason=reason, home=installation.home)
    seconds = time.monotonic() - started
    screen.say("tuned_message", model=job.fine_tuned_model, time=duration(seconds, screen))
    epochs = job.hyperparameters.n_epochs
    return Tuning(
        job_id=job.id,
        base=BASE,
        model=job.fine_tuned_model,
        seed=job.seed,
        seconds=seconds,
        trained_tokens=job.trained_tokens,
        epochs=epochs if isinstance(epochs, int) else None,
        cost=extra.get("cost"),
    )


def follow(api: Api, job_id: str, update: Progress, screen: Screen) -> Any:
    """Poll a job until it ends, showing its latest metrics and the range of its estimate."""
    while True:
        job = api.client.fine_tuning.jobs.retrieve(job_id)
        events = api.client.fine_tuning.jobs.list_events(job_id, limit=10).data
        metrics = next((event.data for event in events if event.type == "metrics" and isinstance(event.data, dict)), {})
        extra = job.model_extra or {}
        if progress := extra.get("progress"):
            done, total = progress["step"], progress["total_steps"]
            told = remark(metrics, extra.get("eta_range"), screen) if done < total else screen.text("finishing")
            update(done, total, told)
        if job.status in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(POLL_SECONDS)


def remark(metrics: dict[str, Any], left: Sequence[float] | None, screen: Screen) -> str:
    """The loss, and how long the rest will probably take: from … to … seconds."""
    parts = []
    if (loss := metrics.get("train_loss")) is not None:
        parts.append(screen.text("loss", loss=f"{float(loss):.3f}"))
    if left:
        parts.append(screen.text("left", low=duration(left[0], screen), high=duration(left[1], screen)))
    return " ".join(parts)


def evaluate(
    api: Api, prepared: Prepared, files: Uploaded, tuning: Tuning, installation: Installation, screen: Screen
) -> Results:
    """The three model arms on the same rows, one after the other (each gets the whole machine)."""
    results = Results(eval_id=api.create_eval(f"{NAME}: {prepared.table.source}"))
    for arm in ARMS:
        model = tuning.model if arm == "tuned" else BASE
        api.deploy(model, None if arm == "tuned" else CONTEXT_TOKENS)
        prompt = prompts.prefix(arm, prepared.table.labels, prepared.train, prepared.seed)
        tokens = prompts.answer_tokens(prepared.table.labels)
        run_id = api.create_run(results.eval_id, arm, model, files.test, prompt, tokens)
        with screen.progress(screen.text(arm)) as update:
            run = follow_run(api, results.eval_id, run_id, update)
        if run.status != "completed":
            reason = getattr(run.error, "message", None) or screen.text("no_reason")
            raise EvaluationEnded(id=run_id, status=run.status, reason=reason, home=installation.home)
        results.runs[arm] = run_id
        measured = _measured(api, results.eval_id, run, prepared, model)
        measured.make_seconds = tuning.seconds if arm == "tuned" else 0.0
        results.measured[arm] = measured
        _say_result(arm, measured, screen)
    return results


def follow_run(api: Api, eval_id: str, run_id: str, update: Progress) -> Any:
    while True:
        run = api.client.evals.runs.retrieve(run_id, eval_id=eval_id)
        progress = (run.model_extra or {}).get("progress")
        if progress and progress["total"]:
            update(progress["finished"], progress["total"], "")
        if run.status in ("completed", "failed", "canceled"):
            return run
        time.sleep(POLL_SECONDS)


def _measured(api: Api, eval_id: str, run: Any, prepared: Prepared, model: str) -> Measured:
    hits = [False] * len(prepared.test)
    exact = errored = 0
    for item in api.client.evals.runs.output_items.list(run.id, eval_id=eval_id, limit=100):
        exact += item.status == "pass"
        errored += item.status == "error"
        answer = item.sample.output[0].content if item.sample and item.sample.output else ""
        label = prepared.test[item.datasource_item_id].label
        hits[item.datasource_item_id] = prompts.read_label(answer or "", prepared.table.labels) == label
    used = run.per_model_usage
    # wall time with requests in flight: waiting for the run to begin is not the model's doing
    seconds = float(run.model_extra["cost"]["occupied_seconds"])
    tokens = Tokens(
        prompt=sum(usage.prompt_tokens for usage in used),
        cached=sum(usage.cached_tokens for usage in used),
        completion=sum(usage.completion_tokens for usage in used),
    )
    return Measured(model=model, correct=tuple(hits), seconds=seconds, exact=exact, errored=errored, tokens=tokens)


def rivals(api: Api, prepared: Prepared, results: Results, screen: Screen) -> None:
    """The cheap classifiers on the same rows; one that cannot be measured is reported as such."""
    truth = [row.label for row in prepared.test]

    def add(key: ContenderKey, fitted: baselines.Fitted, model: str | None) -> None:
        correct = tuple(a == b for a, b in zip(fitted.predictions, truth, strict=True))
        measured = Measured(model, correct, fitted.seconds, fitted.make_seconds)
        results.measured[key] = measured
        _say_result(key, measured, screen)

    add("tfidf", baselines.tfidf(prepared.train, prepared.test), None)
    try:
        api.deploy(EMBEDDER)
        fitted = baselines.embedding(prepared.train, prepared.test, lambda texts: api.embed(EMBEDDER, texts))
        add("embedding", fitted, EMBEDDER)
    except MissingExtra:
        raise
    except Exception as error:  # whatever ails the embedder must not cost the results that are there
        reason = " ".join(str(error).split())[:300]
        results.missing.append(Missing(key="embedding", reason=reason))
        screen.say("not_measured", name=screen.text("embedding"), reason=reason)


def deploy(api: Api, tuning: Tuning, results: Results, screen: Screen) -> Deployed:
    """Give the best of the three arms the public name."""
    winner = best(ARMS, results.hits)
    target = tuning.model if winner == "tuned" else BASE
    api.put(f"/api/aliases/{NAME}", {"target": target})
    screen.say("deployed", name=NAME, target=target, arm=screen.text(winner))
    return Deployed(name=NAME, target=target, contender=winner)


def ask(api: Api, prepared: Prepared, deployed: Deployed, screen: Screen) -> list[Answer]:
    """A few held-out questions to the public name, streamed."""
    arm: Arm = deployed.contender if deployed.contender in ARMS else "base"
    prompt = prompts.prefix(arm, prepared.table.labels, prepared.train, prepared.seed)
    answers = []
    for row in questions(prepared.test):
        screen.say("question", text=row.text)
        screen.token("      ")
        started, first, pieces = time.monotonic(), 0.0, []
        messages = [*prompt, {"role": "user", "content": row.text}]
        for piece in api.ask(NAME, messages, prompts.answer_tokens(prepared.table.labels)):
            first = first or time.monotonic() - started
            pieces.append(piece)
            screen.token(piece)
        screen.say("expected", label=row.label)
        answer = "".join(pieces).strip()
        answers.append(
            Answer(
                question=row.text,
                expected=row.label,
                answer=answer,
                first_token_seconds=first,
                seconds=time.monotonic() - started,
            )
        )
    return answers


def questions(rows: Sequence[Row]) -> list[Row]:
    """Two rows with Chinese and two without, or four of whatever there is."""
    chinese = [row for row in rows if any("一" <= character <= "鿿" for character in row.text)]
    others = [row for row in rows if row not in set(chinese)]
    chosen = chinese[:2] + others[:2]
    return chosen if len(chosen) == 4 else list(rows[:4])


def parity(api: Api, model: str, seconds: float = 60.0) -> dict[str, Any] | None:
    """The report on whether the served model answers as the trained one did; None if there is none yet."""
    deadline = time.monotonic() + seconds
    while True:
        reports = api.get(f"/api/versions/{model}").get("reports") or []
        found = next((entry["report"] for entry in reports if entry["kind"] == "parity"), None)
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def compare(api: Api, results: Results) -> dict[str, Any]:
    """The platform's own paired comparison of the best prompt and the tuned model."""
    prompt: Arm = "base" if best(("base", "few_shot"), results.hits) == "base" else "few_shot"
    query = f"run_a={results.runs[prompt]}&run_b={results.runs['tuned']}"
    found = api.get(f"/api/evals/{results.eval_id}/compare?{query}")
    return {name: value for name, value in found["overall"].items() if name != "flipped"}


def _say_result(key: ContenderKey, measured: Measured, screen: Screen) -> None:
    correct, n = sum(measured.correct), len(measured.correct)
    screen.say("result", name=screen.text(key), correct=correct, n=n, time=duration(measured.seconds, screen))
