"""The form of the Agreement page: who can be held against whom in this store, and how much each has said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from db.store import Store
from db.study_values import adjudicator
from stepviz import model_choices
from stepviz.agree_sources import STUDY
from stepviz.reward.specs import ROLES
from stepviz.ui.agreement_at import At

PEOPLE, DATA_SETS, STUDIES, SCORERS, COMPUTED = "People", "People of data sets", "Studies", "Scorers", "Computed"
EXACT = "embedded"  # the source whose problems have an exact judge
MOST = 60  # choices of one kind


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody who can be asked. said: "1,402 labels"; asks: the questions that they can speak to."""

    who: str
    kind: str
    said: str = ""
    asks: tuple[str, ...] = ("correct", "solvable")
    silent: bool = False  # has said nothing here yet


@dataclass(frozen=True, slots=True)
class Form:
    """The address with its defaults, and what can be chosen. scorers: whether a, b are."""

    at: At
    choices: tuple[Choice, ...] = ()
    sources: tuple[tuple[str, int], ...] = ()
    splits: tuple[tuple[str, int], ...] = ()
    scorers: tuple[bool, bool] = (False, False)

    @property
    def nobody(self) -> bool:
        """Nobody has said anything here that could be held against something else."""
        return not any(c.kind != COMPUTED and not c.silent for c in self.choices)


def form_of(store: Store, at: At) -> Form:
    """Empty sides get who has said most; an address that names them is taken as it is."""
    sources = tuple(store.sources())
    choices = tuple(choices_of(store, {name for name, _ in sources}))
    at = filled(at, choices)
    splits = _splits(store, at.source, sources)
    kinds = {c.who: c.kind for c in choices}
    return Form(at, choices, sources, splits, (kinds.get(at.a) == SCORERS, kinds.get(at.b) == SCORERS))


def choices_of(store: Store, sources: set[str]) -> Iterator[Choice]:
    counts, studies = store.label_counts(), store.studies()
    settled = {adjudicator(study.name) for study in studies}
    yield from _people({name: n for name, n in counts.items() if name not in settled}, sources)
    for study in studies:
        if study.submitted:
            asks = tuple(q for q in study.config.get("questions", ()) if q in ("correct", "solvable"))
            yield Choice(
                f"{STUDY}{study.name}",
                STUDIES,
                f"{study.submitted:,} item{'' if study.submitted == 1 else 's'} submitted",
                asks,
            )
            if n := counts.get(adjudicator(study.name)):
                yield Choice(adjudicator(study.name), STUDIES, f"{n:,} labels settled", asks)
    yield from _scorers(store)
    embedded = EXACT in sources
    if embedded:
        yield Choice("exact", COMPUTED, "the exact judge of the embedded world")
    yield Choice("equations", COMPUTED, "sympy’s judge of written equations", ("correct",))
    if store.measured_with():
        yield Choice("rollouts", COMPUTED, "measured V", ("solvable",))


def _people(counts: Mapping[str, int], sources: set[str]) -> Iterator[Choice]:
    """Unnamed annotators of one data set are one choice, `stepverify/*`: whoever is among them can be typed."""
    groups: Counter[str] = Counter()
    heads: Counter[str] = Counter()
    for name, n in counts.items():
        group = f"{name.partition('/')[0]}/*" if "/" in name else name
        groups[group] += n
        heads[group] += 1
    for group, n in groups.most_common(MOST):
        of_data = group.partition("/")[0] in sources
        many = f" of {heads[group]:,} people" if heads[group] > 1 else ""
        yield Choice(group, DATA_SETS if of_data else PEOPLE, f"{n:,} labels{many}")


def _scorers(store: Store) -> Iterator[Choice]:
    """Those whose scores are here, by how many; then those that could score."""
    counts = store.scored_steps()
    here = [m for m in store.models() if m.role in ROLES and counts.get(m.id, (0, 0))[0]]
    for model in sorted(here, key=lambda m: -counts[m.id][0])[:MOST]:
        yield Choice(model.spec or model.id, SCORERS, f"{counts[model.id][0]:,} steps")
    known = {m.spec for m in here} | {m.id for m in here}
    for choice in model_choices.scorers(store):
        if choice.spec not in known:
            yield Choice(choice.spec, SCORERS, "has scored nothing here yet", silent=True)


def filled(at: At, choices: tuple[Choice, ...]) -> At:
    """The reference is the exact judge where there is one, else people; beside it a scorer, else what is computed."""
    if at.a and at.b:
        return at
    spoken = [c for c in choices if not c.silent]
    first = {kind: next((c for c in spoken if c.kind == kind), None) for kind in (PEOPLE, DATA_SETS, STUDIES, SCORERS)}
    exact = next((c for c in spoken if c.who == "exact"), None)
    people = first[STUDIES] or first[PEOPLE] or first[DATA_SETS]
    scorer, computed = first[SCORERS], [c for c in spoken if c.kind == COMPUTED and c.who != "exact"]
    a = at.a or (exact.who if exact and scorer else people.who if people else exact.who if exact else "")
    if not a:
        return at
    others = [c for c in (scorer, *computed, people, exact) if c is not None and c.who != a]
    b = at.b or next((c.who for c in others if at.question in c.asks), a)
    solvable = not at.b and not at.a and a == "exact" and scorer is not None and b == scorer.who
    return replace(at, a=a, b=b, question="solvable" if solvable else at.question)


def _splits(store: Store, source: str, sources: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for name in [source] if source else [name for name, _ in sources]:
        counts.update({split: n for split, n in store.splits(name) if split})
    return tuple(counts.most_common())
