"""What can go wrong with a batch as a whole. What is wrong with one line is a `LineProblem`.

BadInput
├── NotABatchFile        400   the file was uploaded for something else
├── UnknownEndpoint      400
└── BadWindow            400
Conflict
├── BatchFinished        409   there is nothing left to cancel
└── TooManyBatches       409   of this project are waiting or running
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict


class NotABatchFile(BadInput):
    """The file '{id}' has the purpose '{purpose}'. Upload the requests with the purpose 'batch'."""

    code = "invalid_file_purpose"


class UnknownEndpoint(BadInput):
    """Batches cannot call '{endpoint}'. Use one of: {endpoints}."""

    code = "invalid_batch_endpoint"


class BadWindow(BadInput):
    """'{window}' is no completion window. Use 24h, or 1h to 168h, or 1d to 7d."""

    code = "invalid_completion_window"


class BatchFinished(Conflict):
    """The batch '{id}' cannot be cancelled: it is {status}. Its files hold what was done."""

    code = "batch_finished"


class TooManyBatches(Conflict):
    """{limit} batches of this project are waiting or running, which is the most. Wait for one to end, or cancel one."""

    code = "too_many_batches"
