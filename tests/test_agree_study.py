"""`agree` on a study's people: their turns alone, what was settled, arms, the ceiling. By hand, on four chains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from db.values import ModelRow
from stepviz.cli import app
from stepviz.types import Annotation, SourceItem
from tests.store_cases import chain, new_url, problem

SORM = "tiny/sorm@1"
PEOPLE = {"ana": (0, 1, 2, 0), "bob": (0, 1, 2, 0), "eve": (0, 1, 0, 1)}  # the first error, 0: none
SCORER = (0, 2, 2, 0)
ARMS = {"ana": "blind", "bob": "scores", "eve": "scores"}


def label(store: Store, slot: Any, first: int) -> None:
    """Both steps of a chain, as the app writes them; behind an error nothing."""
    said = [1, 1] if not first else [1, -1] if first == 2 else [-1]
    rows = [Annotation(slot.chain_id, slot.annotator, "correct", i, value) for i, value in enumerate(said, 1)]
    store.label_in_slot(slot.id, slot.annotator, rows, 600)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four problems of a chain of two steps; ana, bob and eve label all, kim opens one turn and does not submit it."""
    where = new_url(tmp_path_factory.mktemp("study"))
    of = [problem(f"What is {i} + 0?", key=f"test/{i}", source="svamp" if i == 3 else "gsm8k") for i in range(4)]
    chains = [chain(p, text="two steps\nA: 5") for p in of]
    with open_store(where) as store:
        store.add_items([SourceItem(p, (c,)) for p, c in zip(of, chains, strict=True)])
        # the first one is in another source, too
        store.add_items([SourceItem(problem(of[0].question, key="x/1", source="aqua", split=None))])
        store.add_model(ModelRow(SORM, "sorm", "hf:tiny/sorm"))
        for c, first in zip(chains, SCORER, strict=True):
            store.add_scores(c.id, SORM, tuple(0.1 if i == first else 0.9 for i in (1, 2)))
        study = store.add_study("first", {"people": 9}, "Be fair.", [(c.id, False) for c in chains], "root")
        place = {c.id: i for i, c in enumerate(chains)}
        for who, firsts in PEOPLE.items():
            while (slot := store.next_slot(study, who, 9, 600, lambda _, who=who: ARMS[who])) is not None:
                label(store, slot, firsts[place[slot.chain_id]])
                store.end_slot(slot.id, who, finish="solution", seconds=1)
        label(store, store.next_slot(study, "kim", 9, 600, lambda _: "blind"), 1)
        # outside the study ana says otherwise; that is another matter
        store.add_annotation(Annotation(chains[0].id, "ana", "correct", 1, -1))
    return where


def told(url: str, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["agree", "--db", url, "--json", *words])
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def test_the_people_of_a_study_are_those_who_submitted_by_what_they_said_in_it(url: str) -> None:
    found = told(url, "--a", "study:first", "--b", "study:first")
    assert (found["chains"], found["detection"]["agreement"]["n"]) == (4, 4)
    # 3 + 3 + 1 + 1 of twelve pairs say alike whether there is an error
    assert found["detection"]["agreement"]["value"] == pytest.approx(8 / 12)
    assert (found["localisation"]["exact"]["value"], found["localisation"]["exact"]["n"]) == (1, 4)
    assert "kappa" not in found["by_step"]
    assert found["ceiling"]["references"] == {"adjudicated": 0, "majority": 10, "tied": 2}
    # ana without the study is another judge: she has changed her mind about the first chain. Beside bob, who has not
    ana, bob = (told(url, "--a", who, "--b", "study:first")["detected"] for who in ("ana", "bob"))
    assert ana == [[1, 1], [3, 3]]  # her 1, 1, 2, 0 against bob's 0, 1, 2, 0 and eve's 0, 1, 0, 1
    assert bob == [[3, 1], [1, 3]]  # his 0, 1, 2, 0 against ana's in the study, which are the same, and eve's


def test_people_beside_the_scorer(url: str) -> None:
    """Ceiling as worked in test_agreement_parts: the same opinions."""
    found = told(url, "--a", "study:first", "--b", "tiny/sorm")
    rows = {row["kind"]: row for row in reversed(found["ceiling"]["rows"])}
    same = {kind: rows[kind]["numbers"]["same"]["value"] for kind in ("pairs", "others", "scorer", "stand-in")}
    assert same == pytest.approx({"pairs": 8 / 12, "others": 6 / 8, "scorer": 3 / 8, "stand-in": 5 / 8})
    assert rows["scorer"]["differences"]["same"]["value"] == pytest.approx(-3 / 8)
    # ana sees the scorer's first error in 3 of 4, and is blind; of the others bob in 3 of 4, eve in 1 of 4
    blind, shown = found["by"]["arm"]
    assert [(p["name"], p["numbers"]["same"]["value"]) for p in (blind, shown)] == [("blind", 3 / 4), ("scores", 4 / 8)]
    assert shown["differences"]["same"]["value"] == -1 / 4
    assert [(p["name"], p["chains"]) for p in found["by"]["source"]] == [("aqua", 1), ("gsm8k", 3), ("svamp", 1)]
    one, two = found["by"]["position"]
    # of twelve first steps four are called errors (three of chain 2, eve's of chain 4), by the scorer none
    assert (one["name"], one["steps"], one["numbers"]["errors_a"]["value"]) == ("1", 4, pytest.approx(4 / 12))
    assert one["numbers"]["errors_b"]["value"] == 0
    assert two["name"] == "2"


