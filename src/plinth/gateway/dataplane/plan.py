"""What one request is to try, in which order: the plan of its route, or just its model."""

from __future__ import annotations

from dataclasses import dataclass

from plinth.gateway.dataplane.forward import Patience
from plinth.gateway.dataplane.ports import PublicModel
from plinth.gateway.dataplane.resolve import find_model
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.gateway.model import ModelRequest
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor


@dataclass(frozen=True, slots=True)
class Plan:
    """`targets` in the order they are tried; a lost target is tried `attempts` times in all."""

    targets: tuple[PublicModel, ...]
    patience: Patience
    attempts: int = 2
    route: str = ""


class Planner:
    def __init__(self, settings: GatewaySettings) -> None:
        silence = settings.engine_silence_seconds
        self._patience = Patience(silence, silence)

    def plan(self, snapshot: Snapshot, actor: Actor, request: ModelRequest, now: float) -> Plan:
        """Raises `UnknownModel`, `ModelRetired`.

        Args:
            now: unix seconds.
        """
        return Plan((find_model(snapshot, actor, request.model, now),), self._patience)
