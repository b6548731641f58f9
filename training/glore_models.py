"""The models of GLoRe (papers.md, 1.2) from a student: drafts, rollouts, datasets of the store, ORM, SORM, refiner.

    sample     K drafts of the student a question of the training set
    measure    the wrong drafts, and the right ones that are not consistent: 8 rollouts a prefix, from the last back
    datasets   orm, sorm (all three post-processings), refine-local and refine-global, frozen in the store
    train      one model after the other, each a record in the store with its parents

Every stage can be killed and called again: draws are in the store, the same datasets have the same hash, and a model
whose training.json says that it was made of these datasets, this base, seed and settings is not made again.

What it takes is computed from the sizes before it starts (`plan`): tokens, and minutes at RATES, which were measured
on two idle cores. Choices:

1. Drafts at temperature 1 of the first training problems; of the first `measured` of them at most `wrong` distinct
   wrong ones a question are measured. Many questions and few drafts of each: a refiner of many drafts of few questions
   learns their answers by heart. Drafts cost little beside rollouts, so what needs none (ORM, global pairs) has more;
   pairs need a right and a wrong draft of one question, so they are made of `paired` drafts, the rest of `samples`.
2. Backwards, since a positive label is carried back anyway: the labels are those of a whole measurement, for two
   thirds of its tokens (`full` measures all prefixes, which only the ablation without carrying back needs).
3. All start from the student. A model learns from `share` of the problems, drawn by its seed.
4. Of a prefix the last result has to be used by a consistent trace, not every one (RESULTS): the student writes
   steps that it never uses and takes steps back, and one of them makes all later prefixes negative. Chosen on
   development problems, as were the sizes and epochs; the strict reading is an arm of the comparison.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ChainRow, DatasetRow, ModelRow
from stepviz import glore
from stepviz.datasets import build
from stepviz.engines import Engine
from stepviz.types import Sampling, digest
from training import refiner, step_scores
from training.drawing import Drawing, problems_of
from training.language_model import Settings
from training.record import Base, finish, id_of, rows

Log = Callable[[str], None]
Start = Callable[[], Engine]

HOT = Sampling(temperature=1.0)  # drafts and rollouts
RATES = {"sampled": 9_000, "trained": 16_500, "refiner": 12_700}  # tokens a second, two idle cores
RESULTS: glore.Results = "last"  # of a prefix, that a consistent trace has to use: see 4
DRAFT, QUESTION, TRACES = 135, 80, 1_700  # tokens: a draft, its question, the rollouts of a wrong draft backwards
FULL_TRACES = 2_800  # … of all its prefixes
MIXED = 0.3  # of four drafts a question, the wrong ones with a right one beside them


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is drawn, and how long is learnt."""

    problems: int
    samples: int = 8  # drafts a question
    wrong: int = 3  # of them measured, at most
    paired: int = 0  # drafts a question that global pairs are made of; 0: `samples`
    measured: int = 0  # problems whose wrong drafts are measured, the first ones; 0: all
    k: int = glore.K
    full: bool = False  # measure every prefix
    share: float = 0.9  # of the problems, of which a seed learns

    @property
    def with_rollouts(self) -> int:
        return min(self.measured or self.problems, self.problems)

    @property
    def drafts(self) -> int:
        """Drawn of each question."""
        return max(self.samples, self.paired)


PRESETS = {
    "small": Sizes(6_000, samples=2, wrong=2, paired=4, measured=2_500),
    "full": Sizes(12_000, samples=2, wrong=2, paired=4, measured=8_000),
}

SCORER = replace(step_scores.SCORER, epochs=2, learning_rate=1e-3)
REFINER = replace(refiner.REFINER, epochs=2, learning_rate=1e-3)


@dataclass(frozen=True, slots=True)
class Arm:
    """A model to be trained: `datasets` are (recipe, its options), `trainer` of step_scores.RECIPES, or "refiner"."""

    name: str
    trainer: str
    datasets: tuple[tuple[str, Mapping[str, Any]], ...]
    settings: Settings
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return "refiner" if self.trainer == "refiner" else step_scores.RECIPES[self.trainer].role


ORM = Arm("orm", "orm", (("orm", {}),), replace(SCORER, epochs=1))  # it has more chains than the SORM
SORM = Arm("sorm", "sorm", (("sorm", {"results": RESULTS}),), SCORER)
REFINERS = Arm(
    "refiner", "refiner", (("refine-local", {"results": RESULTS, "targets": 2}), ("refine-global", {})), REFINER
)
SHIPPED = (ORM, SORM, REFINERS)


