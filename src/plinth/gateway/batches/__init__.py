"""Batches: many requests in a file, answered at low priority, the answers in a file (`/v1/batches`)."""

from plinth.gateway.batches.checker import InputChecker
from plinth.gateway.batches.model import Batch, BatchStatus
from plinth.gateway.batches.ports import (
    BROKEN,
    UNREACHED,
    Caller,
    CallFailed,
    ModelCall,
    NewOutput,
    Reply,
    ScriptedCaller,
)
from plinth.gateway.batches.runner import BatchParts, BatchRunner
from plinth.gateway.batches.service import BATCH_CREATED, BATCH_VALIDATED, ActiveInputs, BatchService

__all__ = [
    "BATCH_CREATED",
    "BATCH_VALIDATED",
    "BROKEN",
    "UNREACHED",
    "ActiveInputs",
    "Batch",
    "BatchParts",
    "BatchRunner",
    "BatchService",
    "BatchStatus",
    "CallFailed",
    "Caller",
    "InputChecker",
    "ModelCall",
    "NewOutput",
    "Reply",
    "ScriptedCaller",
]
