"""Identity behind a real HTTP server, driven by the official SDK."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from plinth.identity import FirstOrganization, IdentityService
from plinth.identity.http import build_guard, router
from plinth.kit import http
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.secrets import InstanceKey


@dataclass
class Site:
    url: str
    app: FastAPI
    db: Database
    clock: FixedClock
    service: IdentityService
    first: FirstOrganization
    sdk: Callable[..., OpenAI]


@pytest.fixture
def site(db: Database, clock: FixedClock) -> Iterator[Site]:
    service = IdentityService(clock, InstanceKey(b"k" * 32))
    with db.write() as session:
        first = service.bootstrap_organization(session, "Acme")
    app = FastAPI()
    http.install(app)
    app.include_router(router(db, service, build_guard(db, service)))
    clients: list[OpenAI] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def sdk(admin_key: str | None = None) -> OpenAI:
            # strict: every answer is validated against the SDK's own types
            client = OpenAI(
                base_url=f"{url}/v1",
                api_key="sk-proj-unused",
                admin_api_key=admin_key or first.admin_key_secret,
                max_retries=0,
                _strict_response_validation=True,
            )
            clients.append(client)
            return client

        yield Site(url, app, db, clock, service, first, sdk)
        for client in clients:
            client.close()
        server.should_exit = True
        thread.join(timeout=10)
