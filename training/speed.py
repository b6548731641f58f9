"""What compiling, packing, batch, vocabulary and bfloat16 each bring: text learnt a second, one change at a time.

The measure is characters of solutions and questions a second: vocabularies cut the same text into different tokens,
and padding is no text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepviz.world.corpus import texts
from training.language_model import bfloat16_products, new_student
from training.packing import Document, PackedBlocks, pack, plain
from training.tokenizer import VOCABULARY, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    compile: bool = True
    packed: bool = True
    batch: int = 16
    vocabulary: int = VOCABULARY
    length: int = 384
    bf16: bool = True


AS_SHIPPED = Setting("as shipped")
SETTINGS = (
    AS_SHIPPED,
    replace(AS_SHIPPED, name="without compiling", compile=False),
    replace(AS_SHIPPED, name="padded instead of packed", packed=False),
    replace(AS_SHIPPED, name="batch 4", batch=4),
    replace(AS_SHIPPED, name="batch 48", batch=48),
    replace(AS_SHIPPED, name="vocabulary 320", vocabulary=320),
    replace(AS_SHIPPED, name="products in float32", bf16=False),
)


def measure(problems: int = 600, steps: int = 12) -> list[dict[str, Any]]:
    """A row for each setting; the first two steps, in which a compiled model is made, do not count."""
    read = list(texts(problems))
    rows = []
    for setting in SETTINGS:
        tokenizer = train_tokenizer(read, setting.vocabulary)
        tokens, characters, seconds = _timed(setting, tokenizer, read, steps)
        rows.append({
            "setting": setting.name, "tokens a step": setting.batch * setting.length,
            "of them padding": round(1 - tokens / (steps * setting.batch * setting.length), 3),
            "tokens/s": round(tokens / seconds), "characters/s": round(characters / seconds),
        })  # fmt: skip
    shipped = rows[0]["characters/s"]
    return [{**row, "of shipped": round(row["characters/s"] / shipped, 2)} for row in rows]


def _timed(
    setting: Setting, tokenizer: PreTrainedTokenizerFast, read: list[str], steps: int
) -> tuple[int, float, float]:
    """(real tokens, characters, seconds) of `steps` optimiser steps."""
    import torch

    documents = plain(tokenizer, read)
    a_token = sum(map(len, read)) / sum(len(d.ids) for d in documents)
    model = new_student(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    forward = torch.compile(model) if setting.compile else model
    tokens = seconds = 0
    for number, (rows, real) in enumerate(_batches(setting, documents, tokenizer.pad_token_id, steps + 2)):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=setting.bf16 and bfloat16_products()):
            loss = forward(**rows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if number >= 2:
            tokens += real
            seconds += time.perf_counter() - started
    torch.compiler.reset()
    return tokens, tokens * a_token, seconds


def _batches(setting: Setting, documents: list[Document], pad: int, count: int) -> Iterator[tuple[Any, int]]:
    import torch

    fits = [d for d in documents if len(d.ids) <= setting.length]
    blocks = pack(fits, setting.length, 0) if setting.packed else [[d] for d in fits]
    data = PackedBlocks(blocks, setting.length, pad)
    for number in range(count):
        picked = [(number * setting.batch + i) % len(blocks) for i in range(setting.batch)]
        rows = [data[i] for i in picked]
        real = sum(len(d.ids) for i in picked for d in blocks[i])
        yield {name: torch.stack([row[name] for row in rows]) for name in ("input_ids", "labels")}, real
