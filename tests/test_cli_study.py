"""`study …`: studies from chains of a store, from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from db.store import open_store
from db.values import ModelRow
from stepviz.cli import app
from stepviz.types import Annotation, SourceItem
from tests.store_cases import WRONG, chain, new_url, problem

KEYS = "abcdefgh"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Eight chains of three steps: a … d scored, d and h with a person's first error."""
    at = new_url(tmp_path)
    with open_store(at) as store:
        of = problem()
        chains = {key: chain(of, key) for key in KEYS}
        store.add_items([SourceItem(of, tuple(chains.values()))], {chains["b"].id: WRONG})
        store.add_model(ModelRow("tiny/sorm@1", "sorm", "hf:tiny/sorm"))
        for key, score in zip("abcd", (0.9, 0.45, 0.7, 0.2), strict=True):
            store.add_scores(chains[key].id, "tiny/sorm@1", (0.9, 0.9, score))
        for key in "dh":
            store.add_annotation(Annotation(chains[key].id, "expert", "first_error", 0, 2))
    return at


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["study", *words, "--db", url])


def created(url: str, *words: str) -> dict[str, Any]:
    done = run(url, "create", "first", "--source", "gsm8k", "--json", *words)
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def order(url: str) -> str:
    """Keys of the items as one person gets them, gold ones as capitals."""
    found = ""
    with open_store(url) as store:
        (row,) = store.studies()
        while (slot := store.next_slot(row.id, "ana", 2, 60, lambda _: "blind")) is not None:
            key = store.chain(slot.chain_id).chain.key
            found += key.upper() if slot.gold else key
            store.end_slot(slot.id, "ana", finish="solution", seconds=4.0)
    return found


def test_a_study_of_the_chains_that_fit(url: str) -> None:
    made = created(url, "--order", "given", "--ask", "correct", "--ask", "solvable", "--people", "3")
    assert (made["items"], made["open"], made["guideline_version"]) == (8, True, 1)
    assert (made["config"]["questions"], made["config"]["people"]) == (["correct", "solvable"], 3)
    assert order(url) == KEYS
    assert run(url, "list").stdout == "first: 8 labelled of 24\n"
    shown = run(url, "show", "first").stdout
    assert "  ana: 8 labelled, 0 open, 4 s an item" in shown


def test_the_most_uncertain_first(url: str) -> None:
    """Closest to .5: b by .05, c by .2, d by .3, a by .4; the others were never scored."""
    created(url, "--order", "uncertain", "--scorer", "tiny/sorm")
    assert order(url) == "bcdaefgh"


def test_gold_items_are_those_a_person_has_labelled(url: str) -> None:
    """A quarter of eight: two gold among six, before the second and the fourth half."""
    made = created(url, "--order", "given", "--gold-share", "0.25", "--gold-by", "expert")
    assert made["items"] == 8
    found = order(url)
    assert [x for x in found if x.islower()] == list("abcefg")
    assert sorted(x for x in found if x.isupper()) == ["D", "H"]
    assert [i for i, x in enumerate(found) if x.isupper()] == [2, 5]


def test_arms_are_shown_only_with_a_scorer(url: str) -> None:
    made = created(url, "--arm", "blind=2", "--arm", "pit", "--scorer", "hf:tiny/sorm")
    assert (made["config"]["arms"], made["config"]["scorer"]) == ({"blind": 2, "pit": 1}, "tiny/sorm@1")


def test_a_guideline_is_a_text_with_versions(url: str, tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("Be fair.", encoding="utf-8")
    assert created(url, "--guideline", str(tmp_path / "g.txt"))["guideline"] == "Be fair."
    assert run(url, "guideline", "first", str(tmp_path / "g.txt")).stdout == "first: guideline 2\n"
    assert run(url, "close", "first").stdout == "first is closed.\n"
    assert ", closed" in run(url, "list").stdout
    assert run(url, "close", "first", "--reopen").stdout == "first is open.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--order", "uncertain"), "a scorer is needed"),
        (("--order", "uncertain", "--scorer", "nobody"), "nobody is called"),
        (("--arm", "pit=many", "--scorer", "tiny/sorm"), "NAME or NAME=WEIGHT"),
        (("--gold-share", "0.2"), "say whose"),
        (("--gold-share", "0.2", "--gold-by", "tiny/sorm"), "no known labels"),
        (("--gold-share", "0.9", "--gold-by", "expert"), "takes 7 chains of known labels, and there are 2"),
        (("--guideline", "/nowhere.txt"), "cannot be read as text"),
        (("--ask", "nice"), "questions are correct"),
        (("--chain", "nothing"), "there is no chain nothing"),
    ],
)
def test_what_cannot_be(url: str, words: tuple[str, ...], said: str) -> None:
    done = run(url, "create", "first", "--source", "gsm8k", *words)
    assert done.exit_code == 1
    assert said in str(done.exception)
    assert run(url, "list").stdout == "There are no studies yet.\n"


