"""The floor: no gateway at all."""

from __future__ import annotations

from urllib.parse import urlsplit

from harness.load import Target
from harness.peers.base import Peer, Running, Setting


class Direct(Peer):
    name = "direct"
    duties = "none: the load generator asks the upstream itself"
    most_workers = 1

    def prepare(self) -> dict[str, str]:
        return {}

    def start(self, setting: Setting) -> Running:
        port = urlsplit(setting.upstream_url).port
        assert port is not None
        return Running(None, Target(port, "fake", "fake"))
