"""What can go wrong with stored completions.

BadInput
├── BadMetadataFilter     400   a query parameter that looks like a filter and is none
└── BadCursor             400   `after` names nothing that is in this list
"""

from __future__ import annotations

from plinth.kit.errors import BadInput


class BadMetadataFilter(BadInput):
    """The filter '{filter}' cannot be used. Write metadata[key]=value with at most {limit} keys of 64 characters
    and values of 512."""

    code = "invalid_metadata_filter"


class BadCursor(BadInput):
    """There is no '{after}' to go on from. Pass the last id of the page before."""

    code = "invalid_cursor"
