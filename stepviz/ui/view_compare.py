"""What the Compare page shows: the comparisons made so far, and one of them as far as it is drawn. No HTML."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from db.values import RunRow
from stepviz.compare import Accuracy, AtN, Curve, Pair, PitClass, accuracy, curve, pass_at, pits
from stepviz.compare_address import link_of
from stepviz.compare_draws import Found, compared, losses_of
from stepviz.compare_report import rows as problem_rows
from stepviz.compare_scored import scored
from stepviz.compare_scores import rows as score_rows
from stepviz.compare_spec import CompareSettings, settings_of
from stepviz.errors import StepvizError
from stepviz.types import Sampling
from stepviz.ui.compare_at import ROWS, SETTINGS, At
from stepviz.ui.engine_choice import name_of
from stepviz.ui.rows import RunLine
from stepviz.ui.status import run_line
from stepviz.ui.view_compare_form import CompareForm, Cost, cost_of, filled, form_of, sampling_of
from stepviz.ui.view_compare_scores import Judges, judges_of, that_show, threshold_of
from stepviz.ui.view_datasets import age
from stepviz.ui.workbench import Workbench

KIND = "compare"
LISTED = 100  # runs of which comparisons are listed

KEPT, KEPT_S = 4, 60.0  # so many readings are kept, so long, or until something comes in


@dataclass(frozen=True, slots=True)
class ComparisonLine:
    title: str
    where: str
    run: RunLine
    age: str
    link: str
    on: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The numbers of a comparison. rows: of the class that is shown, those of this page, of `listed` in all."""

    found: Found
    accuracy: Accuracy
    pass_at: tuple[AtN, ...]
    curve: Curve | None
    classes: Mapping[PitClass, int]
    rows: tuple[Pair, ...]
    listed: int
    losses: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ComparePage:
    """names, where: of what is compared, empty where the form cannot be read. run: the newest of this comparison."""

    form: CompareForm
    lines: tuple[ComparisonLine, ...] = ()
    names: tuple[str, str] = ("", "")
    where: str = ""
    run: RunLine | None = None
    result: Result | None = None
    judges: Judges | None = None

    @property
    def at(self) -> At:
        return self.form.at


