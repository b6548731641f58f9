"""The Datasets page without a browser: what its actions change, what is refused, what is downloaded."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from db.store import Store
from stepviz.datasets import build
from stepviz.types import Problem, SourceItem
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.download import download_route
from stepviz.ui.runs import Runs
from stepviz.ui.status import now
from stepviz.ui.view_datasets import age, parse
from stepviz.ui.workbench import Workbench
from stepviz.worker import Worker
from tests import dataset_cases as cases
from tests.page_cases import alone, said, sender
from tests.store_cases import chain
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Datasets)


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
    client = alone(download_route(school))
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
    client = alone(download_route(store))
    assert client.get(f"/stepviz/dataset/{path}").status_code == 404
    assert client.post("/stepviz/dataset/1/jsonl").status_code == 405


def test_a_download_that_cannot_be_written_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    made = store.add_dataset("none", "sft", {}, [])
    sent = alone(download_route(store)).get(f"/stepviz/dataset/{made.id}/parquet")
    assert (sent.status_code, "no rows" in sent.text) == (404, True)
    assert list((tmp_path / "t").iterdir()) == []


def test_the_same_build_twice_at_once_is_one_run(school: Store):
    for _ in range(2):
        send(school, "build", recipe="sft", split="train")
    assert len(school.runs()) == 1
