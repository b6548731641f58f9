"""What the Refine page shows: a draft beside one of its refinements, and the ORM's choice. No HTML, no gradio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from db.values import Candidate, ChainFilter, ChainRow, RefinementRow
from stepviz import model_choices
from stepviz.errors import StepvizError
from stepviz.model_choices import ModelChoice
from stepviz.refine_spec import HOW, NONE, lacking, sampling_for
from stepviz.refinement import THRESHOLD
from stepviz.types import VerdictValue
from stepviz.ui.address import Address
from stepviz.ui.differences import Difference, differences
from stepviz.ui.refine_address import At
from stepviz.ui.rows import ChainPage, RunLine
from stepviz.ui.status import run_here, run_line
from stepviz.ui.view_chain import chain_page
from stepviz.ui.view_ledger import Ledger, ledger_of, line_of
from stepviz.ui.views import place
from stepviz.ui.workbench import Workbench

ROLES = ("refiner", "orm", "sorm")
MOST = 32  # samples of each kind that the page asks for


@dataclass(frozen=True, slots=True)
class Side:
    """A chain as a step table, and what differs from the other side; `difference` None: there is no other."""

    page: ChainPage
    difference: Difference | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One candidate of the ORM's choice."""

    name: str
    score: float | None
    verdict: VerdictValue
    answer: str | None
    chain: str
    picked: bool = False
    shown: bool = False
    notes: tuple[str, ...] = ()  # "cut off", "says what the draft says", …


@dataclass(frozen=True, slots=True)
class Bar:
    """When, where, how, by whom. `when`: the ORM's score of the draft, as far as it scored it."""

    gate: float | None = None
    threshold: float = THRESHOLD
    how: str = "both"
    step: int | None = None
    when: float | None = None
    orm: str = ""
    sorm: str = ""
    refiner: str = ""
    samples: int = 1  # of each kind
    no_flag: str = "global"
    target: str = ""  # what the refiner writes; empty: as it was trained to
    choices: Mapping[str, Sequence[ModelChoice]] = field(default_factory=dict)
    lacks: str = ""
    busy: bool = False
    scored: bool = False  # whether the SORM has scored the draft's steps
    flagged: int | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """The settings of a `refine` job, for any draft."""
        names = ("refiner", "orm", "sorm", "gate", "threshold", "how", "samples", "no_flag")
        return {name: getattr(self, name) for name in names} | {"target": self.target or None}


@dataclass(frozen=True, slots=True)
class RefinePage:
    at: At
    bar: Bar
    ledger: Ledger
    draft: Side | None = None
    refined: Side | None = None
    cards: tuple[Card, ...] = ()
    line: RefinementRow | None = None
    place: str = ""
    run: RunLine | None = None
    missing: str = ""
    suggestion: str = ""  # a wrong chain to begin with
    report: str = ""  # what came of the address's run over many drafts


def page_of(bench: Workbench, at: At) -> RefinePage:
    """The whole page: the line of the address, else what the run of the address wrote, else the draft's newest."""
    store = bench.store
    try:
        line = line_of(bench, at)
    except StepvizError as error:
        return RefinePage(at, Bar(), ledger_of(bench, at, None), missing=str(error))
    ledger = ledger_of(bench, at, line)
    chain = store.chain(line.draft if line else at.chain) if line or at.chain else None
    if chain is None:
        missing = "This chain is not in this store." if at.chain else ""
        run, report = active_run(bench, at), report_of(bench, at)
        bar = bar_of(bench, at, None, None)
        return RefinePage(at, bar, ledger, run=run, missing=missing, suggestion=_suggestion(bench), report=report)
    problem = store.problem(chain.chain.problem_id)
    assert problem is not None, "a chain has its problem"
    run, report = run_here(bench, problem, chain) or active_run(bench, at), report_of(bench, at)
    bar = replace(bar_of(bench, at, line, chain), busy=bool(run and run.active))
    draft = chain_page(bench, _look(chain, bar), problem, chain)
    cards = cards_of(bench, at, line) if line else ()
    shown = next((card for card in cards if card.shown), None)
    page = RefinePage(at, bar, ledger, Side(draft), None, cards, line, place(problem), run, report=report)
    if shown is None:
        return page
    other = store.chain(shown.chain)
    assert other is not None, "a candidate is a chain of the store"
    refined = chain_page(bench, _look(other, bar), problem, other)
    left, right = differences(chain.chain.steps, other.chain.steps, draft.tex)
    sides = Side(draft, left), Side(refined, right, _note(line, shown))
    return RefinePage(at, bar, ledger, *sides, cards, line, place(problem), run, report=report)


def job_of(bench: Workbench, bar: Bar, chains: Sequence[str], **more: Any) -> dict[str, Any]:
    """A `refine` job over these drafts, of as many tokens a refinement as the app draws a sample."""
    own = bench.sampling
    sampling = sampling_for(bar.samples, own.max_tokens, answer_rule=own.style.answer_rule)
    return {**bar.spec, "chains": list(chains), "sampling": sampling, "device": bench.device, **more}


