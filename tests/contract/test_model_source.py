"""Every `ModelSource`, and its twin, keeps to the same behaviour."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from plinth.adapters.sources.model_files import Limits, ModelFiles
from plinth.catalog.errors import FormNotAvailable, SourceRefused
from plinth.catalog.model import BaseModel, Form, HubSource, LocalSource, RemoteSource, Source
from plinth.catalog.ports import InMemoryModelSource, ModelSource


def base(source: Source, sha256: str = "") -> BaseModel:
    return BaseModel(
        id="m-12345678",
        display_name={},
        licence="MIT",
        licence_note={},
        parameters=6,
        context_tokens=512,
        capabilities=frozenset({"tune"}),
        languages=(),
        source=source,
        sha256=sha256,
        weight_bytes=1,
        memory_bytes=1,
        owned_by="o",
        created=1,
    )


@pytest.fixture
def local(tmp_path: Path) -> LocalSource:
    folder = tmp_path / "imports" / "tiny"
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 24)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 512}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return LocalSource(str(folder), "huggingface")


@pytest.fixture(params=["model files", "twin"])
def source(request: pytest.FixtureRequest, tmp_path: Path, local: LocalSource) -> ModelSource:
    files = ModelFiles(tmp_path / "models", Limits(local_roots=(tmp_path / "imports",)))
    if request.param == "model files":
        return files
    return InMemoryModelSource(tmp_path / "twin", {local: files.describe(local)})


def test_describe_tells_the_facts(source: ModelSource, local: LocalSource) -> None:
    described = source.describe(local)
    assert (described.format, described.parameters, described.context_tokens) == ("huggingface", 6, 512)
    assert len(described.sha256) == 64


def test_what_is_not_known_is_refused(source: ModelSource) -> None:
    with pytest.raises(SourceRefused):
        source.describe(LocalSource("/somewhere/else", "huggingface"))
    with pytest.raises(SourceRefused):
        source.describe(RemoteSource("https://provider.example", "m"))


def test_materialise_answers_the_same_path_again(source: ModelSource, local: LocalSource) -> None:
    model = base(local, source.describe(local).sha256)
    path = source.materialise(model, Form.huggingface)
    assert (path / "config.json").is_file()
    assert source.materialise(model, Form.huggingface) == path


def test_a_remote_model_has_no_files(source: ModelSource) -> None:
    with pytest.raises(FormNotAvailable):
        source.materialise(base(RemoteSource("https://provider.example", "m")), Form.gguf)


def test_check_and_forget(source: ModelSource, local: LocalSource) -> None:
    model = base(local, source.describe(local).sha256)
    source.materialise(model, Form.huggingface)
    assert source.check(model).ok
    source.forget(model)
    assert Path(local.path).is_dir(), "the user's own files stay"


def test_changed_weights_are_noticed(tmp_path: Path, local: LocalSource) -> None:
    files = ModelFiles(tmp_path / "models", Limits(local_roots=(tmp_path / "imports",)))
    model = base(local, files.describe(local).sha256)
    weights = Path(local.path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    check = files.check(model)
    assert (check.ok, check.code) == (False, "base_model_weights_damaged")
    with pytest.raises(FormNotAvailable, match="Convert it to GGUF first"):
        files.materialise(model, Form.gguf)


def test_forget_removes_only_what_was_made_for_the_model(tmp_path: Path) -> None:
    root = tmp_path / "models"
    mine, other = root / "m-12345678-0123abcd", root / "m-12345678-x-0123abcd"
    for folder in (mine, other):
        folder.mkdir(parents=True)
    hub = HubSource("huggingface", "o/m", "main", "huggingface")
    ModelFiles(root).forget(base(hub))
    assert not mine.exists()
    assert other.exists()
