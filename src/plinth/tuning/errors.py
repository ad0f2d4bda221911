"""What can go wrong with fine-tuning.

BadInput
├── MethodNotSupported      400   only `supervised` is trained here
├── IntegrationsNotSupported  400
├── BadHyperparameter       400
├── UnknownRecipe           400
├── WrongPurpose            400   the file was not uploaded for fine-tuning
├── NotTunable              400   the base model cannot be tuned
├── BaseRetired             400   its shutdown date has passed
├── RowTooLong              400   no tokenizer could fit it into the context
├── TooManyRows             400
├── NotYourModel            400   a checkpoint is shared by the project that made it
├── WrongState              400   the job is not in a state that allows it
└── NoSuchProject           400   a checkpoint can only be shared inside the organization
"""

from __future__ import annotations

from plinth.kit.errors import BadInput


class MethodNotSupported(BadInput):
    """This server trains with the method 'supervised'; '{method}' is not available. Leave `method` out or set
    `method.type` to 'supervised'."""

    code = "method_not_supported"


class IntegrationsNotSupported(BadInput):
    """This server sends nothing to outside services, so `integrations` must be empty. Read a job's metrics from its
    events and its result file."""

    code = "integrations_not_supported"


class BadHyperparameter(BadInput):
    """{name} must be 'auto' or a number from {low} to {high}; it is {value}."""

    code = "bad_hyperparameter"


class UnknownRecipe(BadInput):
    """There is no recipe '{recipe}'. Choose one of: {known}."""

    code = "unknown_recipe"


class WrongPurpose(BadInput):
    """The file '{id}' was uploaded with the purpose '{purpose}'. Upload it again with the purpose 'fine-tune'."""

    code = "wrong_file_purpose"


class NotTunable(BadInput):
    """The model '{id}' cannot be fine-tuned here. Models that can: {tunable}."""

    code = "model_not_tunable"


class BaseRetired(BadInput):
    """The base model '{id}' was retired on {shutdown_date}. Choose another base model."""

    code = "base_model_retired"


class RowTooLong(BadInput):
    """Row {row} of the file has {size} bytes of text; it cannot fit into the {limit} tokens that a row may have with
    this model. Shorten it or split it into several rows."""

    code = "row_too_long"


class TooManyRows(BadInput):
    """The file has more than {limit} rows. Use fewer, or raise the setting `tuning.max_rows`."""

    code = "too_many_rows"


class WrongState(BadInput):
    """The job '{id}' is {status}, so it cannot be {wanted}."""

    code = "wrong_job_state"


class NoSuchProject(BadInput):
    """There is no other project '{id}' in this organization to share the model with."""

    code = "no_such_project"


class NotYourModel(BadInput):
    """The model '{id}' belongs to another project; only that project can share it."""

    code = "not_your_model"
