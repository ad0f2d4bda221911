"""What can go wrong with versions and names.

NotFound
└── UnknownModel          404   no base, version or alias of that name for this project
Conflict
├── ModelInUse            409   an alias still points at the version
├── NotModelOwner         409   shared with the project, owned by another
├── NameTaken             409   an alias may not hide a base model or version
└── NothingToRollBack     409
BadInput
├── BadModelName          400
└── BaseModelUndeletable  400
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, NotFound


class UnknownModel(NotFound):
    """The model '{id}' does not exist or this project has no access to it. GET /v1/models lists what there is."""

    code = "model_not_found"


class ModelInUse(Conflict):
    """The model '{id}' cannot be deleted: the name '{alias}' points at it.
    Point the name at another model first (PUT /api/aliases/{alias}) or delete the name."""

    code = "model_in_use"


class NotModelOwner(Conflict):
    """The model '{id}' is shared with this project but belongs to another one; only its owner may change it."""

    code = "not_model_owner"


class NameTaken(Conflict):
    """The name '{name}' already belongs to a model. Choose a name that no base model or version has."""

    code = "model_name_taken"


class NothingToRollBack(Conflict):
    """The name '{name}' has no earlier target to go back to. GET /api/aliases/{name}/history shows what it had."""

    code = "nothing_to_roll_back"


class BadModelName(BadInput):
    """'{name}' is not a usable model name. Use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter
    or digit."""

    code = "bad_model_name"


class BaseModelUndeletable(BadInput):
    """'{id}' is a base model, which cannot be deleted here; only fine-tuned models can.
    Remove base models through the catalogue."""

    code = "base_model_undeletable"
