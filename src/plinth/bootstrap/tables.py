"""Every table of the platform in one place, for migrations and tests."""

from __future__ import annotations

from sqlalchemy import MetaData


def metadata() -> MetaData:
    """The metadata with all slices' tables declared on it."""
    # importing a slice's package declares its tables
    import plinth.catalog
    import plinth.data
    import plinth.evaluation
    import plinth.gateway
    import plinth.identity
    import plinth.kit.events
    import plinth.privacy
    import plinth.registry
    import plinth.serving
    import plinth.tuning  # noqa: F401
    from plinth.kit.db import metadata

    return metadata
