"""The page Studies without a browser: what its form says before a click, what is made, and what an admin settles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.studies import StudyConfig
from stepviz.types import Annotation
from stepviz.ui.explore import Explore
from stepviz.ui.page import Update
from stepviz.ui.studies_page import Studies
from stepviz.ui.study_download import ENDINGS
from stepviz.ui.view_studies import agreement_link, parse, study_link
from stepviz.ui.view_study_form import form_of
from tests import ui_cases
from tests.page_cases import fields_of, said, sender
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Studies)
FORM = {"order": "given", "people": "2", "arm_blind": "1", "lease": "30", "threshold": "0.5", "limit": "100",
        "ask_correct": "on", "guideline": "Be fair.", "name": "first"}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        yield opened


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    return chains(store)


def chains(store: Store) -> dict[str, str]:
    """Four: a wrong and a right one of one problem, one with TeX, a hostile one."""
    found = ui_cases.fill(store)
    ui_cases.add_scores(store, found)
    return found | {"worked": store.chains(found["tex"])[0].chain.id}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For what changes nothing: the same chains, and a study of the name "taken"."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('steady')}/ui.db") as opened:
        parted(opened, chains(opened), name="taken")
        yield opened


def errors(update: Update) -> dict[str, str]:
    """Field → what is said at it."""
    return {
        name: unescape(text)
        for name, text in re.findall(r'<em class="wrong" data-of="(\w+)">(.*?)</em>', update.html["sform"])
    }


def told(update: Update) -> str:
    return unescape(re.search(r'class="dim num takes">(.*?)</span>', update.html["sform"])[1])


def label(store: Store, study: int, who: str, chain: str, *values: int | None, **end: object) -> None:
    """One submitted turn at the item that is next, which must be that chain's."""
    slot = store.next_slot(study, who, 9, 60, lambda _: "blind")
    assert slot.chain_id == chain
    for step, value in enumerate(values, 1):
        store.label_in_slot(slot.id, who, [Annotation(chain, who, "correct", step, value)], 60)
    store.end_slot(slot.id, who, **{"finish": "solution", "seconds": 12.0, **end})


def parted(store: Store, ids: dict[str, str], name: str = "first") -> int:
    """Of the wrong chain ana sees the first error at 2, bob at 3; of the right one none; the third is nobody's yet."""
    config = StudyConfig(people=2, order="given").told()
    study = store.add_study(name, config, "Be fair.", [(ids[c], False) for c in ("wrong", "right", "worked")], "root")
    label(store, study, "ana", ids["wrong"], 1, -1, finish="found_error", note=HOSTILE)
    label(store, study, "bob", ids["wrong"], 1, 1, -1, finish="found_error", seconds=20.0)
    for who in ("ana", "bob"):
        label(store, study, who, ids["right"], 1, 1, 1, 1)
    return study


def test_an_empty_store_says_what_to_do(store: Store) -> None:
    html = send(store, "open").html
    assert "No study yet" in html["sopen"]
    assert "no chain" in html["sform"]
    update = send(store, "create", **FORM)
    assert errors(update) == {"chains": "No chain fits: choose others, or sample or import some first."}
    assert "No study was made." in said(update)


def test_how_many_items_there_will_be_is_said_before_the_click(store: Store, ids: dict[str, str]) -> None:
    assert told(send(store, "form", **FORM)) == "4 items · 8 turns"
    assert (
        told(send(store, "form", **FORM | {"limit": "3", "people": "5"})) == "3 items of 4 chains that fit · 15 turns"
    )
    assert told(send(store, "form", **FORM | {"verdict": "wrong"})) == "1 item · 2 turns"
    assert told(send(store, "form", **FORM | {"source": "embedded"})) == "2 items · 4 turns"
    assert (
        told(send(store, "form", **FORM | {"q": "candles", "limit": "1"})) == "1 item of more chains that fit · 2 turns"
    )
    assert told(send(store, "form", **FORM | {"result": "mixed"})) == "2 items · 4 turns"
    gold = FORM | {"gold_share": "0.25", "gold_by": "equations"}
    assert told(send(store, "form", **gold)) == "4 items, 1 of them gold · 6 turns"
    assert store.studies() == []