def test_what_was_settled_is_the_reference_where_it_is(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        (study,) = store.studies()
        fourth = store.items(study.id)[3].chain_id
        said = [Annotation(fourth, "whoever", "correct", 1, -1)]
        store.settle(study.id, fourth, said, "root")
        try:
            found = told(url, "--a", "study:first", "--b", "tiny/sorm")
            assert found["ceiling"]["references"] == {"adjudicated": 3, "majority": 9, "tied": 0}
            both = told(url, "--a", "adjudicated:first", "--b", "study:first")
            # one chain: eve alone is right, bob and ana see no error
            accuracy = both["processbench"]["error_acc"]
            assert (both["chains"], accuracy["value"], accuracy["n"]) == (1, pytest.approx(1 / 3), 3)
            assert both["processbench"]["correct_acc"]["n"] == 0
        finally:
            store.unsettle(study.id, fourth, "root")


def test_a_turn_that_called_the_problem_bad_says_nothing(url: str) -> None:
    with open_store(url) as store:
        (study,) = store.studies()
        slot = store.next_slot(study.id, "lea", 9, 600, lambda _: "pit")
        label(store, slot, 2)
        store.end_slot(slot.id, "lea", finish="solution", seconds=1, flags=["bad_problem"])
    found = told(url, "--a", "study:first", "--b", "tiny/sorm")
    assert [p["name"] for p in found["by"]["arm"]] == ["blind", "scores"]


def test_a_source_that_is_asked_for_is_the_only_one(url: str) -> None:
    words = ("--a", "study:first", "--b", "tiny/sorm")
    one = told(url, *words, "--source", "gsm8k")
    assert (one["chains"], [(p["name"], p["chains"]) for p in one["by"]["source"]]) == (3, [("gsm8k", 3)])
    assert told(url, *words, "--source", "gsm8k", "--split", "test")["chains"] == 3
    done = CliRunner().invoke(app, ["agree", "--db", url, *words, "--source", "aqua", "--split", "test"])
    assert "there is no chain of these problems" in str(done.exception)


def test_one_of_the_people_is_no_scorer_beside_them(url: str) -> None:
    found = told(url, "--a", "study:first", "--b", "ana")
    assert {row["kind"] for row in found["ceiling"]["rows"]} == {"pairs", "others", "pair"}


def test_text_of_the_parts_and_the_ceiling(url: str) -> None:
    words = ["--a", "study:first", "--b", "tiny/sorm", "--by", "arm", "--by", "position", "--by", "source",
             "--ceiling", "--sweep"]  # fmt: skip
    done = CliRunner().invoke(app, ["agree", "--db", url, *words])
    assert done.exit_code == 0, done.exception
    out = done.stdout
    assert "by arm\n" in out
    assert "  less blind" in out
    assert "what the others say: 0 adjudicated, 10 majority, 2 tied" in out
    assert "people and the others" in out
    assert "tiny/sorm and the others of eve" in out
    assert "ana and bob" in out
    assert out.count("of all pairs there is no first") == 1
    assert out.count("both err") == 3  # arms, sources, ceiling
    assert "thresholds of tiny/sorm" in out
    assert "average precision" in out
    assert "nan" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--a", "study:second", "--b", "tiny/sorm"), "there is no study 'second'; there are: "),
        (("--a", "study:first", "--b", "tiny/sorm", "--by", "colour"), "--by is arm, position, source, not 'colour'"),
        (("--a", "study:first", "--b", "tiny/sorm", "--tune-by", "luck"), "--tune-by is f1, step_f1, balanced, kappa"),
        (("--a", "adjudicated:first", "--b", "tiny/sorm"), "nobody is called 'adjudicated:first'"),
    ],
)
def test_what_cannot_be_asked(url: str, words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["agree", "--db", url, *words])
    assert done.exit_code == 1
    assert said in str(done.exception)


def test_a_study_nobody_has_submitted_to(url: str) -> None:
    with open_store(url) as store:
        (row,) = [study for study in store.studies() if study.name == "first"]
        item = store.items(row.id)[0].chain_id
        store.add_study("empty", {"people": 1}, "Be fair.", [(item, False)], "root")
    done = CliRunner().invoke(app, ["agree", "--db", url, "--a", "study:empty", "--b", "tiny/sorm"])
    assert "nobody has submitted an item of the study 'empty' yet" in str(done.exception)
