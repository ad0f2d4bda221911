"""How facts become work: which events start which job, and which slice hears what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plinth.bootstrap.gateway import parts_of
from plinth.bootstrap.platform import Platform
from plinth.gateway.webhooks import FACTS
from plinth.kit.events import Effect, Subscription
from plinth.kit.jobs import Workflow


def queues(platform: Platform) -> dict[str, int]:
    worker = platform.settings.worker
    return {
        "tuning": worker.tuning_concurrency,
        "evaluation": worker.evaluation_concurrency,
        "responses": platform.settings.responses.background_concurrency,
        "calibrations": platform.settings.decisions.calibration_concurrency,
        "batch_checks": 1,
        "batches": worker.batch_concurrency,
    }


def workflows(platform: Platform) -> list[Workflow]:
    from plinth.evaluation.jobs import workflows as evaluation
    from plinth.gateway.batches.jobs import workflows as batches
    from plinth.gateway.decisions.jobs import workflows as calibrations
    from plinth.gateway.responses.jobs import workflows as responses
    from plinth.tuning.jobs import workflows as tuning

    parts, prompts = parts_of(platform), platform.settings.evaluation.parity_prompts
    return [
        *tuning(platform.tuning_parts),
        *evaluation(platform.run_executor, platform.parity, prompts),
        *responses(parts.responses_runner),
        *calibrations(parts.calibration_runner),
        *batches(parts.batch_checker, parts.batch_runner, platform.clock),
    ]


def subscriptions(platform: Platform) -> list[Subscription]:
    """Names are stored cursors: never rename one, never give a name to other work."""

    def start(workflow: str, job_id: Callable[[dict[str, Any]], str]) -> Effect:
        # idempotent by the job's id: a redelivered event starts nothing twice
        return lambda event: platform.jobs.enqueue(workflow, job_id(event.payload), event.payload)

    jobs = [
        ("tuning.start", "tuning.job.queued", start("tuning.run", lambda p: f"{p['job_id']}:{p['attempt']}")),
        ("evaluation.start", "evaluation.run.queued", start("evaluation.run", lambda p: str(p["run_id"]))),
        ("evaluation.parity", "evaluation.parity.queued", start("evaluation.parity", lambda p: str(p["job_id"]))),
        ("batches.check", "gateway.batch.created", start("gateway.batch.check", lambda p: f"check:{p['batch_id']}")),
        ("batches.run", "gateway.batch.validated", start("gateway.batch.run", lambda p: str(p["batch_id"]))),
        (
            "calibrations.start",
            "gateway.calibration.queued",
            start("gateway.calibration", lambda p: str(p["calibration_id"])),
        ),
        ("responses.start", "gateway.response.queued", start("gateway.response", lambda p: str(p["response_id"]))),
    ]
    reactions = [
        ("tuning.waiting", "tuning.job.queued", platform.tuning.on_job_queued),
        ("serving.version", "registry.version.registered", platform.serving.on_version_registered),
        ("serving.version_gone", "registry.version.deleted", platform.serving.on_version_deleted),
        ("evaluation.deployed", "serving.deployment.ready", platform.parity.on_deployment_ready),
    ]
    facts = parts_of(platform).webhooks.deliveries.on_fact
    return [
        *(Subscription(name, frozenset({kind}), effect=effect) for name, kind, effect in jobs),
        *(Subscription(name, frozenset({kind}), handler=handler) for name, kind, handler in reactions),
        Subscription("webhooks.facts", frozenset(FACTS), handler=facts),
    ]


def chores(platform: Platform) -> list[Callable[[], object]]:
    """What the worker does about once a minute."""
    gateway = parts_of(platform)
    return [
        lambda: platform.data.tidy(platform.db),
        gateway.bookkeeper.run_once,
        lambda: gateway.webhooks.deliveries.tidy(platform.db),
        lambda: gateway.responses.tidy(platform.db),
        gateway.completions.expire,
        gateway.batch_runner.tidy,
        lambda: _raise_budget_alerts(platform),
    ]


def _raise_budget_alerts(platform: Platform) -> None:
    with platform.db.write() as session:
        parts_of(platform).limits.budgets.raise_alerts(session)
