"""Limits, budgets and model permissions of keys, projects and organizations."""

from plinth.gateway.limits.counters import MappedCounters, open_counters
from plinth.gateway.limits.limiter import Limiter, Permit
from plinth.gateway.limits.model import Budget, Limit, LimitTable, Mode, ModelRule, Period, Scope, SpendAlert, Subject
from plinth.gateway.limits.ports import Counters, InMemoryCounters, InMemorySpending, InMemorySubjects, Spending

__all__ = [
    "Budget",
    "Counters",
    "InMemoryCounters",
    "InMemorySpending",
    "InMemorySubjects",
    "Limit",
    "LimitTable",
    "Limiter",
    "MappedCounters",
    "Mode",
    "ModelRule",
    "Period",
    "Permit",
    "Scope",
    "SpendAlert",
    "Spending",
    "Subject",
    "open_counters",
]
