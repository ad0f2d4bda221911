"""The gateway through the official SDK: two gateway processes, one provider behind two models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from acceptance import gateway_sdk
from acceptance.conftest import database_flags
from acceptance.gateway_sdk import ask, refused
from acceptance.gateway_support import WORKERS, Api, ProviderProcess, register, usage_rows
from acceptance.installation import Installation, wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LINES = {"1": ROOT / ".sdk" / "1", "2": ROOT / ".sdk" / "2"}
MODELS = ("alpha", "beta", "slow", "hangs", "unsure", "vectors")


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderProcess]:
    process = ProviderProcess()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provider: ProviderProcess
) -> Iterator[Installation]:
    """A platform with two gateway processes whose models live at the provider."""
    flags = [*database_flags(request, "gateway"), *WORKERS, "--set", "webhooks.allow_loopback_addresses=true"]
    installation = Installation(tmp_path_factory.mktemp("gateway"), flags)
    try:
        installation.start()
        ids = register(Api(installation.client()), provider, *MODELS)
        for model in ("alpha", "beta"):
            administrator(installation).post("/api/prices", model=ids[model], currency="USD", input="2.50", output="10")
        wait_for(lambda: _answers(installation), 10, "the first answer of a provider's model")
        yield installation
    finally:
        installation.close()


def _answers(installation: Installation) -> bool:
    try:
        return bool(ask(installation.client(), "ready?"))
    except openai.NotFoundError:
        return False


@pytest.fixture
def client(gateway: Installation) -> OpenAI:
    return gateway.client(admin_api_key=gateway.keys["admin_key"])


@pytest.fixture
def api(client: OpenAI) -> Api:
    return Api(client)


@pytest.mark.parametrize("surface", gateway_sdk.SURFACES)
def test_surface(gateway: Installation, client: OpenAI, surface: str) -> None:
    try:
        gateway_sdk.SURFACES[surface][1](client)
    except Exception:
        print(gateway.logs())
        raise


@pytest.mark.once
@pytest.mark.parametrize("line", LINES)
def test_older_sdk_lines(gateway: Installation, line: str) -> None:
    folder = LINES[line]
    if not (folder / "openai").is_dir():
        pytest.skip(f"openai {line}.x is not installed in {folder}; `make sdk` does it")
    done = subprocess.run(
        [sys.executable, gateway_sdk.__file__],
        env={**gateway.environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr + gateway.logs()
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["sdk"].startswith(f"{line}.")
    assert {"chat", "responses", "background", "batches", "moderations", "stored_completions"} <= set(seen["called"])


class Receiver:
    """A local webhook receiver; keeps what was posted."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def event(self, kind: str, about: str = "") -> tuple[dict[str, str], bytes] | None:
        """The newest message of that type (about that object)."""
        for headers, body in reversed(self.got):
            event = json.loads(body)
            if event["type"] == kind and about in ("", event["data"]["id"]):
                return headers, body
        return None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def test_webhooks(client: OpenAI, receiver: Receiver) -> None:
    types: Any = ["response.completed", "batch.completed"]
    made = client.webhooks.create(name="ours", url=receiver.url, event_types=types)
    assert "response.completed" in client.webhooks.event_types.list().data
    tried = client.webhooks.test(made.id, event_type="batch.completed")
    assert tried.success
    headers, body = receiver.event("batch.completed") or pytest.fail("no sample came")
    assert client.webhooks.unwrap(body, headers, secret=made.signing_secret).type == "batch.completed"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body.replace(b"sample", b"forged"), headers, secret=made.signing_secret)

    response = client.responses.create(model="alpha", input="tell me", background=True)
    headers, body = wait_for(lambda: receiver.event("response.completed", response.id), 20, "the webhook")
    event: Any = client.webhooks.unwrap(body, headers, secret=made.signing_secret)
    assert client.responses.retrieve(event.data.id).output_text == "alpha says: tell me"

    rotated = client.webhooks.rotate_secret(made.id)
    assert rotated.signing_secret != made.signing_secret
    client.webhooks.test(made.id, event_type="response.completed")
    headers, body = receiver.got[-1]
    client.webhooks.unwrap(body, headers, secret=rotated.signing_secret)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body, headers, secret=made.signing_secret)
    client.webhooks.delete(made.id)
    assert made.id not in {entry.id for entry in client.webhooks.list()}


def test_money_to_the_last_nano(gateway: Installation, client: OpenAI) -> None:
    """1 token in at 2.50 and 3 tokens out at 10 per million: 32.5 millionths of a dollar."""
    since = time.time() - 1
    raw = client.chat.completions.with_raw_response.create(
        model="alpha", messages=[{"role": "user", "content": "priced"}]
    )
    mine = raw.headers["x-request-id"]

    def booked() -> Any:
        return [row for row in usage_rows(gateway, since) if row["request_id"] == mine]

    (row,) = wait_for(booked, 20, "the usage record")
    assert (row["cost_nanos"], row["currency"], row["cost"]) == ("32500", "USD", "0.000032500")
    assert (row["prompt_tokens"], row["completion_tokens"], row["model"]) == ("1", "3", "alpha")


