"""What can be wrong with prices, pools and the books.

BadInput 400
├── BadAmount, BadCurrency, BadRate, NotWholeHour, TooLongAgo, BadPoolName
NotFound 404
└── HourNotSettled
Conflict 409
└── PoolTaken
Unavailable 503
└── ExchangeRateMissing
BooksOpen 500                           only `plinth costs verify` raises it
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, NotFound, PlinthError, Unavailable


class BadAmount(BadInput):
    """The amount '{field}' must be between {low} and {high}, with at most 9 digits after the point. Send such a
    number."""

    code = "amount_out_of_range"


class BadCurrency(BadInput):
    """Money is accounted in {base}; for prices in '{currency}' an exchange rate is needed. Use {base}, or set the
    rate in `costs.exchange_rates`."""

    code = "currency_without_rate"


class BadRate(BadInput):
    """Describe the pool's price either by 'per_hour' or by 'purchase', 'power' and 'other_per_hour', not by both.
    Leave one of them out."""

    code = "pool_price_ambiguous"


class NotWholeHour(BadInput):
    """'effective_from' must lie on a full hour in UTC, for example {example}: the books are kept by the hour. Send
    that or another full hour."""

    code = "not_a_full_hour"


class TooLongAgo(BadInput):
    """'effective_from' may lie at most {days} days in the past: every hour since then is settled again. Send a later
    hour."""

    code = "price_too_long_ago"


class BadPoolName(BadInput):
    """A pool's name has 1 to 64 letters, digits, '.', '_' or '-'. Choose such a name."""

    code = "pool_name_invalid"


class HourNotSettled(NotFound):
    """The hour {hour} of the pool '{pool}' has not been settled. The worker settles an hour {grace_seconds:g} seconds
    after its end; wait for that, and see that the worker runs and the pool has a price."""

    code = "hour_not_settled"


class PoolTaken(Conflict):
    """The pool '{pool}' belongs to another organization of this installation. Choose another name."""

    code = "pool_taken"


class ExchangeRateMissing(Unavailable):
    """There are costs in {currency}, but no exchange rate to {base}. Set it in `costs.exchange_rates`."""

    code = "exchange_rate_missing"


class BooksOpen(PlinthError):
    """The books of the pool '{pool}' for the hour {hour} do not close: {problem}. Settle the hour again with
    `plinth costs settle --hour {hour}`, and keep this message for a bug report."""

    code = "books_open"
