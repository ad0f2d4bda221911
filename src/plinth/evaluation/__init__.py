"""Evals, runs, graders, and honest statistics over them."""

from plinth.evaluation.grading import GraderRunner
from plinth.evaluation.parity import PARITY_QUEUED, ParityChecker
from plinth.evaluation.ports import Answer, Completer, Embeddings, Question, ScriptedCompleter
from plinth.evaluation.runner import RunExecutor
from plinth.evaluation.sandbox import Limits, PythonSandbox
from plinth.evaluation.service import RUN_QUEUED, EvaluationService

__all__ = [
    "PARITY_QUEUED",
    "RUN_QUEUED",
    "Answer",
    "Completer",
    "Embeddings",
    "EvaluationService",
    "GraderRunner",
    "Limits",
    "ParityChecker",
    "PythonSandbox",
    "Question",
    "RunExecutor",
    "ScriptedCompleter",
]
