"""What the page Studies shows: the list, one study with its people and conflicts, and an item to settle. No HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from db.store import Store
from db.study_values import GuidelineRow, ItemRow, SlotRow, StudyRow, UserRow
from stepviz.adjudication import RATED, Conflict, agreed
from stepviz.studies import QUESTIONS, stored
from stepviz.study_read import Summaries
from stepviz.study_summary import ItemLine, Settled, Summary, flags, turn
from stepviz.types import Annotation, VerdictValue
from stepviz.ui.mathtext import has_tex
from stepviz.ui.view_datasets import age
from stepviz.ui.view_study_form import FILTERS
from stepviz.ui.views import place

LISTED = 100  # conflicts and notes of a study
EXCERPT = 120  # characters of a question in a list
EXPORTS = (
    ("jsonl", "JSONL", "a line for each submitted item: labels, arm, seconds"),
    ("parquet", "Parquet", "the same in typed columns"),
    ("prm800k.jsonl", "PRM800K", "PRM800K’s own rows"),
    ("processbench.jsonl", "ProcessBench", "ProcessBench’s own rows"),
)


@dataclass(frozen=True, slots=True)
class At:
    """What the address says: a study, an item of it to settle, or a filter of Explore to make one of."""

    study: int | None = None
    item: int | None = None
    filter: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StudyLine:
    """wanted, labelled: turns of items that are not gold."""

    id: int
    name: str
    open: bool
    labelled: int
    wanted: int
    items: int
    age: str


@dataclass(frozen=True, slots=True)
class StudyList:
    lines: tuple[StudyLine, ...]
    selected: int | None = None


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """idle: accounts that have no turn in it; asked: item id → the question's beginning, of those that are listed."""

    told: Summary
    age: str
    guidelines: tuple[GuidelineRow, ...]
    idle: tuple[UserRow, ...]
    asked: Mapping[int, str]
    accounts: bool


@dataclass(frozen=True, slots=True)
class PersonSaid:
    """One person's turn. ratings: (question, step) → +1, 0, −1 or None for unsure; notes likewise, step 0: the item."""

    letter: str
    slot: SlotRow
    ratings: Mapping[tuple[str, int], int | None]
    notes: Mapping[tuple[str, int], str]
    decides: int | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An item as an admin sees it. chosen: what its form begins with, as stepviz.adjudication.settled reads it.

    before, after: ids of the conflicts beside it; number of `of`: its place among them, 0 where it is none.
    """

    study: StudyRow
    item: ItemRow
    questions: tuple[str, ...]
    question: str
    answer: str | None
    verdict: VerdictValue
    place: str
    steps: tuple[str, ...]
    tex: bool
    people: tuple[PersonSaid, ...]
    conflict: Conflict | None
    settled: Settled | None
    chosen: Mapping[str, str]
    note: str
    number: int
    of: int
    open: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class StudiesPage:
    list: StudyList
    open: OpenStudy | None = None
    item: OpenItem | None = None
    missing: str = ""


def parse(query: str) -> At:
    """An address written by anyone: what is no number is left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:4000]))

    def number(name: str) -> int | None:
        text = given.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    return At(number("study"), number("item"), tuple((name, given[name][:500]) for name in FILTERS if given.get(name)))


def agreement_link(study: str, against: str = "") -> str:
    """Where the statistics of a study's people stand: among themselves, or against another judge."""
    people = f"study:{study}"
    return "/agreement?" + urlencode({"a": against or people, "b": people}, errors="replace")


def dataset_link(study: str) -> str:
    """The form of Datasets, with what the people of a study agree on chosen."""
    return "/datasets?" + urlencode({"recipe": "stepwise", "study": study})


def study_link(**filters: str) -> str:
    """The page with a filter of Explore's in its form."""
    kept = urlencode({name: value for name, value in filters.items() if value}, errors="replace")
    return f"/studies?{kept}" if kept else "/studies"


def page_of(known: Summaries, at: At) -> StudiesPage:
    """Without a study in the address the newest one is open."""
    rows = known.store.studies()
    row = next((r for r in rows if r.id == at.study), None) if at.study is not None else next(iter(rows), None)
    listed = StudyList(tuple(map(_line, rows)), row.id if row else None)
    if row is None:
        return StudiesPage(listed, missing=f"There is no study {at.study}." if at.study is not None else "")
    if at.item is not None:
        item = open_item(known, row, at.item)
        return StudiesPage(listed, item=item, missing="" if item else f"There is no item {at.item} of {row.name}.")
    return StudiesPage(listed, open_study(known, row))


def _line(row: StudyRow) -> StudyLine:
    items = row.items or 0
    wanted = (items - (row.gold or 0)) * stored(row.config).people
    done = (row.submitted or 0) - (row.gold_submitted or 0)
    return StudyLine(row.id, row.name, row.open, done, wanted, items, age(row.created_at))


