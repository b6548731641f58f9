"""What the ledger of refinements shows, and which of its lines is open. No HTML, no gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.values import ChainRow, ProblemRow, RefinementFilter, RefinementRow
from stepviz.errors import StepvizError
from stepviz.types import VerdictValue
from stepviz.ui.refine_address import At
from stepviz.ui.view_datasets import age
from stepviz.ui.views import place
from stepviz.ui.workbench import Workbench

LISTED = 100


@dataclass(frozen=True, slots=True)
class LedgerLine:
    id: int
    chain: str
    number: int
    place: str
    when: float | None
    chosen: bool
    where: int | None
    threshold: float
    by_hand: bool
    how: str
    pick: str
    before: VerdictValue
    after: VerdictValue
    gain: int | None
    samples: int
    age: str


@dataclass(frozen=True, slots=True)
class Ledger:
    lines: tuple[LedgerLine, ...] = ()
    total: int = 0
    everything: int = 0  # without filters
    skip: int = 0


def ledger_of(bench: Workbench, at: At, line: RefinementRow | None) -> Ledger:
    chain = bench.store.chain(at.chain) if at.of == "problem" and at.chain and line is None else None
    problem = line.problem_id if line else chain.chain.problem_id if chain else ""
    wanted = filter_of(at, line, problem)
    total = bench.store.count_refinements(wanted)
    skip = at.number("skip") or 0
    skip = skip if skip < total else 0
    rows = bench.store.refinements(wanted, LISTED, skip)
    drafts: dict[str, ChainRow | None] = {row.draft: None for row in rows}
    problems: dict[str, ProblemRow | None] = {row.problem_id: None for row in rows}
    drafts = {id: bench.store.chain(id) for id in drafts}
    problems = {id: bench.store.problem(id) for id in problems}
    lines = tuple(_ledger_line(row, drafts[row.draft], problems[row.problem_id]) for row in rows)
    everything = total if wanted == RefinementFilter() else bench.store.count_refinements()
    return Ledger(lines, total, everything, skip)


def filter_of(at: At, line: RefinementRow | None, problem: str) -> RefinementFilter:
    draft = line.draft if line else at.chain
    return RefinementFilter(
        draft=draft or None if at.of == "chain" else None,
        problem_id=problem or None if at.of == "problem" else None,
        when=at.when or None,
        where=at.where or None,
        how=at.by or None,
        gain=at.gain or None,
    )


def line_of(bench: Workbench, at: At) -> RefinementRow | None:
    """The line of the address, else what the run of the address wrote, else the newest of the draft, or of all."""
    store = bench.store
    if at.refinement:
        id_ = at.number("refinement")
        if id_ is None:
            raise StepvizError("This address names no refinement.")
        return store.refinement(id_)
    if (run := at.number("run")) is not None:
        made = _progress(bench, run).get("line")
        if isinstance(made, int):
            return store.refinement(made)
    return next(iter(store.refinements(RefinementFilter(draft=at.chain or None), limit=1)), None)


def _progress(bench: Workbench, run: int) -> Mapping[str, Any]:
    try:
        return bench.store.run(run).progress
    except StepvizError:  # an old address: the page opens without it
        return {}


def _ledger_line(row: RefinementRow, draft: ChainRow | None, problem: ProblemRow | None) -> LedgerLine:
    assert draft is not None and problem is not None and row.created_at is not None, (
        "the ledger refers to what is there"
    )
    return LedgerLine(
        id=row.id,
        chain=row.draft,
        number=draft.number,
        place=place(problem),
        when=row.when,
        chosen=row.chosen,
        where=row.at or row.where,
        threshold=row.threshold,
        by_hand=row.at is not None,
        how=row.how,
        pick=row.pick,
        before=row.candidates[0].verdict,
        after=row.picked.verdict,
        gain=row.gain,
        samples=row.samples,
        age=age(row.created_at),
    )
