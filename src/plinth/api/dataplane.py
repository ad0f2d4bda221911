"""The gateway's process: the one public port."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plinth.bootstrap.platform import Platform
    from plinth.gateway.dataplane.asgi import Gateway
    from plinth.kit.journal import Mover


def serve(home: Path, overrides: tuple[str, ...]) -> None:
    """Run until SIGTERM; running answers may finish."""
    from plinth.bootstrap import schema
    from plinth.bootstrap.platform import Platform
    from plinth.gateway.dataplane import run
    from plinth.kit.telemetry import configure_logging

    platform = Platform.open(home, overrides)
    configure_logging("gateway", platform.settings.log.level)

    def build() -> Gateway:
        from plinth.gateway.dataplane.asgi import Gateway

        schema.wait(platform.db)
        return Gateway(platform.gateway_ports)

    stop = threading.Event()
    movers = [threading.Thread(target=mover.run, args=(stop, 0.25)) for mover in _movers(platform)]
    for thread in movers:
        thread.start()
    run.serve(platform.settings.gateway, build)
    stop.set()
    for thread in movers:
        thread.join()


def _movers(platform: Platform) -> list[Mover]:
    return platform.movers if platform.settings.gateway.moves_usage else []


if __name__ == "__main__":
    from plinth.bootstrap.role import run as run_role

    run_role("plinth gateway", serve)
