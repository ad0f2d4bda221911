"""What can go wrong in an evaluation.

PlinthError
├── BadInput 400
│   ├── InvalidGrader          a grader's own definition
│   │   ├── InvalidTemplate    a `{{ … }}` that cannot be resolved
│   │   └── InvalidFormula     a multi grader's `calculate_output`
│   ├── InvalidItemSchema      `item_schema` itself
│   ├── InvalidItems           rows that do not fit `item_schema`; the run does not exist
│   ├── UnsupportedSource      logs and stored completions
│   └── NothingToCompare
├── Conflict 409
│   └── RunFinished
├── GradingFailed 422          one item could not be graded (it counts as `errored`)
│   ├── MissingValue           a template's path leads nowhere
│   ├── ScriptFailed           a python grader raised, lingered or broke its sandbox
│   └── ModelGraderUnclear
├── CompletionFailed 502       the model gave no answer to one request
│   └── ModelUnreachable       no request to this model can succeed: the run fails
└── Unavailable 503
    └── SandboxUnavailable     no kernel sandbox, hence no python grader
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, PlinthError, Unavailable


class InvalidGrader(BadInput):
    """The grader '{name}' is not valid: {reason}"""

    code = "invalid_grader"


class InvalidTemplate(InvalidGrader):
    """The template expression '{expression}' is not valid: {reason}"""

    code = "invalid_template"


class InvalidFormula(InvalidGrader):
    """The formula '{formula}' is not valid: {reason}"""

    code = "invalid_formula"


class InvalidItemSchema(BadInput):
    """`item_schema` is not valid at '{path}': {reason}"""

    code = "invalid_item_schema"


class InvalidItems(BadInput):
    """The run was not created: {count} of its rows cannot be used. {details}"""

    code = "invalid_items"


class UnsupportedSource(BadInput):
    """The data source type '{type}' is not supported here yet. Use `custom` with runs of type
    jsonl, completions or responses over a `file_id` or `file_content`."""

    code = "unsupported_data_source"


class NothingToCompare(BadInput):
    """The runs {run_a} and {run_b} share no item that both of them graded.
    Compare two completed runs over the same items."""

    code = "nothing_to_compare"


class RunFinished(Conflict):
    """The run {id} is already {status} and cannot be canceled."""

    code = "run_finished"


class GradingFailed(PlinthError):
    """{reason}"""

    status = 422
    code = "grading_failed"
    type = "invalid_request_error"


class MissingValue(GradingFailed):
    """'{path}' has no value here."""

    code = "missing_value"


class ScriptFailed(GradingFailed):
    """The python grader failed on this item: {reason}"""

    code = "python_grader_error"


class ModelGraderUnclear(GradingFailed):
    """The grading model did not answer in the form it was asked for: '{text}'."""

    code = "model_grader_parse_error"


class CompletionFailed(PlinthError):
    """The model '{model}' gave no answer: {reason}"""

    status = 502
    code = "completion_failed"


class ModelUnreachable(CompletionFailed):
    """The model '{model}' cannot be used: {reason} Check its name and that it is deployed."""

    code = "model_unreachable"


class SandboxUnavailable(Unavailable):
    """The python grader is switched off: its sandbox cannot be set up here ({reason}).
    Use another grader type, or run Plinth on Linux (x86_64 or aarch64) with seccomp."""

    code = "python_grader_unavailable"
