"""What the Datasets page shows: the list, and one dataset with some of its rows. No HTML, no gradio."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from db.values import ChainFilter, DatasetRow, ProblemFilter, RunRow
from stepviz.errors import StepvizError
from stepviz.recipes import RECIPES, is_test
from stepviz.ui.rows import RunLine
from stepviz.ui.status import RECENT, now, run_line
from stepviz.ui.view_recipe import RecipeForm, form_of, option_label
from stepviz.ui.workbench import Workbench

LISTED = 200
ROWS = 10  # of a dataset, on one page
_ENDED = ("failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class At:
    """What the address says: a dataset, the first of the rows shown (0, 1, …), and the build one waits for.

    recipe, study: what the form begins with, for a link from a study.
    """

    dataset: int | None = None
    row: int = 0
    run: int | None = None
    recipe: str = ""
    study: str = ""


@dataclass(frozen=True, slots=True)
class DatasetLine:
    id: int
    name: str
    version: int
    recipe: str
    rows: int
    hash: str
    age: str


@dataclass(frozen=True, slots=True)
class DatasetList:
    """`runs`: builds at work, and the one of the address where it did not end well."""

    lines: tuple[DatasetLine, ...]
    total: int
    selected: int | None = None
    runs: tuple[RunLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row comes from: a place in Explore with its name, and facts beside it."""

    link: str
    place: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenDataset:
    dataset: DatasetRow
    age: str
    start: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    origins: tuple[Origin | None, ...] = ()  # one a row; None: it names no problem
    again: bool = False  # a build has just come to this version a second time


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What an empty page says there is to build from; problems without those of test splits."""

    problems: int = 0
    solutions: bool = False
    chains: int = 0
    draws: int = 0
    annotators: int = 0


@dataclass(frozen=True, slots=True)
class DatasetsPage:
    form: RecipeForm
    list: DatasetList
    open: OpenDataset | None = None
    missing: str = ""
    ingredients: Ingredients = field(default_factory=Ingredients)


def parse(query: str) -> At:
    """An address written by anyone: what is no number is left out."""
    given = parse_qs(query.removeprefix("?")[:2000])

    def number(name: str) -> int | None:
        text = given.get(name, [""])[0]
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    recipe, study = (given.get(name, [""])[0] for name in ("recipe", "study"))
    return At(number("dataset"), number("row") or 0, number("run"), recipe if recipe in RECIPES else "", study[:100])


def page_of(bench: Workbench, at: At, sent: Mapping[str, Any] | None = None) -> DatasetsPage:
    """The whole page; without a dataset in the address the newest one is open."""
    opened, missing = open_dataset(bench, at)
    listed = dataset_list(bench, at, opened.dataset.id if opened else None)
    there = ingredients(bench) if not listed.total else Ingredients()
    begun = sent if sent and "recipe" in sent else _begun(at)
    return DatasetsPage(form_of(bench.store, begun), listed, opened, missing, there)


def _begun(at: At) -> dict[str, str]:
    """The form as a link asks for it."""
    if not at.recipe:
        return {}
    chosen = {"study": at.study, "annotator": ""} if at.study else {}
    return {"recipe": at.recipe, "of": at.recipe, **chosen}


def dataset_list(bench: Workbench, at: At, selected: int | None) -> DatasetList:
    found = bench.store.datasets()
    lines = tuple(
        DatasetLine(d.id, d.name, d.version, d.recipe, d.n_rows, d.hash, age(d.created_at)) for d in found[:LISTED]
    )
    return DatasetList(lines, len(found), selected, tuple(builds(bench, at)))


def builds(bench: Workbench, at: At) -> list[RunLine]:
    """Builds that wait or run, and the one of the address where it has something left to say."""
    rows = [row for row in bench.store.runs(RECENT) if row.kind == "dataset"]
    here = run_of(bench, at)
    if here is not None and all(row.id != here.id for row in rows):
        rows.append(here)
    shown = [row for row in rows if row.state in ("queued", "running") or (row.id == at.run and row.state in _ENDED)]
    return [run_line(row) for row in shown if row.id not in bench.dismissed]


def run_of(bench: Workbench, at: At) -> RunRow | None:
    """The build that the address waits for."""
    if at.run is None:
        return None
    try:
        row = bench.store.run(at.run)
    except StepvizError:
        return None
    return row if row.kind == "dataset" else None


def open_dataset(bench: Workbench, at: At) -> tuple[OpenDataset | None, str]:
    """(the dataset of the address, or why there is none)."""
    store, run = bench.store, run_of(bench, at)
    id_ = at.dataset if at.dataset is not None else run.progress.get("dataset") if run else None
    try:
        made = store.dataset(id_) if id_ is not None else next(iter(store.datasets()), None)
    except StepvizError as error:
        return None, str(error)
    if made is None:
        return None, ""
    start = min(at.row, max(0, made.n_rows - 1)) // ROWS * ROWS
    rows = tuple(store.dataset_rows(made.id, start, max(0, min(ROWS, made.n_rows - start))))
    again = run is not None and run.started_at is not None and made.created_at < run.started_at
    origins = tuple(origin(bench, row) for row in rows)
    return OpenDataset(made, age(made.created_at), start, rows, origins, again and at.dataset is None), ""


def origin(bench: Workbench, row: Mapping[str, Any]) -> Origin | None:
    """The chain or problem a row was made from, as Explore finds it."""
    said = row.get("origin")
    if not isinstance(said, Mapping) or not isinstance(said.get("problem"), str):
        return None
    problem = bench.store.problem(said["problem"])
    chain = bench.store.chain(said["chain"]) if isinstance(said.get("chain"), str) else None
    facts = tuple(_facts(said))
    if problem is None:
        return Origin("", "a problem that is no longer in this store", facts)
    first = problem.sources[0] if problem.sources else None
    place = f"{first.source} {first.key.removeprefix(first.source + '/')}" if first else problem.id
    if chain is None:
        return Origin(f"/?problem={problem.id}", place, facts)
    step = said.get("step")
    at_step = f"&step={step}" if isinstance(step, int) and step > 0 else ""
    return Origin(f"/?chain={chain.chain.id}{at_step}", f"{place} · chain {chain.number}", facts)


def _facts(said: Mapping[str, Any]) -> list[str]:
    found = []
    if isinstance(said.get("step"), int):
        found.append(f"step {said['step']}")
    if said.get("annotator"):
        found.append(f"labels of {said['annotator']}")
    if said.get("study"):
        found.append(f"study {said['study']}")
    if said.get("model"):
        found.append(str(said["model"]).partition("@")[0])
    return [fact[:80] for fact in found]


def ingredients(bench: Workbench) -> Ingredients:
    """What the whole store holds for recipes to read."""
    store = bench.store
    problems, chains, draws, solutions = 0, 0, 0, False
    for source, n in store.sources():
        tests = [(split, count) for split, count in store.splits(source) if is_test(split)]
        problems += max(0, n - sum(count for _, count in tests))
        # their chains and draws are counted as they are: all of the source without those of its test splits
        chains += store.count_chains(ChainFilter(source))
        chains -= sum(store.count_chains(ChainFilter(source, split)) for split, _ in tests)
        draws += sum(m.n for m in store.measured_with(source))
        draws -= sum(m.n for split, _ in tests for m in store.measured_with(source, split))
    if problems:
        first = next((p for p in store.problems(ProblemFilter(), 200) if not _in_test(p.sources)), None)
        solutions = first is not None and bool(first.solution)
    return Ingredients(problems, solutions, max(0, chains), max(0, draws), len(store.annotators()))


def _in_test(places: tuple[Any, ...]) -> bool:
    return any(is_test(place.split) for place in places)


def age(at: datetime) -> str:
    """`now`, `5 min`, `3 h`, `12 days`, then the date."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = (now() - at).total_seconds()
    if seconds < 60:
        return "just now"
    for size, limit, name in ((60, 60, "min"), (3600, 24, "h"), (86400, 30, "days")):
        if (n := int(seconds / size)) < limit:
            return f"{n} {name[:-1] if name == 'days' and n == 1 else name} ago"
    return at.astimezone().strftime("%d %b %Y")


_COMMAND_OR_OPTION = re.compile(r"python -m [^,;]+|(?<![\w-])--(?:no-)?([a-z][a-z-]*)")


def in_words(message: str) -> str:
    """A message written for the command line, with its options called as the form calls them.

    A command that it advises stays a command.
    """

    def called(match: re.Match[str]) -> str:
        return f"“{option_label(match[1].replace('-', '_'))}”" if match[1] else match[0]

    return _COMMAND_OR_OPTION.sub(called, message)
