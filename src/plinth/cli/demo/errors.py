"""What can end a demo early; each is one sentence.

PlinthError
├── BadInput 400
│   ├── UnreadableTable     the rows of --data
│   └── HomeNotEmpty
├── DemoFailed              something the platform answered
│   ├── NotStarted
│   ├── TuningEnded
│   └── EvaluationEnded
└── Stopped                 Ctrl-C
"""

from __future__ import annotations

from typing import ClassVar

from plinth.kit.errors import BadInput, PlinthError


class UnreadableTable(BadInput):
    """{path} cannot be used: {reason} Give a CSV file with a column `text` and a column `label`, or a folder
    with train.csv and test.csv."""

    code = "demo_unreadable_table"


class HomeNotEmpty(BadInput):
    """The folder {home} is not empty, and the demo wants a fresh one. Choose another with --home."""

    code = "demo_home_not_empty"


class DemoFailed(PlinthError):
    """The platform refused a step of the demo: {reason} Its files and logs are in {home}."""

    code = "demo_failed"


class NotStarted(DemoFailed):
    """The platform did not start: {reason} Its logs are in {home}/logs."""

    code = "demo_not_started"


class TuningEnded(DemoFailed):
    """The fine-tuning job {id} ended as {status}: {reason} Its files and logs are in {home}."""

    code = "demo_tuning_ended"


class EvaluationEnded(DemoFailed):
    """The evaluation run {id} ended as {status}: {reason} Its files and logs are in {home}."""

    code = "demo_evaluation_ended"


class Stopped(PlinthError):
    """Stopped; the platform is shut down and nothing was lost. Everything so far is in {home}. To go on with a
    tuning job where it stopped, run: plinth up --home {home}"""

    code = "demo_stopped"
    exit_code: ClassVar[int] = 130
