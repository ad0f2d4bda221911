"""The platform as a client sees it: the official `openai` SDK, and nothing else.

What the SDK has no method for (deployments, aliases, versions, comparing two runs) goes through
the SDK's own `get`, `post` and `put`, with the same key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plinth.cli.demo.errors import DemoFailed
from plinth.cli.demo.prompts import Message
from plinth.kit.errors import MissingExtra

if TYPE_CHECKING:
    from openai import OpenAI

EMBEDDING_BATCH = 32
POLL_SECONDS = 0.5
READY_SECONDS = 300


def connect(url: str, key: str) -> OpenAI:
    try:
        from openai import DefaultHttpxClient, OpenAI
    except ImportError:
        raise MissingExtra(extra="demo") from None
    # a proxy meant for the internet must not see, or break, what goes to this machine
    return OpenAI(base_url=f"{url}/v1", api_key=key, timeout=180, http_client=DefaultHttpxClient(trust_env=False))


@contextmanager
def one_sentence(home: Path) -> Iterator[None]:
    """Turn what the SDK raises into one sentence with the place of the logs."""
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        raise DemoFailed(reason=_sentence(str(body.get("message") or error.message)), home=home) from error
    except openai.APIError as error:
        raise DemoFailed(reason=_sentence(error.message), home=home) from error


class Api:
    """The calls the demo makes, each named after what it is for."""

    def __init__(self, client: OpenAI, url: str, home: Path) -> None:
        self.client = client
        self._url, self._home = url, home

    def close(self) -> None:
        self.client.close()

    def wait_until_whole(self) -> None:
        """The public port answers before the control plane behind it does: wait for both."""
        import openai

        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.client.models.list()
                return
            except (openai.InternalServerError, openai.APIConnectionError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def upload(self, name: str, content: bytes, purpose: Any) -> str:
        return self.client.files.create(file=(name, content), purpose=purpose).id

    def deploy(self, model: str, context_tokens: int | None = None) -> None:
        """Have `model` served, and wait until it is."""
        deployment = self.post("/api/deployments", {"model": model, "context_tokens": context_tokens})
        deadline = time.monotonic() + READY_SECONDS
        while deployment["status"] != "ready":
            if deployment["status"] != "starting" or time.monotonic() > deadline:
                reason = deployment["reason"] or f"it is {deployment['status']}."
                raise DemoFailed(reason=_sentence(f"{model} is not served: {reason}"), home=self._home)
            time.sleep(POLL_SECONDS)
            deployment = self.get(f"/api/deployments/{deployment['id']}")

    def create_eval(self, name: str) -> str:
        """An eval that asks for the exact label."""
        properties = {"text": {"type": "string"}, "label": {"type": "string"}}
        created = self.client.evals.create(
            name=name,
            data_source_config={
                "type": "custom",
                "item_schema": {"type": "object", "properties": properties, "required": ["text", "label"]},
                "include_sample_schema": True,
            },
            testing_criteria=[
                {
                    "type": "string_check",
                    "name": "exact label",
                    "input": "{{ sample.output_text }}",
                    "reference": "{{ item.label }}",
                    "operation": "eq",
                }
            ],
        )
        return created.id

    def create_run(
        self, eval_id: str, name: str, model: str, file_id: str, prompt: Sequence[Message], tokens: int
    ) -> str:
        template: Any = [*prompt, {"role": "user", "content": "{{ item.text }}"}]
        created = self.client.evals.runs.create(
            eval_id,
            name=name,
            data_source={
                "type": "completions",
                "model": model,
                "source": {"type": "file_id", "id": file_id},
                "input_messages": {"type": "template", "template": template},
                # no seed: with one an engine may reuse nothing of an earlier prompt, and temperature 0 needs none
                "sampling_params": {"temperature": 0, "max_completion_tokens": tokens},
            },
        )
        return created.id

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Vectors in the order of `texts`; the model wants `query: ` before what is compared."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBEDDING_BATCH):
            batch = [f"query: {text}" for text in texts[start : start + EMBEDDING_BATCH]]
            answer = self.client.embeddings.create(model=model, input=batch, encoding_format="float")
            vectors += [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        return vectors

    def ask(self, model: str, messages: Sequence[Message], tokens: int) -> Iterator[str]:
        """The answer, piece by piece as it comes."""
        asked: Any = list(messages)
        stream = self.client.chat.completions.create(
            model=model, messages=asked, temperature=0, max_tokens=tokens, stream=True
        )
        for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text

    def get(self, path: str) -> dict[str, Any]:
        found: Any = self.client.get(f"{self._url}{path}", cast_to=object)
        return dict(found)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        created: Any = self.client.post(f"{self._url}{path}", cast_to=object, body=body)
        return dict(created)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        changed: Any = self.client.put(f"{self._url}{path}", cast_to=object, body=body)
        return dict(changed)


def _sentence(text: str) -> str:
    line = " ".join(text.split())[:400]
    return line if line.endswith((".", "。", "!", "？")) else f"{line}."
