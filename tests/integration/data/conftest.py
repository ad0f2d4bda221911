"""A real server with the slice's router, and the OpenAI SDK as its client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from plinth.adapters.blobs.folder import FolderBlobs
from plinth.data import DataService
from plinth.data.http import router
from plinth.data.settings import DataSettings
from plinth.kit import http
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from support import Caller

SMALL = DataSettings(max_file_bytes=3 << 20, max_part_bytes=1 << 20, max_upload_bytes=8 << 20, max_row_bytes=1 << 16)


@dataclass
class Platform:
    url: str
    port: int
    client: OpenAI
    caller: Caller
    service: DataService
    db: Database
    clock: FixedClock
    folder: Path

    def stored(self) -> list[Path]:
        """Every file in the blob folder, unfinished ones too."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture
def blob_folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@contextmanager
def serving(db: Database, clock: FixedClock, folder: Path, settings: DataSettings = SMALL) -> Iterator[Platform]:
    """A server in a thread on a free port."""
    service, caller, app = DataService(FolderBlobs(folder), clock, settings), Caller(), FastAPI()
    http.install(app)
    app.include_router(router(db, service, caller.guard))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{port}"
    with OpenAI(base_url=f"{url}/v1", api_key="sk-proj-test", max_retries=0) as client:
        try:
            yield Platform(url, port, client, caller, service, db, clock, folder)
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


@pytest.fixture
def platform(db: Database, clock: FixedClock, blob_folder: Path) -> Iterator[Platform]:
    with serving(db, clock, blob_folder) as platform:
        yield platform
