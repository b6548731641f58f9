"""The Compare page with two judges of steps in the place of two students."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.types import SourceItem
from stepviz.ui.compare_download import compare_route
from stepviz.ui.compare_page import Compare
from stepviz.ui.page import Update, guarded
from stepviz.ui.workbench import Workbench
from stepviz.worker import Worker
from tests import compare_cases as cases
from tests.page_cases import alone
from tests.test_ui_compare import text
from tests.ui_cases import fill


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Two chains of an embedded problem, one of them measured."""
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        fill(opened)
        yield opened


def send(store: Store, act: str, at: str, **sent: object) -> Update:
    return guarded(Compare(Workbench(store)).act, {"act": act, "at": at, **sent}, "ana")


def compared(store: Store, tmp_path: Path) -> str:
    """Both have scored, from the page on. The address."""
    specs = cases.judges(tmp_path)
    said = dict(zip(specs, cases.DOUBTS, strict=True))
    at = "?" + urlencode({"before": specs[0], "after": specs[1], "source": "embedded", "split": "test"})
    page = send(store, "open", at).html
    assert "4 chains to score" in html.unescape(page["cform"]).replace("\u00a0", " ")
    send(store, "start", at)
    assert Worker(store, load_scorer=lambda spec, device: cases.Judge(spec, said[spec], [])).run_next(None)
    return at


def test_two_judges_on_the_same_chains(store: Store, tmp_path: Path) -> None:
    at = compared(store, tmp_path)
    page = send(store, "open", at).html
    shown = text(page["copen"])
    assert "Everything is scored." in page["cform"]
    # of the wrong chain, measured 6/8, 0/8, 0/8 and the wrong answer: one step of four reaches the answer; of the right
    # one nothing is measured but its end
    assert re.search(r"measured: a continuation reaches the answer\s+5 steps, 40 % are", shown)
    assert re.findall(r'data-go href="[^"]*"[^>]*>(All|Moved) <b>(\d+)', page["copen"]) == [
        ("All", "2"),
        ("Moved", "2"),
    ]
    heads = re.findall(r'<th title="([^"]*)">([^<]*)<small>(\w+)</small>', html.unescape(page["copen"]))
    v = "estimates the student's chance to reach the right answer from here (V)"
    assert heads == [(v, "old", "ORM"), (v, "new", "ORM")]
    assert "step 1" in shown
    assert "step 3" in shown
    link = html.unescape(re.findall(r'class="ps" href="([^"]*)"', page["copen"])[1])
    assert "step=3" in link
    assert link.endswith("&t=0.5")
    assert "scorer=hf%3A" in link


def test_another_threshold_moves_the_pits(store: Store, tmp_path: Path) -> None:
    at = compared(store, tmp_path)
    low = send(store, "open", at + "&t=0.3").html["copen"]
    assert re.findall(r'data-go href="[^"]*"[^>]*>(All|New) <b>(\d+)', low) == [("All", "2"), ("New", "2")]
    none = send(store, "open", at + "&t=0.05&show=new").html["copen"]
    assert "No chain here." in none


@pytest.mark.parametrize(
    "t, value, written",
    [("", "0.5", ".50"), ("0.3", "0.3", ".30"), ("1", "1", "1"), ("0", "0", "0")]
    + [(odd, "0.5", ".50") for odd in ("1.5", "-0.2", "1e-3", "nan", "٠.٣", '"><img src=x>')],
)
def test_the_threshold_of_the_address_is_set_by_a_slider(
    store: Store, tmp_path: Path, t: str, value: str, written: str
) -> None:
    at = cases.judged(store, tmp_path) + "&" + urlencode({"t": t})
    page = send(store, "open", at).html["copen"]
    (hand,) = re.findall(r'<span class="hand".*?</span>', page)
    assert 'role="slider" tabindex="0" aria-label="Threshold: a step that a judge scores at or below it' in hand
    assert f'aria-valuenow="{value}"' in hand
    assert text(hand).split() == ["≤", written]
    assert f'class="cut" style="--t:{value}"' in page
    assert f"balanced accuracy at {written}" in page
    assert "<img" not in page


def test_another_threshold_is_the_same_comparison(store: Store, tmp_path: Path) -> None:
    """The page keeps its reader's place where `data-of` is the same."""
    at = cases.judged(store, tmp_path)
    of = [re.search(r'data-of="([^"]*)"', send(store, "open", at + more).html["copen"])[1] for more in ("", "&t=0.3")]
    assert of[0] == of[1]


def test_the_download_has_a_row_a_chain(store: Store, tmp_path: Path) -> None:
    at = compared(store, tmp_path)
    client = alone(compare_route(store))
    rows = client.get("/stepviz/compare/jsonl" + at).text.splitlines()
    assert len(rows) == 2
    assert '"before_pit": 1, "after_pit": 3, "pit": "moved"' in rows[0]


def test_judges_stand_apart_in_the_form_and_go_with_judges(store: Store, tmp_path: Path) -> None:
    compared(store, tmp_path)
    one = next(m.spec for m in store.models("orm"))
    form = send(store, "open", "?" + urlencode({"after": one, "source": "embedded", "split": "test"})).html["cform"]
    assert '<optgroup label="Judges of steps">' in form
    assert 'name="limit"' in form
    assert 'name="k"' not in form  # nothing is drawn for them
    before = re.search(r'<select class="field" name="before".*?</select>', form)[0]
    # the ORM that ships, not a student, nor itself
    assert re.search(r'<option value="([^"]*)" selected', before)[1] == "embedded:orm"


def test_problems_without_chains_cannot_be_judged(store: Store, tmp_path: Path) -> None:
    specs = cases.judges(tmp_path)
    store.add_items([SourceItem(cases.PROBLEMS[0])])
    at = "?" + urlencode({"before": specs[0], "after": specs[1], "source": "sums", "split": "dev"})
    assert "These problems have no chains with steps" in send(store, "open", at).html["cform"]
