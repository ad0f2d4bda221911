"""TensorZero's gateway (Rust), embedded in its Python package, without a database.

Without one it keeps no keys, limits or records: routing only.
"""

from __future__ import annotations

import os
import time
from urllib.parse import urlsplit

from harness import machine
from harness.load import Target
from harness.peers.base import NotStarted, Peer, Running, Setting, wait_until_it_answers
from harness.venvs import Venv

_PACKAGES = ("tensorzero==2026.6.0",)

_CONFIG = """\
[gateway]
observability.enabled = false

[models.bench]
routing = ["fake"]

[models.bench.providers.fake]
type = "openai"
model_name = "fake"
api_base = "{url}/"
api_key_location = "none"

[embedding_models.bench]
routing = ["fake"]

[embedding_models.bench.providers.fake]
type = "openai"
model_name = "fake"
api_base = "{url}/"
api_key_location = "none"
"""

# the package exports the embedded gateway under this name only; there is no public one with a port
_SERVE = """\
import pathlib, signal
import tensorzero.tensorzero as native
gateway = native._start_http_gateway(
    config_file="config.toml", clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
pathlib.Path("address.new").write_text(str(gateway.base_url))
pathlib.Path("address.new").rename("address")
signal.pause()
"""


class TensorZero(Peer):
    name = "tensorzero"
    duties = "routing (no keys, limits, metering or log: they need its database)"

    @property
    def _venv(self) -> Venv:
        return Venv(self.cache, self.name, _PACKAGES)

    def prepare(self) -> dict[str, str]:
        self._venv.install()
        return self._venv.versions(("tensorzero",))

    def start(self, setting: Setting) -> Running:
        (setting.folder / "config.toml").write_text(_CONFIG.format(url=setting.upstream_url))
        process = machine.start(
            [str(self._venv.python), "-c", _SERVE],
            setting.cores.gateway(setting.workers),
            setting.log,
            cwd=setting.folder,
            env={**os.environ, "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1", "RUST_LOG": "error"},
        )
        target = Target(
            self._port(Running(process, Target(0, "")), setting),
            "tensorzero::model_name::bench",
            "tensorzero::embedding_model_name::bench",
            path="/openai/v1/chat/completions",
            embeddings_path="/openai/v1/embeddings",
        )
        running = Running(process, target)
        wait_until_it_answers(running, setting)
        return running

    def _port(self, running: Running, setting: Setting) -> int:
        """It chooses its port itself and writes the address to a file."""
        address, deadline = setting.folder / "address", time.monotonic() + 60
        while not address.exists():
            assert running.process is not None
            if running.process.poll() is not None or time.monotonic() > deadline:
                running.stop()
                raise NotStarted("it did not open a port")
            time.sleep(0.05)
        port = urlsplit(address.read_text()).port
        assert port is not None
        return port
