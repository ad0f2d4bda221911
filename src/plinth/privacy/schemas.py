"""Wire types of policies and of trying a text."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.http import Wire
from plinth.privacy.guard import Masked
from plinth.privacy.model import Action, DataClass, Policy, Scope, StoredPolicy, kind_named


class PolicyDraft(Wire):
    """What is left out is as in the built-in default: everything found is masked for remote targets."""

    classes: dict[DataClass, Action] = Field(default_factory=dict, description="what happens to each data class")
    kinds: dict[str, Action] = Field(
        default_factory=dict, max_length=100, description="exceptions by kind of finding, such as `email`"
    )
    scope: Scope = Field(default=Scope.remote, description="`remote`: targets outside this machine; `every`: all")
    answers: bool = Field(default=False, description="whether what the model writes by itself is looked at too")

    def policy(self, name: str) -> Policy:
        return Policy(name, self.classes, self.kinds, self.scope, self.answers)


class PolicyObject(Wire):
    id: str
    object: str = "privacy.policy"
    name: str
    classes: dict[DataClass, Action]
    kinds: dict[str, Action]
    scope: Scope
    answers: bool
    created_at: int | None = Field(description="null while the built-in default stands")
    updated_at: int | None

    @classmethod
    def of(cls, stored: StoredPolicy) -> PolicyObject:
        policy = stored.policy
        return cls(
            id=policy.name,
            name=policy.name,
            classes=dict(policy.classes),
            kinds=dict(policy.kinds),
            scope=policy.scope,
            answers=policy.answers,
            created_at=int(stored.created_at) or None,
            updated_at=int(stored.updated_at) or None,
        )


class ScanDraft(Wire):
    text: str = Field(max_length=200_000)
    policy: str | None = Field(default=None, max_length=64, description="a policy's name; default: `default`")
    data_class: DataClass | None = Field(default=None, description="what the text is declared to be")


class FindingObject(Wire):
    """`start` and `end` count Unicode code points."""

    kind: str
    data_class: DataClass
    start: int
    end: int
    score: float
    action: Action


class ScanObject(Wire):
    object: str = "privacy.scan"
    policy: str
    findings: list[FindingObject]
    blocked: list[str] = Field(description="why nothing would be sent; empty when something would")
    sent: str | None = Field(description="the text as a guarded target would get it")

    @classmethod
    def of(cls, masked: Masked) -> ScanObject:
        findings = [
            FindingObject(
                kind=f.kind,
                data_class=kind_named(f.kind).data_class,
                start=f.start,
                end=f.end,
                score=f.score,
                action=masked.policy.action(f.kind),
            )
            for f in masked.findings[0]
        ]
        sent = masked.texts[0] if masked.texts else None
        return cls(policy=masked.policy.name, findings=findings, blocked=list(masked.blocked), sent=sent)
