"""Runs in a real Chromium: one run is the same for everybody who looks, and what is read stays while it is polled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db.store import Store, open_store
from tests import chromium, ui_cases
from tests.chromium import Running

pytestmark = [*chromium.MARKS, pytest.mark.usefixtures("no_worker")]
LEASE_S = 3600.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as store, chromium.serve(store, ids=ui_cases.fill(store)) as app:
        yield app


def at_work(store: Store, ids: dict[str, str], done: int = 24) -> int:
    run = store.add_run("measure", {"chains": [ids["wrong"]], "n": 8, "engine": "embedded", "device": "cpu"})
    store.claim_run("w", LEASE_S, id=run)
    tell(store, run, done)
    return run


def tell(store: Store, run: int, done: int) -> bool:
    """What a worker would; whether it is to stop."""
    progress = {"done": done, "total": 64, "unit": "continuations", "tokens_per_s": 2100, "eta_s": 64 - done}
    return store.heartbeat(run, "w", {**progress, "spent": {"sampled": done * 50, "read": 9, "seconds": 1}}, LEASE_S)


def row(page: Page, run: int) -> object:
    return page.locator(f".rrow[data-run='{run}']")


def test_a_reload_a_second_tab_and_a_second_user_see_the_same_run(
    page: Page, browser: Browser, running: Running
) -> None:
    """And who cancels it, cancels it for all; in Explore it stands at the chain that it measures."""
    store, run = running.store, at_work(running.store, running.ids)
    page.goto(f"{running.url}/runs")
    expect(row(page, run)).to_contain_text("24 of 64 continuations · 2,100 tokens/s · 0:40 left")
    tell(store, run, 32)
    expect(row(page, run)).to_contain_text("32 of 64")
    page.reload()
    expect(row(page, run)).to_contain_text("32 of 64")
    tab, other = page.context.new_page(), browser.new_context()  # the same person's, and somebody else's
    user = other.new_page()
    try:
        tab.goto(f"{running.url}/runs?run={run}")
        user.goto(f"{running.url}/?chain={running.ids['wrong']}")
        expect(user.locator("#view .run")).to_contain_text("32 of 64 continuations")
        tell(store, run, 40)
        for seen in (row(page, run), row(tab, run), user.locator("#view .run")):
            expect(seen).to_contain_text("40 of 64")
        expect(tab.locator(".rmore .tiles")).to_contain_text("2,000tokens sampled")
        user.locator("#view .run").get_by_role("button", name="Cancel").click()
        expect(row(page, run)).to_contain_text("stopping")
        assert tell(store, run, 41), "the worker hears of it"
        store.finish_run(run, "cancelled", worker="w")
        for seen in (page, tab):
            expect(row(seen, run)).to_contain_text("cancelled")
        expect(user.locator("#view .notice[role=status]")).to_contain_text("was cancelled after 41 of 64 continuations")
        row(tab, run).get_by_role("button", name="Resume").click()
        expect(row(tab, run)).to_contain_text("waiting")
        page.reload()
        expect(row(page, run)).to_contain_text("waiting")
        assert store.run(run).state == "queued"
    finally:
        other.close()


def test_esc_reaches_a_run_of_this_chain_and_none_over_many(page: Page, running: Running) -> None:
    """One that a shell started is stopped by its Cancel, and the notice stands there after a reload, too."""
    store, wrong, right = running.store, running.ids["wrong"], running.ids["right"]
    many = store.add_run("measure many", {"chains": [wrong, right], "n": 128})
    store.claim_run("w", LEASE_S, id=many)
    tell(store, many, 24)
    page.goto(f"{running.url}/?chain={wrong}")
    bar = page.locator("#view .run")
    expect(bar).to_contain_text("24 of 64 continuations of 2 chains")
    page.keyboard.press("Escape")
    expect(page.locator(".sv-toast.bad")).to_contain_text("This run is over 2 chains")
    assert not tell(store, many, 32), "it goes on"
    alone = at_work(store, running.ids, 8)
    expect(bar).to_contain_text("8 of 64 continuations · ")
    page.keyboard.press("Escape")
    expect(bar).to_contain_text("stopping")
    assert (tell(store, alone, 9), tell(store, many, 40)) == (True, False)
    store.finish_run(alone, "cancelled", worker="w")
    expect(bar).to_contain_text("40 of 64 continuations of 2 chains")
    bar.get_by_role("button", name="Cancel").click()
    expect(page.locator(".sv-toast")).to_contain_text(f"Run {many}, over 2 chains, is asked to stop.")
    assert tell(store, many, 41)
    store.finish_run(many, "cancelled", worker="w")
    notice = page.locator("#view .notice[role=status]")
    expect(notice).to_contain_text("1 other chain was cancelled after 41 of 64 continuations")
    page.reload()
    notice.get_by_role("button", name="Go on").click()
    expect(bar).to_contain_text("waiting")
    assert store.run(many).state == "queued"


def test_the_list_is_filtered_and_a_log_stays_where_it_is_read(page: Page, running: Running) -> None:
    store, run = running.store, at_work(running.store, running.ids)
    failed = store.add_run("score many", {"chains": [running.ids["bad"]], "model": ui_cases.HOSTILE})
    store.log(failed, *(f"line {i}: {ui_cases.HOSTILE}" for i in range(400)))
    store.finish_run(failed, "failed", "the model is no scorer")
    page.goto(f"{running.url}/runs")
    expect(page.locator(".rrow[data-run]")).to_have_count(2)
    page.get_by_label("State").select_option("failed")
    expect(page.locator(".rrow[data-run]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?state=failed$"))
    page.get_by_label("State").select_option("")
    expect(page.locator(".rrow[data-run]")).to_have_count(2)
    row(page, failed).click()
    log = page.locator(".rmore pre")
    expect(log).to_contain_text("line 399")
    log.evaluate("e => e.scrollTop = 2000")
    page.wait_for_function("() => document.querySelector('.rmore pre').scrollTop === 2000")
    tell(store, run, 50)
    expect(row(page, run)).to_contain_text("50 of 64")  # the page came anew
    assert log.evaluate("e => e.scrollTop") == 2000


@pytest.mark.parametrize("width", [420, 1024, 1280, 1920])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    store, long = running.store, "a-long-name-of-a-folder/" * 12
    run = store.add_run("import", {"path": long, "format": "table", "mapping": {"question": long}})
    store.log(run, long * 4)
    store.finish_run(run, "failed", long)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{running.url}/runs?run={run}")
    expect(page.locator(".rmore pre")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#page").evaluate("e => e.scrollWidth <= e.clientWidth")
    for part in (".rmore", ".rmore table", ".rmore pre"):
        assert page.locator(part).evaluate("e => e.scrollWidth <= e.clientWidth + 1"), part
