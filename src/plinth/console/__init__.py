"""The console: serves the web app that `web/` is built into. It knows no noun of the domain: the app in the
browser calls the public API like any other client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["install"]


def install(app: FastAPI) -> None:
    """Serve the console at `/console/`. Call it before any route that catches every path."""
    from plinth.console.bundle import Bundle
    from plinth.console.http import install as install_routes

    install_routes(app, Bundle())
