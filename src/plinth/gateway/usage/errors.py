"""What can be wrong with a question about usage or costs.

BadInput 400
└── BadPeriod, BadPage, BadGrouping
"""

from __future__ import annotations

from plinth.kit.errors import BadInput


class BadPeriod(BadInput):
    """'end_time' must be later than 'start_time'. Send both in unix seconds."""

    code = "usage_period_empty"


class BadPage(BadInput):
    """'limit' must be between 1 and {most} buckets of {width}, and 'page' the 'next_page' of the previous answer to
    the same question. Send such values."""

    code = "usage_page_unknown"


class BadGrouping(BadInput):
    """Nothing can be grouped by '{group}' here. Group by any of: {groups}."""

    code = "usage_group_unknown"