def open_study(known: Summaries, row: StudyRow) -> OpenStudy:
    store, told = known.store, known.of(row)[1]
    users = store.users()
    begun = {person.name for person in told.people}
    listed = [*told.open[:LISTED], *told.settled[:LISTED]]
    items = {line.item.id: line.item for line in listed} | {r.item.id: r.item for r in told.remarks[:LISTED]}
    return OpenStudy(
        told,
        age(row.created_at),
        tuple(store.guidelines(row.id)),
        tuple(user for user in users if user.name not in begun and not user.disabled),
        {id_: _asked(store, item) for id_, item in items.items()},
        bool(users),
    )


def _asked(store: Store, item: ItemRow) -> str:
    row = store.chain(item.chain_id)
    problem = store.problem(row.chain.problem_id) if row else None
    text = " ".join(problem.question.split()) if problem else ""
    return text if len(text) <= EXCERPT else text[:EXCERPT] + "…"


def open_item(read: Summaries, study: StudyRow, item_id: int) -> OpenItem | None:
    """None where the study has no such item. Gold items are shown, too: their labels are known."""
    store = read.store
    known, told = read.of(study)
    item = next((item for item in known.items if item.id == item_id), None)
    row = store.chain(item.chain_id) if item else None
    problem = store.problem(row.chain.problem_id) if row else None
    if item is None or row is None or problem is None:
        return None
    lines = told.conflicts
    ids = [line.item.id for line in lines]
    number = ids.index(item_id) + 1 if item_id in ids else 0
    slots = [slot for slot in known.slots if slot.item_id == item_id and slot.state == "submitted"]
    people = tuple(_said(i, slot, known.labels.get(slot.id, ())) for i, slot in enumerate(slots))
    settled = known.settled.get(item.chain_id)
    line: ItemLine | None = lines[number - 1] if number else None
    questions = tuple(q for q in QUESTIONS if q in stored(study.config).questions)
    turns = [turn(slot, known.labels.get(slot.id, ())) for slot in slots]
    chosen = (
        _as_chosen(settled.labels)
        if settled
        else {f"{q}-{step}": str(v) for q in RATED if q in questions for step, v in agreed(turns, q, item.n).items()}
    )
    return OpenItem(
        study=study, item=item, questions=questions, question=problem.question, answer=problem.answer,
        verdict=row.verdict.value, place=f"{place(problem)} · chain {row.number}", steps=tuple(row.chain.steps),
        tex=has_tex(problem.question, problem.solution, problem.answer, row.chain.text), people=people,
        conflict=line.conflict if line else None, settled=settled, chosen=chosen,
        note=next((x.note for x in settled.labels if x.note), "") if settled else "",
        number=number, of=len(lines), open=len(told.open),
        before=ids[number - 2] if number > 1 else None, after=ids[number] if 0 < number < len(ids) else None,
    )  # fmt: skip


def left_open(known: Summaries, study: StudyRow, item_id: int, labels: Sequence[Annotation]) -> str:
    """`correct?, step 5`: where people part and these labels say nothing, a step behind a settled error left out."""
    lines = known.of(study)[1].conflicts
    steps = next((x.conflict.steps for x in lines if x.item.id == item_id and x.conflict), frozenset())
    said = {(x.question, x.step) for x in labels}
    ends = min((x.step for x in labels if x.question == "correct" and x.value == -1), default=math.inf)
    open_ = sorted(s for s in steps - said if s[0] != "correct" or s[1] < ends)
    return "; ".join(f"{question}, step {step}" for question, step in open_)


def next_conflict(known: Summaries, study: StudyRow, item_id: int) -> int | None:
    """The next one that is open, behind this item first."""
    told = known.of(study)[1]
    items = told.open
    here = next((line.item.position for line in told.conflicts if line.item.id == item_id), -1)
    later = [line.item.id for line in items if line.item.position > here and line.item.id != item_id]
    return next(iter([*later, *(line.item.id for line in items if line.item.id != item_id)]), None)


def _said(i: int, slot: SlotRow, known: Sequence[Annotation]) -> PersonSaid:
    letter = chr(ord("A") + i) if i < 26 else str(i + 1)
    ratings = {(x.question, x.step): x.value for x in known if x.question in RATED}
    notes = {(x.question, x.step or x.value or 0): x.note for x in known if x.note.strip()}
    if slot.note.strip():
        notes["", 0] = slot.note
    decides = next((x.value for x in known if x.question == "decides"), None)
    return PersonSaid(letter, slot, ratings, notes, decides, flags(slot))


def _as_chosen(labels: tuple[Annotation, ...]) -> dict[str, str]:
    """What was settled before and is not any more leaves its field empty."""
    said = [x for x in labels if x.question in RATED and "nothing" not in x.meta]
    chosen = {f"{x.question}-{x.step}": "unsure" if x.value is None else str(x.value) for x in said}
    decides = next((x.value for x in labels if x.question == "decides" and x.value is not None), None)
    return chosen if decides is None else chosen | {"decides": str(decides)}
