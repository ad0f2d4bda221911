"""What personal data is called, what may be done with it, and who decides: pure values.

Every *kind* of finding (`phone`, `email`, …) belongs to one *data class*. A *policy* says per data
class, and by exception per kind, what happens before a text leaves the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from plinth.privacy.errors import BadPolicy

DEFAULT_NAME = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DataClass(StrEnum):
    """How much harm a text does in wrong hands, in rising order."""

    public = "public"
    internal = "internal"
    personal = "personal"
    secret = "secret"  # noqa: S105 - the name of a class of data


class Action(StrEnum):
    """In rising order: send as it is; replace reversibly; do not send at all."""

    allow = "allow"
    mask = "mask"
    block = "block"


class Scope(StrEnum):
    """Which targets a policy guards."""

    remote = "remote"
    every = "every"


@dataclass(frozen=True, slots=True)
class Kind:
    """`label` is the stem of the placeholders: `PHONE` gives `<PHONE_1>`."""

    name: str
    data_class: DataClass
    label: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("resident_id", DataClass.personal, "ID"),
            Kind("bank_card", DataClass.personal, "CARD"),
            Kind("bank_account", DataClass.personal, "ACCOUNT"),
            Kind("iban", DataClass.personal, "IBAN"),
            Kind("phone", DataClass.personal, "PHONE"),
            Kind("email", DataClass.personal, "EMAIL"),
            Kind("passport", DataClass.personal, "PASSPORT"),
            Kind("driver_license", DataClass.personal, "LICENSE"),
            Kind("us_ssn", DataClass.personal, "SSN"),
            Kind("vehicle_plate", DataClass.personal, "PLATE"),
            Kind("person", DataClass.personal, "PERSON"),
            Kind("address", DataClass.personal, "ADDRESS"),
            Kind("company_code", DataClass.internal, "COMPANY_CODE"),
            Kind("organization", DataClass.internal, "ORGANIZATION"),
            Kind("ip_address", DataClass.internal, "IP"),
            Kind("credential", DataClass.secret, "CREDENTIAL"),
        )
    }
)


def kind_named(name: str) -> Kind:
    """The kind of that name. One that a foreign detector invented counts as personal."""
    known = KINDS.get(name)
    return known or Kind(name, DataClass.personal, re.sub(r"[^A-Z]+", "_", name.upper()).strip("_")[:32] or "DATA")


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[start:end]` is personal data. Offsets count Unicode code points.

    `score` is between 0 and 1: about 0.9 and more has a checksum, 0.6 to 0.8 has a shape and a word
    nearby that says so, 0.5 is a guess. Comparable only within one detector.
    """

    kind: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Policy:
    """What may leave the machine.

    `classes` has an action for every data class; `kinds` makes exceptions by kind of finding.
    `scope` says which targets are guarded. With `answers`, what the model writes by itself is looked
    at as well, by the detectors that are fast enough for a stream.
    """

    name: str
    classes: Mapping[DataClass, Action] = field(default_factory=dict)
    kinds: Mapping[str, Action] = field(default_factory=dict)
    scope: Scope = Scope.remote
    answers: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", MappingProxyType({**_DEFAULT_CLASSES, **self.classes}))
        object.__setattr__(self, "kinds", MappingProxyType(dict(self.kinds)))

    def action(self, kind: str) -> Action:
        """What happens to a finding of that kind."""
        return self.kinds.get(kind) or self.classes[kind_named(kind).data_class]

    def refuses(self, data_class: DataClass | None) -> bool:
        """Whether a text that is declared to be of that class must not be sent at all."""
        return data_class is not None and self.classes[data_class] is Action.block

    def guards(self, *, remote: bool) -> bool:
        """Whether texts for such a target are looked at."""
        return remote or self.scope is Scope.every

    def definition(self) -> dict[str, Any]:
        """As JSON, for the table, the audit log and events."""
        return {
            "classes": {str(key): str(value) for key, value in self.classes.items()},
            "kinds": {key: str(value) for key, value in sorted(self.kinds.items())},
            "scope": str(self.scope),
            "answers": self.answers,
        }

    @classmethod
    def from_definition(cls, name: str, definition: Mapping[str, Any]) -> Policy:
        return cls(
            name,
            {DataClass(key): Action(value) for key, value in definition["classes"].items()},
            {key: Action(value) for key, value in definition["kinds"].items()},
            Scope(definition["scope"]),
            bool(definition["answers"]),
        )


# whoever sets no policy has not said that data may leave: everything found is masked
_DEFAULT_CLASSES: dict[DataClass, Action] = {
    DataClass.public: Action.allow,
    DataClass.internal: Action.mask,
    DataClass.personal: Action.mask,
    DataClass.secret: Action.mask,
}
DEFAULT_POLICY = Policy(DEFAULT_NAME)


@dataclass(frozen=True)
class StoredPolicy:
    project_id: str
    policy: Policy
    created_at: float
    updated_at: float


def check_policy(policy: Policy, known_kinds: Iterable[str]) -> None:
    """Raises `BadPolicy` for a name that cannot be one, and for a kind that nothing ever finds: a
    misspelt exception would silently protect nothing."""
    if not _NAME.fullmatch(policy.name):
        raise BadPolicy(
            param="name",
            reason="A policy's name has 1 to 64 letters, digits, '.', '_' or '-' and starts with a letter or digit.",
        )
    unknown = sorted(set(policy.kinds) - set(known_kinds))
    if unknown:
        listed = ", ".join(sorted(known_kinds))
        raise BadPolicy(param="kinds", reason=f"Nothing finds data of the kind '{unknown[0][:64]}'. Kinds: {listed}.")
