"""Expert iteration (GLoRe, arXiv 2402.10963, stage 1): the student learns from its own right samples.

    R_i   the right ones of K samples a question from the student π_{i−1}, de-duplicated
    D_i   R_i ∪ D_{i−1}, where D_0 is the supervised set
    π_i   fine-tuned on D_i from the pretrained model again, not from π_{i−1}

until greedy accuracy on a development split stops rising; the best π_i is the result.

Choices where the paper's text is silent (its appendix could not be had):
1. K = 96 samples at temperature 1. The embedded preset takes 16 on at most 1,500 questions.
2. Equal are two samples with the same list of equations, of all rounds together (recipe `rft`, `keep=None`,
   `reference=True`); then the reference solutions of questions that were not sampled.
3. A round stops being a rise where it is not above the best so far: the next one is not begun.
4. The trainings of all rounds take as many tokens as the supervised student's did, so that a rise is not one of
   longer training; `epochs` overrides that.

Resumable: draws are in the store, a round whose training.json fits its dataset is not trained again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import DatasetRow, ModelRow, ProblemFilter
from stepviz.datasets import build
from stepviz.engines import load
from stepviz.errors import StepvizError
from stepviz.types import Problem, Sampling, digest
from training import sft
from training.drawing import Drawing, problems_of
from training.embedded import TRAINING_PROBLEMS
from training.glore_models import DRAFT, HOT, QUESTION, RATES, made
from training.language_model import Settings
from training.record import Base, finish

Log = Callable[[str], None]
GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sampled and learnt. `questions` None: all of the split; `epochs` None: see choice 4."""

    source: str = "embedded"
    split: str = "train"
    dev_split: str = "dev"
    questions: int | None = None
    samples: int = 96
    dev: int = 800
    rounds: int = 5  # at most
    epochs: float | None = None
    sampling: Sampling = HOT
    supervised: int | None = None  # problems whose reference solutions are D_0; None: all of the split

    def __post_init__(self) -> None:
        for name in ("samples", "dev", "rounds"):
            if getattr(self, name) < 1:
                raise StepvizError(f"{name} must be at least 1, not {getattr(self, name)}")


EMBEDDED = Plan(questions=1_500, samples=16, rounds=3, supervised=TRAINING_PROBLEMS)


@dataclass(frozen=True, slots=True)
class Round:
    """A student and what it reaches; number 0 is the one that expert iteration began with."""

    number: int
    model: str
    spec: str
    greedy: float
    rows: int = 0  # of its dataset


def run(
    store: Store,
    base: Base,
    student: Base,
    out: Path,
    plan: Plan = EMBEDDED,
    settings: Settings = sft.STUDENT,
    log: Log = print,
) -> ModelRow:
    """Runs rounds until greedy accuracy stops rising; the best one's checkpoint goes to `out`, with its record.

    Each round's checkpoint stays in a folder beside `out`. StepvizError where no sample is right.
    """
    questions, dev = _problems(store, plan)
    log(budget(plan, len(questions)))
    rounds = [_evaluated(store, 0, student.spec, dev, 0, log)]
    models: list[str] = []
    while len(rounds) <= plan.rounds:
        engine = load(rounds[-1].spec)
        Drawing(store, engine, plan.sampling, log).chains(questions, plan.samples, f"round {len(rounds)}: sampling")
        models.append(engine.model_id)
        engine.close()
        dataset = union(store, models, plan, len(questions), out.name)
        folder = out.parent / f"{out.name}-rounds" / f"round-{len(rounds)}"
        _trained(store, base, dataset, folder, _settings(store, plan, settings, dataset), log)
        rounds.append(_evaluated(store, len(rounds), f"hf:{folder}", dev, dataset.n_rows, log))
        if rounds[-1].greedy <= max(r.greedy for r in rounds[:-1]):
            break
    return _chosen(store, base, out, rounds, log)


def budget(plan: Plan, questions: int) -> str:
    sampled = questions * plan.samples * DRAFT
    trained = sft.STUDENT.epochs * (plan.supervised or questions) * (QUESTION + DRAFT)
    minutes = sampled / RATES["sampled"] / 60 + trained / RATES["trained"] / 60
    return (
        f"expert iteration: a round samples {sampled / 1e6:.1f}M tokens and learns about {trained / 1e6:.1f}M, "
        f"{minutes:.0f} min on two idle cores; at most {plan.rounds} rounds"
    )


