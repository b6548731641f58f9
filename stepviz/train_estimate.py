"""What a training will take: tokens, steps, memory and time, before it starts.

Tokens are counted on a sample of the rows by the base's own tokenizer; memory: stepviz.train_memory. Time is
arithmetic, 6 operations a parameter and token, at the rate of the last training on this kind of device.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import DatasetRow, ProblemFilter
from stepviz.checkpoints import Checkpoint, look, tokenizer_file
from stepviz.train_memory import memory_needed, memory_of
from stepviz.train_questions import ANY, counted
from stepviz.trainings import Training, is_large

SAMPLE = 160  # rows whose tokens are counted
PAGES = 4  # places of a dataset they come from
FILL = 0.95  # of a packed block
CHARACTERS = 3.0  # a token, where no tokenizer is at hand
QUESTION, SOLUTION = 80, 135  # tokens, embedded world
SAMPLED = 9_000  # tokens a second of the embedded student, two idle cores


@dataclass(frozen=True, slots=True)
class Estimate:
    """`tokens` and `steps` are those of the whole training; `long` is the share of rows longer than a block.

    With `rounds`, all is of one of at most so many rounds, in which `sampled` tokens are sampled too.
    """

    rows: int
    tokens: int
    steps: int
    long: float
    memory: int | None
    seconds: float | None
    counted: bool  # by the base's tokenizer, not guessed from characters
    sampled: int = 0
    rounds: int = 0


def estimate(
    store: Store,
    training: Training,
    datasets: Sequence[DatasetRow],
    base: Checkpoint,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Estimate:
    machine = memory_of()
    length = min(settings["length"], base.context or settings["length"])
    share = 1 - float(options.get("held_out", 0.0))
    file = tokenizer_file(base)
    sizes = [(d.n_rows, row_tokens(store, d, file)) for d in datasets]
    mean = sum(n * sum(min(t, length) for t in found) / max(1, len(found)) for n, found in sizes) * share
    steps, tokens = _steps(mean, length, settings, is_large(base.parameters))
    every = [t for _, found in sizes for t in found]
    on_gpu = machine.on_gpu if machine else False
    return Estimate(
        rows=sum(n for n, _ in sizes),
        tokens=tokens,
        steps=steps,
        long=sum(t > length for t in every) / len(every) if every else 0.0,
        memory=memory_needed(base, settings, on_gpu, lora=options.get("lora", 0)),
        seconds=_seconds(store, base, tokens, on_gpu),
        counted=file is not None,
    )


def estimate_rounds(
    store: Store, base: Checkpoint, settings: Mapping[str, Any], options: Mapping[str, Any]
) -> Estimate:
    """A round of expert iteration. A sample is as long as a reference solution; half of the samples are right."""
    counts, machine, file = counted(store, options), memory_of(), tokenizer_file(base)
    on_gpu = machine.on_gpu if machine else False
    length = min(settings["length"], base.context or settings["length"])
    question, solution = _lengths(store, options, file)
    sampled = round((counts.sampled * options["samples"] + counts.dev) * solution)
    more = counts.sampled * options["samples"] / 2 if options["full_epochs"] else 0
    a_pass = (counts.references + more) * min(length, question + solution)
    steps, tokens = _steps(a_pass, length, settings, is_large(base.parameters))
    learnt, drawn = _seconds(store, base, tokens, on_gpu), _sampling_seconds(store, options["student"], sampled, on_gpu)
    return Estimate(
        rows=counts.references,
        tokens=tokens,
        steps=steps,
        long=0.0,
        memory=memory_needed(base, settings, on_gpu),
        seconds=learnt + drawn if learnt is not None and drawn is not None else None,
        counted=file is not None,
        sampled=sampled,
        rounds=options["rounds"],
    )


def _steps(a_pass: float, length: int, settings: Mapping[str, Any], large: bool) -> tuple[int, int]:
    """(steps, tokens) of a training whose rows have so many tokens in all."""
    blocks = math.ceil(a_pass / (length * FILL)) or 1
    batches = blocks / settings["batch"]
    each = math.ceil(batches) if large else math.floor(batches) or 1  # a large model learns the rest, too
    steps = math.ceil(settings["epochs"] * each)
    return steps, steps * min(settings["batch"], blocks) * length


def _lengths(store: Store, options: Mapping[str, Any], file: Path | None) -> tuple[float, float]:
    """Tokens of a question and of its reference solution, of the first ones; the embedded world's where none is."""
    split = None if options["split"] == ANY else options["split"]
    rows = store.problems(ProblemFilter(source=options["source"], split=split), SAMPLE)
    solutions = [row.solution for row in rows if row.solution]
    if not solutions:
        return QUESTION, SOLUTION
    mean = [sum(_count(texts, file)) / len(texts) for texts in ([row.question for row in rows], solutions)]
    return mean[0], mean[1]


