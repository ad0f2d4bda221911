"""The one public port: answers model calls, relays the rest, accounts for usage.

The data plane's application is `plinth.gateway.dataplane.asgi`, its process `plinth.gateway.dataplane.run`.
"""

# importing a part declares its tables
import plinth.gateway.batches
import plinth.gateway.completions
import plinth.gateway.decisions
import plinth.gateway.limits.service
import plinth.gateway.responses
import plinth.gateway.webhooks  # noqa: F401
from plinth.gateway.dataplane.facts import DatabaseFacts
from plinth.gateway.model import UsageRecord, UsageSummary
from plinth.gateway.usage.service import UsageTable, usage_summary

__all__ = ["DatabaseFacts", "UsageRecord", "UsageSummary", "UsageTable", "usage_summary"]
