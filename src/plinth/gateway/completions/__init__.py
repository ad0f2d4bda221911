"""Stored completions: chat completions that a client asked to keep, found again by their metadata."""

from plinth.gateway.completions.model import CompletionRecord
from plinth.gateway.completions.service import StoredCompletions

__all__ = ["CompletionRecord", "StoredCompletions"]
