"""What can go wrong with routes.

NotFound
├── UnknownRoute             404   no route of that name in this project
└── UnknownRouteVersion      404
Conflict
├── RouteChanged             409   `expected_version` is not the current one
├── NoEarlierVersion         409   nothing to roll back to
└── TooManyRoutes            409
BadInput
├── BadRouteName             400
├── UnknownTarget            400   not a model that the project can name
├── DuplicateTarget          400   the same model twice where it may stand once
├── BadTimeOfDay             400
├── UnknownTimezone          400
└── BadRoutePlan             400   the plan as a whole, or a field of the wrong shape

Numbers out of range, lists that are too long and unknown words are the gateway's `OutOfRange`,
`TooMany`, `NotOneOf` and `MissingField`. `param` always names the field, as in `targets.0.weight`.
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, NotFound


class UnknownRoute(NotFound):
    """The route '{name}' does not exist in this project. GET /api/routes lists what there is."""

    code = "route_not_found"


class UnknownRouteVersion(NotFound):
    """The route '{name}' has no version {version} that can be used. GET /api/routes/{name}/history lists what
    it had."""

    code = "route_version_not_found"


class RouteChanged(Conflict):
    """The route '{name}' is at version {version} now, not at the expected {expected}: somebody else changed it.
    Read it again, then repeat the change with the new version."""

    code = "route_version_conflict"


class NoEarlierVersion(Conflict):
    """The route '{name}' has no earlier version to go back to. Name one from GET /api/routes/{name}/history."""

    code = "route_has_no_earlier_version"


class TooManyRoutes(Conflict):
    """This project already has {limit} routes. Delete some that are not used any more."""

    code = "too_many_routes"


class BadRouteName(BadInput):
    """'{name}' is not a usable route name. Use 1 to 255 letters, digits, '.', '_', '-', ':' or '/', starting with a
    letter or digit and without empty or dotted parts between slashes; the last part may not be 'history' or
    'rollback'."""

    code = "bad_route_name"


class UnknownTarget(BadInput):
    """'{field}' names '{model}', which is no model that this project can use. GET /v1/models lists what there is;
    a target is a model, never another route."""

    code = "route_target_unknown"


class DuplicateTarget(BadInput):
    """'{field}' names '{model}' a second time. Name each model once; a canary or the first model of a cascade may
    not be one of the targets as well."""

    code = "route_target_duplicate"


class BadTimeOfDay(BadInput):
    """'{field}' must be a local time between 00:00 and 24:00 as HH:MM, and `start` and `end` of a window must
    differ. Send for example 08:00."""

    code = "bad_time_of_day"


class UnknownTimezone(BadInput):
    """'{field}' is not a time zone that this server knows. Send an IANA name such as Asia/Shanghai or UTC."""

    code = "unknown_timezone"


class BadRoutePlan(BadInput):
    """The route's plan cannot be used: '{field}': {problem}. Correct that field."""

    code = "bad_route_plan"


class UnknownPrivacyPolicy(BadInput):
    """The project has no privacy policy '{policy}'. Create it with PUT /api/privacy/policies/{policy}, or leave
    `privacy_policy` out to use the project's default."""

    code = "route_privacy_policy_unknown"
