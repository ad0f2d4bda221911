"""The guard: finds personal data, and decides by policy what may leave the machine."""

from plinth.privacy.errors import AnswerBlocked, BlockedByPolicy, GuardUnavailable
from plinth.privacy.guard import AnswerFilter, Masked, PrivacyGuard, policy_named
from plinth.privacy.mask import Mask, StreamUnmasker
from plinth.privacy.model import (
    DEFAULT_NAME,
    DEFAULT_POLICY,
    KINDS,
    Action,
    DataClass,
    Finding,
    Policy,
    Scope,
    StoredPolicy,
)
from plinth.privacy.ports import Detector, InMemoryDetector
from plinth.privacy.service import POLICY_CHANGED, PrivacyService
from plinth.privacy.settings import PrivacySettings
from plinth.privacy.streams import StreamScanner

__all__ = [
    "DEFAULT_NAME",
    "DEFAULT_POLICY",
    "KINDS",
    "POLICY_CHANGED",
    "Action",
    "AnswerBlocked",
    "AnswerFilter",
    "BlockedByPolicy",
    "DataClass",
    "Detector",
    "Finding",
    "GuardUnavailable",
    "InMemoryDetector",
    "Mask",
    "Masked",
    "Policy",
    "PrivacyGuard",
    "PrivacyService",
    "PrivacySettings",
    "Scope",
    "StoredPolicy",
    "StreamScanner",
    "StreamUnmasker",
    "policy_named",
]
