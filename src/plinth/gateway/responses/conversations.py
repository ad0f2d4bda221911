"""Decisions about conversations: make, look up, change, add items, delete. Session first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plinth.gateway.responses import store
from plinth.gateway.responses.errors import ConversationItemNotFound, ConversationNotFound
from plinth.gateway.responses.fields import Fields
from plinth.gateway.responses.items import parse_input
from plinth.gateway.responses.model import Conversation, Item, Slice, plausible
from plinth.gateway.responses.ports import Audit
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.ids import new_id

MAX_ITEMS_AT_ONCE = 20


class ConversationService:
    """Emits `gateway.conversation.deleted`. Conversations are kept until somebody deletes them."""

    def __init__(self, clock: Clock, audit: Audit) -> None:
        self._clock, self._audit = clock, audit

    def create(self, session: Session, actor: Actor, body: Mapping[str, Any]) -> Conversation:
        """Args: `body` may have `metadata` and up to 20 `items`. Raises `BadInput`, `ConversationItemNotFound`."""
        fields = Fields(body)
        entry = Conversation(new_id("conv_"), actor.project_id, self._clock.unix(), fields.metadata())
        store.insert_conversation(session, entry)
        if fields.raw("items") is not None:
            self.add_items(session, actor, entry.id, body)
        return entry

    def conversation(self, session: Session, project_id: str, conversation_id: str) -> Conversation:
        """Raises `ConversationNotFound`."""
        found = store.conversation(session, conversation_id) if plausible(conversation_id) else None
        if found is None or found.project_id != project_id:
            raise ConversationNotFound(id=conversation_id)
        return found

    def set_metadata(
        self, session: Session, actor: Actor, conversation_id: str, body: Mapping[str, Any]
    ) -> Conversation:
        self.conversation(session, actor.project_id, conversation_id)
        store.set_metadata(session, conversation_id, Fields(body).metadata())
        return self.conversation(session, actor.project_id, conversation_id)

    def delete(self, session: Session, actor: Actor, conversation_id: str) -> None:
        """With all its items. Responses that were made in it stay until they are deleted or expire."""
        self.conversation(session, actor.project_id, conversation_id)
        store.delete_conversation(session, conversation_id)
        self._audit(session, actor, "conversation.deleted", conversation_id, {})
        payload = {"conversation_id": conversation_id}
        events.emit(session, self._clock, "gateway.conversation.deleted", payload, actor.project_id)

    def add_items(self, session: Session, actor: Actor, conversation_id: str, body: Mapping[str, Any]) -> list[Item]:
        """Append `body["items"]`, up to 20; returns them as they are stored."""
        entry = self.conversation(session, actor.project_id, conversation_id)
        fields = Fields(body)
        if not fields.each("items", MAX_ITEMS_AT_ONCE):
            raise fields.missing("items")
        items = self.resolve(session, actor.project_id, parse_input(fields, "items"))
        store.append_to_conversation(session, entry, items)
        return items

    def append(self, session: Session, project_id: str, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add a finished response's items. False when the conversation has been deleted meanwhile."""
        entry = store.conversation(session, conversation_id)
        if entry is None or entry.project_id != project_id:
            return False
        store.append_to_conversation(session, entry, items)
        return True

    def history(self, session: Session, project_id: str, conversation_id: str) -> list[Item]:
        """Every item, oldest first. Raises `ConversationNotFound`."""
        self.conversation(session, project_id, conversation_id)
        return store.conversation_history(session, conversation_id)

    def items(self, session: Session, project_id: str, conversation_id: str, part: Slice) -> list[Item]:
        """Up to `limit + 1` items. Raises `ConversationItemNotFound` for an unknown cursor."""
        self.conversation(session, project_id, conversation_id)
        found = store.conversation_page(session, conversation_id, part)
        if found is None:
            raise ConversationItemNotFound(id=part.after, param="after")
        return found

    def item(self, session: Session, project_id: str, conversation_id: str, item_id: str) -> Item:
        self.conversation(session, project_id, conversation_id)
        found = store.conversation_item(session, conversation_id, item_id) if plausible(item_id) else None
        if found is None:
            raise ConversationItemNotFound(id=item_id)
        return found

    def delete_item(self, session: Session, actor: Actor, conversation_id: str, item_id: str) -> Conversation:
        """Returns the conversation, as the API has it."""
        self.item(session, actor.project_id, conversation_id, item_id)
        store.delete_conversation_item(session, conversation_id, item_id)
        detail = {"conversation_id": conversation_id}
        self._audit(session, actor, "conversation_item.deleted", item_id, detail)
        return self.conversation(session, actor.project_id, conversation_id)

    def resolve(self, session: Session, project_id: str, items: Sequence[Item]) -> list[Item]:
        """Put the stored items in the place of references to them, under ids of their own."""
        return [self._resolved(session, project_id, item) for item in items]

    def _resolved(self, session: Session, project_id: str, item: Item) -> Item:
        if item["type"] != "item_reference":
            return item
        found = store.item_by_id(session, project_id, item["id"]) if plausible(item["id"]) else None
        if found is None:
            raise ConversationItemNotFound(id=item["id"], param="input")
        return {**found, "id": new_id(f"{found['id'].partition('_')[0]}_")}
