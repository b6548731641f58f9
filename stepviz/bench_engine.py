"""Tokens a second of our engine against the same library's own `generate`, on the same work in one run.

The work: eight continuations of each of 64 prefixes, at temperature 0.7. Stock `generate` gets it prefix by prefix
with num_return_sequences=8, then all prefixes in padded batches, then as single calls; of the slow ways a part of the
work is timed, since a rate is what is compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stepviz.engines import load
from stepviz.engines.prompts import encode
from stepviz.types import PromptStyle, Request, Sampling
from stepviz.world import embedded_problems

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREFIXES, EACH = 64, 8
SAMPLING = Sampling(temperature=0.7, max_tokens=150)


def rates(engine: str = "embedded", single_calls: int = 48) -> list[dict[str, Any]]:
    """A row a way; `times ours` is our rate over that way's."""
    loaded = load(engine, device="cpu")
    work = list(_prefixes())
    requests = [Request(q, p, seed=i * EACH + j) for i, (q, p) in enumerate(work) for j in range(EACH)]
    loaded.generate(requests[:EACH], SAMPLING)  # warm
    started = time.perf_counter()
    tokens = sum(c.tokens for c in loaded.generate(requests, SAMPLING))
    rows = [_row("ours", PREFIXES * EACH, tokens, time.perf_counter() - started)]
    model, tokenizer = loaded.model, loaded.tokenizer  # type: ignore[attr-defined]
    ids = [encode(tokenizer, PromptStyle(), q, p) for q, p in work]
    for name, groups, each in (
        ("generate, num_return_sequences=8", [[x] for x in ids], EACH),
        (
            "generate, num_return_sequences=8, 16 prefixes padded together",
            [ids[i : i + 16] for i in range(0, 64, 16)],
            EACH,
        ),
        ("generate, single calls", [[x] for x in ids[:single_calls]], 1),
    ):
        started = time.perf_counter()
        tokens = sum(_stock(model, tokenizer, group, each) for group in groups)
        seconds = time.perf_counter() - started
        rows.append(_row(name, sum(len(g) for g in groups) * each, tokens, seconds))
    ours = rows[0]["tokens/s"]
    return [{**row, "times ours": round(ours / row["tokens/s"], 2)} for row in rows]


def _row(name: str, continuations: int, tokens: int, seconds: float) -> dict[str, Any]:
    return {"way": name, "continuations": continuations, "tokens": tokens, "seconds": round(seconds, 2),
            "tokens/s": round(tokens / seconds)}  # fmt: skip


def _prefixes() -> Iterator[tuple[str, str]]:
    """(question, the first half of its reference solution) of test problems."""
    for problem in embedded_problems("test", PREFIXES):
        lines = (problem.solution or "").split("\n")
        yield problem.question, "".join(f"{line}\n" for line in lines[: (len(lines) - 1) // 2])


def _stock(model: PreTrainedModel, tokenizer: Any, group: Sequence[Sequence[int]], each: int) -> int:
    """Tokens that `generate` makes, end tokens included and padding not."""
    import torch

    width = max(map(len, group))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(x)) + list(x) for x in group])
    mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in group])
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=True, temperature=SAMPLING.temperature, top_k=0, top_p=1.0,
            max_new_tokens=SAMPLING.max_tokens, num_return_sequences=each, pad_token_id=pad,
        )  # fmt: skip
    return int((out[:, width:] != pad).sum())