def bar_of(bench: Workbench, at: At, line: RefinementRow | None, chain: ChainRow | None) -> Bar:
    """What the address says, else the open line, else the defaults: the newest model for each part."""
    models = {model.id: model.spec for model in bench.store.models()}
    said = {"refiner": line.refiner, "orm": line.orm, "sorm": line.locator} if line else {}
    choices = {role: _choices(bench, role) for role in ROLES}
    chosen = {}
    for role in ROLES:
        first = choices[role][0].spec if choices[role] else f"embedded:{role}"
        without = line is not None and role == "orm" and line.orm is None
        chosen[role] = getattr(at, role) or models.get(said.get(role) or "") or (NONE if without else first)
    gate = None if at.gate == "always" else at.share("gate") if at.gate else line.gate if line else None
    threshold = at.share("t")
    if threshold is None:
        threshold = line.threshold if line else THRESHOLD
    how = at.how or (line.how if line else "both")
    step = at.number("step") or (line.at if line and not at.t and not at.step else None)
    scores = _scores(bench, chain, chosen["sorm"], models)
    doubt = _scores(bench, chain, chosen["orm"], models)
    return Bar(
        gate=gate,
        threshold=threshold,
        how=how,
        samples=min(at.number("samples") or (line.samples if line else 1), MOST),
        no_flag=at.no_flag or (line.no_flag if line else "global"),
        target=at.target,
        step=step if chain and step and step <= chain.chain.n else None,
        when=doubt[-1] if doubt else None,
        choices=choices,
        lacks=_lacks(chosen, how, step),
        scored=bool(scores),
        flagged=next((i for i, score in enumerate(scores, start=1) if score <= threshold), None),
        **chosen,
    )


def cards_of(bench: Workbench, at: At, line: RefinementRow) -> tuple[Card, ...]:
    names = [c.name for c in line.candidates[1:]]
    first = line.pick if line.pick != "draft" else next((n for n in ("local", "global") if n in names), "")
    shown = at.show if at.show in names else first or next(iter(names), "")
    return tuple(_card(bench, line, candidate, shown) for candidate in line.candidates)


def _card(bench: Workbench, line: RefinementRow, candidate: Candidate, shown: str) -> Card:
    row = bench.store.chain(candidate.chain)
    assert row is not None, "a candidate is a chain of the store"
    notes = _notes(row, candidate, line, bench) if candidate.name != "draft" else ()
    picked, on = candidate.name == line.pick, candidate.name == shown
    return Card(
        candidate.name, candidate.score, row.verdict.value, row.verdict.answer, candidate.chain, picked, on, notes
    )


def _notes(row: ChainRow, candidate: Candidate, line: RefinementRow, bench: Workbench) -> tuple[str, ...]:
    meta, draft, found = row.chain.meta, bench.store.chain(line.draft), []
    if meta.get("finish_reason") == "length":
        found.append("cut off by the token limit, so never picked")
    if not row.chain.n:
        found.append("empty, so never picked")
    elif draft and [s.split() for s in row.chain.steps] == [s.split() for s in draft.chain.steps]:
        found.append("says what the draft says")
    if marks := meta.get("marks"):
        found.append(f"the refiner repeated [BAD] {marks} time{'s' if marks > 1 else ''}; taken out")
    if candidate.name == "local" and line.where == 1:
        found.append("the first step is marked, so local and global are one")
    return tuple(found)


def _note(line: RefinementRow, card: Card) -> str:
    """`from step 2`, or the whole."""
    if not card.name.startswith("local"):
        return "rewritten as a whole"
    return f"rewritten from step {line.at or line.where}{', given by hand' if line.at else ''}"


def _look(chain: ChainRow, bar: Bar) -> Address:
    """The locator's scores are drawn, with the bar's threshold."""
    scorer = bar.sorm if bar.sorm != NONE else bar.orm
    return Address(chain=chain.chain.id, scorer=scorer, t=bar.threshold)


def _choices(bench: Workbench, role: str) -> list[ModelChoice]:
    if role == "refiner":
        return model_choices.refiners(bench.store)
    found = model_choices.scorers(bench.store)
    return sorted(found, key=lambda c: c.role != role)  # its own role first; any scorer may stand in


def _scores(bench: Workbench, chain: ChainRow | None, spec: str, models: Mapping[str, str]) -> list[float]:
    """The draft's scores by the newest model of a spec; empty where it has none."""
    ids = [id for id, known in models.items() if known == spec]
    if chain is None or not ids:
        return []
    return [s.score for s in bench.store.scores(chain.chain.id) if s.model_id == ids[-1]]


def _lacks(chosen: Mapping[str, str], how: str, step: int | None) -> str:
    wanted = [role for role in ROLES if role != "sorm" or ("local" in HOW[how] and not step)]
    return next((why for role in wanted if (why := lacking(role, chosen[role]))), "")


def _suggestion(bench: Workbench) -> str:
    row = next(bench.store.chains_of(ChainFilter(verdict="wrong")), None)
    return row.chain.id if row else ""


def run_of(bench: Workbench, at: At) -> RunLine | None:
    """The run of the address."""
    run = at.number("run")
    try:
        return run_line(bench.store.run(run)) if run is not None else None
    except StepvizError:
        return None


def active_run(bench: Workbench, at: At) -> RunLine | None:
    """The run of the address while it is not over, or where it stopped before its end."""
    run = run_of(bench, at)
    if run is None or run.state == "done" or run.id in bench.dismissed:
        return None
    return replace(run, what="these drafts")


def report_of(bench: Workbench, at: At) -> str:
    """What came of many drafts: `40 drafts: 36 refined, 4 spared, 9 fixed, 1 broken. 12 of 40 were right …`."""
    number = at.number("run")
    try:
        run = bench.store.run(number) if number is not None else None
    except StepvizError:
        return ""
    found = run.progress.get("report") if run is not None and run.state == "done" else None
    if not found or found["drafts"] < 2 or run is None or run.id in bench.dismissed:
        return ""
    judged = found["drafts"] - found["unjudged"]
    counts = ", ".join(f"{found[name]:,} {name}" for name in ("refined", "spared", "fixed", "broken"))
    right = f"{found['right_before']:,} of {judged:,} were right before, {found['right_after']:,} are after"
    most = f" A perfect ranking would keep {found['right_any']:,} right." if "right_any" in found else ""  # older runs
    return f"{found['drafts']:,} drafts: {counts}. {right}.{most}"