def test_the_filter_of_explore_comes_with_the_address(store: Store, ids: dict[str, str]) -> None:
    at = "?" + study_link(problem=ids["problem"], answer="244").partition("?")[2]
    update = send(store, "open", at=at)
    assert "Only chains of embedded test 1 with the answer 244" in update.html["sform"]
    assert told(update) == "1 item · 1 turn"
    made = send(store, "create", **fields_of(update.html["sform"]) | {"name": "few", "guideline": "Be fair."})
    assert said(made) == ""
    (row,) = store.studies()
    assert [item.chain_id for item in store.items(row.id)] == [ids["wrong"]]
    explore = sender(Explore)(store, "open", at=f"?problem={ids['problem']}&q=candles&answer=244&origin=x").html
    assert 'href="/studies?q=candles"' in explore["problems"]
    assert f'href="/studies?problem={ids["problem"]}' not in explore["chains"], "no chain is listed of that origin"
    explore = sender(Explore)(store, "open", at=f"?problem={ids['problem']}&answer=244").html
    assert f'href="{study_link(problem=ids["problem"], answer="244").replace("&", "&amp;")}"' in explore["chains"]
    assert "a problem that is not here" in send(store, "open", at="?problem=<b>").html["sform"]


@pytest.mark.parametrize(
    ("typed", "field", "why"),
    [
        ({"name": " "}, "name", "A name of at most 100 characters."),
        ({"name": "a\u202eb"}, "name", "A study's name has characters that no page can show."),
        ({"name": "pilot/2"}, "name", "A study's name has no slash."),
        ({"name": "taken"}, "name", "There is a study of this name already."),
        ({"people": "many"}, "people", "A whole number from 1 to 100."),
        ({"people": "101"}, "people", "A whole number from 1 to 100."),
        ({"people": "²"}, "people", "A whole number from 1 to 100."),
        ({"order": "best"}, "order", "Choose one of them."),
        ({"order": "uncertain"}, "scorer", "A scorer is needed, to show it or to order by it."),
        ({"arm_pit": "1"}, "scorer", "A scorer is needed"),
        ({"scorer": "nobody", "arm_pit": "1"}, "scorer", "Nobody is called 'scorer:nobody' here"),
        ({"arm_blind": "0"}, "arms", "Whole numbers, one of them above 0."),
        ({"arm_blind": "some"}, "arms", "Whole numbers"),
        ({"ask_correct": ""}, "questions", "Ask one of them at least."),
        ({"gold_share": "1"}, "gold_share", "A share from 0 to below 1"),
        ({"gold_share": "0.5"}, "gold_by", "Gold items have known labels: say whose."),
        ({"gold_share": "0.5", "gold_by": "exact"}, "gold_share", "takes 2 chains of known labels, and there are 0."),
        ({"gold_share": "0.5", "gold_by": ui_cases.SORM}, "gold_by", "no known labels"),
        ({"lease": "0.2"}, "lease", "Minutes, from 1 to 1,440."),
        ({"threshold": "2"}, "threshold", "A score from 0 to 1."),
        ({"limit": "0"}, "limit", "A whole number from 1 to 5,000."),
        ({"seed": "x"}, "seed", "A whole number."),
        ({"guideline": " "}, "guideline", "A guideline: it is what its people agree on."),
        ({"source": "nowhere"}, "chains", "No chain fits"),
        ({"scorer": ui_cases.SORM, "arm_pit": "1", "source": "math"}, "scorer", "has scored none of these chains."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    steady: Store, typed: dict[str, str], field: str, why: str
) -> None:
    sent = {name: value for name, value in (FORM | typed).items() if value}
    update = send(steady, "create", **sent)
    assert list(errors(update)) == [field]
    assert why in errors(update)[field]
    assert said(update) == "No study was made. What is wrong stands at one field."
    back = fields_of(update.html["sform"])
    assert {name: back.get(name) for name in sent if name not in ("guideline",)} == {
        name: value for name, value in sent.items() if name not in ("guideline",)
    }
    assert [row.name for row in steady.studies()] == ["taken"]


def test_all_that_is_wrong_is_said_at_once(steady: Store) -> None:
    wrong = {"name": "taken", "people": "no", "order": "uncertain", "limit": "-1", "guideline": ""}
    update = send(steady, "create", **FORM | wrong)
    assert sorted(errors(update)) == ["guideline", "limit", "name", "people", "scorer"]
    gold = {"people": "no", "gold_share": "0.5"}
    assert sorted(errors(send(steady, "create", **FORM | gold))) == ["gold_by", "people"]


def test_a_study_is_made_by_who_signed_in(store: Store, ids: dict[str, str]) -> None:
    typed = {
        "name": "  the  first ",
        "ask_solvable": "on",
        "people": "3",
        "arm_pit": "2",
        "scorer": ui_cases.SORM,
        "order": "uncertain",
        "gold_share": "0.25",
        "gold_by": "equations",
        "created_by": "forged",
        "who": "forged",
    }
    update = send(store, "create", **FORM | typed)
    assert errors(update) == {}
    assert 'data-kind="run"' in update.reply
    (row,) = store.studies()
    assert (row.name, row.created_by, row.guideline, row.items, row.gold) == ("the first", "ana", "Be fair.", 4, 1)
    assert row.config["questions"] == ["correct", "solvable"]
    assert (row.config["arms"], row.config["gold_by"]) == ({"blind": 1, "pit": 2}, "equations")
    assert "the first" in update.html["slist"]
    again = fields_of(update.html["sform"])
    assert (again["name"], again["order"], again["people"]) == ("", "uncertain", "3"), "the next one begins like it"


def test_progress_people_and_conflicts(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids)
    store.add_user("zoe", "annotator", "hash")
    html = send(store, "open").html
    assert "4 of 6" in html["slist"]
    opened = html["sopen"]
    assert "<b>ana</b>" in opened
    assert re.search(
        r"<td><b>bob</b></td><td class=\"num\">2</td><td class=\"num\">0</td><td class=\"num\">16 s</td>", opened
    )
    assert 'found error <b class="num">1</b>' in opened
    assert "has not begun (annotator)" in opened
    assert "1 open, 0 settled" in opened
    assert "correct: first error 2 or 3" in opened
    assert f'href="{agreement_link("first").replace("&", "&amp;")}"' in opened
    assert f'href="/annotate?study={study}"' in opened
    files = re.findall(rf'href="/stepviz/study/{study}\.([a-z0-9.]+)"', opened)
    assert sorted(files) == sorted(ENDINGS)


def test_hostile_words_are_escaped(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids, name=HOSTILE)
    item = store.items(study)[0].id
    update = send(store, "revise", study=study, text=HOSTILE)
    assert "guideline 2" in update.reply
    for html in (
        *send(store, "open").html.values(),
        *send(store, "look", at=f"?study={study}&item={item}").html.values(),
    ):
        assert "<img" not in html
        assert "<script" not in html
    assert "<img" not in send(store, "guideline", study=study).reply
    update = send(
        store, "form", **FORM | dict.fromkeys(("name", "q", "origin", "guideline", "people", "problem"), HOSTILE)
    )
    assert "<img" not in update.html["sform"]


def test_an_item_shows_what_each_person_said_and_begins_with_what_they_agree_on(
    store: Store, ids: dict[str, str]
) -> None:
    study = parted(store, ids)
    item = store.items(study)[0]
    html = send(store, "look", at=f"?study={study}&item={item.id}").html["sopen"]
    assert "conflict 1 of 1, 1 open" in html
    row = re.search(r'data-step="2">.*?data-step="3"', html, re.S)[0]
    assert re.findall(r'aria-label="([AB]: [^"]*)"', row) == ["A: −1", "B: +1"]
    assert "ask parted" in row
    chosen = re.findall(r'name="correct-(\d)" value="([^"]*)" checked', html)
    assert chosen == [("1", "1"), ("2", ""), ("3", ""), ("4", "")], "at 3 bob’s −1 stands against nobody"


def test_settling_writes_rows_of_its_own_and_goes_on(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids)
    item = store.items(study)[0]
    sent = {"study": study, "item": item.id, "correct-1": "1", "correct-2": "-1", "note": "It is 132.", "by": "forged"}
    update = send(store, "settle", **sent)
    assert "Settled: it was the last one." in update.reply
    assert "left open" not in update.reply
    rows = store.annotations(ids["wrong"], "adjudicated:first")
    assert [(r.annotation.step, r.annotation.value, r.annotation.note) for r in rows] == [
        (1, 1, ""),
        (2, -1, "It is 132."),
    ]
    assert rows[0].annotation.meta == {"by": "ana", "study": study, "stroke": 1}
    assert len(store.annotations(ids["wrong"], "bob")) == 3, "what people said stays"
    html = send(store, "look", at=f"?study={study}").html["sopen"]
    assert "0 open, 1 settled" in html
    html = send(store, "look", at=f"?study={study}&item={item.id}").html["sopen"]
    assert "settled by <b>ana</b>" in html
    assert "It is 132.</textarea>" in html
    update = send(store, "unsettle", study=study, item=item.id)
    assert "not settled" in update.html["sopen"]
    assert store.settlements(study) == {}


def test_after_one_conflict_comes_the_next(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids)
    label(store, study, "ana", ids["worked"], 1, 1)
    label(store, study, "bob", ids["worked"], -1)
    first, _, third = store.items(study)
    update = send(store, "settle", study=study, item=first.id, **{"correct-1": "unsure"})
    assert "Item 1 is left open at correct, step 2." in update.reply, "one says -1 there, and the other +1"
    assert f'data-go="?study={study}&amp;item={third.id}"' in update.reply
    update = send(store, "settle", study=study, item=third.id, **{"correct-1": "1"})
    assert "it was the last one" in update.reply
    assert "left open" not in update.reply


@pytest.mark.parametrize(
    ("act", "sent", "why"),
    [
        ("settle", {}, "Nothing is settled yet"),
        ("settle", {"correct-1": "7"}, "A rating is 1, 0, -1 or unsure"),
        ("settle", {"item": 99, "correct-1": "1"}, "not of this study"),
        ("settle", {"study": 99, "correct-1": "1"}, "This study is not here"),
        ("settle", {"study": "1; --", "correct-1": "1"}, "is not a number"),
        ("settle", {"correct-1": "1", "note": "x" * 10_001}, "at most 10,000"),
        ("unsettle", {}, "no label left"),
        ("unsettle", {"item": 99}, "not of this study"),
        ("revise", {"text": " "}, "a guideline"),
        ("revise", {"text": "x" * 20_001}, "at most 20,000"),
        ("close_study", {"study": 99}, "This study is not here"),
        ("drop", {}, "no action 'drop'"),
    ],
)
def test_what_is_refused_changes_nothing(steady: Store, act: str, sent: dict[str, object], why: str) -> None:
    (study,) = steady.studies()
    before = len(steady.annotations(history=True))
    update = send(steady, act, **{"study": study.id, "item": steady.items(study.id)[0].id, **sent})
    assert why in said(update)
    assert len(steady.annotations(history=True)) == before
    assert steady.studies() == [study]


def test_a_gold_item_is_shown_and_not_settled(store: Store, ids: dict[str, str]) -> None:
    study = store.add_study("gold", StudyConfig().told(), "Be fair.", [(ids["wrong"], True)], "root")
    item = store.items(study)[0].id
    assert "its labels are known" in send(store, "look", at=f"?study={study}&item={item}").html["sopen"]
    assert "gold item" in said(send(store, "settle", study=study, item=item, **{"correct-1": "1"}))


def test_closed_and_open_again_and_a_guideline_revised(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids)
    assert "first is closed" in send(store, "close_study", study=study).reply
    assert not store.studies()[0].open
    send(store, "open_study", study=study)
    assert store.studies()[0].open
    assert "Version 2" in send(store, "guideline", study=study).reply
    html = send(store, "revise", study=study, text="Be fairer.\r\nAlways.").html["sopen"]
    assert "version 2" in html
    assert "Be fairer.\nAlways." in html
    assert "Version 1" in html


def test_addresses_that_lead_nowhere(store: Store, ids: dict[str, str]) -> None:
    study = parted(store, ids)
    assert "There is no study 99." in send(store, "look", at="?study=99").html["sopen"]
    assert "There is no item 99 of first." in send(store, "look", at=f"?study={study}&item=99").html["sopen"]
    assert parse("?study=x&item=²&source=a").study is None
    assert parse("?source=a&q=b").filter == (("q", "b"), ("source", "a"))


def test_the_first_form_has_its_defaults(store: Store, ids: dict[str, str]) -> None:
    form = form_of(store, {})
    assert form.errors == {}
    assert (form.values["people"], form.values["ask_correct"], form.values["ask_solvable"]) == ("1", "on", "")
