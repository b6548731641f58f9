"""What the Agreement page shows: two judges held against each other, and the chains behind each number. No HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from db.store import Store
from db.values import ChainFilter
from stepviz.agree import Compared, Heard, Settings, calibrate, compared, crossed, heard, people_of
from stepviz.agree_scores import ScoredStep, scored_steps
from stepviz.agreement.ceiling import items
from stepviz.agreement.cells import DETECTED, FIRSTS, STEPS, Cells, Listed, Place, cells
from stepviz.agreement.recalibration import KINDS
from stepviz.agreement.scores import BINS
from stepviz.agreement.square import Square
from stepviz.errors import StepvizError
from stepviz.refinement import THRESHOLD
from stepviz.ui.agreement_at import BY, SQUARE, At, Door, crossing
from stepviz.ui.hearing import Hearing, Waiting, hearing_of
from stepviz.ui.view_agreement_form import Form, form_of

ROWS = ("pair", "pairs", "others", "scorer", "stand-in")  # of the human ceiling
SCORED = ("flagged", "errors", "hits")  # parts of the steps that a scorer is held against
PATIENCE_S = 0.8  # how long an answer waits for what is computed


@dataclass(frozen=True, slots=True)
class Spoken:
    """What two judges were heard to say, and all pairs of their labels."""

    heard: Heard
    cells: Cells
    scored: Sequence[ScoredStep] = ()  # of the second side where it is a scorer, else of the first

    def steps(self, part: str = "") -> Listed:
        """Of the steps that a scorer is held against those in a part; KeyError for another name."""
        fits = in_part(part, self.heard.threshold)
        kept = [at for at in self.scored if fits(at)]
        found: dict[tuple[str, str], set[int]] = {}
        for at in kept:
            found.setdefault((at.problem, at.chain), set()).add(at.step)
        places = tuple(Place(*at, tuple(sorted(steps))) for at, steps in found.items())
        return Listed(places, sum(map(len, found.values())), len(kept))

    def ceiling(self, part: str) -> Listed:
        """The items of a row of the ceiling, "pair:ana|bob"; KeyError for another name."""
        people, other = people_of(self.heard)
        kind, _, names = part.partition(":")
        if people is None or kind not in ROWS:
            raise KeyError(part)
        who = frozenset(unquote(name) for name in names.split("|") if name)
        scorer, to_first = other.opinions if other else (), self.heard.settings.to_first
        found = items(people.opinions, scorer, self.heard.settled, kind=kind, who=who, to_first=to_first)
        places = dict.fromkeys((o.problem, o.chain) for o in found)
        return Listed(tuple(Place(*at, ()) for at in places), len(found), len(found))


@dataclass(frozen=True, slots=True)
class Count:
    """How much is in a cell: things are chains, or steps; pairs of labels are more where several judge one thing."""

    things: int
    pairs: int
    chains: int


@dataclass(frozen=True, slots=True)
class Told:
    """The numbers, at the threshold that was given or chosen, with the size of each cell."""

    compared: Compared
    threshold: float | None  # None: neither is a scorer
    counts: Mapping[str, Count]


@dataclass(frozen=True, slots=True)
class AgreementPage:
    """told, square: done, or how far they are, or (a text) why they cannot be; None: not asked for."""

    form: Form
    told: Told | Waiting | str | None = None
    square: Square | Waiting | str | None = None
    judges: tuple[str, str] = ("", "")  # of the square

    @property
    def at(self) -> At:
        return self.form.at

    def door(self, cell: str, part: str = "") -> Door:
        """To the chains behind a number of this page."""
        at, told = self.at, self.told
        threshold = told.threshold if isinstance(told, Told) else None
        if cell in SQUARE:
            part, threshold = crossing(*self.judges), _threshold_of_square(at, told)
        number = "" if threshold is None else repr(threshold)
        return Door(at.a, at.b, at.question, at.source, at.split, number, at.tune_split, at.tune_by, cell, part)


@dataclass
class Agreements:
    """Reads comparisons of one store through what is computed beside the pages."""

    store: Store
    hearing: Hearing = field(init=False)

    def __post_init__(self) -> None:
        self.hearing = hearing_of(self.store)

    def page(self, at: At, *, form: Form | None = None) -> AgreementPage:
        """form: as it was a moment ago, where only what is computed is asked for again, and not begun again."""
        anew = form is None
        form = form or form_of(self.store, at)
        if not (form.at.a and form.at.b):
            return AgreementPage(form)
        page = AgreementPage(form, self._asked(lambda: self.report(form.at, anew=anew)))
        if isinstance(page.told, Waiting):
            return page
        judges = judges_of(form)
        page = replace(page, judges=judges)
        if not all(judges):
            return replace(page, square="Choose who says what is correct, and who says what can still be solved.")
        threshold = _threshold_of_square(form.at, page.told)
        return replace(page, square=self._asked(lambda: self.crossed(form.at, judges, threshold, anew=anew)))

    def _asked(self, compute: Callable[[], Any]) -> Any:
        try:
            return compute()
        except StepvizError as error:
            return str(error)

    def report(self, at: At, wait_s: float = PATIENCE_S, *, anew: bool = True) -> Told | Waiting:
        """StepvizError: what is asked cannot be told."""
        settings, state = at.settings, self.hearing.state()

        def compute(tick: Callable[[], None]) -> Told:
            said = heard(self.store, settings, tick)
            threshold = said.threshold if said.scored else None
            spoken = spoken_of(said)
            self.hearing.keep(("heard", _at(settings, threshold)), state, spoken)
            names = ("chains", *DETECTED, *FIRSTS, *STEPS)
            counts = {name: count_of(spoken.cells[name]) for name in names}
            counts |= {f"scored@{part}" if part else "scored": count_of(spoken.steps(part)) for part in ("", *SCORED)}
            return Told(compared(self.store, said), threshold, counts)

        return self.hearing.ask(("report", settings), compute, self._total(settings), wait_s, anew)

    def spoken(self, settings: Settings, wait_s: float = PATIENCE_S) -> Spoken | Waiting:
        def compute(tick: Callable[[], None]) -> Spoken:
            return spoken_of(heard(self.store, settings, tick))

        return self.hearing.ask(("heard", settings), compute, self._total(settings), wait_s)

    def crossed(
        self,
        at: At | Door,
        judges: tuple[str, str],
        threshold: float,
        wait_s: float = PATIENCE_S,
        *,
        anew: bool = True,
    ) -> Square | Waiting:
        key = ("square", *judges, at.source, at.split, threshold)

        def compute(tick: Callable[[], None]) -> Square:
            return crossed(self.store, *judges, at.source or None, at.split or None, threshold, tick)

        total = self.store.count_chains(ChainFilter(at.source or None, at.split or None))
        return self.hearing.ask(key, compute, total, wait_s, anew)

    def behind(self, door: Door, wait_s: float = PATIENCE_S) -> Listed | Waiting:
        """The chains behind a number, by the code that counts it. StepvizError: there is no such number."""
        if (judges := door.crossed) is not None:
            square = self.crossed(door, judges, door.settings.threshold or THRESHOLD, wait_s)
            return square if isinstance(square, Waiting) else of_square(square, door.cell)
        spoken = self.spoken(door.settings, wait_s)
        if isinstance(spoken, Waiting):
            return spoken
        try:
            own = {"scored": spoken.steps, "ceiling": spoken.ceiling}.get(door.cell)
            return own(door.part) if own else spoken.cells.of(door.cell, door.part)
        except KeyError:
            raise StepvizError(f"There is no part {door.part[:60]!r} of this comparison.") from None

    def calibrate(self, at: At, model: str, split: str, kind: str) -> str:
        """Learns and saves; what to say of it. StepvizError: nothing can be learnt there."""
        if kind not in KINDS:
            raise StepvizError(f"Scores are read {' or '.join(KINDS)}, not {kind[:20]!r}.")
        if model not in (at.a, at.b):
            raise StepvizError("Learn how to read the scores of one of the two who are compared.")
        if not split:
            raise StepvizError("Choose the split to learn on: not the one that is looked at.")
        against = at.a if model == at.b else at.b
        asked = Settings(against, model, at.settings.question, at.source or None, split)
        id_, learnt, steps = calibrate(self.store, asked, "temperature" if kind == "temperature" else "isotonic")
        return f"Saved with {id_.partition('@')[0]}: {learnt.kind}, learnt from {steps:,} steps of {split}."

    def _total(self, settings: Settings) -> int:
        """How many chains are read: of the split where the threshold is chosen, too."""
        splits = (settings.split, settings.tune_split) if settings.tune_split else (settings.split,)
        return sum(self.store.count_chains(ChainFilter(settings.source, split)) for split in splits)


def spoken_of(said: Heard) -> Spoken:
    among = said.settings.a == said.settings.b
    pairs = cells(said.a.opinions, None if among else said.b.opinions, said.sources)
    scored = sorted(said.scored, key=lambda sides: sides[0] is not said.b)
    return Spoken(said, pairs, scored_steps(*scored[0]) if scored else ())


def in_part(part: str, threshold: float) -> Callable[[ScoredStep], bool]:
    """Which of the steps that a scorer is held against; KeyError for another name."""
    kind, _, place = part.partition(":")
    if kind == "bin" and place in map(str, range(BINS)):
        return lambda at: min(int(at.score * BINS), BINS - 1) == int(place)
    parts: dict[str, Callable[[ScoredStep], bool]] = {
        "": lambda at: True,
        "flagged": lambda at: at.score <= threshold,
        "errors": lambda at: not at.label,
        "hits": lambda at: not at.label and at.score <= threshold,
    }
    return parts[part]


def of_square(square: Square, cell: str) -> Listed:
    """A cell of the two questions, as a list of chains."""
    found: dict[tuple[str, str], list[int]] = {}
    for step in square.steps[SQUARE[cell]]:
        found.setdefault((step.problem, step.chain), []).append(step.step)
    n = len(square.steps[SQUARE[cell]])
    return Listed(tuple(Place(*at, tuple(steps), len(steps)) for at, steps in found.items()), n, n)


def count_of(found: Listed) -> Count:
    return Count(found.things, found.pairs, found.chains)


def judges_of(form: Form) -> tuple[str, str]:
    """Who says what is correct, and what can still be solved: as the address says, else who can of the two compared,
    else who can at all. A group of people cannot: they are several."""
    able = {
        q: [c.who for c in form.choices if q in c.asks and not c.silent and one(c.who)] for q in ("correct", "solvable")
    }

    def chosen(given: str, question: str, first: tuple[str, ...]) -> str:
        of_two = [who for who in first if who in able[question]]
        return given or next(iter([*of_two, *able[question]]), "")

    right = chosen(form.at.right, "correct", ("exact", form.at.a, form.at.b))
    return right, chosen(form.at.solved, "solvable", ("rollouts", form.at.b, form.at.a, "exact"))


def one(who: str) -> bool:
    """Whether a name is one judge's."""
    return not who.endswith("*") and not who.startswith("study:")


def _threshold_of_square(at: At, told: Any) -> float:
    if isinstance(told, Told) and told.threshold is not None:
        return told.threshold
    try:
        given = at.settings.threshold
    except StepvizError:
        given = None
    return THRESHOLD if given is None else given


def _at(settings: Settings, threshold: float | None) -> Settings:
    """The same, as a door asks for it: at the threshold that was chosen."""
    return replace(settings, threshold=threshold, tune_split=None, tune_by=BY)
