"""Who is measured: one module each, all behind `Peer`."""

from __future__ import annotations

from harness.peers.base import Peer, Running
from harness.peers.direct import Direct
from harness.peers.litellm import LiteLLM
from harness.peers.plinth import Plinth
from harness.peers.tensorzero import TensorZero

PEERS: dict[str, type[Peer]] = {"litellm": LiteLLM, "tensorzero": TensorZero, "plinth": Plinth}

__all__ = ["PEERS", "Direct", "LiteLLM", "Peer", "Plinth", "Running", "TensorZero"]
