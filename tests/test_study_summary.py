"""How far a study is, worked by hand: three people, four items of which one is gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from db.study_values import ItemRow, SlotRow, StudyRow
from stepviz.study_summary import Material, Settled, summary
from stepviz.types import Annotation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = {"questions": ["correct"], "people": 2, "gold_by": "expert"}
STUDY = StudyRow(1, "first", True, CONFIG, "root", NOW, "Be fair.", 1, 4, 0)
ITEMS = [ItemRow(10 + i, i, chain, chain == "g", 3) for i, chain in enumerate("abgc")]


def slot(id_: int, who: str, chain: str, *, seconds: float | None = 10.0, **fields: object) -> SlotRow:
    item = next(item for item in ITEMS if item.chain_id == chain)
    made = SlotRow(
        id_, 1, item.id, chain, item.position, item.gold, who, "blind", 1, "submitted", NOW, NOW, NOW, seconds,
        "solution",
    )  # fmt: skip
    return replace(made, **fields)


def ratings(who: str, chain: str, *values: int | None, note: str = "") -> list[Annotation]:
    return [Annotation(chain, who, "correct", i, v, note if i == len(values) else "") for i, v in enumerate(values, 1)]


def made(slots: Sequence[SlotRow], labels: dict[int, list[Annotation]], known: int = 2, settled: str = "") -> Material:
    done = {chain: Settled((Annotation(chain, "x", "correct", 1, 1),), "root", NOW) for chain in settled}
    return Material(STUDY, ITEMS, slots, labels, {"g": known}, done)


def test_progress_leaves_gold_items_out() -> None:
    """Three items of two people each are six turns; two are done, and a gold one beside them."""
    told = summary(
        made([slot(1, "ana", "a"), slot(2, "bob", "a"), slot(3, "ana", "g"), slot(4, "ana", "b", state="open")], {})
    )
    assert (told.wanted, told.labelled, told.gold_items) == (6, 2, 1)
    assert [(p.name, p.submitted, p.open) for p in told.people] == [("ana", 2, 1), ("bob", 1, 0)]


def test_seconds_arms_and_how_items_ended() -> None:
    """Of 4, 10 and 40 seconds the median is 10; of 4 and 10 it is 7. What was given back counts nowhere."""
    slots = [
        slot(1, "ana", "a", seconds=40, arm="pit", finish="found_error"),
        slot(2, "ana", "b", seconds=4, flags=("bad_problem",)),
        slot(3, "ana", "c", seconds=10, finish="give_up"),
        slot(4, "bob", "a", seconds=4),
        slot(5, "bob", "b", seconds=10),
        slot(6, "bob", "c", seconds=1000, state="released"),
    ]
    told = summary(made(slots, {}))
    ana, bob = told.people
    assert (ana.seconds, bob.seconds) == (10, 7)
    assert ana.arms == {"blind": 2, "pit": 1}
    assert ana.finishes == {"found_error": 1, "solution": 1, "give_up": 1}
    assert ana.flags == {"bad_problem": 1, "give_up": 1}
    assert (bob.submitted, bob.open) == (2, 0)
    assert told.finishes == {"solution": 3, "found_error": 1, "give_up": 1}


def test_gold_is_told_right_by_the_first_error() -> None:
    """Known: step 2. ana says 2; bob 3; eve left step 1 open, so hers is not known, and not right."""
    slots = [slot(1, "ana", "g"), slot(2, "bob", "g"), slot(3, "eve", "g"), slot(4, "zoe", "a")]
    labels = {
        1: ratings("ana", "g", 1, -1),
        2: ratings("bob", "g", 1, 1, -1),
        3: ratings("eve", "g", None, -1),
    }
    told = {p.name: (p.gold_right, p.gold, p.accuracy) for p in summary(made(slots, labels)).people}
    assert told == {"ana": (1, 1, 1.0), "bob": (0, 1, 0.0), "eve": (0, 1, 0.0), "zoe": (0, 0, None)}
    labels = {1: ratings("ana", "g", 1, 1, 1), 2: ratings("bob", "g", 1, 1, 0)}
    told = {p.name: p.gold_right for p in summary(made(slots[:2], labels, known=0)).people}
    assert told == {"ana": 1, "bob": 1}, "0 is no error"


def test_conflicts_are_of_submitted_turns_and_not_of_gold_items() -> None:
    slots = [
        slot(1, "ana", "a"), slot(2, "bob", "a"),
        slot(3, "ana", "b"), slot(4, "bob", "b", state="open"),
        slot(5, "ana", "g"), slot(6, "bob", "g"),
        slot(7, "ana", "c", finish="bad_problem"),
    ]  # fmt: skip
    labels = {i: ratings("x", "x", 1, 1 if i % 2 else -1) for i in range(1, 8)}
    told = summary(made(slots, labels))
    assert [(line.item.chain_id, line.people) for line in told.open] == [("a", 2), ("c", 1)]
    assert told.open[0].conflict.words() == ["correct, step 2: +1 or −1"]
    assert told.open[1].conflict.flags == (("bad_problem", "ana"),)
    told = summary(made(slots, labels, settled="ab"))
    assert [line.item.chain_id for line in told.open] == ["c"]
    assert [(line.item.chain_id, line.conflict is None) for line in told.settled] == [("a", False), ("b", True)]
    assert told.told()["conflicts"] == {"open": 1, "settled": 2}


def test_notes_and_flags_are_listed_with_their_item() -> None:
    slots = [slot(1, "ana", "a", note="Which Maya?"), slot(2, "bob", "a"), slot(3, "bob", "c", flags=("give_up",))]
    labels = {1: ratings("ana", "a", 1, -1, note="24, not 42"), 2: ratings("bob", "a", 1)}
    told = [(r.name, r.item.chain_id, r.flags, r.notes) for r in summary(made(slots, labels)).remarks]
    assert told == [
        ("bob", "c", ("give_up",), ()),
        ("ana", "a", (), ((0, "Which Maya?"), (2, "24, not 42"))),
    ]


def test_a_study_of_other_questions_has_no_gold_accuracy() -> None:
    study = replace(STUDY, config={**CONFIG, "questions": ["decides"]})
    told = summary(replace(made([slot(1, "ana", "g")], {}), study=study))
    assert told.people[0].accuracy is None
