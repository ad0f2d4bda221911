"""Settings of prices and the books."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from plinth.kit.settings import Section


class CostSettings(Section):
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """ISO 4217 code of the currency that budgets are counted in."""

    exchange_rates: dict[str, Decimal] = Field(default_factory=dict)
    """What one unit of another currency is worth in `currency`, for budgets. Example: {"CNY": "0.14"}"""

    settle_grace_seconds: float = Field(default=300.0, ge=0)
    """How long after its end an hour is settled, so that late usage records are in it. Later ones settle it again."""
