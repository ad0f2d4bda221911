"""Endpoints, deliveries, and the rules: which facts are told, in which words, and when they are tried again."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from plinth.gateway.webhooks.addresses import AddressPolicy
from plinth.gateway.webhooks.errors import BadEndpointName, BadEndpointUrl, UnknownEventTypes

MAX_NAME_CHARACTERS = 256
MAX_URL_CHARACTERS = 2048
OVERLAP_SECONDS = 24 * 3600.0

FIRST_PAUSE_SECONDS = 5.0
PAUSE_FACTOR = 3.0
MAX_PAUSE_SECONDS = 6 * 3600.0
JITTER = 0.25

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Telling:
    """How one of our facts is told. `id_field` of its payload becomes `data.id`; `also` are kept under their names."""

    type: str
    id_field: str
    also: tuple[str, ...] = ()


def _tellings() -> dict[str, Telling]:
    told = {
        f"tuning.job.{end}": Telling(f"fine_tuning.job.{end}", "job_id") for end in ("succeeded", "failed", "cancelled")
    }
    for ours, theirs in (("completed", "succeeded"), ("failed", "failed"), ("canceled", "canceled")):
        # the SDK needs the eval's id to retrieve a run
        told[f"evaluation.run.{ours}"] = Telling(f"eval.run.{theirs}", "run_id", ("eval_id",))
    for end in ("completed", "failed", "cancelled", "expired"):
        told[f"gateway.batch.{end}"] = Telling(f"batch.{end}", "batch_id")
    for end in ("completed", "failed", "cancelled", "incomplete"):
        told[f"gateway.response.{end}"] = Telling(f"response.{end}", "response_id")
    return told


FACTS: Mapping[str, Telling] = _tellings()
"""Kind of our persisted event -> how endpoints hear of it."""

EVENT_TYPES = tuple(sorted(telling.type for telling in FACTS.values()))

_SAMPLE_IDS = {
    "fine_tuning": "ftjob-sample",
    "eval": "evalrun_sample",
    "batch": "batch_sample",
    "response": "resp_sample",
}


class EndpointStatus(StrEnum):
    active = "active"
    disabled = "disabled"


class DeliveryStatus(StrEnum):
    pending = "pending"
    """It will be tried at `next_attempt_at`, or is being tried."""
    delivered = "delivered"
    failed = "failed"
    cancelled = "cancelled"
    """Its endpoint was deleted first."""


@dataclass(frozen=True)
class Endpoint:
    """`secret` and `previous_secret` are sealed under the instance key. Times are unix seconds.

    `failing_since`: the first failure after the last success. `disabled_reason` is empty while active.
    """

    id: str
    project_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    secret_hint: str
    secret: str = field(repr=False)
    created_at: float
    updated_at: float
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: float | None = None
    status: EndpointStatus = EndpointStatus.active
    disabled_reason: str = ""
    failing_since: float | None = None
    last_success_at: float | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True)
class IssuedEndpoint:
    """An endpoint with its signing secret, which is shown this once."""

    endpoint: Endpoint
    signing_secret: str = field(repr=False)


@dataclass(frozen=True)
class EndpointDraft:
    name: str
    url: str
    event_types: tuple[str, ...]


@dataclass(frozen=True)
class EndpointChange:
    """None leaves a field as it is."""

    name: str | None = None
    url: str | None = None
    event_types: tuple[str, ...] | None = None
    status: EndpointStatus | None = None


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint. `id` is the `webhook-id`: the same in every attempt.

    `body`: the exact text that is sent. `attempts` counts those begun, `earlier_attempts` those of them before this
    round, which began at `started_at`: a person may start another one. `next_attempt_at` counts while pending.
    """

    id: str
    endpoint_id: str
    project_id: str
    event_id: str
    event_type: str
    body: str
    created_at: float
    started_at: float
    next_attempt_at: float
    status: DeliveryStatus = DeliveryStatus.pending
    attempts: int = 0
    earlier_attempts: int = 0
    last_attempt_at: float | None = None
    last_status_code: int | None = None
    last_error: str = ""
    delivered_at: float | None = None


@dataclass(frozen=True)
class DeliveryQuery:
    endpoint_id: str | None = None
    status: DeliveryStatus | None = None
    after: str | None = None
    limit: int = 20


