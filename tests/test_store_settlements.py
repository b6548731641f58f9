"""What an admin settles: rows of its own beside the people's, taken back row by row, and never of another study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.accounts import checked_name
from stepviz.agree_sources import who
from stepviz.errors import StepvizError
from stepviz.types import Annotation, SourceItem
from tests.store_cases import chain, new_url, problem

WHO = "adjudicated:first"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        of = problem()
        opened.add_items([SourceItem(of, tuple(chain(of, key) for key in "abg"))])
        yield opened


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    return {row.chain.key: row.chain.id for row in store.chains(problem().id)}


@pytest.fixture
def study(store: Store, ids: dict[str, str]) -> int:
    items = [(ids["a"], False), (ids["b"], False), (ids["g"], True)]
    return store.add_study("first", {"people": 2}, "Be fair.", items, "root")


def said(*labels: tuple[int, int | None], question: str = "correct") -> list[Annotation]:
    return [Annotation("", "", question, step, value) for step, value in labels]


def stands(store: Store, study: int, chain_id: str) -> dict[int, int | None]:
    rows = store.settlements(study).get(chain_id, [])
    return {row.annotation.step: row.annotation.value for row in rows}


def test_it_is_a_row_beside_those_of_the_people(store: Store, study: int, ids: dict[str, str]) -> None:
    slot = store.next_slot(study, "ana", 2, 60, lambda _: "blind")
    store.label_in_slot(slot.id, "ana", [Annotation(slot.chain_id, "ana", "correct", 1, -1)], 60)
    assert store.settle(study, ids["a"], said((1, 1), (2, -1)), "root") == 2
    rows = store.annotations(ids["a"])
    assert [(r.annotation.annotator, r.annotation.step, r.annotation.value) for r in rows] == [
        ("ana", 1, -1), (WHO, 1, 1), (WHO, 2, -1),
    ]  # fmt: skip
    assert [r.annotation.meta for r in rows[1:]] == [{"by": "root", "study": study, "stroke": 1}] * 2


def test_settled_anew_and_taken_back(store: Store, study: int, ids: dict[str, str]) -> None:
    """First an error at 3, then one at 2: what was said of 3 is said no more, until the second is taken back."""
    store.settle(study, ids["a"], said((1, 1), (2, 1), (3, -1)), "root")
    assert store.settle(study, ids["a"], said((1, 1), (2, -1)), "zoe") == 3
    assert stands(store, study, ids["a"]) == {1: 1, 2: -1, 3: None}
    assert store.unsettle(study, ids["a"], "zoe") == 3
    assert stands(store, study, ids["a"]) == {1: 1, 2: 1, 3: -1}
    assert store.unsettle(study, ids["a"], "root") == 3
    assert store.settlements(study) == {}
    with pytest.raises(StepvizError, match="no label left"):
        store.unsettle(study, ids["a"], "root")
    kept = store.annotations(annotator=WHO, history=True)
    assert len(kept) == 3 + 3 + 3 + 3, "every row is still there"
    assert [row.annotation.meta["by"] for row in kept] == ["root"] * 3 + ["zoe"] * 6 + ["root"] * 3


def test_an_unsure_that_is_taken_away_is_nothing(store: Store, study: int, ids: dict[str, str]) -> None:
    store.settle(study, ids["a"], said((1, None), (2, -1)), "root")
    for rows in (2, 1):  # step 1 has its row that says nothing, and needs no second one
        assert store.settle(study, ids["a"], said((2, -1)), "root") == rows
    first, _ = sorted(store.settlements(study)[ids["a"]], key=lambda row: row.annotation.step)
    assert first.annotation.meta["nothing"] is True
    for _ in range(2):
        store.unsettle(study, ids["a"], "root")
    assert [(r.annotation.value, r.annotation.meta.get("nothing")) for r in store.settlements(study)[ids["a"]]] == [
        (None, None), (-1, None),
    ]  # fmt: skip


def test_what_cannot_be_settled(store: Store, study: int, ids: dict[str, str]) -> None:
    other = store.add_study("second", {"people": 2}, "Be fair.", [(ids["b"], False)], "root")
    refused = [
        (study, ids["g"], said((1, 1)), "gold item"),
        (study, "nothing", said((1, 1)), "not of this study"),
        (other, ids["a"], said((1, 1)), "not of this study"),
        (99, ids["a"], said((1, 1)), "not of this study"),
        (study, ids["a"], [], "Nothing is settled yet"),
        (study, ids["a"], said((1, 1), (9, 1)), "step 9"),
        (study, ids["a"], said((1, 7)), "cannot be 7"),
    ]
    for of, chain_id, labels, why in refused:
        with pytest.raises(StepvizError, match=why):
            store.settle(of, chain_id, labels, "root")
    assert store.annotations(history=True) == []


def test_a_study_reads_its_own_settlements(store: Store, study: int, ids: dict[str, str]) -> None:
    """A file may bring labels of that name: they settle nothing here."""
    store.add_annotation(Annotation(ids["a"], WHO, "correct", 1, 1, key="from a file"))
    assert store.settlements(study) == {}
    store.settle(study, ids["a"], said((1, -1)), "root")
    assert stands(store, study, ids["a"]) == {1: -1}


def test_its_name_is_a_person_to_the_statistics_and_no_account(store: Store, study: int, ids: dict[str, str]) -> None:
    store.settle(study, ids["a"], said((1, 1)), "root")
    found = who(store, WHO, "correct")
    assert (found.kind, found.names) == ("annotators", {WHO})
    with pytest.raises(StepvizError, match="can be no user's name"):
        checked_name(WHO)


def test_items_guidelines_and_labels_to_read(store: Store, study: int, ids: dict[str, str]) -> None:
    assert [(i.position, i.chain_id, i.gold) for i in store.items(study)] == [
        (0, ids["a"], False), (1, ids["b"], False), (2, ids["g"], True),
    ]  # fmt: skip
    store.revise_guideline(study, "Be fairer.", "zoe")
    assert [(g.version, g.text, g.created_by) for g in store.guidelines(study)] == [
        (2, "Be fairer.", "zoe"), (1, "Be fair.", "root"),
    ]  # fmt: skip
    slots = [store.next_slot(study, name, 2, 60, lambda _: "blind") for name in ("ana", "bob")]
    for slot, value in zip(slots, (1, -1), strict=True):
        label = Annotation(slot.chain_id, slot.annotator, "correct", 1, value)
        store.label_in_slot(slot.id, slot.annotator, [label], 60)
    store.undo_in_slot(slots[0].id, "ana", 60)
    found = store.labels_of_study(study)
    assert [(id_, [x.value for x in labels]) for id_, labels in found.items()] == [(slots[1].id, [-1])]


def test_a_study_tells_its_gold_items_apart(store: Store, study: int) -> None:
    for _ in range(3):
        slot = store.next_slot(study, "ana", 2, 60, lambda _: "blind")
        store.end_slot(slot.id, "ana", finish="solution", seconds=1)
    store.next_slot(study, "bob", 2, 60, lambda _: "blind")
    (row,) = store.studies(study)
    assert (row.items, row.submitted, row.gold, row.gold_submitted) == (3, 3, 1, 1)


def test_the_stamp_changes_with_turns_and_labels(store: Store, study: int, ids: dict[str, str]) -> None:
    seen = [store.study_stamp(study)]

    def changed() -> bool:
        seen.append(store.study_stamp(study))
        return seen[-1] != seen[-2]

    assert not changed()
    slot = store.next_slot(study, "ana", 2, 60, lambda _: "blind")
    assert changed()
    store.label_in_slot(slot.id, "ana", [Annotation(slot.chain_id, "ana", "correct", 1, -1)], 60)
    assert changed()
    store.end_slot(slot.id, "ana", finish="solution", seconds=1)
    assert changed()
    store.settle(study, ids["a"], said((1, 1)), "root")
    assert changed()
    store.unsettle(study, ids["a"], "root")
    assert changed()
