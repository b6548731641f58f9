"""Turns at a study's items: whose it is, for how long, and that nobody takes one too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import SlotTable
from db.store import Store, open_store
from db.study_values import SlotRow
from stepviz.errors import StepvizError
from stepviz.types import Annotation, SourceItem
from tests.store_cases import chain, new_url, problem

LEASE = 600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        of = problem()
        opened.add_items([SourceItem(of, tuple(chain(of, key) for key in "abcde"))])
        yield opened


def study(store: Store, keys: str = "abc", gold: str = "") -> int:
    ids = {row.chain.key: row.chain.id for row in store.chains(problem().id)}
    return store.add_study("first", {"people": 1}, "Be fair.", [(ids[key], key in gold) for key in keys], "root")


def take(store: Store, of: int, who: str, people: int = 1, lease_s: float = LEASE) -> SlotRow | None:
    return store.next_slot(of, who, people, lease_s, lambda item: "blind" if item % 2 else "scores")


def key_of(store: Store, slot: SlotRow | None) -> str | None:
    return slot and store.chain(slot.chain_id).chain.key


def late(store: Store, slot: SlotRow) -> None:
    """Its lease has run out."""
    with store.writing() as connection:
        values = {"lease_until": slot.opened_at}
        connection.execute(update(SlotTable).where(SlotTable.id == slot.id).values(values))


def test_items_come_in_their_order_and_each_to_as_many_as_it_wants(store: Store) -> None:
    of = study(store, "cab")
    assert [key_of(store, take(store, of, who)) for who in ("ana", "bob", "eve", "kim")] == ["c", "a", "b", None]
    assert key_of(store, take(store, of, "kim", people=2)) == "c"


def test_a_turn_that_is_open_is_given_again_until_it_is_submitted(store: Store) -> None:
    of = study(store)
    first = take(store, of, "ana")
    assert take(store, of, "ana").id == first.id
    store.end_slot(first.id, "ana", finish="solution", seconds=12.5, flags=["bad_problem"], note="hm")
    done = store.slot(first.id)
    assert (done.state, done.finish, done.seconds, done.flags, done.note) == (
        "submitted", "solution", 12.5, ("bad_problem",), "hm",
    )  # fmt: skip
    assert key_of(store, take(store, of, "ana")) == "b"
    (listed,) = store.studies()
    assert (listed.items, listed.submitted, listed.guideline, listed.version) == (3, 1, "Be fair.", 1)


def test_everybody_gets_a_gold_item(store: Store) -> None:
    of = study(store, "ab", gold="a")
    assert [key_of(store, take(store, of, who)) for who in ("ana", "bob", "eve")] == ["a"] * 3


def test_who_comes_when_all_is_done_gets_no_gold_items_alone(store: Store) -> None:
    """They would know by that which they are. Who has begun gets them to the end, and where all are gold, everybody."""
    of = study(store, "abcd", gold="bd")
    first = take(store, of, "bob")
    store.end_slot(first.id, "bob", finish="solution", seconds=1)
    for key in "bcd":
        slot = take(store, of, "ana")
        assert key_of(store, slot) == key
        store.end_slot(slot.id, "ana", finish="solution", seconds=1)
    assert (take(store, of, "eve"), store.left(of, "eve", 1)) == (None, 0)
    assert (key_of(store, take(store, of, "bob")), store.left(of, "bob", 1)) == ("b", 2)
    all_gold = store.add_study("second", {}, "Be fair.", [(first.chain_id, True)], "root")
    assert [key_of(store, take(store, all_gold, who)) for who in ("ana", "eve")] == ["a", "a"]


def test_a_lease_that_ran_out_gives_the_item_to_somebody_else(store: Store) -> None:
    of = study(store, "a")
    slot = take(store, of, "ana")
    assert take(store, of, "bob") is None
    late(store, slot)
    label = Annotation(slot.chain_id, "ana", "correct", 1, 1)
    with pytest.raises(StepvizError, match="time ran out"):
        store.label_in_slot(slot.id, "ana", [label], LEASE)
    assert key_of(store, take(store, of, "bob")) == "a"
    with pytest.raises(StepvizError, match="time ran out"):
        store.end_slot(slot.id, "ana", finish="solution", seconds=1)
    assert take(store, of, "ana") is None, "the one that it wants has it"
    store.release_slot(take(store, of, "bob").id, "bob")
    again = take(store, of, "ana")
    assert (again.id, again.arm, again.state, again.ended_at) == (slot.id, slot.arm, "open", None)


def test_a_label_is_of_ones_own_open_item(store: Store) -> None:
    of = study(store)
    ana, bob = take(store, of, "ana"), take(store, of, "bob")
    (id_,) = store.label_in_slot(ana.id, "ana", [Annotation(ana.chain_id, "ana", "correct", 1, -1)], LEASE)
    (kept,) = store.annotations(ana.chain_id)
    assert (kept.id, kept.annotation.value) == (id_, -1)
    refused = [
        (ana.id, "bob", Annotation(ana.chain_id, "bob", "correct", 1, 1), "not your item"),
        (bob.id, "bob", Annotation(ana.chain_id, "bob", "correct", 1, 1), "not of the item"),
        (bob.id, "bob", Annotation(bob.chain_id, "ana", "correct", 1, 1), "not of the item"),
        (bob.id, "bob", Annotation(bob.chain_id, "bob", "correct", 9, 1), "step 9"),
        (999, "bob", Annotation(bob.chain_id, "bob", "correct", 1, 1), "not your item"),
    ]
    for slot, who, label, said in refused:
        with pytest.raises(StepvizError, match=said):
            store.label_in_slot(slot, who, [label], LEASE)
    assert len(store.annotations(history=True)) == 1
    store.end_slot(ana.id, "ana", finish="solution", seconds=1)
    with pytest.raises(StepvizError, match="submitted this item already"):
        store.label_in_slot(ana.id, "ana", [Annotation(ana.chain_id, "ana", "correct", 2, 1)], LEASE)


def test_a_label_renews_the_lease(store: Store) -> None:
    of = study(store)
    slot = take(store, of, "ana", lease_s=5)
    store.label_in_slot(slot.id, "ana", [Annotation(slot.chain_id, "ana", "correct", 1, 1)], LEASE)
    assert (store.slot(slot.id).lease_until - slot.lease_until).total_seconds() > 500


def test_a_guideline_is_revised_and_open_turns_keep_theirs(store: Store) -> None:
    of = study(store)
    first = take(store, of, "ana")
    assert store.revise_guideline(of, "Be fairer.", "root") == 2
    bobs = take(store, of, "bob")
    assert (take(store, of, "ana").guideline, bobs.guideline) == (first.guideline, 2) == (1, 2)
    store.label_in_slot(first.id, "ana", [Annotation(first.chain_id, "ana", "correct", 1, 1)], LEASE)
    for slot, who in ((first, "ana"), (bobs, "bob")):
        store.release_slot(slot.id, who)
    assert store.revise_guideline(of, "Be kind.", "root") == 3
    again = [
        store.next_slot(of, who, 1, LEASE, lambda _: "blind", slot.id) for slot, who in ((first, "ana"), (bobs, "bob"))
    ]
    assert [(slot.id, slot.guideline) for slot in again] == [(first.id, 1), (bobs.id, 3)], "ana has begun by the first"


def test_twenty_people_at_once_take_no_item_too_often(store: Store) -> None:
    """Each asks until there is nothing left, in threads of one store; every item is wanted by two."""
    of = study(store, "abcde")
    people = [f"p{i}" for i in range(20)]

    def works(who: str) -> list[int]:
        found = []
        while (slot := take(store, of, who, people=2)) is not None:
            found.append(slot.item_id)
            store.end_slot(slot.id, who, finish="solution", seconds=0.1)
        return found

    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(works, people))
    assert all(len(set(own)) == len(own) for own in taken)
    assert sorted(Counter(item for own in taken for item in own).values()) == [2] * 5


def test_two_tabs_of_one_person_get_the_same_turn(store: Store) -> None:
    of = study(store, "abcde")
    with ThreadPoolExecutor(8) as pool:
        slots = list(pool.map(lambda _: take(store, of, "ana"), range(8)))
    assert len({slot.id for slot in slots}) == 1


def test_a_stroke_is_taken_back_as_a_whole(store: Store) -> None:
    """First +1 of step 1, then "first error at 3": step 1 and 2 good, 3 bad. Undone, what was said before stands."""
    of = study(store)
    slot = take(store, of, "ana")

    def say(*labels: tuple[int, int]) -> None:
        said = [Annotation(slot.chain_id, "ana", "correct", step, value) for step, value in labels]
        store.label_in_slot(slot.id, "ana", said, LEASE)

    def stands() -> dict[int, int | None]:
        return {row.annotation.step: row.annotation.value for row in store.annotations(slot.chain_id, "ana")}

    say((1, 0))
    say((1, 1), (2, 1), (3, -1))
    assert stands() == {1: 1, 2: 1, 3: -1}
    assert store.undo_in_slot(slot.id, "ana", LEASE) == 3
    assert stands() == {1: 0}
    say((2, -1))
    assert store.undo_in_slot(slot.id, "ana", LEASE) == 1
    assert store.undo_in_slot(slot.id, "ana", LEASE) == 1
    assert stands() == {}
    with pytest.raises(StepvizError, match="no label left"):
        store.undo_in_slot(slot.id, "ana", LEASE)
    with pytest.raises(StepvizError, match="not your item"):
        store.undo_in_slot(slot.id, "bob", LEASE)


def test_labels_of_a_stroke_come_together_or_not_at_all(store: Store) -> None:
    of = study(store)
    slot = take(store, of, "ana")
    said = [Annotation(slot.chain_id, "ana", "correct", step, 1) for step in (1, 9)]
    with pytest.raises(StepvizError, match="step 9"):
        store.label_in_slot(slot.id, "ana", said, LEASE)
    assert store.annotations(slot.chain_id) == []


def test_what_a_browser_sends_twice_is_said_once(store: Store) -> None:
    """It got no answer, and cannot know whether the first was heard: a label, an undo, a submission."""
    of = study(store)
    slot = take(store, of, "ana")
    one, two = (Annotation(slot.chain_id, "ana", "correct", step, 1) for step in (1, 2))
    for _ in range(2):
        store.label_in_slot(slot.id, "ana", [one], LEASE, key="k1")
    store.label_in_slot(slot.id, "ana", [two], LEASE, key="k2")
    assert [a.annotation.step for a in store.annotations(history=True)] == [1, 2]
    assert [store.undo_in_slot(slot.id, "ana", LEASE, key="k3") for _ in range(2)] == [1, 1]
    assert [a.step for a in store.labels_of_slot(slot.id)] == [1], "the second undo is the first one again"
    ended = {"finish": "solution", "seconds": 12.25, "flags": ["give_up"], "note": "hm"}
    for _ in range(2):
        store.end_slot(slot.id, "ana", **ended)
    with pytest.raises(StepvizError, match="submitted this item already"):
        store.end_slot(slot.id, "ana", **{**ended, "finish": "found_error"})
    with pytest.raises(StepvizError, match="not your item"):
        store.end_slot(slot.id, "bob", **ended)


def test_who_comes_back_late_gets_the_same_item_if_it_is_free(store: Store) -> None:
    of = study(store, "abc")
    first = take(store, of, "ana")
    store.release_slot(take(store, of, "bob").id, "bob")
    late(store, first)
    store.release_slot(take(store, of, "eve").id, "eve")  # takes a, for it is late, and gives it back
    assert key_of(store, take(store, of, "kim")) == "a"
    again = store.next_slot(of, "ana", 1, LEASE, lambda _: "blind", again=first.id)
    assert key_of(store, again) == "b", "kim has a"
    store.release_slot(again.id, "ana")
    store.end_slot(take(store, of, "kim").id, "kim", finish="solution", seconds=1)
    wanted = store.next_slot(of, "ana", 2, LEASE, lambda _: "blind", again=again.id)
    assert wanted.id == again.id, "a wants a second one now, and comes first, but b was theirs"
    stolen = store.next_slot(of, "bob", 2, LEASE, lambda _: "blind", again=again.id)
    assert key_of(store, stolen) == "a", "another's turn gives nobody a place"


def test_how_many_items_are_left_for_somebody(store: Store) -> None:
    of = study(store, "abcde", gold="e")
    assert store.left(of, "ana", 1) == 5
    slot = take(store, of, "ana")
    assert (store.left(of, "ana", 1), store.left(of, "bob", 1), store.left(of, "bob", 2)) == (5, 4, 5)
    store.end_slot(slot.id, "ana", finish="solution", seconds=1)
    assert (store.left(of, "ana", 1), store.left(of, "ana", 2)) == (4, 4)
