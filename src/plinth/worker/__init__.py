"""The background process: event delivery, durable jobs, and the engine reconciler."""

from __future__ import annotations

from pathlib import Path


def serve(home: Path, overrides: tuple[str, ...]) -> None:
    """Run until SIGTERM."""
    from plinth.bootstrap.platform import Platform
    from plinth.kit.telemetry import configure_logging
    from plinth.worker.runner import Runner

    platform = Platform.open(home, overrides)
    configure_logging("worker", platform.settings.log.level)
    Runner(platform).run()
