"""The Datasets page without a browser: what is drawn, what its actions change, what is refused, what is sent."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.store import Store, open_store
from stepviz import jobs
from stepviz.datasets import build
from stepviz.datasets_config import options_of
from stepviz.errors import StepvizError
from stepviz.recipes import RECIPES
from stepviz.types import Problem, SourceItem
from stepviz.ui import recipe_words
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.download import download_route
from stepviz.ui.page import Update, guarded
from stepviz.ui.render_dataset_rows import row
from stepviz.ui.runs import Runs
from stepviz.ui.status import now
from stepviz.ui.view_datasets import Origin, age, in_words, parse
from stepviz.ui.view_recipe import config_of, sent_of
from stepviz.ui.workbench import Workbench
from stepviz.worker import Worker
from tests import dataset_cases as cases
from tests.store_cases import chain
from tests.ui_cases import HOSTILE


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are claimed in the test's own process, where it asks for that."""
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        yield opened


@pytest.fixture
def school(store: Store) -> Store:
    cases.school(store)
    return store


def send(store: Store, act: str, at: str = "", **sent: object) -> Update:
    return guarded(Datasets(Workbench(store)).act, {"act": act, "at": at, **sent}, "ana")


def said(update: Update) -> str:
    found = re.search(r'data-kind="error"[^>]*data-text="([^"]*)"', update.reply)
    return found[1] if found else ""


# ---- rows


def test_labels_have_the_shape_of_who_gave_them():
    steps = {"prompt": "2+2?", "completions": ["a", "b", "c"], "labels": [1, 0, -100]}
    measured = row(steps, 0, None, "sorm")
    assert measured.count('class="dot v8"') == measured.count('class="dot v0"') == 1
    assert '<li class="fault"><b class="num">2</b>' in measured
    assert '<li class="off"><b class="num">3</b>' in measured
    assert 'class="hl hm"' in row(steps, 0, None, "stepwise")
    exact = row(steps, 0, None, "stepwise", oracle=True)
    assert ('class="ic ok"' in exact, 'class="hl' in exact) == (True, False)
    outcome = row({**steps, "labels": [0, 0, 0]}, 0, None, "orm")
    assert outcome.count('class="ic no"') == 3
    assert "fault" not in outcome  # a chain's outcome says nothing of where it went wrong


def test_soft_labels_say_k_of_n_where_something_was_drawn():
    html = row({"prompt": "q", "completions": ["a", "b"], "labels": [1, 1], "k": [3, 0], "n": [8, 0]}, 0, None, "sorm")
    assert html.count('class="kn') == 1
    assert "<b>3</b><s>/</s>8" in html


def test_a_pair_stands_side_by_side_and_links_to_its_chain():
    pair = {"prompt": "q\n1+1=2\n", "chosen": "2+1=3", "rejected": "2+1=4"}
    html = row(pair, 11, Origin("/?chain=abc&step=2", "school 1 · chain 2", ("step 2",)), "self-explore")
    assert html.index('class="cho"') < html.index("2+1=3") < html.index('class="rej"') < html.index("2+1=4")
    assert 'href="/?chain=abc&amp;step=2"' in html
    assert '<span class="num dim">12</span>' in html  # people count rows from 1


def test_only_the_mark_of_a_refiners_prompt_stands_out():
    prompt = "Q?\nDraft:\n1+1=2\n[BAD] 2+1=4\n[BAD] again\nRefinement:\n"
    html = row({"prompt": prompt, "completion": "2+1=3"}, 0, None, "refine-local")
    assert html.count("<mark>[BAD]</mark>") == 1
    assert '<span class="badline"><mark>[BAD]</mark> 2+1=4</span>' in html
    assert "<mark>" not in row({"prompt": prompt, "completion": "x"}, 0, None, "sft")


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": HOSTILE, "completion": HOSTILE},
        {"prompt": HOSTILE, "completions": [HOSTILE], "labels": [HOSTILE], "k": [HOSTILE], "n": [3]},
        {"prompt": HOSTILE, "chosen": HOSTILE, "rejected": HOSTILE},
        {HOSTILE: {HOSTILE: [HOSTILE]}},
        {"prompt": None, "completions": None, "labels": None},
    ],
)
def test_hostile_rows_are_text(columns: dict):
    html = row(columns, 0, Origin("", HOSTILE, (HOSTILE,)), "refine-global")
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_long_texts_and_chains_are_cut():
    html = row({"prompt": "x" * 9000, "completions": ["s"] * 100, "labels": [1] * 100}, 0, None, "orm")
    assert "and 3,000 more characters" in html
    assert "and 36 more steps" in html


