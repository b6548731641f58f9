"""Requests as rows of token ids: each prompt is encoded once, and what the model cannot read carries its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepviz.engines.decode import Row
from stepviz.engines.prompts import encode
from stepviz.errors import StepvizError
from stepviz.types import Request, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def rows_of(
    tokenizer: PreTrainedTokenizerBase, context: int, requests: Sequence[Request], sampling: Sampling
) -> list[Row]:
    """In the order of the requests; `room` is what prompt and context leave of the sampling's new tokens."""
    check(sampling)
    prompts: dict[tuple[str, str], tuple[int, ...]] = {}
    rows = []
    for i, request in enumerate(requests):
        key = request.question, request.prefix
        if key not in prompts:
            prompts[key] = encode(tokenizer, sampling.style, *key)
        prompt = prompts[key]
        room = min(sampling.max_tokens, context - len(prompt))
        rows.append(Row(i, request.seed, prompt, room))
        if room < 1:
            read = f"the model reads {context}: take one that reads more"
            rows[-1].error = f"the prompt has {len(prompt)} tokens, {read}"
    return rows


def check(sampling: Sampling) -> None:
    if sampling.max_tokens < 1:
        raise StepvizError(f"max_tokens is {sampling.max_tokens}: ask for at least one new token")
