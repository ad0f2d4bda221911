"""Tables and queries of limits, budgets, alerts and permissions. Private to the sub-slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Integer,
    Row,
    String,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from plinth.gateway.limits.model import Budget, Limit, Mode, ModelRule, Period, Scope, SpendAlert, Subject
from plinth.kit.db import Session, metadata


def _subject_columns() -> list[Column[Any]]:
    return [
        Column("scope", String(16), nullable=False),
        Column("subject_id", String(64), nullable=False),
        Column("organization_id", String(64), nullable=False, index=True),
        Column("project_id", String(64), nullable=False),
    ]


limits = Table(
    "gateway_limits",
    metadata,
    Column("id", String(64), primary_key=True),
    *_subject_columns(),
    Column("model", String(256), nullable=False),
    Column("requests_per_minute", BigInteger, nullable=True),
    Column("tokens_per_minute", BigInteger, nullable=True),
    Column("concurrent_requests", BigInteger, nullable=True),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("scope", "subject_id", "model"),
)
budgets = Table(
    "gateway_budgets",
    metadata,
    Column("id", String(64), primary_key=True),
    *_subject_columns(),
    Column("period", String(8), nullable=False),
    Column("limit_nanos", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("alert_percent", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("scope", "subject_id", "period"),
)
spend_alerts = Table(
    "gateway_spend_alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    *_subject_columns(),
    Column("threshold_nanos", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("subject_prefix", String(200), nullable=True),
    Column("created_at", Float, nullable=False),
)
model_rules = Table(
    "gateway_model_rules",
    metadata,
    Column("id", String(64), primary_key=True),
    *_subject_columns(),
    Column("mode", String(16), nullable=False),
    Column("models", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("scope", "subject_id"),
)
# which alerts were raised already: once a period and threshold
raised = Table(
    "gateway_budget_alerts_raised",
    metadata,
    Column("source_id", String(64), primary_key=True),
    Column("period_start", Float, primary_key=True),
    Column("percent", Integer, primary_key=True),
    Column("raised_at", Float, nullable=False),
)


def all_limits(session: Session) -> list[Limit]:
    return [_limit(row) for row in session.execute(select(limits).order_by(limits.c.id))]


def limits_of(session: Session, subject: Subject) -> list[Limit]:
    """That of all models together first, then by model."""
    rows = session.execute(select(limits).where(*_is(limits, subject)).order_by(limits.c.model))
    return [_limit(row) for row in rows]


def list_limits(session: Session, organization_id: str, project_id: str, after: str | None, most: int) -> list[Limit]:
    """By id; `project_id` narrows to one project and its keys when it is not empty."""
    query = select(limits).where(limits.c.organization_id == organization_id)
    if project_id:
        query = query.where(limits.c.project_id == project_id)
    if after:
        query = query.where(limits.c.id > after)
    return [_limit(row) for row in session.execute(query.order_by(limits.c.id).limit(most))]


def put_limit(session: Session, limit: Limit) -> None:
    values = {
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "concurrent_requests": limit.concurrent_requests,
        "updated_at": limit.updated_at,
    }
    where = [*_is(limits, limit.subject), limits.c.model == limit.model]
    _put(session, limits, where, values, {"id": limit.id, "model": limit.model, **_columns(limit.subject)})


def delete_limit(session: Session, subject: Subject, model: str) -> bool:
    return _delete(session, limits, *_is(limits, subject), limits.c.model == model)


def all_budgets(session: Session) -> list[Budget]:
    return [_budget(row) for row in session.execute(select(budgets).order_by(budgets.c.id))]


def budgets_of(session: Session, subject: Subject) -> list[Budget]:
    rows = session.execute(select(budgets).where(*_is(budgets, subject)).order_by(budgets.c.period))
    return [_budget(row) for row in rows]


def put_budget(session: Session, budget: Budget) -> None:
    values = {
        "limit_nanos": budget.limit_nanos,
        "currency": budget.currency,
        "hard": budget.hard,
        "alert_percent": list(budget.alert_percent),
        "updated_at": budget.updated_at,
    }
    where = [*_is(budgets, budget.subject), budgets.c.period == budget.period]
    _put(session, budgets, where, values, {"id": budget.id, "period": budget.period, **_columns(budget.subject)})


def delete_budget(session: Session, subject: Subject, period: Period) -> bool:
    return _delete(session, budgets, *_is(budgets, subject), budgets.c.period == period)


def all_alerts(session: Session) -> list[SpendAlert]:
    return [_alert(row) for row in session.execute(select(spend_alerts).order_by(spend_alerts.c.id))]


def alerts_of(session: Session, subject: Subject) -> list[SpendAlert]:
    """Oldest first."""
    rows = session.execute(select(spend_alerts).where(*_is(spend_alerts, subject)).order_by(spend_alerts.c.id))
    return [_alert(row) for row in rows]


def put_alert(session: Session, alert: SpendAlert) -> None:
    values = {
        "threshold_nanos": alert.threshold_nanos,
        "currency": alert.currency,
        "recipients": list(alert.recipients),
        "subject_prefix": alert.subject_prefix,
    }
    fixed = {"id": alert.id, "created_at": alert.created_at, **_columns(alert.subject)}
    _put(session, spend_alerts, [spend_alerts.c.id == alert.id], values, fixed)


def delete_alert(session: Session, subject: Subject, alert_id: str) -> bool:
    return _delete(session, spend_alerts, *_is(spend_alerts, subject), spend_alerts.c.id == alert_id)


def all_rules(session: Session) -> list[ModelRule]:
    return [_rule(row) for row in session.execute(select(model_rules))]


def rule_of(session: Session, subject: Subject) -> ModelRule | None:
    row = session.execute(select(model_rules).where(*_is(model_rules, subject))).one_or_none()
    return _rule(row) if row else None


def put_rule(session: Session, id: str, rule: ModelRule) -> None:
    values = {"mode": rule.mode, "models": sorted(rule.models), "updated_at": rule.updated_at}
    _put(session, model_rules, _is(model_rules, rule.subject), values, {"id": id, **_columns(rule.subject)})


def delete_rule(session: Session, subject: Subject) -> bool:
    return _delete(session, model_rules, *_is(model_rules, subject))


def raise_once(session: Session, source_id: str, period_start: float, percent: int, unix: float) -> bool:
    """Whether this is the first time; then it is remembered."""
    key = {"source_id": source_id, "period_start": period_start, "percent": percent}
    known = select(raised.c.percent).where(*(raised.c[name] == value for name, value in key.items()))
    if session.execute(known).one_or_none():
        return False
    try:
        with session.begin_nested():
            session.execute(insert(raised).values(**key, raised_at=unix))
    except IntegrityError:  # another worker was faster
        return False
    return True


def forget_raised(session: Session, source_id: str) -> None:
    session.execute(delete(raised).where(raised.c.source_id == source_id))


def _put(
    session: Session,
    table: Table,
    where: Sequence[ColumnElement[bool]],
    values: dict[str, Any],
    fixed: dict[str, Any],
) -> None:
    """Change the row, or insert it with `fixed` too."""
    change = update(table).where(*where).values(**values)
    if session.execute(change).rowcount:  # type: ignore[attr-defined]
        return
    try:
        with session.begin_nested():
            session.execute(insert(table).values(**fixed, **values))
    except IntegrityError:  # somebody else inserted it meanwhile
        session.execute(change)


def _delete(session: Session, table: Table, *where: ColumnElement[bool]) -> bool:
    return bool(session.execute(delete(table).where(*where)).rowcount)  # type: ignore[attr-defined]


def _is(table: Table, subject: Subject) -> list[ColumnElement[bool]]:
    # the organization too: an id that was given must never reach over
    return [
        table.c.scope == subject.scope,
        table.c.subject_id == subject.id,
        table.c.organization_id == subject.organization_id,
    ]


def _columns(subject: Subject) -> dict[str, str]:
    return {
        "scope": subject.scope,
        "subject_id": subject.id,
        "organization_id": subject.organization_id,
        "project_id": subject.project_id,
    }


def _subject(row: Row[Any]) -> Subject:
    return Subject(Scope(row.scope), row.subject_id, row.organization_id, row.project_id)


def _limit(row: Row[Any]) -> Limit:
    return Limit(
        id=row.id,
        subject=_subject(row),
        model=row.model,
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrent_requests=row.concurrent_requests,
        updated_at=row.updated_at,
    )


def _budget(row: Row[Any]) -> Budget:
    return Budget(
        id=row.id,
        subject=_subject(row),
        period=Period(row.period),
        limit_nanos=row.limit_nanos,
        currency=row.currency,
        hard=row.hard,
        alert_percent=tuple(row.alert_percent),
        updated_at=row.updated_at,
    )


def _alert(row: Row[Any]) -> SpendAlert:
    return SpendAlert(
        id=row.id,
        subject=_subject(row),
        threshold_nanos=row.threshold_nanos,
        currency=row.currency,
        recipients=tuple(row.recipients),
        subject_prefix=row.subject_prefix,
        created_at=row.created_at,
    )


def _rule(row: Row[Any]) -> ModelRule:
    return ModelRule(_subject(row), Mode(row.mode), frozenset(row.models), row.updated_at)