def test_without_accounts_an_item_wants_the_one_person_there_is(url: str) -> None:
    assert created(url)["config"]["people"] == 1
    with open_store(url) as store:
        store.add_user("ana", "annotator", "hash")
    done = run(url, "create", "second", "--source", "gsm8k", "--json")
    assert json.loads(done.stdout)["config"]["people"] == 2


def test_no_study_there_is(url: str) -> None:
    assert "there is no study 'first'; make one: study create" in str(run(url, "show", "first").exception)


def test_names_are_taken_once(url: str) -> None:
    created(url)
    assert "there is a study 'first' already" in str(run(url, "create", "first", "--source", "gsm8k").exception)
    assert "there is no study 'second'; there are: first" in str(run(url, "show", "second").exception)


def label(url: str, who: str, ratings: dict[str, tuple[int | None, ...]]) -> None:
    """One person's turns: chain key → ratings of step 1, 2, …; an item that is not named is given back."""
    with open_store(url) as store:
        (row,) = store.studies()
        while (slot := store.next_slot(row.id, who, 2, 60, lambda _: "blind")) is not None:
            values = ratings.pop(store.chain(slot.chain_id).chain.key, None)
            if values is None:
                store.release_slot(slot.id, who)
                return
            said = [Annotation(slot.chain_id, who, "correct", i, v) for i, v in enumerate(values, 1)]
            store.label_in_slot(slot.id, who, said, 60)
            finish = "found_error" if -1 in values else "solution"
            store.end_slot(slot.id, who, finish=finish, seconds=6.0 if who == "ana" else 9.0)


def test_conflicts_gold_and_how_items_ended(url: str) -> None:
    """d and h are gold, a first error at 2: ana is right about d. Of a they see the first error elsewhere."""
    created(url, "--order", "given", "--gold-share", "0.25", "--gold-by", "expert", "--people", "2")
    first = order_of(url)
    label(url, "ana", {"a": (1, -1), "b": (1, 1, 1), first[2].lower(): (1, -1)})
    label(url, "bob", {"a": (1, 1, -1), "b": (1, 1, 0), first[2].lower(): (1, 1, 1)})
    shown = run(url, "show", "first").stdout.splitlines()
    assert shown == [
        "first: 4 labelled of 12, 2 in conflict, guideline 1",
        "  ana: 3 labelled, 0 open, 6 s an item, 1 of 1 gold items right",
        "  bob: 3 labelled, 0 open, 9 s an item, 0 of 1 gold items right",
        "  ended as found error 3, solution 3",
    ]
    told = json.loads(run(url, "show", "first", "--json").stdout)
    assert told["people"][1]["gold"] == {"right": 0, "n": 1, "accuracy": 0.0}
    assert told["conflicts"] == {"open": 2, "settled": 0}
    assert run(url, "conflicts", "first").stdout.splitlines() == [
        "first: 2 open, 0 settled",
        "  item 1: correct: first error 2 or 3",
        "  item 2: correct, step 3: +1 or 0",
    ]
    with open_store(url) as store:
        (row,) = store.studies()
        store.settle(row.id, store.items(row.id)[0].chain_id, [Annotation("", "", "correct", 2, -1)], "root")
    assert run(url, "list").stdout == "first: 4 labelled of 12, 1 in conflict, 1 settled\n"
    assert "item 1: correct: first error 2 or 3 (settled by root)" in run(url, "conflicts", "first", "--all").stdout
    left = json.loads(run(url, "conflicts", "first", "--json").stdout)
    assert [(c["item"], c["parts"], c["settled"]) for c in left] == [
        (2, [{"question": "correct", "steps": {"3": [1, 0]}, "first_errors": []}], None)
    ]


def test_gold_is_what_was_known_before_whoever_labels(url: str) -> None:
    """The expert, whose labels the gold items have, signs in, too, and slips: that is a slip, and no other truth."""
    created(url, "--order", "given", "--gold-share", "0.25", "--gold-by", "expert")
    gold = order_of(url)[2].lower()
    label(url, "ana", {"a": (1,), "b": (1,), gold: (1, -1)})
    label(url, "expert", {"a": (1,), "b": (1,), gold: (1, 1, -1)})
    told = json.loads(run(url, "show", "first", "--json").stdout)
    assert [(p["annotator"], p["gold"]["right"], p["gold"]["n"]) for p in told["people"]] == [
        ("ana", 1, 1), ("expert", 0, 1),
    ]  # fmt: skip


def order_of(url: str) -> str:
    """Keys of the items in their order, gold ones as capitals."""
    with open_store(url) as store:
        (row,) = store.studies()
        keys = [(store.chain(item.chain_id).chain.key, item.gold) for item in store.items(row.id)]
    return "".join(key.upper() if gold else key for key, gold in keys)


def test_gold_items_need_a_question_of_steps(url: str) -> None:
    words = ("--source", "gsm8k", "--ask", "decides", "--gold-share", "0.2", "--gold-by", "expert")
    assert "ask correct or solvable, too" in str(run(url, "create", "first", *words).exception)
