"""What takes a machine hours, put into an installation at once: a tuning job with its curves, versions, and
evaluation runs whose answers come with the rows. The pages then read it through the API, as ever."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from acceptance.installation import Installation
from browser_support import ask

BASE = "smollm2-135m-instruct"
STEPS, TOTAL = 80, 120
CSV = "text,label\n" + "".join(f"question {n},{'card' if n % 3 else 'transfer'}\n" for n in range(90))


@dataclass(frozen=True)
class Tuned:
    job: str
    final: str
    checkpoint: str
    training_file: str


@dataclass(frozen=True)
class Evaluated:
    eval: str
    older: str
    newer: str


def tuned(installation: Installation) -> Tuned:
    """A job two thirds through with validation, the version it will make, and one of its checkpoints."""
    from plinth.bootstrap.platform import Platform
    from plinth.registry import Artefact, ArtefactFile, ArtefactKind, VersionDraft

    with installation.client() as client:
        file_id = str(client.files.create(file=("bank.csv", CSV.encode()), purpose="fine-tune").id)
    call = partial(ask, key=installation.keys["project_key"])
    data = call(f"{installation.url}/api/datasets", "POST", body={"name": "Tune me", "file_id": file_id})
    project = ask(f"{installation.url}/v1/organization/projects", key=installation.keys["admin_key"])["data"][0]["id"]
    platform = Platform.open(installation.home)
    job = _job(platform.clock.unix(), project, file_id, data["id"])
    files = (
        ArtefactFile("adapter_model.safetensors", "ab" * 32, 9_437_184),
        ArtefactFile("adapter_config.json", "cd" * 32, 812),
    )
    draft = partial(
        VersionDraft,
        project_id=project,
        organization="acme",
        base_id=BASE,
        suffix="intent",
        recipe={"method": "lora", "rank": 16, "seed": 7, "targets": ["q_proj", "v_proj"]},
        code_version="1.0",
        artefacts=(Artefact(ArtefactKind.peft_adapter, files),),
        dataset_version_id=data["id"],
        job_id=job.id,
    )
    with platform.db.write() as session:
        _store_job(session, job)
        final = platform.registry.register(session, draft())
        checkpoint = platform.registry.register(session, draft(checkpoint_step=40))
        platform.registry.add_report(session, final.id, "parity", PARITY)
        _store_checkpoint(session, job, checkpoint.id)
    return Tuned(job.id, final.id, checkpoint.id, file_id)


PARITY: dict[str, Any] = {
    "agreement": {"value": 0.95, "interval": {"low": 0.764, "high": 0.991, "method": "wilson", "level": 0.95}, "n": 20},
    "prompts": 21,
    "errored": 1,
    "differing": [
        {"index": 4, "prompt": "Where is my card?", "expected": "card", "actual": "card_arrival", "first_difference": 4}
    ],
    "differing_total": 1,
}


def _job(now: float, project: str, file_id: str, version_id: str) -> Any:
    from plinth.kit.ids import new_id
    from plinth.tuning.model import Cost, Hyperparameters, Job, JobStatus
    from plinth.tuning.recipes import Shape, resolve

    return Job(
        id=new_id("ftjob-"),
        project_id=project,
        organization_id="org",
        created_at=now - 600,
        status=JobStatus.running,
        model=BASE,
        base_id=BASE,
        training_file=file_id,
        validation_file=file_id,
        dataset_version_id=version_id,
        validation_version_id=version_id,
        rows=90,
        suffix="intent",
        seed=7,
        recipe=resolve(None, Hyperparameters(), Shape(90, 2)),
        metadata=None,
        cost=Cost(412.0, 700.5, 23, "CNY"),
        progress={"step": STEPS, "total_steps": TOTAL, "examples_per_second": 1.7},
        eta_low=150.0,
        eta_high=420.0,
        estimated_finish=now + 240,
        started_at=now - 500,
    )


def _store_job(session: Any, job: Any) -> None:
    from plinth.kit.ids import new_id
    from plinth.tuning import store
    from plinth.tuning.model import JobEvent

    store.insert_job(session, job)
    event = partial(JobEvent, job_id=job.id, created_at=job.created_at, level="info")
    facts = [event(new_id("ftevent-"), key="created", type="message", message=f"Created fine-tuning job: {job.id}")]
    for step in range(1, STEPS + 1):
        data: dict[str, Any] = {"step": step, "train_loss": 2.2 * math.exp(-step / 25) + 0.1 + 0.08 * math.sin(step)}
        data["train_mean_token_accuracy"] = 1 - 0.8 * math.exp(-step / 20)
        if step % 10 == 0:
            data |= {
                "valid_loss": 2.1 * math.exp(-step / 28) + 0.25,
                "valid_mean_token_accuracy": 0.95 - 0.8 * math.exp(-step / 20),
            }
        if step == 40:
            data |= {"full_valid_loss": 0.77, "full_valid_mean_token_accuracy": 0.83}
        message = f"Step {step}: training loss={data['train_loss']:.4f}"
        facts.append(event(new_id("ftevent-"), key=f"step:{step}", type="metrics", message=message, data=data))
    facts.append(event(new_id("ftevent-"), key="epoch:1", type="message", message="Epoch 1 of 3 is done."))
    store.add_events(session, facts)


def _store_checkpoint(session: Any, job: Any, version_id: str) -> None:
    from plinth.kit.ids import new_id
    from plinth.tuning import store
    from plinth.tuning.model import Checkpoint

    metrics = {"train_loss": 0.55, "full_valid_loss": 0.77, "full_valid_mean_token_accuracy": 0.83}
    store.add_checkpoint(session, Checkpoint(new_id("ftckpt_"), job.id, 40, version_id, metrics, job.created_at + 200))


def evaluated(installation: Installation) -> Evaluated:
    """Two finished runs over 60 items: the newer one is right more often, and wrong on two that were right."""
    call = partial(ask, key=installation.keys["project_key"])
    root = f"{installation.url}/v1/evals"
    schema = {"type": "object", "properties": {"question": {"type": "string"}, "reference": {"type": "string"}}}
    criterion = {
        "type": "label_match",
        "name": "label",
        "input": "{{sample.output_text}}",
        "reference": "{{item.reference}}",
        "labels": ["card", "transfer"],
    }
    config = {"type": "custom", "item_schema": schema, "include_sample_schema": True}
    body = {"name": "Bank intents", "data_source_config": config, "testing_criteria": [criterion]}
    made = call(root, "POST", body=body)
    older = _run(call, f"{root}/{made['id']}/runs", "before", lambda n: n % 3 != 0 or n < 6)
    newer = _run(call, f"{root}/{made['id']}/runs", "after", lambda n: n not in (1, 2))
    return Evaluated(made["id"], older, newer)


def _run(call: Any, address: str, name: str, is_right: Any) -> str:
    from acceptance.installation import wait_for

    def row(n: int) -> dict[str, Any]:
        expected, other = ("card", "transfer") if n % 2 else ("transfer", "card")
        answer = expected if is_right(n) else other
        return {"item": {"question": f"Question {n}?", "reference": expected}, "sample": {"output_text": answer}}

    source = {"type": "jsonl", "source": {"type": "file_content", "content": [row(n) for n in range(60)]}}
    run = call(address, "POST", body={"name": name, "data_source": source})
    wait_for(lambda: call(f"{address}/{run['id']}")["status"] == "completed", 60, f"run {name}")
    return str(run["id"])
