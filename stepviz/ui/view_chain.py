"""From the store to the values that one opened chain shows. No HTML, no gradio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.values import AnnotationRow, ChainRow, Measurement, ProblemRow, RefinementFilter
from stepviz.answers import cluster
from stepviz.equations import check_step
from stepviz.glore import Counting, with_consistency
from stepviz.refine_draw import ORIGIN as REFINEMENT
from stepviz.refinement import THRESHOLD, locate
from stepviz.rollouts import prefix_of, unfinished
from stepviz.rollouts import values as measured_values
from stepviz.types import Continuation, StepValue, prefix_hash
from stepviz.ui.address import Address
from stepviz.ui.engine_choice import name_of, whose
from stepviz.ui.mathtext import has_tex, note_around
from stepviz.ui.pits import Marks, likely_of, marks_of, others
from stepviz.ui.rows import AnswerShare, ChainPage, EquationMark, ExactMark, Label, Parent, RunLine, Scorer, StepRow
from stepviz.ui.view_doors import door_of, scorer_of, steps_behind, threshold_of, voices
from stepviz.ui.view_measure import cost_from, measure_cost, seconds_of, spoken
from stepviz.ui.view_scores import by_model, columns, predicted, scorers
from stepviz.ui.views import parent_of, separator_of
from stepviz.ui.workbench import MEASURE_N, MORE_N, Workbench
from stepviz.world import Judgement, exact_for

LISTED = 6  # continuations in the inspector; the dialog has all


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a chain, gathered once: entry i of `draws` belongs to prefix(i)."""

    row: ChainRow
    values: tuple[StepValue, ...]
    draws: tuple[tuple[Continuation, ...], ...]
    labels: Mapping[int, tuple[Label, ...]]
    judgement: Judgement | None
    scores: Mapping[str, Mapping[int, float]]  # by model and step
    marks: Marks
    judged: Mapping[str, Sequence[Continuation]]  # the draws by prefix, as far as they can be right or wrong
    separator: str = "\n"

    @property
    def sequential(self) -> bool:
        """Whether draws may have decided how much is drawn: a strategy, or "32 more here", leaves unequal numbers.

        The question's do not count: its draws are the problem's sampled chains.
        """
        return len({v.n for v in self.values[1:] if v.terminal is None}) > 1

    def counted(self, rule: Counting | None) -> Sequence[StepValue]:
        """The values as a scorer's labels count them, for what it is held against."""
        if rule is None or not rule.consistent or not self.scores:
            return self.values
        return with_consistency(self.row.chain, self.values, self.judged, self.separator, rule.plain, rule.results)


def problem_page(bench: Workbench, row: ProblemRow, run: RunLine | None = None) -> ChainPage:
    """A problem that has no chain yet."""
    tex = has_tex(row.question, row.answer, row.solution)
    return ChainPage(row.id, (StepRow(0, row.question),), gold=row.answer, run=run, tex=tex)


def missing_page(what: str) -> ChainPage:
    return ChainPage("", (), missing=what)


def chain_page(
    bench: Workbench, at: Address, row: ProblemRow, chain: ChainRow, run: RunLine | None = None, listed: int = LISTED
) -> ChainPage:
    """One chain opened; `listed` continuations a step are given with their text."""
    theirs = whose(bench, row.id, at.by)
    shown = theirs.shown(chain)
    known = gather(bench, row, chain, shown)
    tex = has_tex(row.question, row.answer, row.solution, chain.chain.text)
    texts = (row.question, *chain.chain.steps)
    kinds = ("step", *(s.kind for s in chain.chain.spans))
    found = scorers(bench.store, known.scores) if known.scores else ()
    door = door_of(at)
    shown_scorers, drawn = columns(found, at.scorer or scorer_of(door, found))
    threshold = next(t for t in (at.t, threshold_of(door), THRESHOLD) if t is not None)
    pit = _predicted_pit(known, drawn, threshold)
    by_rule = {rule: known.counted(rule) for rule in {s.counting for s in shown_scorers}}
    likely = likely_of(
        chain, known.values, others(chain, known.draws[0]), shown.model_id if shown else "", shown_scorers, known.scores
    )
    rows = tuple(
        _row(known, i, text, kinds[i], listed, shown_scorers, drawn, {rule: v[i] for rule, v in by_rule.items()})
        for i, text in enumerate(texts)
    )
    if likely and likely.step < len(rows):
        rows = (*rows[: likely.step], replace(rows[likely.step], likely=likely), *rows[likely.step + 1 :])
    asked = _of_measurer(known, shown, theirs.at_work(chain), bench)
    bench = bench.drawn_by(theirs.spec(chain))
    cost = measure_cost(asked.row.chain, asked.values, asked.draws, bench.sampling.max_tokens)
    by, own = _name(shown.model_id if shown else ""), theirs.own(chain)
    foreign = own is not None and (shown.model_id != own.id if shown else theirs.spec(chain) != own.spec)
    heard = voices(bench, door, row, chain) if door else ()
    about = steps_behind(bench, door, chain.chain.id) or sorted(v.first for v in heard if v.first) if door else ()
    return ChainPage(
        problem=row.id,
        rows=rows,
        chain=chain.chain.id,
        number=chain.number,
        verdict=chain.verdict.value,
        verdict_reason=chain.verdict.reason,
        overridden=chain.overridden,
        graded=chain.graded.value,
        graded_reason=chain.graded.reason,
        answer=chain.verdict.answer,
        gold=row.answer,
        meta=meta_of(bench, chain, "" if foreign else by),
        selected=_focus(at, known, len(rows), likely.step if likely else pit, next(iter(about), None)),
        measured=all(v.n >= MEASURE_N or v.terminal for v in asked.values),
        measure_n=MEASURE_N,
        cost=spoken(cost),
        seconds=seconds_of(bench, cost),
        measured_by=by,
        own=_name(own.id, beside=by) if own and foreign else "",
        measurer=name_of(theirs.spec(chain)),
        by=at.by,
        scorers=found,
        columns=shown_scorers,
        drawn=drawn,
        threshold=threshold,
        predicted_pit=pit,
        parent=_parent(bench, chain),
        run=run,
        blocked="" if row.answer else "This problem has no gold answer, so no continuation can be judged.",
        tex=tex,
        notes=notes_of(known, likely is not None and likely.step == len(rows)),
        voices=heard,
    )


