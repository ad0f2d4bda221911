"""Routes: a project's public name -> an immutable numbered plan of targets behind it.

Importing this package declares its tables. The HTTP surface is `plinth.gateway.routes.http`.
"""

from plinth.gateway.routes.choice import Choice, Dice, RoutePlan, position
from plinth.gateway.routes.errors import RouteChanged, UnknownRoute, UnknownTarget
from plinth.gateway.routes.model import (
    Action,
    Canary,
    Cascade,
    Mirror,
    Plan,
    Route,
    RouteVersion,
    Signal,
    Sticky,
    Target,
    Timeouts,
    Window,
    document_of,
    plan_of,
)
from plinth.gateway.routes.ports import InMemoryNames, Resolvable, known_by
from plinth.gateway.routes.service import CHANGED, RouteService

__all__ = [
    "CHANGED",
    "Action",
    "Canary",
    "Cascade",
    "Choice",
    "Dice",
    "InMemoryNames",
    "Mirror",
    "Plan",
    "Resolvable",
    "Route",
    "RouteChanged",
    "RoutePlan",
    "RouteService",
    "RouteVersion",
    "Signal",
    "Sticky",
    "Target",
    "Timeouts",
    "UnknownRoute",
    "UnknownTarget",
    "Window",
    "document_of",
    "known_by",
    "plan_of",
    "position",
]