def plan(sizes: Sizes, arms: Sequence[Arm] = SHIPPED) -> list[dict[str, Any]]:
    """What it will take, a row a stage: {"stage", "tokens", "minutes"}; about half of the drafts being wrong."""
    chains = sizes.problems * sizes.samples
    wrong = min(sizes.wrong, sizes.samples / 2) * sizes.with_rollouts
    beside = sizes.samples * sizes.with_rollouts / 3  # right and consistent: they need no rollouts
    drafts = sizes.problems * sizes.drafts
    traces = FULL_TRACES if sizes.full else TRACES
    rows = [_row("sample", drafts * DRAFT, "sampled"), _row("measure", wrong * traces, "sampled")]
    for arm in arms:
        whole = QUESTION + DRAFT
        if arm.trainer == "refiner":
            one_epoch = (1.2 * wrong + MIXED * drafts) * (whole + DRAFT)  # up to two targets a measured draft
        elif arm.trainer == "orm":
            one_epoch = chains * whole
        elif arm.trainer == "balanced-orm":
            one_epoch = 0.37 * chains * whole  # as many right as wrong ones of two drafts a question
        else:
            one_epoch = (wrong + beside) * whole
        rate = "refiner" if arm.trainer == "refiner" else "trained"
        rows.append(_row(arm.name, sizes.share * arm.settings.epochs * one_epoch, rate))
    return rows


def _row(stage: str, tokens: float, kind: str) -> dict[str, Any]:
    return {"stage": stage, "tokens": round(tokens), "minutes": round(tokens / RATES[kind] / 60, 1)}


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    """A plan in one line."""
    parts = [f"{row['stage']} {row['tokens'] / 1e6:.1f}M tokens, {row['minutes']:g} min" for row in rows]
    return f"{'; '.join(parts)}; in all {sum(row['minutes'] for row in rows):.0f} min on two idle cores"


def make(
    store: Store,
    engine: Engine,
    student: Base,
    out: Path,
    sizes: Sizes,
    arms: Sequence[Arm] = SHIPPED,
    seed: int = 0,
    log: Log = print,
) -> dict[str, ModelRow]:
    """All stages for one seed; each model lies in `out`/its name. The engine holds the student."""
    log(told(plan(sizes, arms)))
    drawn_by = collect(store, engine, sizes, log)
    return {arm.name: train(store, arm, drawn_by, student, out / arm.name, sizes, seed, log) for arm in arms}


def collect(store: Store, engine: Engine, sizes: Sizes, log: Log = print) -> dict[str, Any]:
    """Draws what is missing of the drafts and rollouts; that part of a dataset's configuration which names them."""
    problems = problems_of(store, "train", sizes.problems)
    drawing = Drawing(store, engine, HOT, log)
    drawn = drawing.chains(problems, sizes.drafts)
    chains = {problem: rows[: sizes.samples] for problem, rows in drawn.items()}
    some = problems[: sizes.with_rollouts]
    work = [(p, row) for p in some for row in to_measure(chains[p.id], sizes.wrong)]
    log(json.dumps({"stage": "measure", "chains": len(work), "of": sum(map(len, chains.values()))}))
    if sizes.full:
        drawing.measure(work, sizes.k)
    else:
        drawing.measure_backwards(work, sizes.k)
    log(json.dumps({"stage": "drawn", "tokens": drawing.tokens, "seconds": round(drawing.seconds)}))
    return {
        "source": "embedded",
        "split": "train",
        "model": [engine.model_id],
        "sampling": HOT.hash,
        "limit": sizes.problems,
        "max_chains": sizes.samples,
    }


def to_measure(rows: Sequence[ChainRow], wrong: int) -> list[ChainRow]:
    """Of a question's drafts: the first wrong ones with different texts, and the right ones that are not consistent."""
    distinct: dict[str, ChainRow] = {}
    for row in rows:
        if row.verdict.value == "wrong" and row.chain.terminal:
            distinct.setdefault(row.chain.text.strip(), row)
    right = [r for r in rows if r.verdict.value == "correct" and not all(glore.own_suffix(r.chain, r.verdict))]
    return [*list(distinct.values())[:wrong], *right[:1]]


