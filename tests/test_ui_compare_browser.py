"""Compare in a real Chromium: from the form to a comparison of two tiny models, its filters, links and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.types import Problem, Sampling, SourceItem
from tests import chromium, tiny
from tests.chromium import Running
from tests.compare_cases import Students
from tests.ui_cases import HOSTILE

pytestmark = [*chromium.MARKS, pytest.mark.timeout(600)]
PATIENCE = 120_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("compare")
    ids = {name: f"hf:{tiny.build(folder / name, seed)}" for seed, name in enumerate(("first", "second"))}
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        students = Students(store)
        students.compare(samples=2)
        store.add_items([SourceItem(Problem(f"Tom has 8 {HOSTILE}", "20", source="hostile", key="1"))])
        with chromium.serve(store, ids["first"], Sampling(max_tokens=12), ids) as app:
            app.ids["drawn"] = store.runs()[0].spec["sampling"]
            yield app


def drawn(page: Page, running: Running, more: str = "") -> None:
    query = f"?before=embedded:base&after=embedded&source=sums&split=dev&k=4&samples=2&sampling={running.ids['drawn']}"
    page.goto(f"{running.url}/compare{query}{more}")
    expect(page.locator("#copen .prows")).to_be_visible(timeout=PATIENCE)


def test_what_vanished_is_filtered_shared_and_opened_in_explore(page: Page, running: Running) -> None:
    drawn(page, running)
    expect(page.locator("#copen .tiles").first).to_contain_text("66.7 %")
    expect(page.locator("#copen .pr:not(.hd)")).to_have_count(3)
    page.locator("#copen .chip", has_text="Still there").click()
    expect(page.locator("#copen .pr:not(.hd)")).to_have_count(1)
    assert "show=still" in page.url
    page.reload()  # the address brings it back
    expect(page.locator("#copen .pr:not(.hd)")).to_have_count(1, timeout=PATIENCE)
    page.go_back()
    expect(page.locator("#copen .pr:not(.hd)")).to_have_count(3, timeout=PATIENCE)
    page.locator("#copen .chip", has_text="by share of the way").click()
    expect(page.locator("#copen .vcurve .xs")).to_contain_text("50 %")
    page.locator("#copen .pr:not(.hd)").last.locator(".ps").last.click()
    page.wait_for_url("**/?problem=*chain=*step=1*")
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1", timeout=PATIENCE)


def test_one_click_downloads_the_table(page: Page, running: Running) -> None:
    drawn(page, running, "&show=vanished")
    with page.expect_download() as started:
        page.locator("#copen .files a", has_text="JSONL").click()
    rows = [json.loads(line) for line in Path(started.value.path()).read_text().splitlines()]
    assert [row["place"] for row in rows] == ["sums dev 3", "sums dev 4"]


def test_from_the_form_to_a_comparison(page: Page, running: Running) -> None:
    """Two models by their folders, at a problem with a hostile question: typed in, drawn, shown; nothing is missing."""
    page.goto(f"{running.url}/compare?source=hostile")
    for side in ("before", "after"):
        page.locator(f"#cform select[name={side}]").select_option("own", timeout=PATIENCE)
        own = page.locator(f"#cform input[name={side}_own]")
        own.fill(running.ids["first" if side == "before" else "second"])
        own.blur()
        expect(page.locator(f"#cform select[name={side}]")).to_have_value(
            running.ids["first" if side == "before" else "second"]
        )
    page.locator("#cform input[name=k]").fill("1")
    page.locator("#cform input[name=k]").blur()
    page.wait_for_url("**k=1*")
    expect(page.locator("#cform .takes")).to_contain_text("draws")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#copen .tiles")).to_be_visible()
    expect(page.locator("#copen .flow")).to_be_visible(timeout=2 * PATIENCE)
    expect(page.locator("#cform .takes")).to_have_text("Everything is drawn.")
    expect(page.locator("#copen .pq")).to_contain_text("<img src=x onerror=")
    expect(page.locator("#clist .drow.on")).to_contain_text("first → second")
    page.locator("#clist .drow:not(.on)").first.click()
    expect(page.locator("#copen .phead h2")).to_have_text("base → student")


@pytest.mark.parametrize("width", [420, 1024, 1280, 1920])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    drawn(page, running)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for pane in ("#cform", "#clist", "#copen"):
        assert page.locator(pane).evaluate("e => e.scrollWidth <= e.clientWidth"), pane
    if width > 420:
        box = page.get_by_role("button", name="Compare", exact=True).bounding_box()
        assert box["y"] + box["height"] <= 800
