"""What a build will do, decided before it starts: configuration checked, and completed by what the store says.

Also what to tell the user where nothing comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from db.store import Store
from db.values import ProblemFilter
from stepviz.datasets_config import Selection, configured
from stepviz.errors import StepvizError
from stepviz.recipes import Dropped, Recipe, is_of, named
from stepviz.recipes.case import NO_CHAIN, PARTLY
from stepviz.study_read import study_named

EMPTY = {
    "sft": "No problem has a reference solution: import one that has (gsm8k, math), or `world problems train`.",
    "orm": "Sample chains first: python -m stepviz sample --split train --n 8",
    "sorm": "Measure first: python -m stepviz measure --split train --k {k}, or ask for fewer rollouts with --k.",
    "refine-local": "Measure first: python -m stepviz measure --split train --verdict wrong --k {k}, or lower --k.",
    "self-explore": "Measure first: python -m stepviz measure --split train --verdict wrong --k {k}, or lower --k.",
    "stepwise": "Label some chains first, or import labels (prm800k, math-shepherd, stepverify).",
    "human-pairs": "Label chains up to their first wrong step, and others that begin alike and go on well; "
    "or import prm800k, whose labellers rated several ways on.",
}
SOFT = "Measure whole chains: python -m stepviz measure --split train --k {k}, without a strategy, or leave out --soft."


@dataclass(frozen=True, slots=True)
class Plan:
    """A build with everything decided: what the stored configuration says."""

    recipe: Recipe
    selection: Selection
    options: Any

    @property
    def config(self) -> dict[str, Any]:
        return {**asdict(self.selection), **asdict(self.options)}


def planned(store: Store, recipe: str, config: Mapping[str, Any]) -> Plan:
    """The configuration checked, and completed by what the store says: which sampling, whose rollouts."""
    made = named(recipe)
    selection, options = configured(made, config)
    if selection.sampling:
        selection = replace(selection, sampling=_sampling(store, selection.sampling))
    if study := getattr(options, "study", None):
        study_named(store, study)
    if made.rollouts:
        selection = _with_rollouts(store, selection, getattr(options, "k", 8))
    return Plan(made, selection, options)


def default_name(plan: Plan) -> str:
    """The recipe's; an oracle arm says so."""
    return f"{plan.recipe.name}-oracle" if getattr(plan.options, "oracle", False) else plan.recipe.name


def _sampling(store: Store, start: str) -> str:
    """The id of the sampling that begins so."""
    samplings = store.samplings()
    found = [id_ for id_ in samplings if id_.startswith(start)]
    if len(found) != 1:
        there = ", ".join(f"{id_[:8]} (temperature {s.temperature:g})" for id_, s in samplings.items()) or "none"
        raise StepvizError(f"{'several samplings begin' if found else 'no sampling begins'} with {start!r}: {there}")
    return found[0]


def _with_rollouts(store: Store, selection: Selection, k: int) -> Selection:
    """Whose rollouts: the one model and sampling that the selected problems were measured with, or the chosen one."""
    if selection.rollout_sampling:
        selection = replace(selection, rollout_sampling=_sampling(store, selection.rollout_sampling))
    model, sampling = selection.rollout_model, selection.rollout_sampling
    there = store.measured_with(selection.source, selection.split)
    found = [m for m in there if model in (None, m.model_id) and sampling in (None, m.sampling_id)]
    if len(found) != 1:
        if not there:
            raise StepvizError(
                _nowhere(store, selection)
                or "no chain of these problems is measured; measure first: "
                f"python -m stepviz measure --split {selection.split or 'train'} --k {k}"
            )
        choices = "; ".join(f"{m.model_id} with sampling {m.sampling_id[:8]} ({m.n:,} draws)" for m in there)
        what = "several models or samplings" if found else "nothing that fits"
        raise StepvizError(f"these problems are measured with {what}: choose --rollout-model and "
                           f"--rollout-sampling out of: {choices}")  # fmt: skip
    separator = store.sampling(found[0].sampling_id).style.separator
    return replace(
        selection,
        rollout_model=found[0].model_id,
        rollout_sampling=found[0].sampling_id,
        rollout_separator=separator,
    )


def told(dropped: Dropped) -> str:
    """What gave no row and how often, most first."""
    return "; ".join(f"{n} × {reason}" for reason, n in sorted(dropped.reasons.items(), key=lambda r: -r[1]))


def _nowhere(store: Store, selection: Selection) -> str:
    """What is there in the place of the problems that a selection asks for; empty where it finds some."""
    if store.count_problems(ProblemFilter(source=selection.source, split=selection.split)):
        return ""
    asked = " ".join(f"{what} {name!r}" for what in ("source", "split") if (name := getattr(selection, what)))
    there = ", ".join(f"{s}/{x}" for s, _ in store.sources() for x, _ in store.splits(s))
    said = f"there is no problem of {asked or 'any source'} here; there are: {there or 'none, import some first'}"
    if there and all(x == "test" for s, _ in store.sources() for x, _ in store.splits(s)):
        said += ". Test problems never enter a training set, whoever labelled them: label chains of another split"
    return said


def nothing(store: Store, plan: Plan, dropped: Dropped) -> str:
    """Why a build has no row, and what to do."""
    selection, options = plan.selection, plan.options
    head = f"{plan.recipe.name} gives no row ({told(dropped)})."
    if said := _nowhere(store, selection):
        return said
    if plan.recipe.chains and NO_CHAIN in dropped.reasons and selection.model and len(dropped.reasons) == 1:
        origins = ", ".join(name for name, _ in store.origins()[:12]) or "none"
        return f"{head} There are chains of: {origins}"
    if annotator := getattr(options, "annotator", None):
        families = sorted({who.split("/")[0] for who in store.annotators()})
        if not any(is_of(who, annotator) for who in store.annotators()):
            return f"{plan.recipe.name}: nobody called {annotator!r} labelled anything; there are: " + (
                ", ".join(families[:20]) or "none"
            )
    hint = SOFT if PARTLY in dropped.reasons else EMPTY.get(plan.recipe.name, EMPTY["orm"])
    return f"{head} {hint.format(k=getattr(options, 'k', 8))}"
