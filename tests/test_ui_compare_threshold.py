"""The threshold of two judges in a real Chromium: by keys, by mouse, in the address, and when answers overtake."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from tests import chromium, ui_cases
from tests.chromium import Held, Running
from tests.compare_cases import judged

pytestmark = chromium.MARKS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("threshold")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ui_cases.fill(store)
        with chromium.serve(store, ids={"at": judged(store, folder)}) as app:
            yield app


def open_at(page: Page, running: Running, more: str = "") -> None:
    page.goto(f"{running.url}/compare{running.ids['at']}{more}")
    expect(page.locator("#copen .hand")).to_be_visible()


def has_moved(page: Page, to: str, written: str, chips: list[str]) -> None:
    """The hand, the address, the table and the classes say the same threshold."""
    expect(page.locator("#copen .hand")).to_have_attribute("aria-valuenow", to)
    expect(page).to_have_url(re.compile(rf"[?&]t={re.escape(to)}(&|$)"))
    expect(page.locator("#copen .agree")).to_contain_text(f"balanced accuracy at {written}")
    expect(page.locator("#copen .rhead .chip")).to_have_text(chips)


def test_keys_move_it_and_the_address_brings_it_back(page: Page, running: Running) -> None:
    """.4 at step 1 before, .2 at step 3 after: moved pits at .5, new ones at .3, none at 0."""
    open_at(page, running)
    expect(page.locator("#copen .rhead .chip")).to_have_text(["All 2", "Moved 2"])
    hand = page.get_by_role("slider", name="Threshold")
    hand.focus()
    hand.press("PageDown")
    hand.press("PageDown")
    has_moved(page, "0.3", ".30", ["All 2", "New 2"])
    expect(hand).to_be_focused()  # though the server drew the page anew
    page.locator("#copen .chip", has_text="New").click()
    expect(page).to_have_url(re.compile(r"show=new.*t=0\.3"))
    page.reload()
    has_moved(page, "0.3", ".30", ["All 2", "New 2"])
    hand.press("Home")
    has_moved(page, "0", "0", ["All 2", "New 0", "Never 2"])
    expect(page.locator("#copen .prows")).to_contain_text("No chain here.")
    page.locator("#copen h2").click()
    page.keyboard.press(".")
    has_moved(page, "0.05", ".05", ["All 2", "New 0", "Never 2"])


def test_it_is_dragged(page: Page, running: Running) -> None:
    """At .65 the judge after doubts step 2 already."""
    open_at(page, running)
    hand, track = page.locator("#copen .hand").bounding_box(), page.locator("#copen .cut .trk > div").bounding_box()
    page.mouse.move(hand["x"] + hand["width"] / 2, hand["y"] + hand["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + 0.9 * track["width"], hand["y"], steps=4)
    page.mouse.move(track["x"] + 0.65 * track["width"], hand["y"], steps=4)
    page.mouse.up()
    has_moved(page, "0.65", ".65", ["All 2", "Moved 2"])
    expect(page.locator("#copen .pr:not(.hd)").first.locator(".ps")).to_have_text(["step 1 .40", "step 2 .60"])


def test_an_answer_that_was_overtaken_does_not_set_it_back(page: Page, running: Running) -> None:
    open_at(page, running)
    held = Held(page, "look")
    hand = page.get_by_role("slider", name="Threshold")
    hand.press("PageDown")
    held.wait(1)
    hand.press("PageDown")
    held.wait(2)
    held.answer(1)
    has_moved(page, "0.3", ".30", ["All 2", "New 2"])
    held.answer(0)
    held.wait(3)  # it is asked for again
    held.answer(2)
    has_moved(page, "0.3", ".30", ["All 2", "New 2"])


@pytest.mark.parametrize("width", [420, 1024, 1280])
def test_it_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_at(page, running)
    assert page.locator("#copen").evaluate("e => e.scrollWidth <= e.clientWidth")
    for part in page.locator("#copen .pr:not(.hd)").first.locator(".pl, .ps").all():
        assert part.bounding_box()["width"] > 60
    assert page.locator("#copen .agree td").last.bounding_box()["height"] < 60  # a number is not broken into digits
    hand, pane = page.locator("#copen .hand"), page.locator("#copen").bounding_box()
    for key in ("Home", "End"):
        hand.press(key)
        box = hand.bounding_box()
        assert pane["x"] <= box["x"]
        assert box["x"] + box["width"] <= pane["x"] + pane["width"]
