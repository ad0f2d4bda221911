"""LoRA on a Llama-type network (Hu et al. 2021, arXiv 2106.09685) in PEFT's file format, without peft.

The base is frozen (bfloat16 where the processor computes in it); adapters are float32. Attention
is causal and rows are padded on the right, so no mask is needed: a real position never sees padding.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

# families whose layers have these names and take (hidden, position_embeddings)
FAMILIES = frozenset({"llama", "qwen2", "qwen3"})
_PARENTS = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn") | dict.fromkeys(
    ("gate_proj", "up_proj", "down_proj"), "mlp"
)
_PREFIX = "base_model.model."


class UnsupportedBase(Exception):
    """The base model is of a family this trainer does not know."""


class LoraLinear(nn.Module):  # type: ignore[misc]
    """`y = W x + b + (alpha / rank) B A x`, W and b frozen. Shapes: A (rank, in), B (out, rank)."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight, self.bias, self.scale = linear.weight, linear.bias, alpha / rank
        bound = 1 / math.sqrt(linear.in_features)  # kaiming_uniform with a = sqrt(5), as peft does
        start = torch.empty(rank, linear.in_features, dtype=torch.float32).uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(start)
        self.lora_b = nn.Parameter(torch.zeros(linear.out_features, rank, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        low = F.linear(x, self.lora_a.to(x.dtype))
        return F.linear(x, self.weight, self.bias) + F.linear(low, (self.lora_b * self.scale).to(x.dtype))


def bfloat16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 natively; otherwise float32 is faster and exacter."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Network:
    """A frozen base with adapters in its last `last_layers` layers (0: in all)."""

    def __init__(self, model: Any, rank: int, alpha: int, last_layers: int, targets: tuple[str, ...]) -> None:
        self.model, self.rank, self.alpha, self.targets = model, rank, alpha, targets
        self.layers = len(model.model.layers)
        self.first = 0 if last_layers == 0 else max(0, self.layers - last_layers)
        self.hidden_size: int = model.config.hidden_size
        self.dtype: torch.dtype = model.dtype
        self.adapters: dict[str, LoraLinear] = {}

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype) -> Any:
        """The base model, evaluated only from local safetensors. Raises: UnsupportedBase."""
        from transformers import AutoConfig, AutoModelForCausalLM

        options = {"local_files_only": True, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(folder, **options)
        if config.model_type not in FAMILIES:
            raise UnsupportedBase(config.model_type)
        model = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, attn_implementation="sdpa", **options
        )
        return model.eval().requires_grad_(False)

    def add_adapters(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for index in range(self.first, self.layers):
            for target in self.targets:
                parent = getattr(self.model.model.layers[index], _PARENTS[target])
                adapter = LoraLinear(getattr(parent, target), self.rank, self.alpha, generator)
                setattr(parent, target, adapter)
                self.adapters[f"model.layers.{index}.{_PARENTS[target]}.{target}"] = adapter

    def parameters(self) -> dict[str, nn.Parameter]:
        """Trainable parameters by their name in a PEFT file."""
        named = {}
        for name, adapter in self.adapters.items():
            named[f"{_PREFIX}{name}.lora_A.weight"] = adapter.lora_a
            named[f"{_PREFIX}{name}.lora_B.weight"] = adapter.lora_b
        return named

    def embed(self, ids: Tensor) -> Tensor:
        """(rows, tokens) -> (rows, tokens, hidden)."""
        embedded: Tensor = self.model.model.embed_tokens(ids)
        return embedded

    def run(self, hidden: Tensor, start: int, stop: int) -> Tensor:
        """Layers `start` to `stop` (exclusive). Shapes: (rows, tokens, hidden) in and out."""
        positions = torch.arange(hidden.shape[1])[None]
        rotary = self.model.model.rotary_emb(hidden, position_ids=positions)
        for layer in self.model.model.layers[start:stop]:
            hidden = layer(hidden, attention_mask=None, position_embeddings=rotary, position_ids=positions)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """(positions, hidden) -> (positions, vocabulary) in float32."""
        result: Tensor = self.model.lm_head(self.model.model.norm(hidden)).float()
        return result

    def adapter_config(self, base_id: str) -> bytes:
        """PEFT's `adapter_config.json`."""
        whole = self.first == 0
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_id,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": list(self.targets),
            "layers_to_transform": None if whole else list(range(self.first, self.layers)),
            "fan_in_fan_out": False,
            "inference_mode": True,
        }
        return json.dumps(config, indent=1).encode()

    def adapter_tensors(self) -> bytes:
        """PEFT's `adapter_model.safetensors`."""
        from safetensors.torch import save

        return bytes(save({name: value.detach().contiguous() for name, value in self.parameters().items()}))


def padded(rows: list[list[int]]) -> Tensor:
    """Token ids as (rows, longest), padded on the right with id 0, which nothing looks at."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])
