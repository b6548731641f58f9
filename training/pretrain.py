"""`base`: a language model of the embedded world's text and single steps, from nothing.

It has read no whole solution, so that "fine-tune from the pretrained model again" (GLoRe, expert iteration) means
something. Problems with test templates are in none of its texts.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from training.language_model import Report, Settings, new_student, train
from training.packing import plain

PROBLEMS = 100_000  # whose texts and single steps are read
TOKENIZER_PROBLEMS = 10_000
SHARD = 500
BASE = Settings(learning_rate=2.5e-3, batch=16)


def _shard(number: int) -> list[str]:
    from stepviz.world.corpus import texts

    return list(texts(SHARD, number * SHARD))


def corpus(problems: int, processes: int = 2) -> list[str]:
    """The texts of `problems` problems, in their order; the same on every machine."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return [text for shard in pool.map(_shard, range(problems // SHARD)) for text in shard]


def run(
    out: Path, settings: Settings | None = None, problems: int = PROBLEMS, report: Report | None = None
) -> dict[str, Any]:
    """Makes corpus, tokenizer and model; writes the checkpoint to `out`; returns what it cost."""
    from stepviz.world import embedded_problems
    from training.tokenizer import train_tokenizer

    settings = settings or BASE
    started = time.monotonic()
    read = corpus(problems)
    solutions = [p.solution or "" for p in embedded_problems("train", 500)]  # for "####" only: the model sees none
    tokenizer = train_tokenizer([*read[: TOKENIZER_PROBLEMS * 2], *solutions])
    made = time.monotonic() - started
    documents = plain(tokenizer, read)
    cost = train(new_student(tokenizer, settings.seed), tokenizer, documents, out, settings, report)
    return {"corpus_seconds": round(made, 1), "problems": problems, "texts": len(read), **cost}