def _sampling_seconds(store: Store, student: str, tokens: int, on_gpu: bool) -> float | None:
    """At the rate of the last expert iteration here, else of the shipped student's on two cores."""
    for model in reversed(store.models()):
        if model.meta.get("device") == ("cuda" if on_gpu else "cpu") and model.meta.get("sampled_per_s"):
            return tokens / model.meta["sampled_per_s"]
    size, shipped = look(student).parameters, look("embedded:student").parameters
    return None if on_gpu or not size or not shipped else tokens * size / (SAMPLED * shipped)


def row_tokens(store: Store, dataset: DatasetRow, file: Path | None) -> list[int]:
    """Of rows at a few places of the dataset, which never changes; remembered."""
    return list(_row_tokens(store, store.url, dataset.id, dataset.hash, dataset.n_rows, file))


_counted: dict[tuple[Any, ...], tuple[int, ...]] = {}


def _row_tokens(store: Store, url: str, id: int, hash: str, n: int, file: Path | None) -> tuple[int, ...]:
    key = url, id, hash, str(file), file.stat().st_mtime_ns if file else 0
    if key not in _counted:
        if len(_counted) > 500:
            _counted.clear()
        each = SAMPLE // PAGES
        starts = sorted({max(0, min(n - each, n * i // PAGES)) for i in range(PAGES)})
        texts = [_text(row) for start in starts for row in store.dataset_rows(id, start, min(each, n - start))]
        _counted[key] = tuple(_count(texts, file))
    return _counted[key]


def _count(texts: Sequence[str], file: Path | None) -> list[int]:
    if file is None:
        return [int(len(text) / CHARACTERS) + 1 for text in texts]
    return [len(e.ids) for e in _tokenizer(file, file.stat().st_mtime_ns).encode_batch(list(texts))]


def _text(row: Mapping[str, Any]) -> str:
    steps = row.get("completions")
    end = "\n".join(map(str, steps)) + "\n" if isinstance(steps, list) else str(row.get("completion", ""))
    return f"{row.get('prompt', '')}{end}"


@lru_cache(maxsize=4)
def _tokenizer(file: Path, _stamp: int) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def _seconds(store: Store, base: Checkpoint, tokens: int, on_gpu: bool) -> float | None:
    """At the rate of the newest training here, else of the shipped student's, which was made on two cores."""
    parameters, device = base.parameters, "cuda" if on_gpu else "cpu"
    if not parameters:
        return None
    for model in reversed(store.models()):
        meta = model.meta
        if meta.get("device") == device and meta.get("tokens_per_s") and meta.get("parameters"):
            return tokens * parameters / (meta["tokens_per_s"] * meta["parameters"])
    shipped = None if on_gpu else _shipped()
    return tokens * parameters / shipped if shipped else None


@lru_cache(maxsize=1)
def _shipped() -> float | None:
    """Parameters times tokens a second."""
    from stepviz.embedded import path
    from stepviz.errors import StepvizError

    try:
        cost = json.loads((path("student") / "training.json").read_text(encoding="utf-8"))
        return cost["tokens"] / cost["seconds"] * (look("embedded:student").parameters or 0)
    except (OSError, ValueError, KeyError, ZeroDivisionError, StepvizError):
        return None