@dataclass
class Comparisons:
    """Reads comparisons, and keeps the last ones: a filter or another curve is no reason to read thousands of draws."""

    bench: Workbench
    kept: dict[tuple[object, ...], tuple[float, Found]] = field(default_factory=dict)

    def page(self, at: At) -> ComparePage:
        store = self.bench.store
        at, runs = filled(store, at), store.runs(LISTED, KIND)
        form = form_of(store, at)
        try:
            settings, sampling = settings_of(at.asked), sampling_of(self.bench, at)
        except StepvizError as error:
            return ComparePage(replace(form, lacks=str(error)), _lines(runs, None))
        at = replace(at, before=settings.before, after=settings.after, sampling=sampling.hash)
        row = next((r for r in runs if _is_of(r, settings, sampling)), None)
        names = name_of(settings.before), name_of(settings.after)
        run = run_line(row) if row else None
        active = bool(run and run.active)
        page = ComparePage(replace(form, at=at, active=active), _lines(runs, row), names, where(settings), run)
        if active:
            return page
        if settings.scorers:
            return self._with_judges(page, settings, row)
        return self._with_result(page, settings, sampling, row)

    def table(self, at: At) -> list[dict[str, Any]]:
        """Of a download: a row a problem, or a chain, of the class that is shown."""
        at = filled(self.bench.store, at)
        settings, sampling = settings_of(at.asked), sampling_of(self.bench, at)
        if settings.scorers:
            return score_rows(that_show(scored(self.bench.store, settings).chains, at), threshold_of(at))
        found = self._found(settings, sampling, None)
        return problem_rows([p for p in found.pairs if not at.show or p.pit_class(at.pit) == at.show], at.pit)

    def _with_judges(self, page: ComparePage, settings: CompareSettings, row: RunRow | None) -> ComparePage:
        found = scored(self.bench.store, settings, _models(row))
        if not found.problems or not (found.chains or any(found.unscored)):
            lacks = "These problems have no chains with steps: sample some in Explore, or import some, first."
            lacks = lacks if found.problems else f"This store has no problem of {_place(settings)}."
            return replace(page, form=replace(page.form, lacks=lacks))
        form = replace(page.form, cost=Cost(sum(found.unscored), 0.0, None, True, "chains to score"))
        return replace(page, form=form, judges=judges_of(found, page.at) if found.chains else None)

    def _with_result(
        self, page: ComparePage, settings: CompareSettings, sampling: Sampling, row: RunRow | None
    ) -> ComparePage:
        found = self._found(settings, sampling, _models(row))
        if not found.problems:
            return replace(page, form=replace(page.form, lacks=_no_problem(settings, found)))
        form = replace(page.form, cost=cost_of(self.bench.store, found.missing, settings))
        return replace(page, form=form, result=self._result(found, page.at, settings) if found.pairs else None)

    def _result(self, found: Found, at: At, settings: CompareSettings) -> Result:
        shown = [p for p in found.pairs if not at.show or p.pit_class(at.pit) == at.show]
        skip = at.skipped if at.skipped < len(shown) else 0
        return Result(
            found,
            accuracy(found.pairs),
            tuple(pass_at(found.pairs)),
            curve(found.pairs, "share" if at.along == "share" else "step") if settings.k else None,
            pits(found.pairs, at.pit) if settings.k else {},
            tuple(shown[skip : skip + ROWS]),
            len(shown),
            tuple(losses_of(self.bench.store, settings.after, found.models[1])),
        )

    def _found(self, settings: CompareSettings, sampling: Sampling, models: tuple[str, str] | None) -> Found:
        key = settings, sampling.hash, models, self.bench.store.stamp()
        known = self.kept.get(key)
        if known is None or time.monotonic() - known[0] > KEPT_S:
            while len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            known = self.kept[key] = time.monotonic(), compared(self.bench.store, settings, sampling, models)
        return known[1]


def short(before: str, after: str) -> tuple[str, str]:
    """The names without their folders, for columns and keys, where they still differ."""
    last = before.rsplit("/", 1)[-1], after.rsplit("/", 1)[-1]
    return last if last[0] != last[1] else (before, after)


def where(settings: CompareSettings) -> str:
    """`embedded dev, 40 problems`"""
    return f"{_place(settings)}, {settings.limit:,} problem{'s' if settings.limit != 1 else ''}"


def _place(settings: CompareSettings) -> str:
    return " ".join(part for part in (settings.source, settings.split) if part) or "all sources"


def _models(row: RunRow | None) -> tuple[str, str] | None:
    """Whose draws the run has made, where it says so."""
    known: Mapping[str, Any] = (row.progress.get("models") or {}) if row and row.state == "done" else {}
    return (known["before"], known["after"]) if {"before", "after"} <= known.keys() else None


def _no_problem(settings: CompareSettings, found: Found) -> str:
    if found.ungraded:
        return "None of these problems has a gold answer, so nothing can be judged right or wrong."
    return f"This store has no problem of {_place(settings)}."


def _is_of(row: RunRow, settings: CompareSettings, sampling: Sampling) -> bool:
    asked = {name: getattr(settings, name) for name in SETTINGS} | {"sampling": sampling.hash}
    return all(row.spec.get(name) == value for name, value in asked.items())


def _lines(runs: Sequence[RunRow], on: RunRow | None) -> tuple[ComparisonLine, ...]:
    """A line a comparison, with the newest run of it."""
    lines: dict[str, ComparisonLine] = {}
    for row in runs:
        if not set(SETTINGS) <= row.spec.keys():
            continue
        settings, link = CompareSettings(**{name: row.spec[name] for name in SETTINGS}), link_of(row.spec)
        title = " → ".join(short(name_of(settings.before), name_of(settings.after)))
        lines.setdefault(
            link, ComparisonLine(title, where(settings), run_line(row), age(row.created_at), link, on is row)
        )
    return tuple(lines.values())