def gather(bench: Workbench, row: ProblemRow, chain: ChainRow, shown: Measurement | None) -> Known:
    """Reads what the store knows of a chain, under one model and sampling."""
    store, body = bench.store, chain.chain
    separator = separator_of(bench, shown)
    prefixes = [prefix_hash(prefix_of(body, i, separator)) for i in range(body.n + 1)]
    # by prefix: a problem of many measured chains has thousands of draws, this chain a few dozen
    found = {p: store.continuations(row.id, p, shown.model_id, shown.sampling_id) for p in prefixes} if shown else {}
    draws = tuple(tuple(found.get(p, ())) for p in prefixes)
    judged = found if row.answer else {}  # without a gold answer no draw is a failure
    values = tuple(measured_values(body, judged, chain.verdict, separator))
    judge = exact_for(row.problem)
    judgement = judge.judge(body.steps) if judge and body.n else None
    annotations = store.annotations(body.id)
    scores = by_model(store.scores(body.id))
    marks = marks_of(body, chain.verdict, values, found, judgement, separator)
    return Known(chain, values, draws, _labels(annotations), judgement, scores, marks, judged, separator)


def _predicted_pit(known: Known, drawn: Scorer | None, threshold: float) -> int | None:
    """GLoRe's "where" by the scorer that is drawn; the browser does the same while the threshold is dragged."""
    scores = known.scores[drawn.id] if drawn else {}
    return locate([scores[step] for step in sorted(scores)], threshold)


def _labels(annotations: Sequence[AnnotationRow]) -> dict[int, tuple[Label, ...]]:
    """Step → who said what of it. A first error is shown at its step; what is said of the whole chain, at row 0.

    A verdict is no label of a step: the head of the chain says it.
    """
    found: dict[int, list[Label]] = defaultdict(list)
    for a in (row.annotation for row in annotations):
        if a.question == "first_error":
            said = (1, "no step is wrong") if a.value is None else (-1, "first error")
            found[a.value or 0].append(Label(a.annotator, *said, a.note))
        elif a.question in ("correct", "solvable"):
            whole = "" if a.step else " (the whole chain)"
            found[a.step].append(Label(a.annotator, a.value, f"{a.question}{whole}", a.note))
        elif a.question == "decides" and a.value:
            found[a.value].append(Label(a.annotator, 1, "decides", a.note))
    return {step: tuple(labels) for step, labels in found.items()}


def _row(
    known: Known,
    i: int,
    text: str,
    kind: str,
    listed: int,
    shown: Sequence[Scorer],
    drawn: Scorer | None,
    counted: Mapping[Counting | None, StepValue],
) -> StepRow:
    draws = known.draws[i]
    newest = tuple(reversed(draws))[:listed]
    said = known.judgement.steps[i - 1] if known.judgement and i else None
    exact = (
        ExactMark(said.correct, said.inherited, said.readable, said.solvable, said.progress, said.reason)
        if said
        else None
    )
    return StepRow(
        number=i,
        text=text,
        kind=kind,
        value=known.values[i],
        sequential=known.sequential,
        score=known.scores[drawn.id].get(i) if drawn else None,
        predicted=predicted(shown, known.scores, i, counted, exact),
        labels=known.labels.get(i, ()),
        exact=exact,
        equations=equation_marks(text) if i else (),
        pits=known.marks.pits.get(i, ()),
        gain=known.marks.gain if known.marks.critical == i and i else None,
        endings=endings(draws),
        continuations=newest,
        more=len(draws) - len(newest),
        cost=cost_from(known.row.chain, i, draws, MORE_N),
    )


