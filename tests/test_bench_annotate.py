"""`bench annotate`: whole on a small store, and what its check says of mistakes that were made on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from stepviz import bench_annotate, bench_annotate_store
from stepviz.bench_annotate import Beside, aims, requests
from stepviz.bench_annotate_check import Found, compare
from stepviz.bench_annotate_people import Diary, Label
from stepviz.bench_annotate_store import prepare
from stepviz.cli import app
from stepviz.errors import StepvizError
from stepviz.types import Annotation
from tests.store_cases import item, new_url


def test_four_people_label_over_http_beside_a_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark itself, on chains of two steps, so that people submit and go on in the time."""
    monkeypatch.setattr(bench_annotate_store, "STEPS", 2)
    words = ["--annotators", "4", "--seconds", "5", "--steps", "1000", "--db", new_url(tmp_path), "--json"]
    done = CliRunner().invoke(app, ["bench", "annotate", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert "troubles" not in found, found
    made = {row["request"]: row["number"] for row in found["requests"]}
    # 5 labels each, at 0 … 4 s and a little; before the third and the fifth an item is submitted
    assert made == {"label": 20, "next": 12, "submit": 8, "sign in": 4}
    mistakes = dict.fromkeys(("lost", "doubled", "never_sent", "others_slot", "over", "submits_lost"), 0)
    assert found["labels in the store against those that were acknowledged"] == [{"labels": 20, **mistakes}]
    (beside,) = found["the measurement beside"]
    assert beside["ran all along"]
    assert beside["continuations"] > 0
    exact = [aim for aim in found["aims"] if aim["at most"] == 0]  # those of time are for a quiet machine
    assert len(exact) == 5
    assert all(aim["met"] for aim in exact), exact
    (stored,) = found["the store"]
    assert (stored["steps"] >= 1000, stored["annotations"]) == (True, 20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


class Two:
    """ana and bob, each with a turn at the only item of a study for two, three labels each, ana's submitted."""

    def __init__(self, store: Store) -> None:
        of = item(1, 1)
        store.add_items([of])
        self.store, self.chain = store, of.chains[0].id
        self.study = store.add_study("s", {"people": 2}, "Be fair.", [(self.chain, False)], "root")
        self.diaries = [self.labelled("ana"), self.labelled("bob")]
        store.end_slot(self.diaries[0].slots[0], "ana", finish="solution", seconds=1)
        self.diaries[0].submitted.append(self.diaries[0].slots[0])

    def labelled(self, who: str) -> Diary:
        slot = self.store.next_slot(self.study, who, 2, 60, lambda _: "blind")
        diary = Diary(who, slots=[slot.id])
        for step in (1, 2, 3):
            diary.labels.append(Label(slot.id, step, 1, f"{who}/{step}"))
            self.store.label_in_slot(slot.id, who, [self.annotation(diary.labels[-1], who)], 60)
        return diary

    def annotation(self, label: Label, who: str) -> Annotation:
        return Annotation(self.chain, who, "correct", label.step, label.value, label.note)

    def found(self, people: int = 2) -> Found:
        return compare(self.store, self.study, people, self.diaries)


@pytest.fixture
def two(store: Store) -> Two:
    return Two(store)


def test_what_is_right_has_no_mistakes(two: Two) -> None:
    assert two.found() == Found(labels=6)
    assert two.found().mistakes == 0


def test_a_label_that_was_acknowledged_and_is_not_there_is_lost(two: Two) -> None:
    ana = two.diaries[0]
    ana.labels.append(Label(ana.slots[0], 2, -1, "ana/4"))
    ana.labels[0] = replace(ana.labels[0], value=0)  # told as 0, and stored as 1
    assert two.found() == Found(labels=7, lost=2, never_sent=1)


def test_a_label_that_is_stored_twice_is_doubled(two: Two) -> None:
    bob = two.diaries[1]
    two.store.label_in_slot(bob.slots[0], "bob", [two.annotation(bob.labels[1], "bob")], 60)
    assert two.found() == Found(labels=6, doubled=1)


def test_a_label_without_an_answer_may_be_there_or_not(two: Two) -> None:
    bob = two.diaries[1]
    bob.doubtful += [bob.labels.pop(), Label(bob.slots[0], 1, -1, "bob/4")]
    assert two.found() == Found(labels=5)
    bob.doubtful.clear()
    assert two.found() == Found(labels=5, never_sent=1)


def test_a_turn_that_is_anothers(two: Two) -> None:
    ana, bob = two.diaries
    bob.slots.append(ana.slots[0])
    assert two.found().others_slot == 2, "it is ana's, and two have it"


def test_an_item_over_its_people_and_a_submission_that_is_lost(two: Two) -> None:
    two.diaries[1].submitted.append(two.diaries[1].slots[0])
    assert two.found(people=1) == Found(labels=6, over=1, submits_lost=1)


def test_aims_that_are_not_met_are_told() -> None:
    fast, slow = Diary("ana", ms={"label": [10.0] * 90}), Diary("bob", ms={"label": [90.0] * 10, "next": [150.0]})
    slow.troubles.append("label: 409")
    timed = requests([fast, slow])
    assert {r["request"]: (r["number"], r["p50, ms"], r["p95, ms"], r["most"]) for r in timed} == {
        "label": (100, 10.0, 90.0, 90.0), "next": (1, 150.0, 150.0, 150.0)
    }  # fmt: skip
    log = "OperationalError: (sqlite3.OperationalError) database is locked\n"
    found = aims(timed, Found(labels=99, lost=1), [fast, slow], log, Beside({}, {}, running=False))
    assert [(row["found"], row["met"]) for row in found] == [
        (90.0, False), (150.0, True), (1, False), (1, False), (1, False), (0, True), (None, False)
    ]  # fmt: skip


def test_a_store_in_use_is_left_alone(store: Store) -> None:
    store.add_items([item(1, 1)])
    with pytest.raises(StepvizError, match="in use"):
        prepare(store, 1, 100)
    assert store.users() == []


def test_a_store_of_a_benchmark_is_used_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_annotate_store, "hashed", lambda password: password)
    first, again = prepare(store, 1, 700), prepare(store, 2, 700)
    assert store.stats()["steps"] == 1000, "whole problems: fifty chains of ten steps"
    assert first.chains == again.chains
    assert not set(first.accounts) & set(again.accounts)
    assert [(s.items, s.config["people"]) for s in store.studies()] == [(100, 2)] * 2
    store.add_user("Ana", "admin", "x")
    with pytest.raises(StepvizError, match="in use"):
        prepare(store, 1, 700)


def test_the_measurement_beside_has_to_begin(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a worker it never does."""
    monkeypatch.setattr(bench_annotate_store, "hashed", lambda password: password)
    monkeypatch.setattr(bench_annotate, "BEGINS_S", 0.1)
    made = prepare(store, 1, 500)
    with pytest.raises(StepvizError, match="does not begin"), bench_annotate.measuring(store, made, "embedded"):
        pass
