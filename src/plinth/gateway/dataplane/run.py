"""Run the gateway's process: listen, serve, drain. Imports nothing heavy before the port is ours."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from plinth.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from plinth.gateway.dataplane.asgi import Gateway

EX_CONFIG = 78
_BACKLOG = 2048


def listen(settings: GatewaySettings) -> socket.socket:
    """The public port, bound. Prints one sentence and exits with status 78 when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        print(
            f"Plinth cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Stop the program that uses it, or choose another one with --set gateway.port=8401.",
            file=sys.stderr,
        )
        raise SystemExit(EX_CONFIG) from None
    return listener


def serve(settings: GatewaySettings, build: Callable[[], Gateway], listener: socket.socket | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then finish running answers for up to `drain_seconds`.

    Args:
        build: makes the application; called once the port is ours.
    """
    listener = listener or listen(settings)
    import uvicorn

    from plinth.gateway.dataplane.listener import Server, protocol

    config = uvicorn.Config(
        build(),
        http=protocol(settings.max_header_bytes, settings.body_timeout_seconds),
        loop="uvloop",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    Server(config).run(sockets=[listener])