# ---- the form


def test_every_recipe_and_option_is_explained():
    assert set(recipe_words.RECIPES) == set(RECIPES)
    for recipe in RECIPES.values():
        for option in options_of(recipe):
            label, about = recipe_words.option_words(recipe.name, option)
            assert label != option.replace("_", " ").capitalize() or option == "seed", option
            assert about.endswith((".", "?")), option


def test_a_form_shows_the_papers_defaults(school: Store):
    html = send(school, "form", recipe="sorm").html["build"]
    assert re.search(r'name="k" value="8"', html)
    for option, on in (
        ("consistent", True),
        ("plain", False),
        ("carry_back", True),
        ("balance", True),
        ("soft", False),
    ):
        assert (f'name="{option}" value="on" checked' in html) is on, option
    assert "reads 6 problems · 18 chains" in html
    assert f"{cases.SAMPLING.hash} {cases.MODEL}" in html
    assert re.search(r'name="k" value="4"', send(school, "form", recipe="self-explore").html["build"])


def test_another_recipe_starts_from_its_own_defaults(school: Store):
    sent = {"recipe": "self-explore", "of": "sorm", "k": "16", "source": "school", "limit": "3"}
    html = send(school, "form", **sent).html["build"]
    assert re.search(r'name="k" value="4"', html)
    assert re.search(r'name="limit" value="3"', html)
    assert re.search(r'value="school" selected', html)


def test_test_splits_cannot_be_chosen(store: Store):
    cases.add(store, cases.problem(2), cases.problem(3, "test"), cases.problem(4, "dev"))
    html = send(store, "form", recipe="sft").html["build"]
    split = re.search(r'name="split">(.*?)</select>', html)[1]
    assert re.findall(r'value="(\w+)"', split) == ["train", "dev", "any"]


def test_what_the_form_says_is_what_is_built(school: Store):
    words = {"recipe": "sorm", "of": "sorm", "k": "4", "consistent": "on", "soft": "on", "seed": "5", "split": "train",
             "limit": "3", "part": "all", "held_out": "0.2", "name": "  my   set ", "test_overlap": "drop"}  # fmt: skip
    recipe, config, name = config_of(words)
    made = build(school, recipe, config, name=name)
    wanted = {"k": 4, "consistent": True, "plain": False, "carry_back": False, "balance": False, "soft": True,
              "seed": 5, "limit": 3, "held_out": 0.2, "test_overlap": "drop", "branches": False}  # fmt: skip
    assert {key: made.config[key] for key in wanted} == wanted
    assert made.name == "my set"
    again, same, _ = config_of(sent_of(made.recipe, made.config, made.name))
    assert build(school, again, same, name="my set").id == made.id


