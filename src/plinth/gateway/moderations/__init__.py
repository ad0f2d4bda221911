"""Moderations: which kinds of harm a text contains, and by which method that was found (`/v1/moderations`)."""

from plinth.gateway.moderations.judge import ModelModerator
from plinth.gateway.moderations.lexicon import LexiconModerator
from plinth.gateway.moderations.model import CATEGORIES, Verdict
from plinth.gateway.moderations.ports import Moderator, ScriptedModerator
from plinth.gateway.moderations.service import ModerationService

__all__ = [
    "CATEGORIES",
    "LexiconModerator",
    "ModelModerator",
    "ModerationService",
    "Moderator",
    "ScriptedModerator",
    "Verdict",
]
