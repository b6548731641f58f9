"""A sampling as the parameters of one request, in the words of the server that gets it.

What a request leaves open a server fills in: from the model's generation_config, from its command line, or from habits
of its own (llama.cpp's top_k is 40, its min_p 0.05). A draw would then stand under a sampling that it was not drawn
with. So servers that say whose they are (`owned_by` of `/v1/models`) are told everything that they might add. Others
refuse what they do not know: they get the standard alone.
"""

from __future__ import annotations

from typing import Any

from stepviz.engines.openai_calls import LLAMACPP, SGLANG, VLLM
from stepviz.types import Sampling

# Sources: vLLM 0.32, vllm/entrypoints/openai/completion/protocol.py (what it takes from a generation_config); SGLang,
# srt/entrypoints/openai/protocol.py and srt/sampling/sampling_params.py; llama.cpp, tools/server/server-task.cpp.
_PLAIN = {"min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_VLLM = {**_PLAIN, "repetition_penalty": 1.0, "skip_special_tokens": False, "return_token_ids": True}
_SGLANG = {**_PLAIN, "repetition_penalty": 1.0, "min_tokens": 0, "ignore_eos": False}
_LLAMACPP = {
    **_PLAIN,
    "samplers": ["temperature", "top_k", "top_p"],  # in our order: its own cuts off before the temperature
    "repeat_penalty": 1.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dry_multiplier": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
    "ignore_eos": False,
}


def parameters(owner: str, model: str, sampling: Sampling, seed: int, tokens: int) -> dict[str, Any]:
    """The body of a request, but the prompt. owner: as the model's card has it."""
    standard: dict[str, Any] = {
        "model": model,
        "seed": seed,
        "max_tokens": tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p if sampling.temperature > 0 else 1.0,
    }
    if sampling.style.stop:
        standard["stop"] = [s for s in sampling.style.stop if s]
    more = {
        VLLM: {"top_k": sampling.top_k, **_VLLM},
        SGLANG: {"top_k": sampling.top_k or -1, **_SGLANG},
        LLAMACPP: {"top_k": sampling.top_k, **_LLAMACPP},
    }.get(owner, {"top_k": sampling.top_k} if sampling.top_k else {})
    return standard | more
