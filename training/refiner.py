"""The refiner (GLoRe, papers.md 1.2): one model for both kinds of refinement, told by where the token [BAD] stands.

Rows {prompt, completion} of the recipes refine-local and refine-global, mixed as in the paper: a prompt holds a
question and a draft with `[BAD]` before its first bad step, or at the draft's very start; the completion is the
better solution. `[BAD]` has to be one token: spelled out in pieces it would have to be learnt as a word, and a draft
could write it. Supervised fine-tuning otherwise (training.sft).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stepviz.errors import StepvizError
from training import sft
from training.language_model import Report, Settings

BAD = "[BAD]"
# A block holds a question, a draft and a new solution. For the embedded base; a 7B model wants about 1e-5.
REFINER = Settings(epochs=4, learning_rate=1.5e-3, batch=8, length=768)


def run(
    rows: Iterable[Mapping[str, Any]],
    base: Path | str,
    out: Path,
    settings: Settings = REFINER,
    *,
    add_token: bool = False,
    lora: int = 0,
    report: Report | None = None,
) -> dict[str, Any]:
    """Fine-tunes `base` on the rows and writes the checkpoint to `out`; returns what it cost.

    StepvizError where the model has no `[BAD]` token, unless `add_token` gives it one. lora: see training.sft.
    """
    pairs = sft.read(rows, "refine-local or refine-global")
    unmarked = sum(BAD not in prompt for prompt, _ in pairs)
    if unmarked:
        raise StepvizError(
            f"{unmarked} of {len(pairs)} prompts have no {BAD}: this is no dataset of the recipes refine-local or "
            "refine-global"
        )
    model, tokenizer = sft.load_base(base)
    known = len(tokenizer)
    bad = require_bad(model, tokenizer, str(base), add_token)
    return sft.fit(pairs, model, tokenizer, out, settings, report, lora, (bad,) if bad >= known else ())


def require_bad(model: Any, tokenizer: Any, name: str, add_token: bool = False) -> int:
    """The id of `[BAD]`; with `add_token` a tokenizer without one gets it, and the model a place for it."""
    ids = tokenizer.encode(BAD, add_special_tokens=False)
    if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
        return ids[0]
    if not add_token:
        raise StepvizError(
            f"{name} has no {BAD} token, by which a refiner is told where to begin: start from embedded:base or "
            "embedded:student, or let the training add it (--add-token)"
        )
    # without replacing: a chat model has special tokens of its own
    tokenizer.add_special_tokens({"additional_special_tokens": [BAD]}, replace_extra_special_tokens=False)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    return tokenizer.convert_tokens_to_ids(BAD)
