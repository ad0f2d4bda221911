"""Decisions: questions with known options, answered by probabilities that a calibration can make true
(`/v1/decisions`, `/api/calibrations`)."""

from plinth.gateway.decisions.calibrations import CalibrationService
from plinth.gateway.decisions.ports import Asker, Target
from plinth.gateway.decisions.runner import CalibrationRunner
from plinth.gateway.decisions.service import DecisionService

__all__ = ["Asker", "CalibrationRunner", "CalibrationService", "DecisionService", "Target"]
