"""Labels of a study as training sets of the store, and the whole way from a turn to a trained model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from stepviz.dataset_files import write
from stepviz.datasets import build
from stepviz.errors import StepvizError
from stepviz.importing import import_path
from stepviz.reward import load_scorer
from stepviz.types import Chain, Problem
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.view_recipe import config_of, sent_of
from stepviz.ui.view_studies import dataset_link
from tests import dataset_cases as cases
from tests import tiny
from tests.page_cases import fields_of, said, sender
from tests.study_cases import labelled, made, settled, taken
from tests.test_cli import run, value
from tests.test_sources import OPENAI_ROW
from training.__main__ import app as training

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Datasets)
MASK = -100


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as opened:
        yield opened


@pytest.fixture
def chains(store: Store) -> list[Chain]:
    """Of one problem: a right chain, and two wrong ones that begin like it."""
    p = cases.problem(2)
    cases.add(store, p)
    return cases.sample(store, p, "2+1=3\n3+1=4\n#### 4", "2+1=3\n3-1=2\n#### 2", "2+1=3\n3+3=6\n#### 6")


@pytest.fixture
def study(store: Store, chains: list[Chain]) -> int:
    """Ana and ben on the first two chains; the third is gold, ana alone; eve called the second one's problem bad.

    right   ana 1 1 1    ben 1 1 1
    lost    ana 1 −1     ben 1 −1     eve 1 1 1 (bad problem)
    gold    ana 1 −1
    """
    id_ = made(store, [c.id for c in chains], gold=[chains[2].id])
    for who in ("ana", "ben"):
        labelled(store, id_, who, {1: 1, 2: 1, 3: 1}, arm="blind" if who == "ana" else "scores")
        labelled(store, id_, who, {1: 1, 2: -1}, finish="found_error")
    labelled(store, id_, "ana", {1: 1, 2: -1}, finish="found_error")
    labelled(store, id_, "eve", {})
    labelled(store, id_, "eve", {1: 1, 2: 1, 3: 1}, flags=["bad_problem"])
    taken(store, id_, "ben")
    return id_


def rows(store: Store, recipe: str, **config: Any) -> list[dict[str, Any]]:
    return list(store.dataset_rows(build(store, recipe, {"study": "first", **config}).id))


def test_a_study_becomes_a_dataset_that_says_who_and_by_what(store: Store, chains: list[Chain], study: int):
    frozen = build(store, "stepwise", {"study": "first"})
    found = list(store.dataset_rows(frozen.id))
    assert [(row["completions"], row["labels"]) for row in found] == [
        (["2+1=3", "3+1=4", "#### 4"], [1, 1, 1]),
        (["2+1=3", "3-1=2", "#### 2"], [1, 0, MASK]),
    ]
    assert found[1]["origin"] == {
        "problem": cases.problem(2).id, "chain": chains[1].id, "step": None, "model": cases.MODEL,
        "seed": found[1]["origin"]["seed"], "annotator": "ana, ben", "study": "first", "guideline": "1",
    }  # fmt: skip
    assert frozen.counts["people"] == {"ana, ben": 2}
    assert frozen.counts["guidelines"] == {"1": 2}
    assert frozen.config["study"] == "first"
    assert frozen.dropped == {
        "a turn that called the problem bad": 1,
        "a turn at a gold item, whose labels were known before": 1,
        "a chain without a label of this study": 1,
    }
    assert build(store, "stepwise", {"study": "first"}).id == frozen.id


def test_gold_items_and_blind_labels_are_asked_for(store: Store, study: int):
    assert [row["labels"] for row in rows(store, "stepwise", gold=True)] == [[1, 1, 1], [1, 0, MASK], [1, 0, MASK]]
    found = rows(store, "stepwise", blind=True)
    assert [(row["origin"]["annotator"], row["labels"]) for row in found] == [
        ("ana", [1, 1, 1]), ("ana, ben", [1, 0, MASK]),
    ]  # fmt: skip
    assert store.datasets()[0].dropped["a turn in which a model's opinion was shown"] == 1


def test_what_was_settled_is_what_is_learnt(store: Store, chains: list[Chain], study: int):
    settled(store, study, chains[1].id, {1: 1, 2: 1, 3: -1})
    assert rows(store, "stepwise")[1]["labels"] == [1, 1, 0]
    assert rows(store, "stepwise", soft=True)[0]["k"] == [2, 2, 2]


def test_pairs_of_a_study(store: Store, study: int):
    (row,) = rows(store, "human-pairs")
    assert (row["prompt"], row["chosen"], row["rejected"]) == (
        f"{cases.problem(2).question}\n2+1=3\n", "3+1=4", "3-1=2",
    )  # fmt: skip
    assert [row["rejected"] for row in rows(store, "human-pairs", gold=True)] == ["3-1=2", "3+3=6"]


def test_pairs_read_the_branches_that_others_leave_out(store: Store, tmp_path: Path):
    row = {**OPENAI_ROW, "labeler": "ana"}
    (tmp_path / "phase2_train.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    import_path(store, "prm800k", tmp_path / "phase2_train.jsonl")
    made_ = build(store, "human-pairs", {"annotator": "prm800k"})
    (pair,) = store.dataset_rows(made_.id)
    assert pair["chosen"] == "$7 \\cdot 6 = 42$."
    assert pair["origin"]["annotator"] == "prm800k/ana"
    assert build(store, "stepwise", {"annotator": "prm800k"}).n_rows == 1


@pytest.mark.parametrize("recipe", ["stepwise", "human-pairs"])
@pytest.mark.parametrize("format", ["jsonl", "parquet", "hf"])
def test_every_file_has_the_columns(store: Store, study: int, tmp_path: Path, recipe: str, format: str):
    from datasets import load_dataset

    made_ = build(store, recipe, {"study": "first", **({"soft": True} if recipe == "stepwise" else {})})
    folder = write(store, made_.id, format, tmp_path / "set")
    read = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.to_list() == list(store.dataset_rows(made_.id))
    assert "ana, ben" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_study_there_is_not(store: Store, study: int):
    with pytest.raises(StepvizError, match="there is no study 'second'; there are: first"):
        build(store, "stepwise", {"study": "second"})
    assert store.datasets() == []


def test_from_a_shell(store: Store, study: int, tmp_path: Path):
    words = ("--study", "first", "--gold", "--soft", "--after-error", "mask", "--neutral", "mask", "--blind")
    told = value(run(tmp_path, "dataset", "build", "stepwise", *words, "--json"))
    assert isinstance(told, dict)
    config = store.dataset(told["id"]).config
    wanted = {"gold": True, "soft": True, "after_error": "mask", "neutral": "mask", "blind": True, "study": "first"}
    assert {key: config[key] for key in wanted} == wanted
    words = ("--study", "first", "--span", "rest", "--chosen", "right")
    told = value(run(tmp_path, "dataset", "build", "human-pairs", *words, "--json"))
    assert isinstance(told, dict)
    assert [store.dataset(told["id"]).config[key] for key in ("span", "chosen")] == ["rest", "right"]


# ---- in the form


def test_the_form_offers_the_newest_study_and_builds_it_again(store: Store, study: int):
    html = send(store, "form", recipe="stepwise").html["build"]
    sent = fields_of(html)
    assert (sent["study"], sent["annotator"]) == ("first", "")
    assert "first (7 labelled)" in html
    recipe, config, _ = config_of(sent)
    made_ = build(store, recipe, config)
    assert made_.n_rows == 2
    again, same, _ = config_of(sent_of(made_.recipe, made_.config, made_.name))
    assert build(store, again, same).id == made_.id
    both = send(store, "build", **{**sent, "annotator": "ana"})
    assert "“People of the study” NAME, or “Labels of” NAME" in said(both)
    oracle = config_of({**sent, "oracle": "on", "annotator": "ana"})[1]
    assert (oracle["study"], oracle["annotator"]) == (None, None)


def test_a_link_from_a_study_fills_the_form_in(store: Store, chains: list[Chain], study: int):
    """The older one of two; the newest would be offered without it."""
    labelled(store, made(store, [chains[0].id], name="a&b <i>"), "ana", {1: 1})
    sent = fields_of(send(store, "open", query(dataset_link("first"))).html["build"])
    assert (sent["recipe"], sent["study"], sent["annotator"]) == ("stepwise", "first", "")
    sent = fields_of(send(store, "open", query(dataset_link("a&b <i>"))).html["build"])
    assert sent["study"] == "a&b <i>"
    update = send(store, "open", "?recipe=magic&study=first")
    assert fields_of(update.html["build"])["recipe"] == "sft"
    assert "<i>" not in send(store, "open", "?recipe=stepwise&study=%3Ci%3Ex").html["build"].replace("<i></i>", "")


def query(link: str) -> str:
    assert link.startswith("/datasets?")
    return link.removeprefix("/datasets")


def test_what_was_settled_is_nobody_to_choose(store: Store, chains: list[Chain], study: int):
    settled(store, study, chains[1].id, {1: 1})
    html = send(store, "form", recipe="human-pairs").html["build"]
    assert "adjudicated" not in html
    assert 'value="ana"' in html


def test_a_form_of_pairs_without_labels_says_what_is_missing(store: Store, chains: list[Chain]):
    html = send(store, "form", recipe="human-pairs").html["build"]
    assert "Nobody has labelled a step yet. Import labels (prm800k, math-shepherd, stepverify)." in html


# ---- the whole way


def test_from_a_turn_to_a_trained_model(store: Store, tmp_path: Path):
    """Two people label twelve chains, the recipe agrees on them, and a step reward model has learnt from it."""
    problems = [cases.problem(a) for a in range(2, 14)]
    cases.add(store, *problems)
    own = [cases.sample(store, p, "2+1=3\n3-1=2\n#### 2")[0] for p in problems]
    id_ = made(store, [c.id for c in own])
    for who in ("ana", "ben"):
        for _ in own:
            labelled(store, id_, who, {1: 1, 2: -1}, finish="found_error")
    frozen = build(store, "stepwise", {"study": "first", "soft": True})
    base, out = tiny.build(tmp_path / "base", sharp=1.0), tmp_path / "ours"
    words = ["prm", "--soft", "--dataset", str(frozen.id), "--base", str(base), "--out", str(out)]
    words += ["--epochs", "1", "--batch", "4", "--length", "128", "--no-compile", "--db", store.url]
    done = CliRunner().invoke(training, words)
    assert done.exit_code == 0, done.output
    (model,) = store.models("prm")
    assert store.models("orm") == []
    assert [(d["name"], d["hash"]) for d in model.meta["datasets"]] == [("stepwise", frozen.hash)]
    assert 0 < model.meta["chains"] <= 12
    assert model.meta["labelled_steps"] == 2 * model.meta["chains"]
    (scores,) = load_scorer(model.spec, "cpu").score([(f"{problems[0].question}\n", own[0].steps)])
    assert len(scores) == 3


def test_labels_of_a_test_problem_train_nothing(store: Store):
    p: Problem = cases.problem(2, "test")
    cases.add(store, p)
    (own,) = cases.sample(store, p, "2+1=3\n3-1=2\n#### 2")
    id_ = made(store, [own.id])
    labelled(store, id_, "ana", {1: 1, 2: -1})
    for recipe in ("stepwise", "human-pairs"):
        with pytest.raises(StepvizError, match="is a test problem"):
            build(store, recipe, {"study": "first", "split": None})
