"""A hub model end to end, against a small Hugging Face hub on 127.0.0.1 and the real client."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from plinth.adapters.sources.model_files import Limits, ModelFiles
from plinth.catalog.errors import FilesRefused, FormNotAvailable, HubUnreachable, SourceRefused, WeightsDamaged
from plinth.catalog.model import BaseModel, Form, HubSource

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "acme/tiny"

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
pytestmark = pytest.mark.slow


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 24


@dataclass
class FakeHub:
    """Serves one repository the way huggingface.co does."""

    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def info(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry: dict[str, Any] = {"size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
        if name.endswith((".safetensors", ".gguf")):
            entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(path)
        if path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            siblings = [{"rfilename": name, **self.info(name)} for name in self.files]
            return 200, json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode(), {}
        if path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": n, "oid": self.info(n)["blobId"], **self.lfs(n), "size": len(c)}
                for n, c in self.files.items()
            ]
            return 200, json.dumps(tree).encode(), {}
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
        if name in self.files:
            info = self.info(name)
            etag = info["lfs"]["sha256"] if "lfs" in info else info["blobId"]
            return 200, self.files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        return 404, b"{}", {"X-Error-Code": "RepoNotFound"}

    def lfs(self, name: str) -> dict[str, Any]:
        info = self.info(name).get("lfs")
        return {"lfs": {"oid": info["sha256"], "size": info["size"], "pointerSize": 134}} if info else {}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    fake = FakeHub(
        {
            "config.json": json.dumps(
                {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048, "hidden_size": 8}
            ).encode(),
            "tokenizer.json": b"{}",
            "chat_template.jinja": b"{{ messages }}",
            "model.safetensors": safetensors(),
            "pytorch_model.bin": b"pickle",
            "modeling.py": b"import os",
            "onnx/model.onnx": b"x",
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = fake.answer(unquote(urlsplit(self.path).path))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 the name that http.server calls

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def files(tmp_path: Path, url: str, **limits: Any) -> ModelFiles:
    return ModelFiles(tmp_path / "models", Limits(environment=(("HF_ENDPOINT", url),), **limits))


def source(**changes: Any) -> HubSource:
    return HubSource(
        **{"hub": "huggingface", "repository": REPOSITORY, "revision": "main", "format": "huggingface"} | changes
    )


def entry(where: HubSource, sha256: str) -> BaseModel:
    return BaseModel(
        id="tiny-abcd1234",
        display_name={},
        licence="MIT",
        licence_note={},
        parameters=6,
        context_tokens=2048,
        capabilities=frozenset({"tune"}),
        languages=(),
        source=where,
        sha256=sha256,
        weight_bytes=1,
        memory_bytes=1,
        owned_by="acme",
        created=1,
    )


def test_a_repository_is_pinned_described_and_downloaded_without_pickles(tmp_path: Path, hub: FakeHub) -> None:
    model_files = files(tmp_path, hub.url)
    described = model_files.describe(source())
    assert described.revision == COMMIT
    assert described.context_tokens == 2048
    assert described.architecture == "LlamaForCausalLM"
    assert described.chat_template == "{{ messages }}"
    assert not any("safetensors" in path for path in hub.asked), "looking must not download weights"

    base = entry(source(revision=COMMIT), described.sha256)
    folder = model_files.materialise(base, Form.huggingface)
    assert sorted(p.name for p in folder.iterdir()) == [
        "chat_template.jinja", "config.json", "manifest.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == safetensors()
    assert not any("pytorch_model" in path or "modeling.py" in path for path in hub.asked)

    before = len(hub.asked)
    assert model_files.materialise(base, Form.native) == folder
    assert len(hub.asked) == before, "a finished download asks nobody"
    with pytest.raises(FormNotAvailable, match="Convert it to GGUF first"):
        model_files.materialise(base, Form.gguf)

    (folder / "model.safetensors").write_bytes(safetensors()[:-1] + b"\1")
    check = model_files.check(base)
    assert not check.ok
    assert check.code == "base_model_weights_damaged"
    model_files.forget(base)
    assert not folder.exists()


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(WeightsDamaged):
        files(tmp_path, hub.url).materialise(entry(source(revision=COMMIT), "0" * 64), Form.huggingface)


def test_a_hub_that_does_not_answer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HubUnreachable, match="add it as a local base model") as raised:
        files(tmp_path, "http://127.0.0.1:9").describe(source())
    assert raised.value.status == 503


def test_offline_asks_nobody(tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(HubUnreachable):
        files(tmp_path, hub.url, offline=True).describe(source())
    assert hub.asked == []


def test_what_a_repository_may_be(tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(SourceRefused, match="no repository"):
        files(tmp_path, hub.url).describe(source(repository="acme/other"))
    with pytest.raises(SourceRefused, match="max_download_bytes"):
        files(tmp_path, hub.url, max_download_bytes=10).describe(source())
    with pytest.raises(SourceRefused, match="no file"):
        files(tmp_path, hub.url).describe(source(file="missing.gguf", format="gguf"))
    hub.files["config.json"] = b'{"auto_map": {"AutoModel": "modeling.M"}}'
    with pytest.raises(SourceRefused, match="auto_map"):
        files(tmp_path, hub.url).describe(source())
    del hub.files["model.safetensors"]
    with pytest.raises(SourceRefused, match="no safetensors"):
        files(tmp_path, hub.url).describe(source())


def test_a_download_that_is_not_a_model_is_refused(tmp_path: Path, hub: FakeHub) -> None:
    hub.files["model.safetensors"] = b"not safetensors"
    base = entry(source(revision=COMMIT), "")
    with pytest.raises(FilesRefused, match="not a sound safetensors"):
        files(tmp_path, hub.url).materialise(base, Form.huggingface)
