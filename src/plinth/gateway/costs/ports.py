"""What the costs need from others: an audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plinth.identity import Actor
from plinth.kit.db import Session

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""
