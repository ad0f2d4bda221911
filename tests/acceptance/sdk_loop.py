"""The user's path, driven only by the official SDK (any line: 1.x, 2.x, 3.x).

    OPENAI_BASE_URL=… OPENAI_API_KEY=… python sdk_loop.py

Prints one JSON object with what it saw. Run by `test_sdk_lines.py` with each line of the SDK.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import openai
from openai import OpenAI

INTENTS = {
    "lost_card": ["I lost my card", "my card was stolen", "cannot find my bank card", "card is gone"],
    "transfer": ["send money to a friend", "transfer to another account", "pay someone", "wire 20 euros"],
    "balance": ["how much money do I have", "show my balance", "what is on my account", "account balance please"],
}
SYSTEM = "Name the customer's intent."


def rows() -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"{text}{mark}"},
                {"role": "assistant", "content": label},
            ]
        }
        for label, texts in INTENTS.items()
        for text in texts
        for mark in ("", ".", " please!", " thanks")
    ]


def jsonl(items: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


def tune(client: OpenAI) -> Any:
    file = client.files.create(file=("rows.jsonl", io.BytesIO(jsonl(rows()))), purpose="fine-tune")
    file = client.files.wait_for_processing(file.id)
    job = client.fine_tuning.jobs.create(
        model="smollm2-135m-instruct",
        training_file=file.id,
        suffix="sdk",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
        metadata={"from": "sdk_loop"},
    )
    deadline = time.monotonic() + 900
    while job.status not in ("succeeded", "failed", "cancelled"):
        if time.monotonic() > deadline:
            sys.exit(f"the job is still {job.status}")
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    if job.status != "succeeded":
        sys.exit(f"the job {job.status}: {job.error}")
    return job


def evaluate(client: OpenAI, model: str) -> Any:
    items = [
        {"item": {"text": row["messages"][1]["content"], "label": row["messages"][2]["content"]}} for row in rows()[::4]
    ]
    evaluation = client.evals.create(
        name="intents",
        data_source_config={
            "type": "custom",
            "item_schema": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "label": {"type": "string"}},
                "required": ["text", "label"],
            },
            "include_sample_schema": True,
        },
        testing_criteria=[
            {
                "type": "string_check",
                "name": "intent",
                "input": "{{ sample.output_text }}",
                "reference": "{{ item.label }}",
                "operation": "eq",
            }
        ],
    )
    run = client.evals.runs.create(
        evaluation.id,
        name=model,
        data_source={
            "type": "completions",
            "model": model,
            "source": {"type": "file_content", "content": items},
            "input_messages": {
                "type": "template",
                "template": [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": "{{ item.text }}"},
                ],
            },
            "sampling_params": {"temperature": 0, "max_completion_tokens": 16, "seed": 1},
        },
    )
    while run.status not in ("completed", "failed", "canceled"):
        time.sleep(0.5)
        run = client.evals.runs.retrieve(run.id, eval_id=evaluation.id)
    outputs = list(client.evals.runs.output_items.list(run.id, eval_id=evaluation.id))
    assert len(outputs) == len(items)
    return run


def main() -> None:
    client = OpenAI(max_retries=0, timeout=120)
    job = tune(client)
    model = job.fine_tuned_model
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=100))
    messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "I lost my card thanks"}]
    answer = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=16)
    stream = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=16, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    vectors = client.embeddings.create(model="multilingual-e5-small", input=["银行卡丢了", "I lost my card"])
    run = evaluate(client, model)
    listed = {entry.id for entry in client.models.list()}
    try:
        client.chat.completions.create(model="nothing-of-that-name", messages=messages)
        missing = "answered"
    except openai.NotFoundError as error:
        missing = str(error.code)
    print(
        json.dumps(
            {
                "sdk": openai.__version__,
                "model": model,
                "status": job.status,
                "trained_tokens": job.trained_tokens,
                "metric_events": sum(event.type == "metrics" for event in events),
                "checkpoints": len(list(client.fine_tuning.jobs.checkpoints.list(job.id))),
                "answer": answer.choices[0].message.content,
                "streamed": streamed,
                "usage": answer.usage.total_tokens if answer.usage else 0,
                "dimensions": len(vectors.data[0].embedding),
                "run": run.status,
                "passed": run.result_counts.passed,
                "total": run.result_counts.total,
                "listed": model in listed,
                "missing": missing,
            }
        )
    )


if __name__ == "__main__":
    main()
