"""The models that GLoRe's comparison trains for each seed: the paper's, their ablations, and the controls.

orm, sorm, refiner   as shipped (training.glore_models): the method
balanced-orm         as many right as wrong drafts a question: the paper's baseline
sorm-any-verifier    SORM without the consistency rule
sorm-every-result    SORM with the rule read strictly: every result of the prefix has to be used (`--arms more`)
sorm-as-drawn        SORM without carrying positives back
sorm-unbalanced      SORM without balance at each prefix length
orm-traces           drafts and verifying traces, by outcome, for as many steps as the SORM: is it the tokens? A trace
                     is right less often than a draft, since most start in wrong drafts: tuned thresholds compare
oracle-solvable      exact `solvable` labels of the drafts, balanced and for as many steps as the SORM: the ceiling
                     (a named oracle)
oracle-correct       exact `correct` labels, as a process reward model: the ceiling for `correct`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ModelRow
from stepviz.recipes import MASK, Attempt, Case, Orm, orm
from stepviz.recipes.case import Dropped
from stepviz.sampling import continue_from, read
from stepviz.types import Chain, Problem, digest, prefix_hash
from training.drawing import problems_of
from training.glore_models import (
    HOT,
    ORM,
    REFINERS,
    RESULTS,
    SCORER,
    SORM,
    Arm,
    Sizes,
    made_before,
    to_measure,
    train,
    train_on,
)
from training.record import Base

Log = Callable[[str], None]
TRACED = 2  # prefixes of a measured chain, from each of which one trace is learnt
AS_DRAWN, EVERY_RESULT = "sorm-as-drawn", "sorm-every-result"

BALANCED = Arm("balanced-orm", "balanced-orm", (("balanced-orm", {}),), SCORER)
ABLATIONS = tuple(
    Arm(name, "sorm", (("sorm", {"results": RESULTS, **options}),), SORM.settings)
    for name, options in (
        ("sorm-any-verifier", {"consistent": False}),
        (EVERY_RESULT, {"results": "every"}),
        (AS_DRAWN, {"carry_back": False}),
        ("sorm-unbalanced", {"balance": False}),
    )
)
ORACLES = tuple(
    Arm(f"oracle-{question}", "prm", (("stepwise", {"oracle": True, "question": question, "balance": True}),), SCORER)
    for question in ("solvable", "correct")
)
ORM_TRACES = Arm("orm-traces", "orm", (), SCORER)
CORE = (ORM, SORM, REFINERS)
CONTROLS = (*CORE, BALANCED, ORM_TRACES, ORACLES[0])
ALL = (*CONTROLS, *(arm for arm in ABLATIONS if arm.name != EVERY_RESULT))
SETS = {"core": CORE, "controls": CONTROLS, "all": ALL, "more": (*CONTROLS, *ABLATIONS, ORACLES[1])}


@dataclass(frozen=True, slots=True)
class Trained:
    """A model of a seed; `tokens` it learnt from, repeats counted."""

    arm: str
    spec: str
    id: str
    tokens: int


def train_all(
    store: Store,
    arms: Sequence[Arm],
    drawn_by: Mapping[str, Any],
    student: Base,
    folder: Path,
    sizes: Sizes,
    seed: int,
    shipped: Path | None = None,
    log: Log = print,
) -> dict[str, Trained]:
    """Every arm for one seed, in `folder`/its name, where it is not there yet; of `shipped` what fits is taken."""
    found: dict[str, Trained] = {}
    steps = 0
    for arm in arms:
        model: ModelRow | None = None
        out = folder / arm.name
        if shipped is not None and arm in CORE:
            model = made_before(store, arm, drawn_by, student, shipped / arm.name, sizes, seed)
            out = shipped / arm.name if model else out
        if arm.name == ORM_TRACES.name or arm.trainer == "prm":
            arm = replace(arm, settings=replace(arm.settings, max_steps=steps or -1))
        if model is None and arm.name == ORM_TRACES.name:
            ids = [with_traces(store, drawn_by, sizes)]
            model = train_on(store, arm, ids, student, out, sizes.share, seed, log)
        elif model is None:
            model = train(store, arm, drawn_by, student, out, sizes, seed, log)
        cost = json.loads((out / "training.json").read_text(encoding="utf-8"))
        steps = cost["steps"] if arm.name == SORM.name else steps
        found[arm.name] = Trained(arm.name, f"hf:{out}", model.id, cost["tokens"])
    return found


def with_traces(store: Store, drawn_by: Mapping[str, Any], sizes: Sizes) -> int:
    """The dataset of the control "equal tokens": the ORM's, and some verifying traces of each measured prefix.

    A trace makes a whole chain with its prefix. From the prefix's last step on each step is labelled with that
    chain's outcome; the steps before it have no label, since a chain that was led through a later step says nothing
    of what the student reaches from an earlier one.
    """
    rows = _with_traces(store, drawn_by["model"][0], sizes)
    config = {**drawn_by, "traced": TRACED, "wrong": sizes.wrong}
    return store.add_dataset("orm-traces", "orm", config, rows, format="stepwise").id


def _with_traces(store: Store, model: str, sizes: Sizes) -> Iterator[dict[str, Any]]:
    for problem in problems_of(store, "train", sizes.with_rollouts):
        rows = [row for row in store.chains(problem.id, model) if row.sampling_id == HOT.hash]
        rows = [row for row in rows if row.continuation and row.continuation.j < sizes.samples]
        attempts = [Attempt(row.chain, row.verdict, row.model_id, row.seed) for row in rows]
        yield from orm(Case(problem, tuple(attempts)), Orm(), Dropped())
        for attempt, start in traces(store, problem, model, [row.chain for row in to_measure(rows, sizes.wrong)]):
            for row in orm(Case(problem, (attempt,)), Orm(), Dropped()):
                yield row | {"labels": [MASK] * (start - 1) + row["labels"][start - 1 :]}


def traces(store: Store, problem: Problem, model: str, chains: Sequence[Chain]) -> list[tuple[Attempt, int]]:
    """(chain, the step it starts after): the first draw of some open prefixes of each; a shared prefix once.

    Which prefixes is a matter of the chain's id, as good as chance and always the same.
    """
    found: dict[str, tuple[Attempt, int]] = {}
    for chain in chains:
        end = next((i for i, span in enumerate(chain.spans) if span.kind == "answer"), chain.n)
        some = sorted(range(1, end + 1), key=lambda i: digest("traced", chain.id, str(i)))[:TRACED]
        for i in sorted(some):
            start = continue_from(chain, i, HOT.style)
            for draw in store.continuations(problem.id, prefix_hash(start.prefix), model, HOT.hash, 1):
                made = read(draw, HOT, start)
                found.setdefault(start.prefix, (Attempt(made.chain, made.verdict, model, draw.seed), i))
    return list(found.values())
