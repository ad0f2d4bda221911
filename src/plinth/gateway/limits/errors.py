"""Why a call is refused before it reaches a target, and what can be wrong with a limit.

    RateLimited 429
    ├── LimitReached                 the wire's code is always `rate_limit_exceeded`, as clients expect
    │   ├── RequestRateReached       rate_limit_requests
    │   ├── TokenRateReached         rate_limit_tokens
    │   ├── ConcurrencyReached       rate_limit_concurrency
    │   └── LargerThanLimit          rate_limit_request_too_large   waiting does not help
    └── BudgetExhausted              insufficient_quota             waiting helps in the next period
    Forbidden
    └── ModelNotPermitted     403    model_not_permitted
    BadInput
    ├── UnlimitedKind         400    rate_limit_unsupported
    ├── WrongCurrency         400    budget_currency
    └── NothingLimited        400    limit_without_value

`subject` says whose limit it is, in the same notation in every language: `key=key_1`,
`project=proj_1 model=smol`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from plinth.kit.errors import BadInput, Forbidden, RateLimited

Headers = list[tuple[str, str]]


class LimitReached(RateLimited):
    """A limit of {subject} is reached. Try again in {retry_after_seconds} seconds."""

    code = "rate_limit_reached"
    wire_code: ClassVar[str] = "rate_limit_exceeded"

    def __init__(self, *, ratelimit: Headers | None = None, **fields: Any) -> None:
        """Args: `ratelimit` are the `x-ratelimit-*` headers of the moment;
        `retry_after_seconds` is rounded up to whole seconds, as `Retry-After` wants it."""
        if "retry_after_seconds" in fields:
            fields["retry_after_seconds"] = max(1, math.ceil(round(fields["retry_after_seconds"], 3)))
        self.ratelimit = ratelimit or []
        super().__init__(**fields)

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, **dict(self.ratelimit)}

    def to_openai(self, message: str | None = None) -> dict[str, Any]:
        wire = super().to_openai(message)
        wire["error"]["code"] = self.wire_code
        return wire


class RequestRateReached(LimitReached):
    """The limit of {limit} requests a minute of {subject} is reached.
    Try again in {retry_after_seconds} seconds, or ask for a higher limit."""

    code = "rate_limit_requests"


class TokenRateReached(LimitReached):
    """The limit of {limit} tokens a minute of {subject} is reached: {used} are used and this request needs about
    {requested}. Try again in {retry_after_seconds} seconds, or ask for a higher limit."""

    code = "rate_limit_tokens"


class ConcurrencyReached(LimitReached):
    """The limit of {limit} requests at the same time of {subject} is reached.
    Try again when one of them has ended, in about {retry_after_seconds} seconds."""

    code = "rate_limit_concurrency"


class LargerThanLimit(LimitReached):
    """This request needs about {requested} tokens, but {subject} may use {limit} tokens a minute.
    Shorten the messages, lower 'max_completion_tokens', or ask for a higher limit."""

    code = "rate_limit_request_too_large"

    @property
    def headers(self) -> dict[str, str]:
        # the official SDK retries every 429 unless it is told that this is useless
        return {**dict(self.ratelimit), "x-should-retry": "false"}


class BudgetExhausted(RateLimited):
    """The budget of {subject} for this {period} is used up: {spent} of {limit} {currency}.
    Raise the budget, or wait until {resets_at} (UTC)."""

    code = "insufficient_quota"
    type = "insufficient_quota"

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "x-should-retry": "false"}


class ModelNotPermitted(Forbidden):
    """The model '{model}' is not permitted for {subject}.
    Choose another one from GET /v1/models, or ask an admin to permit it."""

    code = "model_not_permitted"


class UnlimitedKind(BadInput):
    """'{field}' cannot be limited on this server. Send 'max_requests_per_1_minute' or 'max_tokens_per_1_minute';
    limits of requests at the same time are set with PUT /api/limits."""

    code = "rate_limit_unsupported"


class WrongCurrency(BadInput):
    """The books of this server are kept in {currency}, so budgets must be too. Send 'currency': '{currency}'."""

    code = "budget_currency"


class NothingLimited(BadInput):
    """The limit limits nothing. Give at least one of: {fields}; or delete the limit."""

    code = "limit_without_value"
