"""Fine-tuning: jobs, recipes, and the trainer port.

`TuningService` decides; `plinth.tuning.jobs.TuningRunner` does the work in the worker;
`plinth.tuning.http.router` is `/v1/fine_tuning/*`.
"""

from plinth.tuning.folder import (
    Busy,
    ExitStatus,
    ProgressLog,
    RunFailed,
    RunFolder,
    read_json,
    read_progress,
    sync_folder,
    write_bytes,
    write_json,
)
from plinth.tuning.model import (
    Checkpoint,
    Cost,
    Hyperparameters,
    Job,
    JobEvent,
    JobStatus,
    Limits,
    Outcome,
    OutcomeKind,
    Recipe,
    StopMode,
    TrainingSpec,
)
from plinth.tuning.ports import Bases, InMemoryBases, InMemoryTrainer, MemoryBase, Trainer, TrainerHandle
from plinth.tuning.service import Order, TuningService

__all__ = [
    "Bases",
    "Busy",
    "Checkpoint",
    "Cost",
    "ExitStatus",
    "Hyperparameters",
    "InMemoryBases",
    "InMemoryTrainer",
    "Job",
    "JobEvent",
    "JobStatus",
    "Limits",
    "MemoryBase",
    "Order",
    "Outcome",
    "OutcomeKind",
    "ProgressLog",
    "Recipe",
    "RunFailed",
    "RunFolder",
    "StopMode",
    "Trainer",
    "TrainerHandle",
    "TrainingSpec",
    "TuningService",
    "read_json",
    "read_progress",
    "sync_folder",
    "write_bytes",
    "write_json",
]
