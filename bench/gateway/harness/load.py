"""The load generator: its command line and its answer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine import Place
from harness.upstream import Plan

_SYSTEM = (
    "You are the assistant of a bank's customer service. Answer in two or three sentences, in the customer's "
    "language, from the bank's own terms; say that you do not know when you do not know."
)
_QUESTION = "I was charged twice for the same purchase yesterday. What do I have to do to get the money back, and when?"


class LoadFailed(Exception):
    """The load generator could not do its work."""


@dataclass(frozen=True)
class Target:
    """Where a gateway answers, on loopback or on a unix socket."""

    port: int
    model: str
    embedding_model: str = ""
    path: str = "/v1/chat/completions"
    embeddings_path: str = "/v1/embeddings"
    key: str = "none"
    unix: str = ""


class Load:
    def __init__(self, program: Path, place: Place, folder: Path) -> None:
        self._program, self._place, self._folder = program, place, folder

    def run(self, target: Target, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        """One run; `options` are the program's own (see native/load.c). Raises `LoadFailed`."""
        process = self.begin(target, body, **options)
        output, errors = process.communicate()
        if process.returncode != 0 or not output.strip():
            raise LoadFailed(errors.strip() or f"exit status {process.returncode}")
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found

    def begin(self, target: Target, body: dict[str, Any], **options: Any) -> subprocess.Popen[str]:
        path = self._folder / "body.json"
        path.write_text(json.dumps(body))
        where = f"unix={target.unix}" if target.unix else f"port={target.port}"
        words = {"path": target.path, "key": target.key, "body": path, **options}
        return subprocess.Popen(
            [str(self._program), where, *(f"{name}={value}" for name, value in words.items())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=self._place.take,
        )


def chat_body(model: str, plan: Plan, stream: bool) -> dict[str, Any]:
    """A usual request, 0.6 kB."""
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"{_QUESTION} {plan.in_words(numbered=stream)}"},
    ]
    body = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 256}
    return {**body, "stream": True} if stream else body


def embedding_body(model: str) -> dict[str, Any]:
    return {"model": model, "input": _QUESTION, "encoding_format": "float"}