def project_of(gateway: Installation, client: OpenAI, name: str) -> tuple[str, OpenAI]:
    """A project of its own and a client with its key: what is set there touches no other test."""
    project = client.admin.organization.projects.create(name=name)
    account = client.admin.organization.projects.service_accounts.create(project.id, name="bot")
    assert account.api_key is not None
    return project.id, gateway.client(api_key=account.api_key.value)


def theirs(gateway: Installation, provider: ProviderProcess, bot: OpenAI, *models: str) -> dict[str, str]:
    """Models that the project of `bot` may call; name -> id."""
    ids = register(Api(bot), provider, *models, admin=administrator(gateway))
    for model in models:
        wait_for(lambda model=model: _known(bot, model), 10, "the new project's model")
    return ids


def administrator(gateway: Installation) -> Api:
    return Api(gateway.client(api_key=gateway.keys["admin_key"]))


def _known(client: OpenAI, model: str) -> bool:
    try:
        return bool(ask(client, "ready?", model))
    except (openai.NotFoundError, openai.AuthenticationError):
        return False


def test_rate_limit(gateway: Installation, client: OpenAI, provider: ProviderProcess) -> None:
    project, bot = project_of(gateway, client, "limited")
    theirs(gateway, provider, bot, "limited-model")
    limits = client.admin.organization.projects.rate_limits
    assert "limited-model" in {entry.model for entry in limits.list_rate_limits(project)}
    changed = limits.update_rate_limit("rl-limited-model", project_id=project, max_requests_per_1_minute=5)
    assert changed.max_requests_per_1_minute == 5

    def limited() -> Any:
        raw = bot.chat.completions.with_raw_response
        try:
            raw.create(model="limited-model", messages=[{"role": "user", "content": "again"}])
        except openai.RateLimitError as error:
            return error
        return None

    started = time.monotonic()
    error = wait_for(limited, 20, "the limit")
    assert time.monotonic() - started < 20
    assert error.code == "rate_limit_exceeded"
    assert int(error.response.headers["retry-after"]) >= 1
    assert error.response.headers["x-ratelimit-limit-requests"] == "5"
    limits.update_rate_limit("rl-limited-model", project_id=project, max_requests_per_1_minute=1000)
    wait_for(lambda: limited() is None, 5, "the raised limit")


def test_spend_limit(gateway: Installation, client: OpenAI, provider: ProviderProcess) -> None:
    """Three tokens at a cent each: the first answer spends more than the cent that is allowed."""
    project, bot = project_of(gateway, client, "thrifty")
    ids = theirs(gateway, provider, bot, "dear-model")
    administrator(gateway).post("/api/prices", model=ids["dear-model"], currency="USD", input="0", output="10000")
    limit = client.admin.organization.projects.spend_limit
    made = limit.update(project, currency="USD", interval="month", threshold_amount=1)
    assert (made.threshold_amount, made.enforcement.status) == (1, "inactive")

    def refused_for_money() -> Any:
        try:
            ask(bot, "spend", "dear-model")
        except openai.RateLimitError as error:
            return error
        return None

    error = wait_for(refused_for_money, 20, "the end of the money")
    assert error.code == "insufficient_quota"
    wait_for(lambda: limit.retrieve(project).enforcement.status == "enforcing", 10, "the status once it is booked")
    limit.delete(project)
    wait_for(lambda: refused_for_money() is None, 5, "an answer after the limit is gone")


def test_model_permissions(gateway: Installation, client: OpenAI, provider: ProviderProcess) -> None:
    project, bot = project_of(gateway, client, "restricted")
    theirs(gateway, provider, bot, "open-model", "closed-model")
    permissions = client.admin.organization.projects.model_permissions
    permissions.update(project, mode="deny_list", model_ids=["closed-model"])

    def denied() -> Any:
        try:
            ask(bot, "may I?", "closed-model")
        except openai.PermissionDeniedError as error:
            return error
        return None

    error = wait_for(denied, 5, "the denial")
    assert error.code == "model_not_permitted"
    assert ask(bot, "and here?", "open-model").choices[0].message.content == "open-model says: and here?"
    assert permissions.retrieve(project).model_ids == ["closed-model"]
    permissions.delete(project)
    wait_for(lambda: denied() is None, 5, "the permission")


def said_by(client: OpenAI, route: str, **more: Any) -> str:
    return str(ask(client, "who?", route, **more).choices[0].message.content).split()[0]


