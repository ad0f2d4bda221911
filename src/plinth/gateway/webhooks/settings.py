"""Settings of webhook endpoints and their deliveries."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class WebhookSettings(Section):
    """`[webhooks]` in plinth.toml, `PLINTH_WEBHOOKS__…` in the environment."""

    allow_private_addresses: bool = True
    """Whether endpoints may be on the own network (10.x, 172.16.x, 192.168.x, fc00::). Addresses of cloud metadata
    services, link-local, multicast and unspecified ones are refused in any case."""

    allow_loopback_addresses: bool = False
    """Whether endpoints may be on this machine (127.x, ::1). Services that listen only there often ask for no
    password, so a project's administrator should not reach them unless the machine is that person's own."""

    ca_file: str = ""
    """PEM file with further certificate authorities that endpoints' certificates may come from, as in-house ones."""

    max_endpoints_per_project: int = Field(default=20, ge=1, le=200)
    """How many endpoints a project may have."""

    timeout_seconds: float = Field(default=15.0, gt=0, le=120)
    """How long a receiver may take for its whole answer, connecting included."""

    retry_hours: float = Field(default=72.0, gt=0, le=24 * 14)
    """How long a delivery is tried; an endpoint that takes nothing for as long is disabled."""

    concurrency: int = Field(default=128, ge=1, le=1000)
    """Deliveries under way at once in one worker."""

    keep_days: int = Field(default=30, ge=1)
    """How long finished deliveries stay listed, in days."""
