"""A PEFT LoRA adapter as a GGUF file for llama.cpp: numpy, safetensors and the `gguf` package only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_adapter(adapter: Path, base_config: dict[str, Any], target: Path) -> None:
    """Convert `adapter` (a folder with adapter_model.safetensors and adapter_config.json).

    Args:
        base_config: the base model's `config.json`.
        target: the file to write; complete and on disk when this returns.

    Raises: ValueError for a family or tensor that has no GGUF name; OSError when it cannot be written.
    """
    import gguf
    import numpy as np
    from safetensors import safe_open

    family = base_config["model_type"]
    architectures = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
    if family not in architectures:
        raise ValueError(f"no GGUF adapter for the model family '{family}'")
    names = gguf.get_tensor_name_map(architectures[family], base_config["num_hidden_layers"])
    heads = base_config["num_attention_heads"]
    rotated = {"q_proj": heads, "k_proj": base_config.get("num_key_value_heads", heads)} if family == "llama" else {}
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))

    part = target.with_name(target.name + ".part")
    writer = gguf.GGUFWriter(part, gguf.MODEL_ARCH_NAMES[architectures[family]])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    with safe_open(adapter / "adapter_model.safetensors", "np") as tensors:
        for key in sorted(tensors.keys()):
            module, _, side = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".lora_")
            name = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
            if name is None or side not in ("A", "B"):
                raise ValueError(f"the adapter tensor '{key}' has no GGUF name")
            values = tensors.get_tensor(key).astype(np.float32)
            if side == "B" and (count := rotated.get(module.rsplit(".", 1)[-1])):
                values = _permute(values, count)
            writer.add_tensor(f"{name}.lora_{side.lower()}", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)


def _permute(values: Any, heads: int) -> Any:
    """Rotary halves side by side (Hugging Face) to interleaved pairs (ggml), per head, on rows."""
    return (
        values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )
