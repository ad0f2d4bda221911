"""`/v1/fine_tuning` behind a real HTTP server, driven by the official SDK; the trainer is the twin."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from plinth.identity import Role
from plinth.kit import http
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.tuning.http import router
from support import Caller, actor
from tuning_support import Workshop, jsonl, rows


@dataclass
class Site:
    shop: Workshop
    caller: Caller
    sdk: OpenAI
    lenient: OpenAI

    def finished(self, **fields: Any) -> Any:
        job = self.create(**fields)
        self.shop.work(self.shop.job(job.id))
        return self.sdk.fine_tuning.jobs.retrieve(job.id)

    def create(self, **fields: Any) -> Any:
        file = fields.pop("training_file", None) or self.shop.upload(jsonl(rows()))
        return self.sdk.fine_tuning.jobs.create(**{"model": "tiny", "training_file": file, **fields})


@pytest.fixture
def site(db: Database, clock: FixedClock, tmp_path: Path) -> Iterator[Site]:
    shop, caller = Workshop(db, clock, tmp_path), Caller()
    app = FastAPI()
    http.install(app)
    app.include_router(router(db, shop.service, caller.guard))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        options: dict[str, Any] = {
            "base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
            "api_key": "sk-proj-unused",
            "admin_api_key": "sk-admin-unused",
            "max_retries": 0,
        }
        # strict: every answer is checked against the SDK's own types, which do not know "paused"
        with OpenAI(**options, _strict_response_validation=True) as strict, OpenAI(**options) as lenient:
            yield Site(shop, caller, strict, lenient)
        server.should_exit = True
        thread.join(timeout=10)


def refused(status: type[openai.APIStatusError], code: str, call: Callable[[], Any]) -> openai.APIStatusError:
    with pytest.raises(status) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def test_a_new_job(site: Site) -> None:
    job = site.create(suffix="bank", seed=3, metadata={"team": "a"})
    assert job.object == "fine_tuning.job"
    assert (job.status, job.seed, job.model, job.metadata) == ("validating_files", 3, "tiny", {"team": "a"})
    assert (job.finished_at, job.fine_tuned_model, job.trained_tokens, job.error) == (None, None, None, None)
    assert (job.result_files, job.integrations, job.organization_id) == ([], [], "org_a")
    assert isinstance(job.hyperparameters.n_epochs, int)
    assert isinstance(job.hyperparameters.batch_size, int)
    assert job.method.type == "supervised"
    assert job.method.supervised.hyperparameters.n_epochs == job.hyperparameters.n_epochs
    assert job.model_extra["recipe"] == "good"
    assert job.model_extra["cost"] == {"wall_seconds": 0.0, "cpu_seconds": 0.0, "amount": None}


def test_hyperparameters_in_their_new_and_their_old_place(site: Site) -> None:
    numbers: Any = {"n_epochs": 2, "batch_size": 5, "learning_rate_multiplier": 0.5}
    new = site.create(method={"type": "supervised", "supervised": {"hyperparameters": numbers}})
    old = site.create(hyperparameters=numbers)
    auto = site.create(hyperparameters=dict.fromkeys(numbers, "auto"))
    assert new.hyperparameters.model_dump() == old.hyperparameters.model_dump() == numbers
    assert auto.hyperparameters == site.create().hyperparameters


def test_a_finished_job_with_its_events_and_checkpoints(site: Site) -> None:
    validation = site.shop.upload(jsonl(rows(4)))
    job = site.finished(validation_file=validation, hyperparameters={"n_epochs": 3, "batch_size": 2})
    assert job.status == "succeeded"
    assert job.fine_tuned_model.startswith("ft:tiny:org_a:")
    assert job.finished_at >= job.created_at
    assert job.validation_file == validation
    assert job.model_extra["progress"] == {"step": 18, "total_steps": 18, "examples_per_second": 10.0}

    events = list(site.sdk.fine_tuning.jobs.list_events(job.id, limit=7))
    assert len({event.id for event in events}) == len(events)
    assert events[0].message == "The job has successfully completed."
    assert events[-1].message.startswith("Created fine-tuning job")
    metrics = [event for event in events if event.type == "metrics"]
    assert [event.data["step"] for event in metrics] == list(range(18, 0, -1))  # type: ignore[index]
    assert all("train_loss" in event.data for event in metrics)  # type: ignore[operator]

    found = list(site.sdk.fine_tuning.jobs.checkpoints.list(job.id, limit=2))
    assert [checkpoint.step_number for checkpoint in found] == [18, 15, 10, 5]
    assert found[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert found[1].fine_tuned_model_checkpoint.endswith(":ckpt-step-15")
    assert found[1].metrics.step == 15
    assert found[1].metrics.train_loss == pytest.approx(1 / 15)
    assert found[1].fine_tuning_job_id == job.id


def test_lists_page_and_filter(site: Site) -> None:
    file = site.shop.upload(jsonl(rows()))
    made = [site.create(training_file=file, metadata={"n": str(n)} if n else None) for n in range(5)]
    listed = list(site.sdk.fine_tuning.jobs.list(limit=2))
    assert [job.id for job in listed] == [job.id for job in reversed(made)]
    assert [job.id for job in site.sdk.fine_tuning.jobs.list(metadata={"n": "3"})] == [made[3].id]
    assert [job.id for job in site.sdk.fine_tuning.jobs.list(extra_query={"metadata": "null"})] == [made[0].id]
    assert [job.id for job in site.sdk.fine_tuning.jobs.list(after=made[1].id)] == [made[0].id]


def test_pause_resume_cancel(site: Site) -> None:
    job = site.create()
    assert site.lenient.fine_tuning.jobs.pause(job.id).status == "paused"  # type: ignore[comparison-overlap]
    assert site.lenient.fine_tuning.jobs.resume(job.id).status == "queued"
    assert site.sdk.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    refused(openai.BadRequestError, "wrong_job_state", lambda: site.lenient.fine_tuning.jobs.resume(job.id))


def test_a_failed_job_says_why(site: Site) -> None:
    long = site.shop.upload(jsonl([*rows(2), *rows(1, label="y" * 3000)]))
    job = site.finished(training_file=long)
    assert job.status == "failed"
    assert (job.error.code, job.error.param) == ("row_too_long", "training_file")
    assert "Row 3" in job.error.message


def test_what_is_not_supported_is_refused_in_words(site: Site) -> None:
    create = site.create
    method: Any = {"type": "dpo"}
    wandb: Any = [{"type": "wandb", "wandb": {"project": "x"}}]
    error = refused(openai.BadRequestError, "method_not_supported", lambda: create(method=method))
    assert error.param == "method.type"
    refused(openai.BadRequestError, "integrations_not_supported", lambda: create(integrations=wandb))
    refused(openai.BadRequestError, "unknown_recipe", lambda: create(extra_body={"recipe": "perfect"}))
    refused(openai.BadRequestError, "bad_hyperparameter", lambda: create(hyperparameters={"n_epochs": 0}))
    refused(openai.BadRequestError, "invalid_request", lambda: create(hyperparameters={"n_epochs": "many"}))
    refused(openai.BadRequestError, "invalid_request", lambda: create(suffix="x" * 65))
    refused(openai.BadRequestError, "invalid_request", lambda: create(metadata={"k" * 65: "v"}))
    refused(openai.BadRequestError, "invalid_request", lambda: create(metadata={str(n): "v" for n in range(17)}))
    refused(openai.NotFoundError, "model_not_found", lambda: create(model="gpt-5"))
    refused(openai.BadRequestError, "model_not_tunable", lambda: create(model="embedder"))
    refused(openai.NotFoundError, "not_found", lambda: create(training_file="file-nothing"))
    assert list(site.sdk.fine_tuning.jobs.list()) == []


def test_another_project_sees_nothing(site: Site) -> None:
    job = site.finished()
    site.caller.actor = actor("proj_b")
    jobs = site.sdk.fine_tuning.jobs
    assert list(jobs.list()) == []
    calls: list[Callable[[], Any]] = [
        lambda: jobs.retrieve(job.id),
        lambda: jobs.cancel(job.id),
        lambda: jobs.list_events(job.id),
        lambda: jobs.checkpoints.list(job.id),
    ]
    for call in calls:
        refused(openai.NotFoundError, "not_found", call)


def test_a_viewer_may_look_and_no_more(site: Site) -> None:
    job = site.create()
    site.caller.actor = actor(role=Role.viewer)
    assert site.sdk.fine_tuning.jobs.retrieve(job.id).id == job.id
    refused(openai.PermissionDeniedError, "insufficient_permissions", lambda: site.sdk.fine_tuning.jobs.cancel(job.id))


def test_a_checkpoint_is_shared_with_a_project_of_the_organization(site: Site) -> None:
    job = site.finished()
    model, permissions = job.fine_tuned_model, site.sdk.fine_tuning.checkpoints.permissions
    granted = list(permissions.create(model, project_ids=["proj_b"]))
    assert [(p.object, p.project_id) for p in granted] == [("checkpoint.permission", "proj_b")]
    assert [p.id for p in permissions.list(model)] == [granted[0].id]
    assert [p.id for p in permissions.list(model, project_id="proj_b", order="ascending")] == [granted[0].id]
    assert list(permissions.list(model, project_id="proj_c")) == []
    with site.shop.db.read() as session:
        assert site.shop.registry.version(session, "proj_b", model).id == model

    for foreign in ("proj_c", "proj_unknown", "proj_a"):
        refused(
            openai.BadRequestError,
            "no_such_project",
            lambda foreign=foreign: permissions.create(model, project_ids=[foreign]),
        )
    site.caller.actor = actor("proj_b")
    refused(openai.BadRequestError, "not_your_model", lambda: permissions.create(model, project_ids=["proj_a"]))
    site.caller.actor = actor("proj_a", role=Role.developer)
    refused(openai.PermissionDeniedError, "insufficient_permissions", lambda: permissions.list(model))

    site.caller.actor = actor("proj_a")
    gone = permissions.delete(granted[0].id, fine_tuned_model_checkpoint=model)
    assert (gone.deleted, gone.id, gone.object) == (True, granted[0].id, "checkpoint.permission")
    assert list(permissions.list(model)) == []
    refused(
        openai.NotFoundError,
        "not_found",
        lambda: permissions.delete(granted[0].id, fine_tuned_model_checkpoint=model),
    )