def test_any_split_and_all_samples(school: Store):
    _, config, name = config_of({"recipe": "rft", "of": "rft", "keep": "", "split": "any", "distinct": "exact"})
    assert (config["split"], config["keep"], config["distinct"], name) == (None, None, "exact", None)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"recipe": "magic"}, "no recipe"),
        ({"recipe": "sorm", "of": "sorm", "k": "many"}, "Rollouts a step” is a whole number"),
        ({"recipe": "sorm", "of": "sorm", "k": "0"}, "k must be at least 1"),
        ({"recipe": "sft", "limit": "1.5"}, "At most, problems” is a whole number, or empty"),
        ({"recipe": "sft", "held_out": "2"}, "between 0 and 1"),
        ({"recipe": "sft", "name": "x" * 81}, "at most 80 characters"),
        ({"recipe": "sft", "split": "nowhere"}, "No problem of this source and split"),
        ({"recipe": "stepwise", "of": "stepwise"}, "“Labels of” NAME"),
        ({"recipe": "sft", "part": "third"}, "part is one of all, train, held-out"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(school: Store, sent: dict, answer: str):
    update = send(school, "build", **sent)
    assert answer.replace("'", "&#x27;") in said(update)
    assert school.runs() == []


def test_messages_for_the_command_line_name_the_form():
    told = in_words("choose another split (--split train), or leave such problems out (--test-overlap drop)")
    assert told == "choose another split (“Split” train), or leave such problems out (“Also in a test split” drop)"
    advised = "Measure first: python -m stepviz measure --split train --k 8, or lower --k."
    assert (
        in_words(advised) == "Measure first: python -m stepviz measure --split train --k 8, or lower “Rollouts a step”."
    )


# ---- the page


def test_an_empty_store_says_what_comes_first_and_does_it(store: Store):
    html = send(store, "open").html
    assert "No training set yet" in html["dopen"]
    assert "python -m stepviz world problems train" in html["dopen"]
    assert "python -m stepviz world problems train" in html["build"]
    update = send(store, "world")
    assert "200 embedded problems" in update.reply
    assert "reads 200 problems" in update.html["build"]
    assert "Choose a recipe on the left" in update.html["dopen"]
    assert store.sources() == [("embedded", 200)]


def test_problems_without_a_split_are_found(store: Store):
    store.add_items([SourceItem(Problem("1+1?", "2", "#### 2", "mine", "1"))])
    html = send(store, "form", recipe="sft").html["build"]
    assert "but 1 have none: choose “any, where none is test”" in html


def test_chains_are_counted_of_the_problems_that_are_counted(store: Store):
    """One problem without a split with two chains, one of train with one, one of test with one."""
    for key, split, n in (("1", None, 2), ("2", "train", 1), ("3", "test", 1)):
        p = Problem(f"1+{key}?", str(1 + int(key)), "", "mine", key, split)
        store.add_items([SourceItem(p, tuple(chain(p, str(j)) for j in range(n)))])
    html = send(store, "open").html["dopen"]
    assert "2 problems to train on" in html
    assert "3 chains of them" in html


def test_a_build_is_a_run_and_its_dataset_opens(school: Store):
    started = send(school, "build", recipe="sorm", of="sorm", k="8", consistent="on", split="train", name="mine")
    (run,) = school.runs()
    assert 'data-kind="run" data-nonce' in started.reply
    assert run.spec["name"] == "mine"
    assert "waiting for the worker" in started.html["dlist"]
    Worker(school).run_next(None)
    update = send(school, "poll", at=f"?run={run.id}", seen="-!")
    (made,) = school.datasets()
    assert f'data-dataset="{made.id}"' in update.html["dopen"]
    assert "cannot be solved from here" in update.html["dopen"]
    assert "waiting" not in update.html["dlist"]
    assert f"/datasets?dataset={made.id}" in Runs(Workbench(school)).page(f"?run={run.id}")
    assert send(school, "poll", at=f"?run={run.id}", seen="-").html == {}


def test_the_same_build_again_says_that_nothing_changed(school: Store):
    for _ in range(2):
        send(school, "build", recipe="sft", split="train")
        Worker(school).run_next(None)
    assert len(school.datasets()) == 1
    newest = school.runs()[0].id
    assert "still version 1" in send(school, "open", at=f"?run={newest}").html["dopen"]


def test_a_build_that_fails_says_what_to_do(store: Store):
    cases.add(store, cases.problem(2), cases.problem(3, "test"))
    send(store, "build", recipe="sft", split="any")
    Worker(store).run_next(None)
    (run,) = store.runs()
    html = send(store, "open", at=f"?run={run.id}").html["dlist"]
    assert "is a test problem and cannot enter a training set" in html
    assert "(“Split” train)" in html
    assert store.datasets() == []
    bench = Workbench(store)
    Datasets(bench).act({"act": "dismiss", "at": f"?run={run.id}", "run": run.id}, "ana")
    assert "test problem" not in Datasets(bench).act({"act": "look", "at": f"?run={run.id}"}, "ana").html["dlist"]


def test_a_cancelled_build_can_be_started_again(school: Store):
    send(school, "build", recipe="sft", split="train")
    (run,) = school.runs()
    send(school, "cancel", run=str(run.id))
    html = send(school, "look", at=f"?run={run.id}").html["dlist"]
    assert "nothing was stored" in html
    assert 'data-act="resume"' in html
    send(school, "resume", run=str(run.id))
    assert school.run(run.id).state == "queued"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"act": "drop"}, "no action"),
        ({"act": "cancel", "run": "1; --"}, "is not a number"),
        ({"act": "cancel", "run": "99"}, "There is no run 99"),
        ({"act": "like", "dataset": "7"}, "no dataset 7"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(school: Store, sent: dict, answer: str):
    update = send(school, **sent)
    assert answer in said(update)
    assert update.html == {}


def test_a_dataset_is_shown_with_counts_reasons_and_links(school: Store):
    made = build(school, "self-explore")
    html = send(school, "open", at=f"?dataset={made.id}").html["dopen"]
    assert "Left out, and why" in html
    assert "a wrong chain that no right sample was paired with" in html
    chain = next(school.dataset_rows(made.id))["origin"]["chain"]
    assert f'href="/?chain={chain}&amp;step=2"' in html
    assert html.count("<article>") == 6
    for name in ("jsonl", "parquet", "hf"):
        assert f'href="/stepviz/dataset/{made.id}/{name}"' in html


def test_rows_come_in_pages(store: Store):
    cases.add(store, *(cases.problem(a) for a in range(2, 25)))
    made = build(store, "sft")
    first = send(store, "rows", at=f"?dataset={made.id}").html["dopen"]
    assert "1–10 of 23" in first
    assert f'href="?dataset={made.id}&amp;row=10"' in first
    last = send(store, "rows", at=f"?dataset={made.id}&row=99").html["dopen"]
    assert "21–23 of 23" in last
    assert ">More<" not in last


def test_an_unknown_dataset_says_so_and_the_list_stays(school: Store):
    build(school, "sft")
    html = send(school, "open", at="?dataset=77").html
    assert "There is no dataset 77" in html["dopen"]
    assert "6 rows" in html["dlist"]
    assert "1–6 of 6" in send(school, "open", at="?dataset=abc&row=-1").html["dopen"]


def test_hostile_names_and_origins_are_text(store: Store):
    store.add_dataset(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, [{"prompt": HOSTILE, "origin": {"problem": HOSTILE}}],
                      counts={"sources": {HOSTILE: 1}, "labels": {HOSTILE: 2}}, dropped={HOSTILE: 3})  # fmt: skip
    html = send(store, "open").html
    assert "<img" not in html["dopen"] + html["dlist"]
    assert html["dopen"].count("&lt;img src=x") >= 6
    assert "no longer in this store" in html["dopen"]


def test_addresses_and_ages():
    assert parse("?dataset=3&row=20&run=x") == parse("dataset=3&row=20")
    assert (parse("?dataset=3").dataset, parse("?dataset=%C2%B2").dataset, parse("?row=9&run=4").run) == (3, None, 4)
    passed = {0: "just now", 61: "1 min ago", 7300: "2 h ago", 86400 * 1.5: "1 day ago", 86400 * 3: "3 days ago"}
    assert {s: age(now() - timedelta(seconds=s)) for s in passed} == passed


# ---- downloads


def test_downloads_are_whole_and_leave_nothing_behind(school: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    made = build(school, "sft", name="a/b ../<c>")
    client = TestClient(Starlette(routes=[download_route(school)]))
    sent = client.get(f"/stepviz/dataset/{made.id}/jsonl")
    assert sent.headers["content-disposition"] == 'attachment; filename="a-b-..-c-v1.jsonl"'
    assert [json.loads(line) for line in sent.text.splitlines()] == list(school.dataset_rows(made.id))
    assert client.get(f"/stepviz/dataset/{made.id}/parquet").content[:4] == b"PAR1"
    packed = tmp_path / "folder.zip"
    packed.write_bytes(client.get(f"/stepviz/dataset/{made.id}/hf").content)
    names = zipfile.ZipFile(packed).namelist()
    assert {"a-b-..-c-v1/README.md", "a-b-..-c-v1/dataset_dict.json"} <= set(names)
    assert all(name.startswith("a-b-..-c-v1/") for name in names)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("path", ["9/jsonl", "x/jsonl", "1/csv", "%C2%B2/jsonl", "1/..", "99999999999999/hf", "-1/hf"])
def test_wrong_downloads_are_refused(store: Store, path: str):
    client = TestClient(Starlette(routes=[download_route(store)]))
    assert client.get(f"/stepviz/dataset/{path}").status_code == 404
    assert client.post("/stepviz/dataset/1/jsonl").status_code == 405


def test_a_download_that_cannot_be_written_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    made = store.add_dataset("none", "sft", {}, [])
    sent = TestClient(Starlette(routes=[download_route(store)])).get(f"/stepviz/dataset/{made.id}/parquet")
    assert (sent.status_code, "no rows" in sent.text) == (404, True)
    assert list((tmp_path / "t").iterdir()) == []


def test_the_same_build_twice_at_once_is_one_run(school: Store):
    for _ in range(2):
        send(school, "build", recipe="sft", split="train")
    assert len(school.runs()) == 1


def test_a_message_without_options_stays_as_it_is():
    assert in_words("labels -- and steps") == "labels -- and steps"
    with pytest.raises(StepvizError, match="no recipe"):
        config_of({})
