"""Greedy answers of the tuned model in torch: the reference that a served copy is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from plinth.adapters.trainers.chat import ChatTemplate, Message
from plinth.adapters.trainers.network import Network


def choose(rows: Sequence[list[Message]], count: int) -> list[list[Message]]:
    """Up to `count` prompts (the conversation before its last answer), evenly spread over the rows
    and without repeats: the same choice for the same rows."""
    seen: set[str] = set()
    prompts = []
    for row in rows:
        prompt = row[:-1]
        if (key := repr(prompt)) not in seen:
            seen.add(key)
            prompts.append(prompt)
    if len(prompts) <= count:
        return prompts
    return [prompts[i * len(prompts) // count] for i in range(count)]


def answer(
    network: Network,
    tokenizer: Any,
    template: ChatTemplate,
    prompt: list[Message],
    max_tokens: int,
    stop_if_asked: Callable[[], None],
) -> str:
    """One prompt at a time, no padding: the arithmetic of a single served request."""
    from transformers import DynamicCache

    ids = tokenizer(template.render(prompt, add_generation_prompt=True), add_special_tokens=False)["input_ids"]
    generated: list[int] = []
    past, fresh = DynamicCache(config=network.model.config), torch.tensor([ids])
    with torch.inference_mode():
        while len(generated) < max_tokens:
            stop_if_asked()
            result = network.model(input_ids=fresh, past_key_values=past, use_cache=True, logits_to_keep=1)
            token = int(result.logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            generated.append(token)
            fresh = torch.tensor([[token]])
    return str(tokenizer.decode(generated, skip_special_tokens=True))
