"""The pages' actions without a browser: what changes, what is refused, and how it is said."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import app
from db.store import Store, open_store
from stepviz.errors import StepvizError
from stepviz.job_kinds import JOBS
from stepviz.ui import render_runs
from stepviz.ui.explore import Explore
from stepviz.ui.page import Update, guarded
from stepviz.ui.render_chain import DOING, progress
from stepviz.ui.rows import RunList
from stepviz.ui.runs import Runs
from stepviz.ui.status import run_line
from stepviz.ui.view_import import form_of, import_spec, preview_of
from stepviz.ui.workbench import Workbench
from tests import ui_cases

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        yield opened


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    return ui_cases.fill(store)


def send(store: Store, act: str, **data: object) -> Update:
    return guarded(Explore(Workbench(store)).act, {"act": act, **data}, "ana")


def said(update: Update) -> str:
    found = re.search(r'data-kind="error"[^>]*data-text="([^"]*)"', update.reply)
    return found[1] if found else ""


def test_each_read_changes_only_its_panes(store: Store, ids: dict[str, str]):
    at = f"?problem={ids['problem']}&chain={ids['wrong']}"
    assert set(send(store, "open", at=at).html) == {"top", "find", "problems", "chains", "view"}
    assert set(send(store, "problem", at=at).html) == {"chains", "view"}
    assert set(send(store, "chain", at=at).html) == {"view"}
    assert set(send(store, "find", at="?q=goats").html) == {"problems"}


def test_a_poll_without_news_sends_nothing(store: Store, ids: dict[str, str]):
    first = send(store, "poll", at="", seen="something else")
    assert set(first.html) == {"top", "chains", "view"}
    assert send(store, "poll", at="", seen="-").html == {}


def test_an_empty_store_says_what_to_do(store: Store):
    view = send(store, "open", at="").html["view"]
    assert "Nothing is open" in view
    assert 'href="/import"' in view


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"act": "drop tables"}, "no action"),
        ({"act": "cancel", "run": "1; --"}, "is not a number"),
        ({"act": "cancel", "run": 99}, "There is no run 99"),
        ({"act": "merge", "step": "4"}, "no step below"),
        ({"act": "merge", "step": "400"}, "has no step 400"),
        ({"act": "resegment", "rule": "astrology"}, "Unknown segmentation rule"),
        ({"act": "override", "value": "correct", "reason": "  "}, "Say why"),
        ({"act": "override", "value": "maybe", "reason": "x"}, "Choose right, wrong"),
        ({"act": "branch", "step": "1", "text": "   ", "n": "4"}, "is empty"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(store: Store, ids: dict[str, str], sent: dict, answer: str):
    at = f"?problem={ids['problem']}&chain={ids['right']}"
    update = send(store, sent.pop("act"), at=at, **sent)
    assert answer in said(update)
    assert update.html == {}


def test_steps_with_labels_stay(store: Store, ids: dict[str, str]):
    at = f"?problem={ids['problem']}&chain={ids['wrong']}"
    assert "labelled by ana" in said(send(store, "merge", at=at, step="1"))
    assert store.chain(ids["wrong"]).chain.n == 4


def test_a_split_and_a_merge_are_each_others_inverse(store: Store, ids: dict[str, str]):
    at = f"?problem={ids['problem']}&chain={ids['right']}"
    before = store.chain(ids["right"]).chain.spans
    offset = ui_cases.RIGHT.split("\n")[0].index("= 144")
    send(store, "split", at=at, step="1", offset=str(offset))
    assert store.chain(ids["right"]).chain.steps[:2] == ("6 * 24", "= 144")
    send(store, "merge", at=at, step="1")
    assert store.chain(ids["right"]).chain.spans == before


def test_an_override_names_its_author(store: Store, ids: dict[str, str]):
    at = f"?problem={ids['problem']}&chain={ids['wrong']}"
    send(store, "override", at=at, value="correct", reason="the gold answer is off")
    row = store.chain(ids["wrong"])
    assert (row.verdict.value, row.verdict.grader, row.graded.value) == ("correct", "person:ana", "wrong")
    dialog = send(store, "verdict", at=at).reply
    assert "right: the gold answer is off" in dialog
    assert "wrong: 244 and 264 are different numbers" in dialog  # the grader's, beneath it


def test_an_override_can_be_taken_back_by_its_author_only(store: Store, ids: dict[str, str]):
    at = f"?problem={ids['problem']}&chain={ids['wrong']}"
    assert 'data-act="withdraw"' not in send(store, "verdict", at=at).reply
    store.override_verdict(ids["wrong"], "correct", "the gold answer is off", "bea")
    assert "only its author" in said(send(store, "withdraw", at=at))
    send(store, "override", at=at, value="unknown", reason="two readings")
    assert store.chain(ids["wrong"]).verdict.value == "unknown"
    assert 'data-act="withdraw"' in send(store, "verdict", at=at).reply
    send(store, "withdraw", at=at)
    row = store.chain(ids["wrong"])
    assert (row.verdict.value, row.verdict.grader) == ("correct", "person:bea")


def test_runs_page_lists_settings_and_survives_hostile_ones(store: Store):
    run = store.add_run("import", {"path": "<img src=x onerror=alert(1)>.csv", "format": "table"})
    html = Runs(Workbench(store)).page(f"?run={run}")
    assert "&lt;img src=x onerror=alert(1)&gt;.csv" in html
    assert "<img" not in html
    assert "waiting" in html


def test_a_form_keeps_the_users_corrections(tmp_path: Path):
    file = tmp_path / "t.csv"
    file.write_text('a,b,c\n"What is 1+1?",2,"1+1=2\n#### 2"\n')
    guess = form_of(str(file))
    assert guess.format == ""
    assert guess.name == "table"
    form = form_of(str(file), changes={"question": "a", "answer": "b", "response": "c", "rule": "line"})
    assert import_spec(form)["mapping"]["response"] == "c"
    (item,) = preview_of(form).entries
    assert (item.problem.question, item.problem.answer, item.chains[0].n) == ("What is 1+1?", "2", 2)


def test_a_form_says_why_a_file_cannot_be_read(tmp_path: Path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "empty.jsonl" in form_of(str(empty)).error
    assert form_of(str(tmp_path / "nowhere.csv")).error
    assert form_of("").error == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_the_app_stays_on_this_machine(host: str):
    with pytest.raises(StepvizError, match="no accounts"):
        app.reachable(host, accounts=False)


@pytest.mark.parametrize(
    ("host", "used"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("127.0.0.5", "127.0.0.5"), ("::1", "[::1]")],
)
def test_loopback_hosts_pass(host: str, used: str):
    assert app.reachable(host, accounts=False) == used


def test_with_accounts_any_host_passes():
    assert app.reachable("0.0.0.0", accounts=True) == "0.0.0.0"


def test_every_kind_of_job_has_its_word(store: Store):
    """What the header, a bar and a row call it while it runs."""
    words = {"score": "Scoring", "refine": "Refining", "train": "Training", "measure many": "Measuring"}
    for kind, word in words.items():
        line = run_line(replace(store.run(store.add_run(kind, {})), state="running"))
        assert progress(line) == word
        assert f"<b>{word}</b>" in render_runs.runs(RunList((line,), 1), lambda **_: "")
    assert {kind.removesuffix(" many") for kind in JOBS} <= DOING.keys()


def test_starting_says_what_it_does_before_it_does_it(tmp_path: Path):
    """`python app.py` into a pipe: the store before it is opened, the address once somebody answers there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "app.py", "--db", f"sqlite:///{tmp_path}/new.db", "--port", port]
    url, environment = f"http://127.0.0.1:{port}", {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        deadline = threading.Timer(300, process.kill)
        deadline.start()
        try:
            said = [process.stdout.readline()]
            while said[-1] and url not in said[-1]:
                said.append(process.stdout.readline())
            assert "opening" in said[0]
            assert "new.db" in said[0]
            assert urllib.request.urlopen(f"{url}/", timeout=20).status == 200
        finally:
            deadline.cancel()
            process.terminate()


def test_make_app_says_what_it_installs():
    """make prints its own commands; those that take long say what they do, in words."""
    done = subprocess.run(["make", "-n", "-B", "app"], cwd=ROOT, capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if "echo" in line]
    assert any("environment" in line and ".venv" in line for line in said)
    assert any("nstalling" in line and "requirements.txt" in line for line in said)
