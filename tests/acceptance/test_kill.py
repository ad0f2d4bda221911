"""`kill -9` of the trainer, the worker, the engine and the whole platform, each in the middle of a job.

One fine-tuning job runs undisturbed; a second one with the same rows and seed is killed again and
again. It must end with the very same weights, every step reported once, nothing done twice.
"""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from typing import Any

import pytest
from openai import OpenAI

from acceptance import sdk_loop
from acceptance.installation import Installation, wait_for

ENDED = ("succeeded", "failed", "cancelled")


def start_job(client: OpenAI, file_id: str) -> Any:
    return client.fine_tuning.jobs.create(
        model="smollm2-135m-instruct",
        training_file=file_id,
        seed=11,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 6, "batch_size": 4}}},
    )


def progress(client: OpenAI, job_id: str) -> int:
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert job.status not in ("failed", "cancelled"), job.error
    return int(((job.model_extra or {}).get("progress") or {}).get("step") or 0)


def progress_beyond(client: OpenAI, job_id: str, step: int) -> int:
    wait_for(lambda: progress(client, job_id) > step, 300, f"progress beyond step {step}")
    return progress(client, job_id)


def step_reports(client: OpenAI, job_id: str) -> Counter[int]:
    events = client.fine_tuning.jobs.list_events(job_id, limit=100)
    return Counter(int(e.data["step"]) for e in events if e.type == "metrics" and isinstance(e.data, dict))


def finish(platform: Installation, job_id: str) -> Any:
    client = platform.client(max_retries=5)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job_id).status in ENDED, 600, "the end of the job")
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "succeeded", (job.error, platform.logs())
    return job


def adapter_digests(client: OpenAI, model: str) -> dict[str, str]:
    version: Any = client.get(f"{str(client.base_url).removesuffix('/v1/')}/api/versions/{model}", cast_to=object)
    return {
        file["path"]: file["sha256"]
        for artefact in version["artefacts"]
        for file in artefact["files"]
        if "adapter" in artefact["kind"]
    }


@pytest.mark.slow
def test_a_job_survives_the_death_of_every_process(own_platform: Installation) -> None:
    platform = own_platform
    platform.start()
    client = platform.client(max_retries=5)
    file = client.files.create(file=("rows.jsonl", io.BytesIO(sdk_loop.jsonl(sdk_loop.rows()))), purpose="fine-tune")
    undisturbed = finish(platform, start_job(client, file.id).id)
    expected = adapter_digests(client, undisturbed.fine_tuned_model)
    assert expected

    job = start_job(client, file.id)
    reached = 0
    for victim in ("trainers.lora", "worker", "everything"):
        reached = progress_beyond(client, job.id, reached + 5)
        if victim == "everything":
            platform.kill_everything()
            platform.start()
        else:
            platform.kill(victim)
    ended = finish(platform, job.id)

    reports = step_reports(client, job.id)
    assert reports, "no step was ever reported"
    assert max(reports.values()) == 1, "a step was reported twice"
    assert adapter_digests(client, ended.fine_tuned_model) == expected
    assert ended.trained_tokens == undisturbed.trained_tokens


@pytest.mark.once
@pytest.mark.slow
def test_a_killed_engine_comes_back_and_others_notice_little(own_platform: Installation) -> None:
    platform = own_platform
    platform.start()
    client = platform.client(max_retries=4)
    ask = [{"role": "user", "content": "Say hello"}]

    def answer() -> str:
        return str(
            client.chat.completions.create(
                model="smollm2-135m-instruct", messages=ask, max_tokens=8, temperature=0, seed=1
            )
            .choices[0]
            .message.content
        )

    before = answer()
    first = platform.kill("llamacpp_server")
    assert answer() == before
    wait_for(lambda: first not in platform.pids("llamacpp_server"), 30, "a new engine process")


@pytest.mark.once
@pytest.mark.slow
def test_engines_and_answers_survive_the_death_of_worker_and_api(own_platform: Installation) -> None:
    platform = own_platform
    platform.start()
    client = platform.client()
    ask: Any = [{"role": "user", "content": "Count"}]

    def complete() -> Any:
        return client.chat.completions.create(model="smollm2-135m-instruct", messages=ask, max_tokens=4)

    complete()
    engine = platform.pids("llamacpp_server")
    failures: list[Exception] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                complete()
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    for role in ("worker", "api"):
        old = platform.kill(role)
        wait_for(lambda old=old, role=role: (p := platform.pids(role)) and old not in p, 30, f"a new {role}")
        time.sleep(2)
    stop.set()
    thread.join()
    assert failures == []
    assert platform.pids("llamacpp_server") == engine, "the engine was not adopted"


@pytest.mark.once
@pytest.mark.slow
def test_a_platform_that_was_killed_finds_everything_again(own_platform: Installation) -> None:
    platform = own_platform
    platform.start()
    client = platform.client()
    file = client.files.create(file=("a.jsonl", io.BytesIO(sdk_loop.jsonl(sdk_loop.rows()))), purpose="fine-tune")
    job = finish(platform, start_job(client, file.id).id)
    ask: Any = [{"role": "system", "content": sdk_loop.SYSTEM}, {"role": "user", "content": "I lost my card"}]
    before = client.chat.completions.create(model=job.fine_tuned_model, messages=ask, max_tokens=8, temperature=0)
    platform.kill_everything()
    platform.start()
    after = client.chat.completions.create(model=job.fine_tuned_model, messages=ask, max_tokens=8, temperature=0)
    assert after.choices[0].message.content == before.choices[0].message.content
    assert client.files.content(file.id).read() == sdk_loop.jsonl(sdk_loop.rows())
