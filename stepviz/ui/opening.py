"""What Explore opens with where the address names no problem or no chain: what shows most at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from db.values import ChainRow, ProblemRow
from stepviz.gpo import critical_step
from stepviz.self_explore import first_pit
from stepviz.types import Chain, StepValue
from stepviz.ui.address import Address
from stepviz.ui.views import filter_of, measurement, separator_of, values_of
from stepviz.ui.workbench import PAGE, Workbench

LOOKED_AT = 12  # problems with chains, of the first page


def opening_problem(bench: Workbench, at: Address) -> ProblemRow | None:
    """The first problem of the list whose chain shows a pit midway and a critical step, else with chains, else any."""
    rows = bench.store.problems(filter_of(at), limit=PAGE, offset=at.skip)
    sampled = [row for row in rows if row.n_chains]
    for row in sampled[:LOOKED_AT]:
        if any(shows == 2 for shows, _ in _shown(bench, row.id)):
            return row
    return next(iter([*sampled, *rows]), None)


def opening_chain(bench: Workbench, problem_id: str, source: str = "") -> ChainRow | None:
    """Of the source that was asked for, measured, wrong, and showing most: as far as there is one."""
    ranked = [
        (not (source and row.chain.origin.startswith(source)), shows < 0, row.verdict.value != "wrong", -shows, row)
        for shows, row in _shown(bench, problem_id)
    ]
    return min(ranked, key=lambda r: (*r[:4], r[4].number))[4] if ranked else None


def _shown(bench: Workbench, problem_id: str) -> list[tuple[int, ChainRow]]:
    """Each chain of a problem with what it shows; −1: it is not measured."""
    shown = measurement(bench, problem_id)
    counts = bench.store.continuation_counts(problem_id, shown.model_id, shown.sampling_id) if shown else {}
    separator = separator_of(bench, shown)
    found = []
    for row in bench.store.chains(problem_id):
        values = values_of(row.chain, row.verdict.value, counts, separator)
        measured = any(v.n for v in values[1:])
        found.append((shows(row.chain, values) if measured else -1, row))
    return found


def shows(chain: Chain, values: Sequence[StepValue]) -> int:
    """How many of two: a first pit that is neither its first step nor its last, and a critical step."""
    last = sum(span.kind != "answer" for span in chain.spans)
    pit = first_pit(values).step
    whole = all(v.value is not None for v in values)  # as its mark is drawn: see pits.marks_of
    gain = critical_step(values).gain if whole else None
    return int(pit is not None and 1 < pit < last) + int(gain is not None and gain > 0)