def equation_marks(text: str) -> tuple[EquationMark, ...]:
    """A mark behind every equation that could be judged; a calculator note repeats the equation around it."""
    checks = [c for c in check_step(text) if c.holds is not None]
    marks = []
    for c in checks:
        note = note_around(text, c.start, c.end)
        if note and any(o.start <= note[0] and note[1] <= o.end for o in checks):
            continue
        reason = c.reason if c.holds else f"{' '.join(c.text.split())}: {c.reason}"
        marks.append(EquationMark(note[1] if note else c.end, bool(c.holds), reason))
    return tuple(marks)


def endings(draws: Sequence[Continuation]) -> tuple[AnswerShare, ...]:
    """Where continuations end: clusters of answers, and those cut off by the token limit before one apart."""
    whole = [d for d in draws if not unfinished(d)]
    shares = []
    for found in cluster([d.answer for d in whole]):
        first = whole[found.members[0]]
        shares.append(AnswerShare(found.answer, first.verdict, len(found.members)))
    shares.sort(key=lambda s: -s.n)
    cut = len(draws) - len(whole)
    return (*shares, AnswerShare(None, "unknown", cut, unfinished=True)) if cut else tuple(shares)


def _of_measurer(known: Known, shown: Measurement | None, model_id: str, bench: Workbench) -> Known:
    """What a measurement finds there: nothing, where the draws that are shown are not those it adds to."""
    if shown is None or (shown.model_id, shown.sampling_id) == (model_id, bench.sampling.hash):
        return known
    values = tuple(v if v.terminal else StepValue(v.step, 0, 0) for v in known.values)
    return replace(known, values=values, draws=tuple(() for _ in known.draws))


def _name(model_id: str, beside: str = "") -> str:
    """Without its hash, unless that is all that sets it apart from the name beside it."""
    name, _, weights = model_id.partition("@")
    return name if name != beside or not weights else f"{name}@{weights[:6]}"


def meta_of(bench: Workbench, chain: ChainRow, measured_by: str) -> tuple[str, ...]:
    """Where a chain comes from: its model, temperature and seed, or its origin; then how it was cut."""
    facts = [_name(str(chain.chain.meta.get("refiner") or chain.chain.origin))]
    if chain.model_id:
        facts = [_name(chain.model_id)]
        if chain.sampling_id:
            facts.append(f"T {bench.store.sampling(chain.sampling_id).temperature:g}")
        facts.append(f"seed {chain.seed % 1_000_000}")
    if not chain.chain.rule.startswith("line/"):
        facts.append(f"steps: {chain.chain.rule.partition('/')[0]}")
    if measured_by and measured_by != facts[0]:
        facts.append(f"measured with {measured_by}")
    return tuple(facts)


def notes_of(known: Known, beyond: bool = False) -> tuple[str, ...]:
    """beyond: the posterior puts the pit behind the last step."""
    lucky = "Lucky: a step is wrong and the answer is right, so there is no exact pit."
    stops = "By the posterior the answer is still reached from the last step: there the chain just stops."
    return (lucky,) * bool(known.judgement and known.judgement.lucky) + (stops,) * beyond


def _focus(at: Address, known: Known, n_rows: int, otherwise: int | None, about: int | None = None) -> int:
    """The step in the address, else what a number is about, else the first pit, else the likely or the predicted one,
    else the question."""
    if at.step is not None and at.chain == known.row.chain.id:
        return min(at.step, n_rows - 1)
    if about is not None:
        return min(about, n_rows - 1)
    return min(known.marks.pits, default=min(otherwise or 0, n_rows - 1))


def _parent(bench: Workbench, chain: ChainRow) -> Parent | None:
    """The chain it grew out of; of a refinement with the ledger's newest line that has it."""
    if chain.chain.parent is None or (parent := bench.store.chain(chain.chain.parent)) is None:
        return None
    lines = (
        bench.store.refinements(RefinementFilter(draft=parent.chain.id), limit=None)
        if chain.chain.origin == REFINEMENT
        else []
    )
    line = next((r.id for r in lines if any(c.chain == chain.chain.id for c in r.candidates)), None)
    return parent_of(chain.chain, parent.number, line)
