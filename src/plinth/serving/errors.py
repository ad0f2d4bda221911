"""What can go wrong with serving.

NotFound
└── UnknownAdapter       404   the engine does not hold the adapter (any more)
BadInput
└── NotServable          400   the model can neither generate nor embed, or has no files to serve
EngineFailed                   inside only: why an engine did not start; becomes a deployment's reason
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, NotFound, PlinthError


class UnknownAdapter(NotFound):
    """The model '{id}' is not loaded in its engine. Check GET /api/deployments and try again."""

    code = "model_not_loaded"


class NotServable(BadInput):
    """The model '{id}' cannot be deployed: {reason}"""

    code = "model_not_servable"


class EngineFailed(PlinthError):
    """The engine did not start: {reason}"""

    code = "engine_failed"