def _problems(store: Store, plan: Plan) -> tuple[list[Problem], list[Problem]]:
    """(questions to sample, development problems)."""
    if plan.source == "embedded":
        problems_of(store, plan.split, plan.supervised or plan.questions or TRAINING_PROBLEMS)
        problems_of(store, plan.dev_split, plan.dev)
    found = []
    for split, count in ((plan.split, plan.questions), (plan.dev_split, plan.dev)):
        there = ProblemFilter(source=plan.source, split=split)
        rows = store.problems(there, limit=count or store.count_problems(there))
        if not rows:
            raise StepvizError(f"there is no problem of {plan.source}/{split} in this store: import some first")
        found.append([row.problem for row in rows])
    return found[0], found[1]


def union(store: Store, models: list[str], plan: Plan, questions: int, name: str) -> DatasetRow:
    """D_i, frozen: the distinct right samples of all rounds with their references, and the other references."""
    where = {"source": plan.source, "split": plan.split}
    drawn = {**where, "model": models, "sampling": plan.sampling.hash, "limit": questions}
    right = build(store, "rft", {**drawn, "keep": None, "reference": True}, name=f"{name}/right samples")
    parts = [right]
    limited = {"limit": plan.supervised} if plan.supervised else {}
    if any(row.solution for row in store.problems(ProblemFilter(**where), limit=100)):
        parts.append(build(store, "sft", {**where, **limited}, name=f"{name}/references"))
    config = {"union": [part.hash for part in parts]}
    counts = {"of": {f"{part.name} v{part.version}": part.n_rows for part in parts}}
    rows = _distinct(store, parts)
    return store.add_dataset(f"{name}/union", "rft", config, rows, format="prompt-completion", counts=counts)


def _distinct(store: Store, parts: list[DatasetRow]) -> Iterator[dict[str, Any]]:
    seen = set()
    for part in parts:
        for row in store.dataset_rows(part.id):
            pair = digest(row["prompt"], row["completion"].strip())
            if pair not in seen:
                seen.add(pair)
                yield row


def _settings(store: Store, plan: Plan, settings: Settings, dataset: DatasetRow) -> Settings:
    if plan.epochs is not None:
        return replace(settings, epochs=plan.epochs)
    references = sum(n for name, n in dataset.counts["of"].items() if "/references" in name) or dataset.n_rows
    return replace(settings, epochs=round(settings.epochs * references / dataset.n_rows, 2))


def _trained(store: Store, base: Base, dataset: DatasetRow, folder: Path, settings: Settings, log: Log) -> ModelRow:
    identity = digest(dataset.hash, base.id, json.dumps(asdict(settings), sort_keys=True))
    known = made(store, folder, identity)
    if known is not None:
        return known
    import torch

    torch._dynamo.reset()  # each model is compiled anew, and only so many are compiled in one process
    shutil.rmtree(folder, ignore_errors=True)
    log(json.dumps({"stage": folder.name, "rows": dataset.n_rows, "epochs": settings.epochs}))
    rows = store.dataset_rows(dataset.id)
    cost = sft.run(rows, base.source, folder, settings, report=lambda row: log(json.dumps(row)))
    return finish(store, folder, "generator", base, [dataset], {**cost, "made_of": identity})


def _evaluated(store: Store, number: int, spec: str, dev: list[Problem], rows: int, log: Log) -> Round:
    engine = load(spec)
    chains = Drawing(store, engine, GREEDY, log).chains(dev, 1, f"round {number}: greedy")
    right = sum(row.verdict.value == "correct" for found in chains.values() for row in found)
    found = Round(number, engine.model_id, spec, right / len(dev), rows)
    engine.close()
    log(json.dumps(asdict(found)))
    return found


def _chosen(store: Store, base: Base, out: Path, rounds: list[Round], log: Log) -> ModelRow:
    """The best trained round, copied to `out`; its record says whether it rose above the student."""
    best = max(rounds[1:], key=lambda r: r.greedy)
    folder = Path(best.spec.removeprefix("hf:"))
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out)
    cost = json.loads((out / "training.json").read_text(encoding="utf-8"))
    rose = best.greedy > rounds[0].greedy
    cost |= {"rounds": [asdict(r) for r in rounds], "round": best.number, "rose": rose}
    record = store.model(best.model)
    chosen = [store.dataset(d["id"]) for d in (record.meta if record else {}).get("datasets", [])]
    log(json.dumps({"chosen": best.number, "greedy": best.greedy, "began with": rounds[0].greedy, "rose": rose}))
    return finish(store, out, "generator", base, chosen, cost)
