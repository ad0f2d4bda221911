"""The control plane's HTTP app, and the process that serves it on a unix socket."""

from __future__ import annotations

from pathlib import Path


def serve(home: Path, overrides: tuple[str, ...]) -> None:
    """Run until SIGTERM. Brings the schema up to date first."""
    import uvicorn

    from plinth.api.app import create_app
    from plinth.bootstrap.platform import Platform
    from plinth.kit.telemetry import configure_logging

    platform = Platform.open(home, overrides)
    configure_logging("api", platform.settings.log.level)
    platform.migrate()
    socket = platform.home.api_socket
    socket.unlink(missing_ok=True)
    config = uvicorn.Config(
        create_app(platform),
        uds=str(socket),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=8,
        h11_max_incomplete_event_size=64 * 1024,
    )
    uvicorn.Server(config).run()
