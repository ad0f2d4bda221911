"""Webhooks: a project's endpoints hear, signed and at least once, what became of its jobs, runs and batches."""

from plinth.gateway.webhooks.addresses import AddressPolicy
from plinth.gateway.webhooks.model import EVENT_TYPES, FACTS, Answer, EndpointDraft, Outgoing
from plinth.gateway.webhooks.ports import InMemorySender, Sender
from plinth.gateway.webhooks.service import WebhookService, address_policy
from plinth.gateway.webhooks.settings import WebhookSettings

__all__ = [
    "EVENT_TYPES",
    "FACTS",
    "AddressPolicy",
    "Answer",
    "EndpointDraft",
    "InMemorySender",
    "Outgoing",
    "Sender",
    "WebhookService",
    "WebhookSettings",
    "address_policy",
]
