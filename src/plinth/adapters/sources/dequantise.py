"""Child program: a Hugging Face folder from a GGUF file.

    python -m plinth.adapters.sources.dequantise --gguf FILE [--template FILE] --work DIR --out DIR

The weights are dequantised by transformers and stored as bf16 safetensors. torch and
transformers are imported here only, so their memory goes back when the process ends.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from plinth.adapters.sources import _child

RECIPE = "dequantise-1"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--gguf", "--work", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--template", type=Path)
    arguments = parser.parse_args()
    _child.report(0.02)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _child.report(0.15)
    folder, name = str(arguments.gguf.parent), arguments.gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True)
    _child.report(0.25)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, local_files_only=True)
    _child.report(0.7)
    _forget_quantisation(model)
    model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    tokenizer.model_max_length = model.config.max_position_embeddings
    if arguments.template is not None:
        tokenizer.chat_template = arguments.template.read_text(encoding="utf-8")
    arguments.work.mkdir(parents=True)
    model.save_pretrained(arguments.work)
    tokenizer.save_pretrained(arguments.work)
    _child.report(0.9)
    _child.finish(arguments.work, arguments.out, RECIPE)


def _forget_quantisation(model: Any) -> None:
    """transformers refuses to save a model that remembers coming from a GGUF file, although its
    weights are plain by now."""
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


if __name__ == "__main__":
    _child.run(main)
