"""The gateway's process: the one public port."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plinth.gateway.dataplane.asgi import Gateway


def serve(home: Path, overrides: tuple[str, ...], listen_fd: int | None = None, worker: int = 0) -> None:
    """Run until SIGTERM; running answers may finish.

    Args:
        listen_fd: the public port's socket when somebody else opened it for several processes.
        worker: the number of this process among them.
    """
    from plinth.bootstrap import schema
    from plinth.bootstrap.gateway import parts_of
    from plinth.bootstrap.platform import Platform
    from plinth.gateway.dataplane import run
    from plinth.kit.telemetry import configure_logging

    platform = Platform.open(home, overrides)
    configure_logging("gateway" if worker == 0 else f"gateway-{worker}", platform.settings.log.level)

    def build() -> Gateway:
        from plinth.gateway.dataplane.asgi import Gateway

        schema.wait(platform.db)
        return Gateway(parts_of(platform).ports(worker))

    stop = threading.Event()
    movers = parts_of(platform).movers if platform.settings.gateway.moves_usage else []
    threads = [threading.Thread(target=mover.run, args=(stop, 0.25)) for mover in movers]
    for thread in threads:
        thread.start()
    listener = None if listen_fd is None else socket.socket(fileno=listen_fd)
    run.serve(platform.settings.gateway, build, listener)
    stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    from plinth.bootstrap.role import run as run_role

    run_role("plinth gateway", serve, listen_fd=int, worker=int)
