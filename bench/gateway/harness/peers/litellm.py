"""LiteLLM's proxy as its production guide runs it, without a database.

Without one it knows no virtual keys, limits, budgets or spend: it is asked for less than Plinth,
which is to its advantage.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness import machine
from harness.load import Target
from harness.peers.base import Peer, Running, Setting, wait_until_it_answers
from harness.venvs import Venv

_PACKAGES = ("litellm[proxy]==1.108.7",)
_KEY = "sk-bench-0123456789abcdef"

_CONFIG = """\
model_list:
  - model_name: bench
    litellm_params: {{model: openai/fake, api_base: "{url}", api_key: none}}
  - model_name: bench-embedding
    litellm_params: {{model: openai/fake, api_base: "{url}", api_key: none}}
litellm_settings:
  callbacks: request_log.log
  request_timeout: 600
  telemetry: false
general_settings:
  master_key: {key}
"""

# the documented way to log requests without a database: a callback beside the configuration
_REQUEST_LOG = '''\
import json

from litellm.integrations.custom_logger import CustomLogger


class RequestLog(CustomLogger):
    """One line a request, as Plinth's request log has it."""

    def __init__(self):
        super().__init__()
        self.file = open("requests.jsonl", "a", buffering=65536)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self._write(200, kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self._write(500, kwargs, response_obj, start_time, end_time)

    def _write(self, status, kwargs, response_obj, start_time, end_time):
        usage = getattr(response_obj, "usage", None)
        line = {
            "status": status,
            "model": kwargs.get("model"),
            "seconds": (end_time - start_time).total_seconds(),
            "prompt_tokens": getattr(usage, "prompt_tokens", 0),
            "completion_tokens": getattr(usage, "completion_tokens", 0),
        }
        self.file.write(json.dumps(line) + "\\n")


log = RequestLog()
'''


class LiteLLM(Peer):
    name = "litellm"
    duties = "master key, routing, request log (no limits, no metering: they need its database)"

    @property
    def _venv(self) -> Venv:
        return Venv(self.cache, self.name, _PACKAGES)

    def prepare(self) -> dict[str, str]:
        self._venv.install()
        return self._venv.versions(("litellm", "uvicorn", "aiohttp"))

    def start(self, setting: Setting) -> Running:
        (setting.folder / "config.yaml").write_text(_CONFIG.format(url=setting.upstream_url, key=_KEY))
        (setting.folder / "request_log.py").write_text(_REQUEST_LOG)
        port = machine.free_port()
        tools = self._venv.folder / "bin"
        command = [str(tools / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        process = machine.start(
            [*command, "--num_workers", str(setting.workers)],
            setting.cores.gateway(setting.workers),
            setting.log,
            cwd=setting.folder,
            env=_environment(tools),
        )
        running = Running(process, Target(port, "bench", "bench-embedding", key=_KEY))
        wait_until_it_answers(running, setting)
        return running


def _environment(tools: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no download at the start
        "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
    }
