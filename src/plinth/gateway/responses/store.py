"""Tables and queries of responses and conversations. Private to the sub-slice.

A response's row changes only until its status is final. Items are rows of their own: input first,
then output, in order. Deleting removes rows; nothing is only marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from plinth.gateway.responses.model import Conversation, Item, Slice, Status, StoredResponse
from plinth.kit.db import Session, metadata

responses = Table(
    "responses",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("key_id", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("status", String(16), nullable=False),
    Column("background", Boolean, nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("previous_response_id", String(64), nullable=True),
    Column("conversation_id", String(64), nullable=True),
    # the Response object without its output
    Column("body", JSON, nullable=False),
    # what a worker needs to generate it; gone once it is final
    Column("request", JSON(none_as_null=True), nullable=True),
    Column("attempts", Integer, nullable=False),
)
response_items = Table(
    "response_items",
    metadata,
    Column("response_id", String(64), ForeignKey("responses.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("output", Boolean, nullable=False),
    Column("item", JSON, nullable=False),
    Index("ix_response_items_project_id_id", "project_id", "id"),
)
response_events = Table(
    "response_events",
    metadata,
    Column("response_id", String(64), ForeignKey("responses.id"), primary_key=True),
    Column("first_sequence", Integer, primary_key=True),
    Column("last_sequence", Integer, nullable=False),
    Column("events", JSON, nullable=False),
)
conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("next_position", Integer, nullable=False),
)
conversation_items = Table(
    "conversation_items",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversations.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("item", JSON, nullable=False),
    Index("ix_conversation_items_project_id_id", "project_id", "id"),
)

_COLUMNS = [column.name for column in responses.columns]
_BATCH = 500


# responses


def insert_response(session: Session, row: StoredResponse) -> None:
    session.execute(insert(responses).values(**{name: getattr(row, name) for name in _COLUMNS}))


def response(session: Session, response_id: str, now: float, lock: bool = False) -> StoredResponse | None:
    """Of any project; an expired one counts as gone. `lock` makes others who want to write it wait (on SQLite
    every writer waits anyway)."""
    query = select(responses).where(responses.c.id == response_id, responses.c.expires_at > now)
    query = query.with_for_update() if lock else query
    row = session.execute(query).one_or_none()
    return None if row is None else StoredResponse(**{**row._mapping, "status": Status(row.status)})


def start_attempt(session: Session, response_id: str, body: dict[str, Any]) -> bool:
    """Whether the response was still open, and is in progress now."""
    values = {"status": Status.in_progress.value, "body": body, "attempts": responses.c.attempts + 1}
    return _change_open(session, response_id, values)


def close(session: Session, response_id: str, status: Status, body: dict[str, Any]) -> bool:
    """Write the final row, once: False when it was final already."""
    return _change_open(session, response_id, {"status": status.value, "body": body, "request": None})


def _change_open(session: Session, response_id: str, values: dict[str, Any]) -> bool:
    opened = [status.value for status in Status if not status.final]
    query = update(responses).where(responses.c.id == response_id, responses.c.status.in_(opened))
    return bool(session.execute(query.values(**values)).rowcount)  # type: ignore[attr-defined]


def delete_responses(session: Session, ids: Sequence[str]) -> None:
    for table in (response_events, response_items):
        session.execute(delete(table).where(table.c.response_id.in_(ids)))
    session.execute(delete(responses).where(responses.c.id.in_(ids)))


def expired(session: Session, now: float, limit: int) -> list[str]:
    query = select(responses.c.id).where(responses.c.expires_at <= now).limit(limit)
    return list(session.execute(query).scalars())


def chain(session: Session, project_id: str, response_id: str, now: float) -> list[tuple[str, str | None]]:
    """`(id, previous id)` of the response and all that it continues, newest first, as far as they are kept."""
    columns = responses.c.id, responses.c.previous_response_id
    kept = responses.c.project_id == project_id, responses.c.expires_at > now
    start = select(*columns, literal(0).label("depth")).where(responses.c.id == response_id, *kept)
    walk = start.cte("chain", recursive=True)
    earlier = select(*columns, walk.c.depth + 1).where(responses.c.id == walk.c.previous_response_id, *kept)
    walk = walk.union_all(earlier)
    rows = session.execute(select(walk.c.id, walk.c.previous_response_id).order_by(walk.c.depth))
    return [(row[0], row[1]) for row in rows]


def keep_until(session: Session, response_id: str, expires_at: float) -> None:
    """Put the end of a response and of all that it continues off. The walk ends at the first one that is kept
    long enough: what that one continues is kept at least as long."""
    short = responses.c.expires_at < expires_at
    start = select(responses.c.id, responses.c.previous_response_id).where(responses.c.id == response_id, short)
    walk = start.cte("short", recursive=True)
    earlier = select(responses.c.id, responses.c.previous_response_id)
    walk = walk.union_all(earlier.where(responses.c.id == walk.c.previous_response_id, short))
    ids = list(session.execute(select(walk.c.id)).scalars())
    for begin in range(0, len(ids), _BATCH):
        query = update(responses).where(responses.c.id.in_(ids[begin : begin + _BATCH]))
        session.execute(query.values(expires_at=expires_at))


# items of responses


def insert_items(session: Session, row: StoredResponse, items: Sequence[Item], output: bool, first: int) -> None:
    rows = [
        {
            "response_id": row.id,
            "position": first + position,
            "id": item["id"],
            "project_id": row.project_id,
            "output": output,
            "item": item,
        }
        for position, item in enumerate(items)
    ]
    if rows:
        session.execute(insert(response_items), rows)


def count_items(session: Session, response_id: str) -> int:
    query = select(func.count()).select_from(response_items).where(response_items.c.response_id == response_id)
    return int(session.execute(query).scalar_one())


def items_of(session: Session, response_id: str, output: bool) -> list[Item]:
    query = (
        select(response_items.c.item)
        .where(response_items.c.response_id == response_id, response_items.c.output == output)
        .order_by(response_items.c.position)
    )
    return list(session.execute(query).scalars())


def items_of_all(session: Session, ids: Sequence[str]) -> dict[str, list[Item]]:
    """Input and output of each response, in order."""
    found: dict[str, list[Item]] = {identifier: [] for identifier in ids}
    for start in range(0, len(ids), _BATCH):
        query = select(response_items.c.response_id, response_items.c.item).where(
            response_items.c.response_id.in_(ids[start : start + _BATCH])
        )
        for response_id, item in session.execute(query.order_by(response_items.c.position)):
            found[response_id].append(item)
    return found


def input_page(session: Session, response_id: str, part: Slice) -> list[Item] | None:
    """Up to `limit + 1` input items; None when the cursor is unknown."""
    own = (response_items.c.response_id == response_id, response_items.c.output.is_(False))
    return _page(session, response_items, own, part)


def item_by_id(session: Session, project_id: str, item_id: str) -> Item | None:
    """An item of the project by its id, from a response or a conversation."""
    for table in (response_items, conversation_items):
        query = select(table.c.item).where(table.c.project_id == project_id, table.c.id == item_id).limit(1)
        if (item := session.execute(query).scalar_one_or_none()) is not None:
            found: Item = item
            return found
    return None


# events of background streams


def append_events(session: Session, response_id: str, events: Sequence[dict[str, Any]]) -> None:
    numbers = [event["sequence_number"] for event in events]
    values = {"first_sequence": numbers[0], "last_sequence": numbers[-1], "events": list(events)}
    session.execute(insert(response_events).values(response_id=response_id, **values))


def events_after(session: Session, response_id: str, after: int) -> list[dict[str, Any]]:
    """Events with a sequence number above `after`, in order."""
    query = (
        select(response_events.c.events)
        .where(response_events.c.response_id == response_id, response_events.c.last_sequence > after)
        .order_by(response_events.c.first_sequence)
    )
    batches = session.execute(query).scalars()
    return [event for batch in batches for event in batch if event["sequence_number"] > after]


# conversations


def insert_conversation(session: Session, entry: Conversation) -> None:
    session.execute(insert(conversations).values(**vars(entry), next_position=0))


def conversation(session: Session, conversation_id: str) -> Conversation | None:
    columns = [column for column in conversations.columns if column.name != "next_position"]
    row = session.execute(select(*columns).where(conversations.c.id == conversation_id)).one_or_none()
    return None if row is None else Conversation(**row._mapping)


def set_metadata(session: Session, conversation_id: str, values: dict[str, str]) -> None:
    session.execute(update(conversations).where(conversations.c.id == conversation_id).values(metadata=values))


def delete_conversation(session: Session, conversation_id: str) -> None:
    session.execute(delete(conversation_items).where(conversation_items.c.conversation_id == conversation_id))
    session.execute(delete(conversations).where(conversations.c.id == conversation_id))


def append_to_conversation(session: Session, entry: Conversation, items: Sequence[Item]) -> None:
    """Add items at the end, together: the update of the counter makes writers take turns."""
    after = conversations.c.next_position + len(items)
    query = update(conversations).where(conversations.c.id == entry.id).values(next_position=after)
    end = session.execute(query.returning(conversations.c.next_position)).scalar_one()
    rows = [
        {
            "conversation_id": entry.id,
            "position": end - len(items) + position,
            "id": item["id"],
            "project_id": entry.project_id,
            "item": item,
        }
        for position, item in enumerate(items)
    ]
    if rows:
        session.execute(insert(conversation_items), rows)


def conversation_history(session: Session, conversation_id: str) -> list[Item]:
    query = (
        select(conversation_items.c.item)
        .where(conversation_items.c.conversation_id == conversation_id)
        .order_by(conversation_items.c.position)
    )
    return list(session.execute(query).scalars())


def conversation_page(session: Session, conversation_id: str, part: Slice) -> list[Item] | None:
    """Up to `limit + 1` items; None when the cursor is unknown."""
    return _page(session, conversation_items, (conversation_items.c.conversation_id == conversation_id,), part)


def conversation_item(session: Session, conversation_id: str, item_id: str) -> Item | None:
    query = select(conversation_items.c.item).where(
        conversation_items.c.conversation_id == conversation_id, conversation_items.c.id == item_id
    )
    return session.execute(query).scalar_one_or_none()


def delete_conversation_item(session: Session, conversation_id: str, item_id: str) -> None:
    session.execute(
        delete(conversation_items).where(
            conversation_items.c.conversation_id == conversation_id, conversation_items.c.id == item_id
        )
    )


def _page(session: Session, table: Table, own: tuple[Any, ...], part: Slice) -> list[Item] | None:
    position = table.c.position
    query = select(table.c.item).where(*own)
    if part.after is not None:
        cursor = session.execute(select(position).where(*own, table.c.id == part.after)).scalar_one_or_none()
        if cursor is None:
            return None
        query = query.where(position < cursor if part.descending else position > cursor)
    query = query.order_by(position.desc() if part.descending else position)
    return list(session.execute(query.limit(part.limit + 1)).scalars())
