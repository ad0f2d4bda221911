"""Cost truth: providers' prices, what own machines cost, and the books that bring both together."""

from plinth.gateway.costs.bookkeeper import Bookkeeper, Proof, hour_name
from plinth.gateway.costs.errors import BooksOpen, HourNotSettled
from plinth.gateway.costs.model import (
    LOCAL_POOL,
    CostFilter,
    CostQuestion,
    CostReport,
    CostSum,
    Currencies,
    Machine,
    Prices,
    PriceTable,
    decimal_of,
)
from plinth.gateway.costs.reports import CostReports
from plinth.gateway.costs.service import CostService, PoolPriceDraft, PriceDraft, shares_of_records
from plinth.gateway.costs.settings import CostSettings
from plinth.gateway.costs.spending import Spending

__all__ = [
    "LOCAL_POOL",
    "Bookkeeper",
    "BooksOpen",
    "CostFilter",
    "CostQuestion",
    "CostReport",
    "CostReports",
    "CostService",
    "CostSettings",
    "CostSum",
    "Currencies",
    "HourNotSettled",
    "Machine",
    "PoolPriceDraft",
    "PriceDraft",
    "PriceTable",
    "Prices",
    "Proof",
    "Spending",
    "decimal_of",
    "hour_name",
    "shares_of_records",
]
