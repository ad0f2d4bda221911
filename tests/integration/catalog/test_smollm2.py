"""The real weights of the first release, made ready for tuning and serving."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plinth.adapters.sources import package
from plinth.adapters.sources.files import describe_folder, describe_gguf
from plinth.adapters.sources.gguf_header import read_header
from plinth.adapters.sources.model_files import ModelFiles
from plinth.adapters.sources.workshop import damaged_file
from plinth.catalog.entries import built_in
from plinth.catalog.errors import FormNotAvailable, PackageMissing
from plinth.catalog.model import BaseModel, Form

for name in ("torch", "transformers", "gguf", "xllamacpp"):
    pytest.importorskip(name, reason=f"{name} is not installed", exc_type=ImportError)
pytestmark = pytest.mark.slow

TEXTS = ["I was charged 1234.50 on 2024-11-05, twice!", "你好，我的卡 2025 年还没到", "  two  spaces\n\nand\ttabs 😀"]
CONVERSATIONS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "hi"}],
    [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a\n"},
        {"role": "assistant", "content": " b"},
        {"role": "user", "content": "c"},
    ],
    [{"role": "developer", "content": "S"}, {"role": "user", "content": "x"}],
    [{"role": "user", "content": [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}]}],
    [
        {"role": "user", "content": "w"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ],
]


@pytest.fixture(scope="module")
def base() -> BaseModel:
    entry = built_in()["smollm2-135m-instruct"]
    try:
        package.locate(entry.id, entry.source)  # type: ignore[arg-type]
    except PackageMissing as error:
        pytest.skip(error.message)
    return entry


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return ModelFiles(tmp_path_factory.mktemp("home") / "models")


@pytest.fixture(scope="module")
def folder(files: ModelFiles, base: BaseModel) -> Path:
    return files.materialise(base, Form.huggingface)


@pytest.fixture(scope="module")
def gguf(files: ModelFiles, base: BaseModel) -> Path:
    return files.materialise(base, Form.gguf)


@pytest.fixture(scope="module")
def llamacpp(gguf: Path) -> Iterator[Any]:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.n_parallel, parameters.port, parameters.verbosity = 512, 1, 0, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    address = server.listening_address.split("://")[-1]

    def post(path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection(address)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    yield post
    del server


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_the_folder_to_tune(folder: Path, base: BaseModel) -> None:
    described = describe_folder(folder)
    assert (described.parameters, described.context_tokens) == (base.parameters, base.context_tokens)
    assert described.chat_template == base.chat_template
    assert damaged_file(folder) is None
    config = json.loads((folder / "config.json").read_text())
    assert (config["dtype"], config["tie_word_embeddings"]) == ("bfloat16", True)
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [2]


def test_the_file_to_serve(gguf: Path, base: BaseModel) -> None:
    described = describe_gguf(gguf)
    assert (described.parameters, described.context_tokens) == (base.parameters, base.context_tokens)
    assert described.chat_template == base.chat_template
    header = read_header(gguf)
    delivered = read_header(package.locate(base.id, base.source))  # type: ignore[arg-type]
    changed = {"general.file_type", "tokenizer.chat_template"}
    assert {k: v for k, v in header.metadata.items() if k not in changed} == {
        k: v for k, v in delivered.metadata.items() if k not in changed
    }


def test_the_tuned_and_the_served_weights_are_the_same_model(folder: Path, gguf: Path) -> None:
    """bf16 and Q8_0 of the same numbers: apart by their rounding only."""
    import numpy as np
    from gguf import GGUFReader, dequantize
    from safetensors import safe_open

    served = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(gguf).tensors if "blk.7." in t.name}
    with safe_open(folder / "model.safetensors", "pt") as tuned:
        for theirs, ours in (("blk.7.ffn_down.weight", "mlp.down_proj"), ("blk.7.attn_v.weight", "self_attn.v_proj")):
            weights = tuned.get_tensor(f"model.layers.7.{ours}.weight").float().numpy()
            assert np.abs(weights - served[theirs]).max() < 0.01 * np.abs(weights).max()


def test_both_sides_see_the_same_tokens(llamacpp: Any, tokenizer: Any) -> None:
    for text in [*TEXTS, "<|im_start|>user\nhi<|im_end|>\n"]:
        served = llamacpp("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
        assert served == tokenizer(text)["input_ids"]


@pytest.mark.parametrize("messages", CONVERSATIONS, ids=lambda m: m[-1]["role"] + str(len(m)))
def test_both_sides_render_the_same_prompt(llamacpp: Any, tokenizer: Any, messages: list[dict[str, Any]]) -> None:
    served = llamacpp("/apply-template", {"messages": messages})["prompt"]
    assert served == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert "SmolLM, trained by" not in served


def test_both_sides_begin_the_same_answer(llamacpp: Any, tokenizer: Any, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    served = llamacpp(
        "/v1/chat/completions", {"messages": question, "max_tokens": 8, "temperature": 0, "cache_prompt": False}
    )
    text = served["choices"][0]["message"]["content"]
    assert text == tokenizer.decode(answer, skip_special_tokens=True)
    assert "Paris" in text


def test_everything_is_found_again_and_checked(
    files: ModelFiles, base: BaseModel, folder: Path, gguf: Path, llamacpp: Any
) -> None:
    assert files.materialise(base, Form.huggingface) == folder
    assert files.check(base).ok
    content = bytearray(gguf.read_bytes())
    content[-1] ^= 0xFF
    other = gguf.with_name("copy")
    other.write_bytes(bytes(content))
    other.replace(gguf)  # a new file: the engine keeps the one it has mapped
    check = files.check(base)
    assert (check.ok, check.code) == (False, "base_model_weights_damaged")


def test_an_embedding_model_has_its_native_file_only(files: ModelFiles) -> None:
    entry = built_in()["multilingual-e5-small"]
    try:
        assert files.materialise(entry, Form.native).name == "e5-small-q4.bin"
    except PackageMissing as error:
        pytest.skip(error.message)
    assert files.describe(entry.source).sha256 == entry.sha256
    with pytest.raises(FormNotAvailable, match="native"):
        files.materialise(entry, Form.gguf)
    assert files.check(entry).ok
