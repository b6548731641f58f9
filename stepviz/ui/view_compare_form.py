"""The form of a comparison: which models can be chosen, at which problems, and what is still to be drawn. No HTML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from db.store import Store
from stepviz import model_choices
from stepviz.compare_draws import Missing
from stepviz.compare_spec import LIMIT, CompareSettings, K, role_of
from stepviz.errors import StepvizError
from stepviz.model_choices import ModelChoice
from stepviz.reward.specs import ROLES
from stepviz.types import Sampling
from stepviz.ui.compare_at import At
from stepviz.ui.engine_choice import name_of
from stepviz.ui.workbench import Workbench

OWN = "own"  # a dropdown's choice that opens a field for any engine
LOOKED_AT = 100  # runs among which the speed of drawing is looked for


@dataclass(frozen=True, slots=True)
class Cost:
    """seconds None: nothing has been drawn yet that would tell the speed. sure: no number of draws is a guess."""

    draws: int
    tokens: float
    seconds: float | None
    sure: bool
    unit: str = "draws"


@dataclass(frozen=True, slots=True)
class CompareForm:
    """`at` with every default filled in. lacks: why it cannot start; cost: what is still to be drawn, None: unknown."""

    at: At
    choices: tuple[ModelChoice, ...] = ()
    sources: tuple[tuple[str, int], ...] = ()
    splits: tuple[tuple[str, int], ...] = ()
    lacks: str = ""
    cost: Cost | None = None
    active: bool = False  # a run is at work on it


def form_of(store: Store, at: At) -> CompareForm:
    splits = tuple(store.splits(at.source)) if at.source else ()
    return CompareForm(at, _choices(store, at), tuple(store.sources()), splits)


def filled(store: Store, at: At) -> At:
    """With the defaults where the address says nothing: the newest training's parent and result, dev problems."""
    if not at.before and not at.after:
        before, after = _newest(store)
        at = replace(at, before=before, after=after)
    if not at.before or not at.after:
        known = _parents(store, at.after) if at.after else []
        others = _alike(store, at.before or at.after)
        first = next((spec for spec in (*known, *others) if spec in others), "")
        at = replace(at, before=at.before or first, after=at.after or first)
    if not at.source and not at.split:
        source, split = _dev(store)
        at = replace(at, source=source, split=split)
    return replace(
        at, limit=at.limit or str(LIMIT), samples=at.samples or "1", k=at.k or str(K), skip=str(at.skipped or "")
    )


def _alike(store: Store, spec: str) -> list[str]:
    """The other models of the same kind, which it could be compared with: students, or judges of steps."""
    judges, students = (
        [c.spec for c in found if c.spec != spec]
        for found in (model_choices.scorers(store), model_choices.generators(store))
    )
    try:
        return judges if role_of(spec) in ROLES else students
    except StepvizError:
        return students


def sampling_of(bench: Workbench, at: At) -> Sampling:
    """The address's, else the app's own."""
    if not at.sampling or at.sampling == bench.sampling.hash:
        return bench.sampling
    try:
        return bench.store.sampling(at.sampling)
    except KeyError:
        raise StepvizError("This address was made with a sampling that this store does not have.") from None


def cost_of(store: Store, missing: Missing, settings: CompareSettings) -> Cost:
    """At the speed of the last run that drew with one of the two, else of the last that drew at all."""
    runs = (run for run in store.runs(LOOKED_AT) if run.progress.get("tokens_per_s"))
    drew = [run for run in runs if run.progress.get("unit") not in ("chains", "steps")]  # of which none was sampled
    two = {settings.before, settings.after}
    ours = [run for run in drew if two & {run.spec.get(name) for name in ("engine", "before", "after")}]
    rate = next((float(run.progress["tokens_per_s"]) for run in [*ours, *drew]), None)
    return Cost(missing.draws, missing.tokens, missing.tokens / rate if rate else None, missing.sure)


def _choices(store: Store, at: At) -> tuple[ModelChoice, ...]:
    found = {c.spec: c for c in (*model_choices.generators(store), *model_choices.scorers(store))}
    for spec in (at.before, at.after):
        if spec and spec not in found and spec != OWN:
            found[spec] = ModelChoice(spec, name_of(spec), "generator", "from the address, or typed in")
    return tuple(found.values())


def _newest(store: Store) -> tuple[str, str]:
    """(parent, result) of the newest student that was trained here, else the embedded base and student."""
    for model in reversed(store.models("generator")):
        parent = next(iter(_parents(store, model.spec)), "")
        if parent and parent != model.spec and _there(model.spec):
            return parent, model.spec
    return "embedded:base", "embedded"


def _parents(store: Store, spec: str) -> list[str]:
    """How to load what the model of a spec was made from, the newest record first."""
    models = {model.id: model for model in store.models()}
    made = [model for model in models.values() if model.spec == spec]
    return [models[id].spec for model in reversed(made) for id in model.parents if id in models and models[id].spec]


def _dev(store: Store) -> tuple[str, str]:
    """A source and its development split, where there is one; else the first source."""
    sources = sorted((name for name, _ in store.sources()), key=lambda name: name != "embedded")
    for source in sources:
        if "dev" in [name for name, _ in store.splits(source)]:
            return source, "dev"
    return (sources[0], "") if sources and sources[0] != "embedded" else ("embedded", "dev")


def _there(spec: str) -> bool:
    source = Path(spec.partition(":")[2])
    return not source.is_absolute() or (source / "config.json").is_file()
