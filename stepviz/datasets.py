"""From the store to a training set: a recipe's rows, frozen as a version with everything that made them.

Problems stream through the recipe one at a time; nothing is stored before all rows are made, so a build that fails
or is stopped leaves the store as it was. The same recipe with the same configuration on the same data gives the same
hash, and no new version. A test problem never enters: `test_overlap` says whether it stops the build or is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from db.spool import Spool
from db.store import Store
from db.values import ChainRow, DatasetRow, ProblemFilter, ProblemRow
from stepviz.datasets_config import Selection
from stepviz.datasets_plan import Plan, default_name, nothing, planned, told
from stepviz.datasets_walked import Walked, walked
from stepviz.errors import StepvizError
from stepviz.recipes import MASK, Attempt, Case, Dropped, PrefixBalance, Recipe, Row, is_test
from stepviz.recipes.case import NO_CHAIN
from stepviz.rollouts import by_prefix
from stepviz.study_labels import Labels, labels_for
from stepviz.types import Annotation, digest

Progress = Callable[[Mapping[str, Any]], None]
TELL_EVERY = 20  # problems

TEST_TOO = "a problem that also is in a test split"
OVER_THE_LIMIT = "a row over the limit a problem"
UNBALANCED = "a row that keeps no label after the balance"
HELD_OUT = "a problem of the other part"


class Stopped(StepvizError):
    """The build was cancelled; nothing was stored."""


def build(
    store: Store,
    recipe: str,
    config: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> DatasetRow:
    """Freeze the rows of a recipe as a dataset of the store (default name: the recipe's).

    config: fields of Selection and of the recipe's options; what is not given has its default. StepvizError, saying
    what to do, for a recipe or option that is not there, a test problem, and where no row comes out. `on_progress`
    gets {"done", "total", "unit", "rows"}; Stopped is raised soon after `cancelled` says so.
    """
    plan = planned(store, recipe, config or {})
    dropped, tally = Dropped(), Tally()
    balance = PrefixBalance(plan.options.seed) if getattr(plan.options, "balance", False) else None
    with Spool() as spool:
        for row in _watched(_rows(store, plan, dropped, tally, on_progress), cancelled):
            spool.add(row)
            if balance is not None:
                balance.see(row["labels"])
        if not len(spool):
            raise StepvizError(nothing(store, plan, dropped))
        final = _watched(_final(spool, balance, dropped, tally), cancelled)
        return store.add_dataset(
            name or default_name(plan),
            plan.recipe.name,
            plan.config,
            _at_least_one(final, plan, dropped),
            format=plan.recipe.format,
            counts=tally.counts,
            dropped=dropped.reasons,
        )


class Tally:
    """What is in the rows, counted as they pass; `counts` is what the record keeps."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {"problems": 0, "chains": 0}
        self._problem, self._chains = "", set[str]()

    def source(self, source: str, rows: int) -> None:
        if rows:
            self._add("sources", source, rows)

    def row(self, row: Row) -> None:
        """Rows of a problem stand together."""
        origin = row["origin"]
        if origin["problem"] != self._problem:
            self._problem, self._chains = origin["problem"], set()
            self.counts["problems"] += 1
        if (chain := origin.get("chain")) and chain not in self._chains:
            self._chains.add(chain)
            self.counts["chains"] += 1
        if model := origin.get("model"):
            self._add("models", model, 1)
        if origin.get("study"):
            self._add("people", origin["annotator"], 1)
            self._add("guidelines", origin["guideline"], 1)
        for label, n in Counter(row.get("labels", ())).items():
            self._add("labels", "masked" if label == MASK else str(label), n)

    def _add(self, group: str, key: str, n: int) -> None:
        found = self.counts.setdefault(group, {})
        found[key] = found.get(key, 0) + n


# ---- from the store to cases


def _rows(
    store: Store, plan: Plan, dropped: Dropped, tally: Tally, on_progress: Progress | None
) -> Iterator[Row | None]:
    """The recipe's rows, problem after problem; None after each problem, so that a cancel is heard."""
    selection = plan.selection
    fits = ProblemFilter(source=selection.source, split=selection.split)
    total = store.count_problems(fits)
    total = min(total, selection.limit or total)
    soft = getattr(plan.options, "soft", False)
    by = walked(store, selection, plan.options.k) if soft and plan.recipe.rollouts else Walked()
    labels = labels_for(store, plan.options)
    taken = made = 0
    for problem in store.problems_of(fits):
        if taken == selection.limit:
            break
        case = _case(store, plan, problem, dropped, by, labels)
        if case is not None:
            taken += 1
            n = 0
            for row in plan.recipe.rows(case, plan.options, dropped):
                if selection.max_per_problem is not None and n >= selection.max_per_problem:
                    dropped.add(OVER_THE_LIMIT)
                    continue
                n += 1
                yield row
            made += n
            tally.source(_source(problem, selection), n)
        if on_progress is not None and (taken % TELL_EVERY == 0 or taken == total):
            on_progress({"done": taken, "total": total, "unit": "problems", "rows": made})
        yield None
    if on_progress is not None:
        on_progress({"done": taken, "total": taken, "unit": "problems", "rows": made})


def _source(problem: ProblemRow, selection: Selection) -> str:
    return selection.source or problem.sources[0].source


def _case(store: Store, plan: Plan, problem: ProblemRow, dropped: Dropped, by: Walked, given: Labels) -> Case | None:
    """The problem with what its recipe reads; None, counted, where it is not selected or has nothing."""
    selection = plan.selection
    if selection.test_overlap == "drop" and any(is_test(place.split) for place in problem.sources):
        dropped.add(TEST_TOO)
        return None
    if not in_part(problem.id, selection):
        dropped.add(HELD_OUT)
        return None
    places = tuple(tuple(place) for place in problem.sources)
    case = Case(problem.problem, style=selection.style, places=places)
    if not plan.recipe.chains:
        return case
    there = store.chains(problem.id) if problem.n_chains else []
    rows = _first(_in_order([row for row in there if _selected(row, selection, plan.recipe)]), selection.max_chains)
    if not rows:
        dropped.add(NO_CHAIN)
        return None
    labels = given.of(problem.id, [row.chain.id for row in rows], dropped)
    partly = by.of(there, selection.rollout_separator)
    attempts = tuple(_attempt(row, labels.get(row.chain.id, ()), row.chain.id in partly) for row in rows)
    if not plan.recipe.rollouts:
        return replace(case, attempts=attempts)
    draws = store.continuations_for(problem.id, selection.rollout_model, selection.rollout_sampling)
    separator = selection.rollout_separator
    return replace(case, attempts=attempts, draws=by_prefix(draws), separator=separator)


def _attempt(row: ChainRow, labels: Sequence[Annotation], walked: bool) -> Attempt:
    return Attempt(row.chain, row.verdict, row.model_id, row.seed, tuple(labels), walked)


def in_part(problem_id: str, selection: Selection) -> bool:
    """Whether the problem is in the chosen part. A problem is held out or not in every dataset alike."""
    if selection.part == "all":
        return True
    held_out = int(digest("held out", problem_id), 16) / 16**24 < selection.held_out
    return held_out == (selection.part == "held-out")


def _selected(row: ChainRow, selection: Selection, recipe: Recipe) -> bool:
    of_model = not selection.model or row.model_id in selection.model or row.chain.origin in selection.model
    of_sampling = selection.sampling is None or row.sampling_id == selection.sampling
    return of_model and of_sampling and (selection.branches or recipe.branches or row.chain.parent is None)


def _in_order(rows: list[ChainRow]) -> list[ChainRow]:
    """Imported chains as they came; then draws by j: they arrive as batches end, in each store in another order."""
    came = [row for row in rows if row.continuation is None]
    drawn = [(row, row.continuation) for row in rows if row.continuation is not None]
    drawn.sort(key=lambda d: (d[0].chain.parent or "", d[0].chain.branch_step or 0, d[0].model_id or "",
                              d[0].sampling_id or "", d[1].j))  # fmt: skip
    return came + [row for row, _ in drawn]


def _first(rows: list[ChainRow], count: int | None) -> list[ChainRow]:
    """Those that `count` draws of each model and sampling have made; of other chains the first of each origin."""
    if count is None:
        return rows
    before, chosen = Counter[tuple[str | None, ...]](), []
    for row in rows:
        if row.continuation is not None and row.chain.parent is None:
            fits = row.continuation.j < count
        else:
            of = (row.chain.origin, row.model_id, row.sampling_id)
            fits = before[of] < count
            before[of] += 1
        if fits:
            chosen.append(row)
    return chosen


# ---- rows, finished


def _final(spool: Spool, balance: PrefixBalance | None, dropped: Dropped, tally: Tally) -> Iterator[Row]:
    for number, row in enumerate(spool):
        if balance is not None:
            row["labels"] = balance.masked(number, row["labels"])
            if set(row["labels"]) == {MASK}:
                dropped.add(UNBALANCED)
                continue
        tally.row(row)
        yield row


def _watched(rows: Iterator[Row | None], cancelled: Callable[[], bool] | None) -> Iterator[Row]:
    for row in rows:
        if cancelled is not None and cancelled():
            raise Stopped("the build was stopped; nothing was stored")
        if row is not None:
            yield row


def _at_least_one(rows: Iterator[Row], plan: Plan, dropped: Dropped) -> Iterator[Row]:
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise StepvizError(
            f"{plan.recipe.name}: the balance left no label, since at each prefix length one class is missing "
            f"({told(dropped)}). Sample and measure more chains, or build with --no-balance."
        )
