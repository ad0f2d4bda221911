"""A stand-in for the platform behind a real port: what the demo needs, answered at once.

The tuned model "learned" two out of three of the texts; the base model always says the first label.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PARITY = {
    "agreement": {"value": 0.958333, "interval": {"low": 0.797, "high": 0.993, "method": "wilson"}, "n": 24},
    "prompts": 24,
    "errored": 0,
    "differing": [
        {"index": 3, "prompt": "卡丢了", "expected": "lost_card", "actual": "lost card", "first_difference": 4}
    ],
    "differing_total": 1,
    "basis": "the same text",
}
MODEL = "ft:smollm2-135m-instruct:org:support:fake0001"


class FakePlatform:
    """`requests` keeps (method, path, body); `refuse` maps a path to a status to answer with."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.refuse: dict[str, int] = {}
        self.job_status = "succeeded"
        self.polls = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                fake.answer(self, body)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names http.server looks for

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        path = handler.path.split("?")[0]
        parsed = None if path == "/v1/files" else json.loads(body or b"null")
        self.requests.append((handler.command, handler.path, parsed))
        if path in self.refuse:
            error = {"error": {"message": "there is no room", "type": "server_error", "param": None, "code": "full"}}
            self._send(handler, self.refuse[path], json.dumps(error).encode(), "application/json")
        elif path == "/v1/chat/completions":
            self._send(handler, 200, _stream("lost_card"), "text/event-stream")
        else:
            self._send(
                handler, 200, json.dumps(self._object(handler.command, path, body, parsed)).encode(), "application/json"
            )

    def _send(self, handler: BaseHTTPRequestHandler, status: int, content: bytes, kind: str) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _object(self, method: str, path: str, body: bytes, parsed: Any) -> Any:
        if path == "/v1/files":
            return self._file(body)
        if path.startswith("/v1/fine_tuning/jobs"):
            return self._events() if path.endswith("/events") else self._job()
        if path == "/v1/evals":
            return {"id": "eval_1", "object": "eval"}
        if path == "/v1/evals/eval_1/runs":
            return self._run(parsed)
        if path.startswith("/v1/evals/eval_1/runs/"):
            run = self.runs[path.split("/")[5]]
            return {"object": "list", "data": run["items"], "has_more": False} if "output_items" in path else run["run"]
        if path == "/v1/embeddings":
            return {"object": "list", "model": "e5", "data": [_vector(i, t) for i, t in enumerate(parsed["input"])]}
        if path.startswith("/api/deployments"):
            return {"id": "dep_1", "status": "ready" if method == "GET" else "starting", "reason": None}
        if path.startswith("/api/versions/"):
            return {"id": MODEL, "reports": [{"kind": "parity", "report": PARITY}]}
        if path.startswith("/api/evals/"):
            return {"overall": {"n": 24, "mcnemar_p": 0.01, "flipped": [{"now": "pass"}]}, "per_testing_criteria": []}
        return {"id": "support"}

    def _file(self, body: bytes) -> dict[str, Any]:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = body
        return {"id": name, "object": "file"}

    def _job(self) -> dict[str, Any]:
        self.polls += 1
        status = self.job_status if self.polls > 2 else "running"
        done = status == "succeeded"
        return {
            "id": "ftjob-1",
            "object": "fine_tuning.job",
            "status": status,
            "fine_tuned_model": MODEL if done else None,
            "trained_tokens": 1234 if done else None,
            "seed": 7,
            "hyperparameters": {"n_epochs": 4},
            "progress": {"step": min(self.polls, 3), "total_steps": 3},
            "eta_range": [40.0, 200.0],
            "error": {"code": "x", "message": "the rows are too long", "param": None} if status == "failed" else None,
        }

    def _events(self) -> dict[str, Any]:
        data = {"step": self.polls, "train_loss": 1.5}
        event = {"id": "e", "object": "fine_tuning.job.event", "type": "metrics", "data": data, "level": "info"}
        return {"object": "list", "data": [{**event, "message": "", "created_at": 1}], "has_more": False}

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        name, source = body["name"], body["data_source"]
        content = self.files[source["source"]["id"]].decode()
        rows = [json.loads(line)["item"] for line in re.findall(r'^\{"item".*$', content, re.MULTILINE)]
        items = []
        for index, row in enumerate(rows):
            knows = name == "tuned" and int(hashlib.sha256(row["text"].encode()).hexdigest(), 16) % 3
            answer = row["label"] if knows else "I think it is lost_card."
            items.append(_item(index, row, answer))
        run = {
            "id": f"run_{name}",
            "object": "eval.run",
            "status": "completed",
            "result_counts": {"total": len(items), "passed": len(items), "failed": 0, "errored": 0},
            "progress": {"finished": len(items), "total": len(items)},
            "cost": {"occupied_seconds": 2.5},
            "per_model_usage": [
                {"model_name": source["model"], "prompt_tokens": 900, "completion_tokens": 90, "cached_tokens": 500}
            ],
        }
        self.runs[run["id"]] = {"run": run, "items": items}
        return run


def _item(index: int, row: dict[str, str], answer: str) -> dict[str, Any]:
    status = "pass" if answer == row["label"] else "fail"
    sample = {"output": [{"role": "assistant", "content": answer}]}
    return {"id": f"i{index}", "datasource_item_id": index, "datasource_item": row, "status": status, "sample": sample}


def _vector(index: int, text: str) -> dict[str, Any]:
    numbers = hashlib.sha256(text.encode()).digest()[:8]
    return {"object": "embedding", "index": index, "embedding": [byte / 255 for byte in numbers]}


def _stream(text: str) -> bytes:
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in (text[:4], text[4:])
    ]
    lines = [f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()
