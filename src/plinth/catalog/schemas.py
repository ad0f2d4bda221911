"""Wire types of /api/base_models."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, field_validator

from plinth.catalog.model import (
    BaseModel,
    Check,
    Fit,
    HubSource,
    LocalSource,
    RemoteSource,
    Source,
)
from plinth.catalog.service import Changes, Draft
from plinth.kit.http import Wire

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
RepositoryName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")]


class DisplayName(Wire):
    en: Line
    zh: Line


class _Request(Wire):
    """Unlike the OpenAI calls, ours refuse unknown fields: a misspelt one is a mistake."""

    model_config = ConfigDict(extra="forbid")


class LocalSourceRequest(_Request):
    """A Hugging Face folder (safetensors, config, tokenizer) or a .gguf file on the server."""

    kind: Literal["local"]
    path: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^/[^\x00]*$")]

    def source(self) -> Source:
        return LocalSource(path=self.path, format="gguf" if self.path.endswith(".gguf") else "huggingface")


class HubSourceRequest(_Request):
    """A repository on a model hub. `revision` is pinned to its commit when the entry is made."""

    kind: Literal["hub"]
    hub: Literal["huggingface", "modelscope"] = "huggingface"
    repository: RepositoryName
    revision: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][\w./-]*$")] | None = None
    file: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9][\w.-]*\.gguf$")] | None = Field(
        None, description="The one GGUF file to use. Without it the repository's safetensors are used."
    )

    def source(self) -> Source:
        revision = self.revision or ("main" if self.hub == "huggingface" else "master")
        return HubSource(
            hub=self.hub,
            repository=self.repository,
            revision=revision,
            format="gguf" if self.file else "huggingface",
            file=self.file,
        )


class RemoteSourceRequest(_Request):
    """A model behind another OpenAI-compatible API. The key is stored encrypted and never shown.
    Nothing is sent there until `egress_allowed` is true."""

    kind: Literal["remote"]
    base_url: Annotated[str, Field(max_length=500)]
    model: Line
    api_key: Annotated[SecretStr, Field(max_length=1000)] = SecretStr("")
    egress_allowed: bool = False

    @field_validator("base_url")
    @classmethod
    def _sound(cls, value: str) -> str:
        return checked_base_url(value)

    def source(self) -> Source:
        return RemoteSource(base_url=self.base_url, model=self.model, egress_allowed=self.egress_allowed)


class BaseModelCreate(_Request):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,47}$", description="The id is made from it")]
    source: Annotated[LocalSourceRequest | HubSourceRequest | RemoteSourceRequest, Field(discriminator="kind")]
    display_name: DisplayName | None = None
    licence: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9.+-]+$", description="SPDX identifier")] = (
        "NOASSERTION"
    )
    languages: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...], Field(max_length=50)] = ()
    capabilities: Annotated[tuple[Literal["generate", "embed", "tune"], ...], Field(max_length=3)] = ()
    context_tokens: Annotated[int, Field(gt=0, le=100_000_000)] | None = None
    dimensions: Annotated[int, Field(gt=0, le=100_000)] | None = None
    chat_template: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    owned_by: Line | None = None
    shutdown_date: date | None = None

    def draft(self) -> Draft:
        remote = isinstance(self.source, RemoteSourceRequest)
        return Draft(
            name=self.name,
            source=self.source.source(),
            display_name=self.display_name.model_dump() if self.display_name else {"en": self.name, "zh": self.name},
            licence=self.licence,
            languages=self.languages,
            capabilities=frozenset(self.capabilities),
            # how much a remote model reads is its provider's business: a common size unless told
            context_tokens=self.context_tokens or (8192 if remote else 0),
            dimensions=self.dimensions,
            chat_template=self.chat_template,
            owned_by=self.owned_by or "",
            shutdown_date=self.shutdown_date.isoformat() if self.shutdown_date else None,
            api_key=self.source.api_key.get_secret_value() if isinstance(self.source, RemoteSourceRequest) else "",
        )


class BaseModelUpdate(_Request):
    display_name: DisplayName | None = None
    shutdown_date: date | Literal[""] | None = Field(None, description='"" removes the announcement')
    egress_allowed: bool | None = None
    api_key: Annotated[SecretStr, Field(min_length=1, max_length=1000)] | None = None

    def changes(self) -> Changes:
        return Changes(
            display_name=self.display_name.model_dump() if self.display_name else None,
            shutdown_date=self.shutdown_date.isoformat()
            if isinstance(self.shutdown_date, date)
            else self.shutdown_date,
            egress_allowed=self.egress_allowed,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
        )


class FitObject(Wire):
    """Estimates in bytes for this machine now."""

    serve: bool
    tune: bool
    serve_bytes: int
    tune_bytes: int
    available_bytes: int
    total_bytes: int


class BaseModelObject(Wire):
    """One base model. `scope` says who added it: built_in, organization or project."""

    id: str
    object: Literal["base_model"] = "base_model"
    created: int
    owned_by: str
    scope: str
    display_name: dict[str, str]
    licence: str
    licence_note: dict[str, str]
    parameters: int
    context_tokens: int
    dimensions: int | None
    capabilities: list[str]
    languages: list[str]
    source: dict[str, Any]
    sha256: str
    weight_bytes: int
    chat_template: str | None
    shutdown_date: str | None
    fit: FitObject

    @classmethod
    def of(cls, base: BaseModel, fit: Fit) -> BaseModelObject:
        return cls(
            id=base.id,
            created=base.created,
            owned_by=base.owned_by,
            scope=str(base.scope),
            display_name=base.display_name,
            licence=base.licence,
            licence_note=base.licence_note,
            parameters=base.parameters,
            context_tokens=base.context_tokens,
            dimensions=base.dimensions,
            capabilities=sorted(base.capabilities),
            languages=list(base.languages),
            source=asdict(base.source),
            sha256=base.sha256,
            weight_bytes=base.weight_bytes,
            chat_template=base.chat_template,
            shutdown_date=base.shutdown_date,
            fit=FitObject(**asdict(fit)),
        )


class CheckObject(Wire):
    """The answer of a live check. `models` is what a remote provider says it has."""

    id: str
    object: Literal["base_model.check"] = "base_model.check"
    ok: bool
    detail: str
    code: str | None
    models: list[str]

    @classmethod
    def of(cls, base_id: str, check: Check) -> CheckObject:
        return cls(id=base_id, ok=check.ok, detail=check.detail, code=check.code, models=list(check.models))


def checked_base_url(value: str) -> str:
    """Without a trailing slash. Plain http only to addresses of one's own network, for the key's sake.

    Raises: ValueError.
    """
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("base_url is not a sound address") from None
    if parts.scheme not in ("http", "https") or not host or not value.isascii() or not value.isprintable():
        raise ValueError("base_url must be an http:// or https:// address")
    if parts.username or parts.password or parts.query or parts.fragment or " " in value:
        raise ValueError("base_url must be a plain address without user, password, query or fragment")
    if _is_nobodys(host):
        raise ValueError("base_url has an address that no provider has (link-local, multicast or unspecified)")
    if parts.scheme == "http" and not _is_near(host):
        raise ValueError("use https://, or an address of your own network: over http:// the key could be read")
    return value.rstrip("/")


def _is_nobodys(host: str) -> bool:
    """An address given as numbers where cloud metadata services live, or no host at all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # a name: its addresses are looked at when it is asked
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        # a name without a dot is resolved on one's own network
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal", ".localhost"))