def train(
    store: Store,
    arm: Arm,
    drawn_by: Mapping[str, Any],
    student: Base,
    out: Path,
    sizes: Sizes,
    seed: int = 0,
    log: Log = print,
) -> ModelRow:
    """Builds the arm's datasets and trains it, where that is not done yet."""
    ids = [dataset(store, recipe, {**drawn_by, **options}, sizes, arm.name) for recipe, options in arm.datasets]
    return train_on(store, arm, ids, student, out, sizes.share, seed, log)


def made_before(
    store: Store, arm: Arm, drawn_by: Mapping[str, Any], student: Base, out: Path, sizes: Sizes, seed: int
) -> ModelRow | None:
    """The model in `out`, where it is what `train` would make."""
    ids = [dataset(store, recipe, {**drawn_by, **options}, sizes, arm.name) for recipe, options in arm.datasets]
    return made(store, out, _identity(arm, [store.dataset(id) for id in ids], student, sizes.share, seed))


def train_on(
    store: Store,
    arm: Arm,
    ids: Sequence[int],
    student: Base,
    out: Path,
    share: float,
    seed: int = 0,
    log: Log = print,
) -> ModelRow:
    """Trains the arm on these datasets, where that is not done yet."""
    chosen = [store.dataset(id) for id in ids]
    identity = _identity(arm, chosen, student, share, seed)
    known = made(store, out, identity)
    if known is not None:
        log(json.dumps({"stage": arm.name, "seed": seed, "there": known.id}))
        return known
    shutil.rmtree(out, ignore_errors=True)  # half of a training that was killed
    log(json.dumps({"stage": arm.name, "seed": seed, "rows": sum(d.n_rows for d in chosen), "out": str(out)}))
    cost = fit(arm, _subset(rows(store, chosen), share, seed), chosen, student, out, seed, log)
    return finish(store, out, arm.role, student, chosen, {**cost, "arm": arm.name, "seed": seed, "made_of": identity})


def dataset(store: Store, recipe: str, config: Mapping[str, Any], sizes: Sizes, name: str) -> int:
    """The id of the frozen dataset; what reads rollouts, and the SORM's ceiling, is told of which problems."""
    config = dict(config)
    if recipe in ("sorm", "refine-local", "stepwise"):
        config["limit"] = sizes.with_rollouts
    if recipe == "refine-global":
        config["max_chains"] = sizes.drafts
    if recipe in ("sorm", "refine-local"):
        config |= {"k": sizes.k, "rollout_model": config["model"][0], "rollout_sampling": config["sampling"]}
    title = recipe if recipe == name else f"{name}/{recipe}"
    return build(store, recipe, config, name=title).id


def fit(
    arm: Arm,
    learnt: Iterator[dict[str, Any]],
    chosen: Sequence[DatasetRow],
    student: Base,
    out: Path,
    seed: int,
    log: Log,
) -> dict[str, Any]:
    """One training; what it cost."""
    import torch

    torch._dynamo.reset()  # each model is compiled anew, and only so many are compiled in one process
    settings = replace(arm.settings, seed=seed)

    def report(row: Mapping[str, Any]) -> None:
        if row.get("step", 0) % 100 == 0:
            log(json.dumps({"stage": arm.name, "seed": seed, **row}))

    if arm.trainer == "refiner":
        return refiner.run(learnt, student.source, out, settings, report=report)
    recipe = step_scores.RECIPES[arm.trainer]
    template = chosen[0].config.get("template")
    options = {"share": 0.05, "counts": step_scores.counts_of(chosen[0].config), **arm.options}
    return step_scores.run(learnt, student.source, out, recipe, settings, template=template, report=report, **options)


def _subset(found: Iterator[dict[str, Any]], share: float, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of the seed's share of the problems."""
    for row in found:
        if int(digest("subset", str(seed), row["origin"]["problem"])[:8], 16) < share * 16**8:
            yield row


def _identity(arm: Arm, chosen: Sequence[DatasetRow], student: Base, share: float, seed: int) -> str:
    settings = json.dumps(asdict(arm.settings) | dict(arm.options), sort_keys=True)
    return digest(arm.trainer, *(d.hash for d in chosen), student.id, settings, str(share), str(seed))


def made(store: Store, out: Path, identity: str) -> ModelRow | None:
    """The model in `out`, where it is whole, was made of just this, and has its record in the store."""
    path = out / "training.json"
    if not path.exists() or json.loads(path.read_text(encoding="utf-8")).get("made_of") != identity:
        return None
    return store.model(id_of(out))
