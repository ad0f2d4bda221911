"""The tests of usage work at the same desk as those of costs."""

from unit.gateway.costs.conftest import client, clock, desk, official

__all__ = ["client", "clock", "desk", "official"]
