"""Supervised fine-tuning: maximum likelihood of the completions of a frozen dataset, given their prompts.

The dataset has rows {prompt, completion} and comes from the store; the result is an ordinary checkpoint. Packing,
compiling and the schedule are those of training.language_model. A checkpoint of any size trains the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepviz.errors import StepvizError
from training.adapters import adapted
from training.language_model import Report, Settings, train
from training.packing import prompt_completion

# The embedded student's. Of the same 60,000 readings, 7,500 problems eight times gave 53.6 % greedy and 81.5 % at
# eight samples on development, 12,000 five times 63.1 and 84.8 %, 15,000 four times 67.5 and 87.0 %: the last makes
# too few errors to study.
STUDENT = Settings(epochs=5, learning_rate=1.5e-3, batch=16)


def load_base(base: Path | str) -> tuple[Any, Any]:
    """(model, tokenizer) of a checkpoint, in float32 on the CPU, on a GPU as it was saved (never in float16).

    A small model's steps are lost in bfloat16 weights: those of one that was saved in float32 stay so.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from stepviz.engines.precision import trained_in
    from stepviz.reward.loading import chosen_device

    try:
        dtype = trained_in(AutoConfig.from_pretrained(str(base), trust_remote_code=False), chosen_device(None))
        model = AutoModelForCausalLM.from_pretrained(
            str(base), dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
        return model, AutoTokenizer.from_pretrained(str(base), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StepvizError(f"cannot load a model from {str(base)!r} (safetensors, no remote code): {error}") from error


def run(
    rows: Iterable[Mapping[str, Any]],
    base: Path | str,
    out: Path,
    settings: Settings = STUDENT,
    report: Report | None = None,
    *,
    lora: int = 0,
) -> dict[str, Any]:
    """Fine-tunes `base` on the rows and writes the checkpoint to `out`; returns what it cost.

    lora: the rank of adapters that learn in the place of the weights; 0: all weights do.
    """
    pairs = read(rows)
    return fit(pairs, *load_base(base), out, settings, report, lora)


def read(rows: Iterable[Mapping[str, Any]], recipes: str = "sft") -> list[tuple[str, str]]:
    """(prompt, completion) of each row; StepvizError for a dataset of another kind, or for an empty one."""
    pairs = []
    for row in rows:
        if not isinstance(row.get("prompt"), str) or not isinstance(row.get("completion"), str):
            raise StepvizError(f"this dataset has no columns prompt and completion; build one by the recipe {recipes}")
        pairs.append((row["prompt"], row["completion"]))
    if not pairs:
        raise StepvizError("the dataset is empty: nothing to train on")
    return pairs


def fit(
    pairs: Sequence[tuple[str, str]],
    model: Any,
    tokenizer: Any,
    out: Path,
    settings: Settings,
    report: Report | None,
    lora: int = 0,
    tokens: Sequence[int] = (),
) -> dict[str, Any]:
    """Trains the model on the pairs and writes it to `out`. tokens: those that it did not have before."""
    longest = getattr(model.config, "max_position_embeddings", settings.length)
    settings = replace(settings, length=min(settings.length, longest))
    documents = prompt_completion(tokenizer, pairs)
    if not any(len(d.ids) <= settings.length for d in documents):
        raise StepvizError(f"every row is longer than {settings.length} tokens; raise --length")
    if lora:
        model = adapted(model, lora, settings.seed, tokens)
    return train(model, tokenizer, documents, out, settings, report)
