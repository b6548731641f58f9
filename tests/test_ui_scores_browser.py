"""Scores in a real Chromium: the threshold is dragged, a scorer is chosen, and the worker scores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from tests import chromium, tiny_scorers, ui_cases
from tests.chromium import Running

pytestmark = chromium.MARKS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("scores")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ids = ui_cases.fill(store)
        ui_cases.add_scores(store, ids)
        with chromium.serve(store, ids=ids) as app:
            yield app


def open_at(page: Page, running: Running, address: str = "") -> None:
    page.goto(running.url + address)
    expect(page.locator("#view .vhead[data-problem]")).to_be_visible()


def dragged(page: Page, to: float) -> None:
    """The threshold's line, taken in the last row and moved to a value."""
    line = page.locator("#view .row[data-i='4'] .thr")
    track, at = line.locator("..").bounding_box(), line.bounding_box()
    page.mouse.move(at["x"], at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + to * track["width"] + 30, at["y"], steps=4)
    page.mouse.move(track["x"] + to * track["width"], at["y"], steps=4)
    page.mouse.up()


def test_the_threshold_is_dragged_and_the_predicted_pit_moves_with_it_in_the_browser(page: Page, running: Running):
    """.9 .6 .3 .05 along the chain: step 3 at .5, step 2 from .6 on, none below .05; the server hears of nothing."""
    open_at(page, running, f"/?problem={running.ids['problem']}&chain={running.ids['wrong']}&step=1")
    pit, hand = page.locator("#view .row.ppit"), page.locator("#view .hand")
    expect(pit).to_have_attribute("data-i", "3")
    expect(pit.locator(".tag.pred")).to_have_text("predicted pitSORM .30 ≤ .50")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    dragged(page, 0.75)
    expect(pit).to_have_attribute("data-i", "2")
    expect(pit.locator(".tag.pred")).to_be_visible()
    expect(hand).to_have_attribute("aria-valuenow", "0.75")
    expect(page.locator("#view .row[data-i='3'] .tag.pred")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"t=0\.75$"))
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1")  # a drag chooses no step
    expect(hand).to_be_focused()
    for key, value in (
        ("ArrowRight", "0.76"),
        ("ArrowLeft", "0.75"),
        ("PageDown", "0.65"),
        ("Home", "0"),
        ("End", "1"),
    ):
        page.keyboard.press(key)
        expect(hand).to_have_attribute("aria-valuenow", value)
    expect(pit).to_have_attribute("data-i", "1")
    page.keyboard.press("Home")
    expect(pit).to_have_count(0)
    page.keyboard.press(".")
    expect(pit).to_have_attribute("data-i", "4")
    expect(page).to_have_url(re.compile(r"t=0\.05$"))
    assert [url for url in sent if "gradio_api" in url] == []
    page.reload()
    expect(pit).to_have_attribute("data-i", "4")
    page.keyboard.press("K")
    page.keyboard.press("J")
    expect(page.locator(f"#view .vhead[data-chain='{running.ids['right']}']")).to_be_visible()
    expect(pit).to_have_count(0)
    expect(hand).to_have_attribute("aria-valuenow", "0.05")


def test_whose_scores_are_drawn_is_chosen_and_stays_in_the_address(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    expect(page.locator("#chains .chead .sc")).to_have_text("SORM")
    page.locator("#view .hd .sc select").select_option(label="ORM · tiny/orm")
    expect(page.locator("#chains .chead .sc")).to_have_text("ORM")
    expect(page.locator("#view .hd .sc b.by")).to_have_text("ORM")
    expect(page.locator("#view .row.ppit .tag.pred")).to_have_text("predicted pitORM .10 ≤ .50")
    expect(page).to_have_url(re.compile("scorer=tiny%2Form"))
    page.reload()
    expect(page.locator("#view .hd .sc b.by")).to_have_text("ORM")


def test_score_asks_whom_and_the_scores_come_through_the_worker(page: Page, running: Running, tmp_path: Path):
    page.set_default_timeout(150_000)
    prm = tiny_scorers.lines(tmp_path / "prm", role="prm")
    open_at(page, running, f"/?problem={running.ids['tex']}")
    expect(page.locator("#view .tab.s")).to_have_count(0)
    page.keyboard.press("S")
    dialog = page.locator("#sv-dialog")
    expect(dialog).to_contain_text("estimates whether the right answer can still be reached")
    dialog.locator("[name=other]").fill("hf:/no/such/folder")
    dialog.get_by_role("button", name="Score").click()
    expect(page.locator("#view .notice.bad")).to_contain_text("/no/such/folder", timeout=240_000)
    page.keyboard.press("S")
    dialog.locator("[name=other]").fill(str(prm))
    dialog.get_by_role("button", name="Score").click()
    expect(page.locator("#view .hd .sc b.by")).to_have_text("PRM", timeout=240_000)
    expect(page.locator("#view .row[data-score]")).to_have_count(3)
    page.keyboard.press("j")
    expect(page.locator("#view .side")).to_contain_text("estimates whether the step is correct")
    assert {m.role for m in running.store.models() if m.id.startswith("prm@")} == {"prm"}
