"""The Responses API: translation to chat, events, stored responses, background work, conversations."""

from plinth.gateway.responses.background import BackgroundRunner
from plinth.gateway.responses.conversations import ConversationService
from plinth.gateway.responses.errors import ModelCallFailed
from plinth.gateway.responses.events import Composer, wire
from plinth.gateway.responses.generate import compose, open_answer
from plinth.gateway.responses.model import Finding, Outcome, Prepared, ResponseRequest, Status
from plinth.gateway.responses.ports import (
    ChatCall,
    ChatStream,
    Chunks,
    FileSearch,
    InMemoryFileSearch,
    ScriptedChat,
)
from plinth.gateway.responses.service import QUEUED, ResponsesService
from plinth.gateway.responses.settings import ResponsesSettings
from plinth.gateway.responses.translate import shortened

__all__ = [
    "QUEUED",
    "BackgroundRunner",
    "ChatCall",
    "ChatStream",
    "Chunks",
    "Composer",
    "ConversationService",
    "FileSearch",
    "Finding",
    "InMemoryFileSearch",
    "ModelCallFailed",
    "Outcome",
    "Prepared",
    "ResponseRequest",
    "ResponsesService",
    "ResponsesSettings",
    "ScriptedChat",
    "Status",
    "compose",
    "open_answer",
    "shortened",
    "wire",
]