@dataclass(frozen=True)
class Outgoing:
    """One HTTP POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came of one attempt: a status code, or `error`, a sentence, when there was none.
    `retry_after_seconds`: what the receiver asked for, 0 when nothing."""

    status_code: int | None = None
    error: str = ""
    retry_after_seconds: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def gone(self) -> bool:
        """410: the receiver wants no more (Standard Webhooks)."""
        return self.status_code == 410

    @property
    def problem(self) -> str:
        """A sentence, empty when delivered."""
        if self.delivered:
            return ""
        if self.status_code is None:
            return self.error or "no answer."
        if 300 <= self.status_code < 400:
            return f"status {self.status_code}: redirects are not followed; give the final address."
        return f"status {self.status_code}."


@dataclass(frozen=True)
class Attempt:
    """A claimed delivery and the endpoint as it was then; `number` counts from 1 and fences off older attempts."""

    delivery: Delivery
    endpoint: Endpoint
    number: int


def event_body(event_id: str, telling: Telling, unix: float, payload: Mapping[str, Any]) -> str:
    """The JSON text of an event in the official SDK's shape (`openai.types.webhooks`)."""
    data = {"id": payload[telling.id_field], **{name: payload[name] for name in telling.also}}
    return _json({"id": event_id, "object": "event", "type": telling.type, "created_at": int(unix), "data": data})


def sample_body(event_id: str, event_type: str, unix: float) -> str:
    """An event about nothing, to try an endpoint with. Raises `UnknownEventTypes`."""
    checked_types((event_type,), param="event_type")
    telling = next(telling for telling in FACTS.values() if telling.type == event_type)
    sample = _SAMPLE_IDS[event_type.split(".")[0]]
    return event_body(event_id, telling, unix, {telling.id_field: sample, **dict.fromkeys(telling.also, "sample")})


def pause_seconds(attempts: int, jitter: float, asked_for: float = 0.0) -> float:
    """How long to wait after the `attempts`-th failed attempt: 5 s, 15 s, 45 s, … up to 6 h, give or take a
    quarter, and no less than the receiver asked for (up to the same 6 h).

    Args: `jitter` is a random number in [0, 1).
    """
    grown = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * PAUSE_FACTOR ** min(attempts - 1, 20))
    return max(grown * (1 - JITTER + 2 * JITTER * jitter), min(asked_for, MAX_PAUSE_SECONDS))


def checked_name(name: str) -> str:
    stripped = name.strip()
    if not 0 < len(stripped) <= MAX_NAME_CHARACTERS or any(unicodedata.category(c) in ("Cc", "Cs") for c in stripped):
        raise BadEndpointName(param="name", limit=MAX_NAME_CHARACTERS)
    return stripped


def checked_types(types: tuple[str, ...], param: str = "event_types") -> tuple[str, ...]:
    """The types once each, in the order given. Raises `UnknownEventTypes` for strangers and for none."""
    unknown = [f"'{name[:64]}'" for name in types if name not in EVENT_TYPES]
    if unknown or not types:
        raise UnknownEventTypes(param=param, types=", ".join(unknown[:5]) or "''")
    return tuple(dict.fromkeys(types))


def checked_url(url: str, policy: AddressPolicy) -> str:
    """The URL, if a webhook can be sent there. Host names are looked up, and judged, at every attempt.

    Raises `BadEndpointUrl`.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise _bad_url(f"it is longer than {MAX_URL_CHARACTERS} characters.")
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise _bad_url("it must be ASCII without blanks; write other characters %-encoded, names in punycode (xn--…).")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url("it is not well-formed.") from None
    if parts.scheme not in ("http", "https"):
        raise _bad_url("it must start with https:// (http:// only on one's own network).")
    if "@" in parts.netloc:
        raise _bad_url("it must not hold a user name or password; deliveries prove themselves by their signature.")
    if "#" in url:
        raise _bad_url("it must not have a #fragment.")
    if port == 0:
        raise _bad_url("0 is not a port.")
    _check_host(host, policy, encrypted=parts.scheme == "https")
    return url


def _check_host(host: str, policy: AddressPolicy, *, encrypted: bool) -> None:
    if ":" in host or host.replace(".", "").isdigit():
        # libraries read "127.1" and "2130706433" as addresses, so only the usual form may pass
        if reason := policy.refusal(host, encrypted=encrypted):
            raise _bad_url(reason)
    elif not _HOST.fullmatch(host):
        raise _bad_url("it has no usable host name.")


def _bad_url(reason: str) -> BadEndpointUrl:
    return BadEndpointUrl(param="url", reason=reason)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
