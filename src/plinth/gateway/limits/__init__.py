"""Limits, budgets and model permissions of keys, projects and organizations."""

from plinth.gateway.limits.budgets import AlertDraft, BudgetDraft
from plinth.gateway.limits.counters import MappedCounters, open_counters
from plinth.gateway.limits.keeper import BOOKING_LAG_SECONDS, BudgetKeeper
from plinth.gateway.limits.limiter import Limiter, Permit
from plinth.gateway.limits.model import Budget, Limit, LimitTable, Mode, ModelRule, Period, Scope, SpendAlert, Subject
from plinth.gateway.limits.ports import Counters, InMemoryCounters, InMemorySpending, InMemorySubjects, Spending
from plinth.gateway.limits.service import LimitPorts, LimitService, Rates
from plinth.gateway.limits.subjects import IdentitySubjects

__all__ = [
    "BOOKING_LAG_SECONDS",
    "AlertDraft",
    "Budget",
    "BudgetDraft",
    "BudgetKeeper",
    "Counters",
    "IdentitySubjects",
    "InMemoryCounters",
    "InMemorySpending",
    "InMemorySubjects",
    "Limit",
    "LimitPorts",
    "LimitService",
    "LimitTable",
    "Limiter",
    "MappedCounters",
    "Mode",
    "ModelRule",
    "Period",
    "Permit",
    "Rates",
    "Scope",
    "SpendAlert",
    "Spending",
    "Subject",
    "open_counters",
]
