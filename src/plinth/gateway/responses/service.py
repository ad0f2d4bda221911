"""Decisions about responses: prepare, store, continue, cancel, replay, delete, expire. Session first.

The way of one response: `begin` (reads, writes nothing) -> for file search `search`, outside any
transaction -> whoever serves it feeds the model's chunks to a `Composer` -> `finish` (one
transaction). With `background`, `queue` stores it first and a worker takes `resume` -> … -> `finish`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from plinth.gateway.errors import MissingField
from plinth.gateway.responses import store, translate
from plinth.gateway.responses.conversations import ConversationService
from plinth.gateway.responses.errors import (
    ConversationItemNotFound,
    FileSearchUnavailable,
    NotCancellable,
    NotContinuable,
    NotReplayable,
    PreviousInConversation,
    PreviousResponseNotFound,
    ResponseNotFound,
)
from plinth.gateway.responses.events import Composer, Event, abandoned, last_event, response_error
from plinth.gateway.responses.model import (
    Item,
    Outcome,
    Prepared,
    ResponseRequest,
    Slice,
    Status,
    StoredResponse,
    plausible,
    response_object,
)
from plinth.gateway.responses.parse import parse_request
from plinth.gateway.responses.ports import Audit, FileSearch
from plinth.gateway.responses.settings import ResponsesSettings
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import PlinthError
from plinth.kit.ids import new_id

QUEUED = "gateway.response.queued"
_DAY_SECONDS = 86_400.0
_TIDY_BATCH = 200


class ResponsesService:
    """Emits `gateway.response.queued` and, of background responses, `gateway.response.completed`, `.failed`,
    `.cancelled` and `.incomplete` with `{response_id}`; also `gateway.response.deleted`.

    Args: `file_search` is the knowledge base; without one the tool is refused.
    """

    def __init__(
        self,
        clock: Clock,
        settings: ResponsesSettings,
        audit: Audit,
        conversations: ConversationService,
        file_search: FileSearch | None = None,
    ) -> None:
        self.settings = settings
        self._clock, self._audit = clock, audit
        self.conversations, self._file_search = conversations, file_search

    # making one

    def begin(self, session: Session, actor: Actor, body: Mapping[str, Any]) -> Prepared:
        """Check a request and gather what was said before. Reads only.

        Raises `BadInput`, `PreviousResponseNotFound`, `ConversationNotFound`, `ConversationItemNotFound`.
        """
        request = parse_request(body)
        if request.file_search and self._file_search is None:
            raise FileSearchUnavailable(param="tools")
        items = self.conversations.resolve(session, actor.project_id, request.items)
        request = replace(request, items=tuple(items))
        context = self._context(session, actor.project_id, request)
        if not items and not context:
            raise MissingField(field="input", param="input")
        return Prepared(
            response_id=new_id("resp_"),
            project_id=actor.project_id,
            key_id=actor.key_id,
            created_at=self._clock.unix(),
            request=request,
            context=tuple(context),
            chat_body=translate.chat_body(request, context),
        )

    def search(self, prepared: Prepared) -> Prepared:
        """Ask the knowledge base, if the request wants that. May take a while: call it outside transactions."""
        tool = prepared.request.file_search
        if tool is None or prepared.request.tool_choice == "none":
            return prepared
        if self._file_search is None:
            raise FileSearchUnavailable(param="tools")
        said = (*prepared.context, *prepared.request.items)
        finding = self._file_search.search(prepared.project_id, prepared.key_id, tool, translate.question(said))
        body = translate.chat_body(prepared.request, prepared.context, finding.context)
        return replace(prepared, finding=finding, chat_body=body)

    def queue(self, session: Session, prepared: Prepared) -> dict[str, Any]:
        """Store a background response for a worker; returns the Response object."""
        row = self._row(prepared, Outcome(Status.queued))
        store.insert_response(session, replace(row, request=prepared.request.to_json()))
        store.insert_items(session, row, prepared.request.items, output=False, first=0)
        self._keep_chain(session, prepared)
        if row.streamed:
            first = [{"type": "response.created", "sequence_number": 0, "response": {**row.body, "output": []}}]
            first.append({"type": "response.queued", "sequence_number": 1, "response": first[0]["response"]})
            store.append_events(session, row.id, first)
        self._emit(session, QUEUED, row)
        return {**row.body, "output": []}

    def resume(self, session: Session, response_id: str) -> Prepared | None:
        """Take up a queued or interrupted background response; None when it is final (or gone).

        Raises what `begin` raises, when what it continues has gone meanwhile.
        """
        row = store.response(session, response_id, self._clock.unix(), lock=True)
        if row is None or row.status.final or row.request is None:
            return None
        request = ResponseRequest.from_json(row.request, store.items_of(session, row.id, output=False))
        sequence, output = self._abandon_attempt(session, row) if row.streamed else (0, 0)
        body = {**row.body, "status": Status.in_progress.value}
        store.start_attempt(session, row.id, body)
        context = self._context(session, row.project_id, request)
        return Prepared(
            response_id=row.id,
            project_id=row.project_id,
            key_id=row.key_id,
            created_at=row.created_at,
            request=request,
            context=tuple(context),
            chat_body=translate.chat_body(request, context),
            first_sequence=sequence,
            first_output=output,
        )

    def finish(self, session: Session, prepared: Prepared, composer: Composer) -> None:
        """Keep what was asked to be kept: the response, its items in the conversation, the fact."""
        request, outcome = prepared.request, composer.outcome
        row = self._row(prepared, outcome)
        if request.background:
            if not store.close(session, row.id, outcome.status, row.body):
                return  # cancelled or deleted meanwhile
            store.insert_items(session, row, outcome.output, output=True, first=len(request.items))
            self._emit(session, f"gateway.response.{outcome.status}", row)
        elif request.store:
            store.insert_response(session, row)
            store.insert_items(session, row, request.items, output=False, first=0)
            store.insert_items(session, row, outcome.output, output=True, first=len(request.items))
            self._keep_chain(session, prepared)
        if request.conversation_id and outcome.status in (Status.completed, Status.incomplete):
            said = (*request.items, *outcome.output)
            self.conversations.append(session, prepared.project_id, request.conversation_id, said)

    # what is stored

    def response(self, session: Session, project_id: str, response_id: str) -> dict[str, Any]:
        """The Response object. Raises `ResponseNotFound`."""
        row = self._find(session, project_id, response_id)
        return {**row.body, "output": store.items_of(session, row.id, output=True)}

    def input_items(self, session: Session, project_id: str, response_id: str, part: Slice) -> list[Item]:
        """Up to `limit + 1` of the response's own input items.
        Raises `ResponseNotFound`; `ConversationItemNotFound` for an unknown cursor."""
        row = self._find(session, project_id, response_id)
        found = store.input_page(session, row.id, part)
        if found is None:
            raise ConversationItemNotFound(id=part.after, param="after")
        return found

    def cancel(self, session: Session, actor: Actor, response_id: str) -> dict[str, Any]:
        """Stop a background response; the worker notices within a moment. A final one stays as it is."""
        row = self._find(session, actor.project_id, response_id)
        if not row.background:
            raise NotCancellable(id=response_id)
        self._close(session, row, Status.cancelled, None)
        return self.response(session, actor.project_id, response_id)

    def give_up(self, session: Session, response_id: str, error: PlinthError) -> None:
        """A background response cannot be generated: it failed. A final one stays as it is."""
        row = store.response(session, response_id, self._clock.unix(), lock=True)
        if row is not None:
            self._close(session, row, Status.failed, response_error(error))

    def delete(self, session: Session, actor: Actor, response_id: str) -> None:
        """With its items and events. What was added to a conversation stays there."""
        row = self._find(session, actor.project_id, response_id)
        store.delete_responses(session, [row.id])
        self._audit(session, actor, "response.deleted", row.id, {})
        self._emit(session, "gateway.response.deleted", row)

    def tidy(self, db: Database) -> int:
        """Delete what has expired, in small transactions; returns how many responses went."""
        gone = 0
        while True:
            with db.write() as session:
                ids = store.expired(session, self._clock.unix(), _TIDY_BATCH)
                store.delete_responses(session, ids)
            gone += len(ids)
            if len(ids) < _TIDY_BATCH:
                return gone

    # the events of background streams

    def replayable(self, session: Session, project_id: str, response_id: str) -> None:
        """Raises `ResponseNotFound`, `NotReplayable`."""
        row = self._find(session, project_id, response_id)
        if not (row.background and row.streamed):
            raise NotReplayable(id=response_id)

    def events_after(self, session: Session, response_id: str, after: int) -> tuple[list[Event], bool]:
        """Events numbered above `after`, and whether none will follow them."""
        row = store.response(session, response_id, self._clock.unix())
        # the row is read first: what is final now has all its events stored
        final = row is None or row.status.final
        return store.events_after(session, response_id, after), final

    def append_events(self, session: Session, response_id: str, events: Sequence[Event]) -> bool:
        """Store the next events; False when the response is final (or gone) and the work may stop."""
        row = store.response(session, response_id, self._clock.unix(), lock=True)
        if row is None or row.status.final:
            return False
        if events and row.streamed:
            store.append_events(session, response_id, events)
        return True

    # helpers

    def _find(self, session: Session, project_id: str, response_id: str) -> StoredResponse:
        found = store.response(session, response_id, self._clock.unix()) if plausible(response_id) else None
        if found is None or found.project_id != project_id:
            raise ResponseNotFound(id=response_id)
        return found

    def _context(self, session: Session, project_id: str, request: ResponseRequest) -> list[Item]:
        if request.conversation_id:
            return self.conversations.history(session, project_id, request.conversation_id)
        if request.previous_response_id is None:
            return []
        previous = request.previous_response_id
        ids = self._chain(session, project_id, previous)
        row = self._find(session, project_id, previous)
        if row.status not in (Status.completed, Status.incomplete):
            raise NotContinuable(id=previous, status=row.status, param="previous_response_id")
        if row.conversation_id:
            fields = {"id": previous, "conversation_id": row.conversation_id}
            raise PreviousInConversation(**fields, param="previous_response_id")
        said = store.items_of_all(session, ids)
        return [item for identifier in reversed(ids) for item in said[identifier]]

    def _chain(self, session: Session, project_id: str, previous: str) -> list[str]:
        """The ids of the response and all it continues, newest first. Raises `PreviousResponseNotFound`."""
        found = store.chain(session, project_id, previous, self._clock.unix()) if plausible(previous) else []
        missing = found[-1][1] if found else previous
        if missing is not None:
            raise PreviousResponseNotFound(id=missing, param="previous_response_id")
        return [identifier for identifier, _ in found]

    def _keep_chain(self, session: Session, prepared: Prepared) -> None:
        """What a stored response continues must not expire before it."""
        if previous := prepared.request.previous_response_id:
            store.keep_until(session, previous, self._expiry(prepared))

    def _close(self, session: Session, row: StoredResponse, status: Status, error: dict[str, Any] | None) -> None:
        """End a background response without an answer, and tell those who follow it."""
        body = {**row.body, "status": status.value, "error": error}
        if not store.close(session, row.id, status, body):
            return
        if row.streamed:
            sequence, _ = self._abandon_attempt(session, row)
            last = {"sequence_number": sequence, "response": {**body, "output": []}}
            store.append_events(session, row.id, [{"type": f"response.{last_event(status)}", **last}])
        self._emit(session, f"gateway.response.{status}", row)

    def _abandon_attempt(self, session: Session, row: StoredResponse) -> tuple[int, int]:
        """Close what an interrupted attempt left open; returns the next sequence number and output index."""
        told = store.events_after(session, row.id, -1)
        sequence = told[-1]["sequence_number"] + 1 if told else 0
        if closing := abandoned(told, sequence):
            store.append_events(session, row.id, closing)
            sequence += len(closing)
        return sequence, 1 + max((event["output_index"] for event in told if "output_index" in event), default=-1)

    def _row(self, prepared: Prepared, outcome: Outcome) -> StoredResponse:
        body = response_object(prepared, outcome)
        body.pop("output")
        request = prepared.request
        return StoredResponse(
            id=prepared.response_id,
            project_id=prepared.project_id,
            key_id=prepared.key_id,
            created_at=prepared.created_at,
            expires_at=self._expiry(prepared),
            status=outcome.status,
            background=request.background,
            streamed=request.background and request.stream,
            previous_response_id=request.previous_response_id,
            conversation_id=request.conversation_id,
            body=body,
        )

    def _expiry(self, prepared: Prepared) -> float:
        """Whole days, rounded up: so a chain that is continued all day is put off once a day."""
        days = math.ceil(prepared.created_at / _DAY_SECONDS) + self.settings.retention_days
        return days * _DAY_SECONDS

    def _emit(self, session: Session, kind: str, row: StoredResponse) -> None:
        events.emit(session, self._clock, kind, {"response_id": row.id}, row.project_id)
