"""What can go wrong in the guard.

Unavailable
└── GuardUnavailable   503   the guard could not look at a text, so the text was not sent
Forbidden
├── BlockedByPolicy    403   the request holds data that must not leave
└── AnswerBlocked      403   the answer does
BadInput
└── BadPolicy          400
Conflict
└── PolicyInUse        409   a route still names it
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Forbidden, Unavailable


class GuardUnavailable(Unavailable):
    """The privacy guard could not check this request, so nothing was sent to the model: {reason}
    Try again; if it stays like this, ask whoever runs this server to look at the log."""

    code = "privacy_guard_unavailable"


class BlockedByPolicy(Forbidden):
    """Nothing was sent to the model: the privacy policy '{policy}' forbids sending {kinds}.
    Remove it from the request, or use a model on this machine."""

    code = "blocked_by_privacy_policy"


class AnswerBlocked(Forbidden):
    """The rest of the answer is withheld: the privacy policy '{policy}' forbids {kinds} in answers."""

    code = "answer_blocked_by_privacy_policy"


class BadPolicy(BadInput):
    """{reason}"""

    code = "bad_privacy_policy"


class PolicyInUse(Conflict):
    """The privacy policy '{name}' cannot be deleted: {user} names it. Let that use another policy first."""

    code = "privacy_policy_in_use"
