"""The root of every expected error, and its shape on the wire.

    PlinthError                       status, stable `code`, English message = the class docstring
    ├── BadInput            400       the request itself is wrong; `param` names the field
    │   ├── TooLarge        413
    │   └── Unprocessable   422
    ├── Unauthenticated     401
    ├── Forbidden           403
    ├── NotFound            404       also for another project's ids: existence is not disclosed
    ├── Conflict            409
    ├── RateLimited         429
    └── Unavailable         503
        └── StorageFull     507

A slice subclasses these in its `errors.py`. The docstring is a `str.format` template over the
keyword arguments given at the raise site, and says what to do. Chinese texts live in
`plinth/locales/zh/errors/<slice>.yaml` under the error's code (a test holds the two in step).
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class PlinthError(Exception):
    """Something went wrong inside Plinth. Look at the server log for the request id."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"

    def __init__(self, *, param: str | None = None, **fields: Any) -> None:
        self.param = param
        self.fields = fields
        super().__init__(self.message)

    @classmethod
    def template(cls) -> str:
        """The English message template: the class docstring on one line."""
        return " ".join(inspect.cleandoc(cls.__doc__ or cls.__name__).split())

    @property
    def message(self) -> str:
        return self.template().format(**self.fields)

    @property
    def headers(self) -> dict[str, str]:
        """Extra response headers (for example `Retry-After`)."""
        return {}

    def to_openai(self, message: str | None = None) -> dict[str, Any]:
        """The OpenAI error object: `{"error": {message, type, param, code}}`."""
        return {
            "error": {
                "message": message or self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class BadInput(PlinthError):
    """{reason}"""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class TooLarge(BadInput):
    """The request body is larger than the limit of {limit_bytes} bytes. Send less, or raise `{setting}`."""

    status = 413
    code = "request_too_large"


class Unprocessable(BadInput):
    """{reason}"""

    status = 422
    code = "unprocessable"


class Unauthenticated(PlinthError):
    """No valid API key was sent. Send `Authorization: Bearer sk-…` with a key of this server."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(PlinthError):
    """This key may not do that: it needs the permission `{permission}`.
    Ask an owner or admin for a role that has it."""

    status = 403
    code = "insufficient_permissions"
    type = "permission_error"


class NotFound(PlinthError):
    """No {what} with id '{id}' was found. Check the id and that the key belongs to its project."""

    status = 404
    code = "not_found"
    type = "invalid_request_error"


class Conflict(PlinthError):
    """{reason}"""

    status = 409
    code = "conflict"
    type = "invalid_request_error"


class RateLimited(PlinthError):
    """Too many requests. Wait {retry_after_seconds} seconds and try again."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.fields.get("retry_after_seconds", 1))}


class Unavailable(PlinthError):
    """{reason}"""

    status = 503
    code = "unavailable"
    type = "server_error"


class StorageFull(Unavailable):
    """The disk that holds Plinth's data is full; nothing was saved. Free space on {path} and try again."""

    status = 507
    code = "storage_full"


class MissingExtra(Unavailable):
    """This needs the optional part '{extra}', which is not installed. Run: pip install 'plinth-maas[{extra}]'"""

    code = "missing_extra"
