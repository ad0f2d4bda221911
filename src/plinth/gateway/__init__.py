"""The one public port: answers model calls, relays the rest, accounts for usage.

The data plane's application is `plinth.gateway.asgi`, its process `plinth.gateway.run`.
"""

from plinth.gateway.facts import DatabaseFacts
from plinth.gateway.model import UsageRecord, UsageSummary
from plinth.gateway.service import UsageTable, usage_summary

__all__ = ["DatabaseFacts", "UsageRecord", "UsageSummary", "UsageTable", "usage_summary"]
