"""Models that answer in browser tests: a scripted provider in its own process, registered in the installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acceptance.gateway_support import Api, ProviderProcess, register
from acceptance.installation import Installation


@contextmanager
def provided(installation: Installation, *names: str) -> Iterator[Api]:
    """Models under these names in the first project; yields the API with that project's key."""
    provider = ProviderProcess()
    try:
        api = Api(installation.client())
        admin = Api(installation.client(api_key=installation.keys["admin_key"]))
        register(api, provider, *names, admin=admin)
        yield api
    finally:
        provider.kill()


def choose(page: Any, field: Any, option: str) -> None:
    """Picks an entry of a select as a person does: opens it, types, takes what is found."""
    field.click()
    field.fill(option)
    page.locator(".ant-select-dropdown:visible .ant-select-item-option").filter(has_text=option).first.click()