def test_route_canary_and_rollback(client: OpenAI, api: Api) -> None:
    made = api.put("/api/routes/assistant", targets=[{"model": "alpha"}])
    assert made["version"] == 1
    wait_for(lambda: _known(client, "assistant"), 2, "the route")
    assert said_by(client, "assistant") == "alpha"
    assert ask(client, "x", "assistant").model == "assistant", "clients see the name they asked for"

    began = time.monotonic()
    api.patch("/api/routes/assistant", canary={"model": "beta", "percent": 50, "sticky": "user"})
    sides = {}
    for user in map("customer-{}".format, range(40)):
        sides[user] = said_by(client, "assistant", user=user)
        if len(sides) == 1 and time.monotonic() - began < 1.5:
            time.sleep(1.5)
            sides[user] = said_by(client, "assistant", user=user)
    assert 8 <= list(sides.values()).count("beta") <= 32, sides
    again = {user: said_by(client, "assistant", user=user) for user in sides}
    assert again == sides, "a user changed sides"

    back = api.post("/api/routes/assistant/rollback", version=1)
    assert (back["version"], back["canary"]) == (3, None)
    time.sleep(1.5)
    assert {said_by(client, "assistant", user=user) for user in sides} == {"alpha"}
    history = api.get("/api/routes/assistant/history")["data"]
    assert [entry["action"] for entry in history] == ["rolled_back", "changed", "created"]
    api.delete("/api/routes/assistant")
    wait_for(lambda: not _known(client, "assistant"), 2, "the route's end")


def test_a_change_counts_in_every_process_within_a_second(client: OpenAI, api: Api) -> None:
    api.put("/api/routes/swapped", targets=[{"model": "alpha"}])
    wait_for(lambda: _known(client, "swapped"), 2, "the route")
    api.put("/api/routes/swapped", targets=[{"model": "beta"}])
    changed = time.monotonic()
    time.sleep(max(0.0, changed + 1 - time.monotonic()))
    # a connection each, so that both processes are asked
    answers = []
    for _ in range(20):
        with OpenAI(base_url=str(client.base_url), api_key=client.api_key, max_retries=0) as fresh:
            answers.append(said_by(fresh, "swapped"))
    assert set(answers) == {"beta"}


def test_mirror_and_cascade(client: OpenAI, api: Api, provider: ProviderProcess) -> None:
    api.put("/api/routes/shadowed", targets=[{"model": "alpha"}], mirror={"model": "beta", "percent": 100})
    cascade = {"first": "unsure", "threshold": 0.5}
    api.put("/api/routes/frugal", targets=[{"model": "alpha"}], cascade=cascade)
    api.put("/api/routes/frugal-sure", targets=[{"model": "alpha"}], cascade={**cascade, "first": "beta"})
    wait_for(lambda: _known(client, "frugal-sure"), 2, "the routes")
    said_by(client, "unsure")  # a cascade waits for nobody: its first model must have been asked before
    before = provider.seen()["counts"].get("beta", 0)
    assert said_by(client, "shadowed") == "alpha"
    wait_for(lambda: provider.seen()["counts"].get("beta", 0) > before, 5, "the shadow copy")
    copies = wait_for(
        lambda: client.chat.completions.list(metadata={"plinth_mirror": "beta"}).data, 10, "the copy's answer"
    )
    assert copies[0].choices[0].message.content == "beta says: who?"
    asked = provider.seen()["counts"]["unsure"]
    assert said_by(client, "frugal") == "alpha", "the unsure answer was kept"
    assert provider.seen()["counts"]["unsure"] == asked + 1
    assert said_by(client, "frugal-sure") == "beta", "the sure answer was not kept"


def test_personal_data_stays_here(client: OpenAI, provider: ProviderProcess) -> None:
    """The provider sees a stand-in; the client sees its own words again."""
    words = "write to anna.schmidt@example.com about card 4111 1111 1111 1111"
    answer = ask(client, words)
    assert answer.choices[0].message.content == f"alpha says: {words}"
    sent = json.dumps(provider.seen()["last"]["alpha"])
    assert "anna.schmidt" not in sent
    assert "4111" not in sent


def test_unknown_model_and_parameters(client: OpenAI) -> None:
    error = refused(openai.NotFoundError, lambda: ask(client, "x", "no-such-model"))
    assert error.code == "model_not_found"
    error = refused(openai.BadRequestError, lambda: ask(client, "x", temperature=9))
    assert (error.code, error.param) == ("value_out_of_range", "temperature")
    assert ask(client, "x", extra_body={"no_such_parameter": 1}).choices[0].message.content == "alpha says: x"


def test_embeddings_of_a_provider(client: OpenAI) -> None:
    vectors = client.embeddings.create(model="vectors", input=["one", "two"])
    assert [len(entry.embedding) for entry in vectors.data] == [8, 8]
    assert vectors.data[0].embedding != vectors.data[1].embedding


def test_the_machine_has_two_gateway_processes(gateway: Installation) -> None:
    assert len(gateway.pids("dataplane")) == 2
    assert os.getpid() not in gateway.pids("dataplane")
