"""Which model files are accepted, and that hostile ones end in one clear error."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.adapters.sources.files import describe_folder, describe_gguf, sha256_file
from plinth.adapters.sources.gguf_header import read_header
from plinth.adapters.sources.model_files import Limits, ModelFiles
from plinth.catalog.errors import FilesRefused, SourceRefused
from plinth.catalog.model import LocalSource


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf() -> bytes:
    """A sound header: three keys (one a list of texts), two tensors of 6 and 4 elements."""
    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, 2048),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
    ]
    tensors = [
        text("w") + struct.pack("<IQQIQ", 2, 2, 3, 0, 0),
        text("v") + struct.pack("<IQIQ", 1, 4, 0, 24),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys + tensors)


def test_a_gguf_header_gives_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf())
    described = describe_gguf(path)
    assert (described.architecture, described.context_tokens, described.parameters) == ("llama", 2048, 10)
    assert described.sha256 == sha256_file(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGML" + gguf()[4:],
        b"GGUF" + struct.pack("<I", 1) + gguf()[8:],
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1 << 62),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("k") + struct.pack("<IIQ", 9, 0, 1 << 61),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("k") + struct.pack("<I", 77),
        gguf()[:-5],
    ],
    ids=["empty", "magic", "version", "keys", "text length", "list length", "type", "cut off"],
)
def test_a_damaged_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(FilesRefused):
        describe_gguf(path)


@given(position=st.integers(0, len(gguf()) - 1), value=st.integers(0, 255), length=st.integers(0, len(gguf())))
def test_no_damage_to_a_header_does_anything_but_refuse(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, length: int
) -> None:
    content = bytearray(gguf())
    content[position] = value
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(bytes(content[:length]))
    try:
        header = read_header(path)
    except FilesRefused:
        return
    assert header.tensors > 0


def safetensors(header: object, body: bytes = b"\0" * 24) -> bytes:
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small sound Hugging Face folder."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(
        json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 512, "hidden_size": 3})
    )
    (path / "tokenizer.json").write_text("{}")
    (path / "chat_template.jinja").write_text("{{ messages }}")
    tensor = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    (path / "model.safetensors").write_bytes(safetensors({"w": tensor, "__metadata__": {"format": "pt"}}))
    return path


def test_a_sound_folder_gives_its_facts(folder: Path) -> None:
    described = describe_folder(folder)
    assert (described.parameters, described.context_tokens) == (6, 512)
    assert described.chat_template == "{{ messages }}"


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "pickle": (lambda f: (f / "pytorch_model.bin").write_bytes(b""), "pickle"),
    "nested pickle": (lambda f: ((f / "x").mkdir(), (f / "x" / "a.PT").write_bytes(b"")), "pickle"),
    "code": (lambda f: (f / "modeling.py").write_text(""), "code"),
    "auto_map": (lambda f: (f / "config.json").write_text('{"auto_map": {"a": "b"}}'), "auto_map"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
    "deep config": (lambda f: (f / "config.json").write_text("[" * 100_000), "not JSON"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
    "no template": (lambda f: (f / "chat_template.jinja").unlink(), "chat template"),
    "short weights": (lambda f: (f / "model.safetensors").write_bytes(b"12"), "safetensors"),
    "long header": (lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60)), "safetensors"),
    "odd header": (lambda f: (f / "model.safetensors").write_bytes(safetensors({"w": 3})), "safetensors"),
    "file link out": (lambda f: (f / "vocab.json").symlink_to("/etc/hostname"), "link"),
    "folder link out": (lambda f: (f / "more").symlink_to("/etc"), "link"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_is_refused(folder: Path, damage: str) -> None:
    do, reason = DAMAGES[damage]
    do(folder)
    with pytest.raises(FilesRefused, match=reason) as raised:
        describe_folder(folder)
    assert raised.value.status == 400


def test_local_models_come_only_from_allowed_folders(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(folder)
    files = ModelFiles(tmp_path / "models", Limits(local_roots=(elsewhere,)))
    for path in (str(folder), str(elsewhere / "link"), str(elsewhere / ".." / "model"), "model", "/etc/passwd"):
        with pytest.raises(SourceRefused, match="local_roots"):
            files.describe(LocalSource(path, "huggingface"))
    with pytest.raises(FilesRefused):
        files.describe(LocalSource(str(elsewhere / "missing"), "huggingface"))
    allowed = ModelFiles(tmp_path / "models", Limits(local_roots=(tmp_path,)))
    assert allowed.describe(LocalSource(str(folder), "huggingface")).parameters == 6
