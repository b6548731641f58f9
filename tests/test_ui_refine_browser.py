"""Refine in a real Chromium: the threshold is dragged, a tiny real model refines, every row is an address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.types import Sampling
from tests import chromium, ui_cases
from tests.chromium import Running
from tests.refine_cases import Scripted, checkpoints

pytestmark = chromium.MARKS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("refine")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ids = ui_cases.fill(store)
        script = Scripted(store, checkpoints(folder))
        ids["first"] = str(script.refine(ids["wrong"]))
        ids["hand"] = str(script.refine(ids["wrong"], at=3))
        with chromium.serve(store, script.specs["refiner"], Sampling(max_tokens=24), ids) as app:
            yield app


def open_at(page: Page, running: Running, query: str) -> None:
    page.goto(f"{running.url}/refine{query}")
    expect(page.locator("#rview .half").first).to_be_visible(timeout=150_000)


def test_the_threshold_moves_the_flag_without_the_server(page: Page, running: Running) -> None:
    open_at(page, running, f"?refinement={running.ids['first']}")
    flagged = page.locator("#rview .half:not(.right) .row.ppit")
    expect(flagged).to_have_attribute("data-i", "2")
    box = page.locator("#rview .half:not(.right) .row[data-i='3'] .thr").bounding_box()
    left = page.locator("#rview .half:not(.right) .row[data-i='3'] .trk > div").bounding_box()
    page.mouse.move(box["x"], box["y"] + 8)
    page.mouse.down()
    page.mouse.move(left["x"] + 0.25 * left["width"], box["y"] + 8, steps=4)
    page.mouse.up()
    expect(flagged).to_have_attribute("data-i", "3")
    expect(page.locator(".rbar .where")).to_have_text("step 3")
    expect(page.locator(".rbar [name=t]")).to_have_value("0.25")
    page.wait_for_url("**t=0.25*")
    page.locator(".rbar [name=t]").fill("0.1")
    expect(flagged).to_have_attribute("data-i", "4")


def test_a_click_on_a_step_starts_there_and_a_card_shows_the_other_refinement(page: Page, running: Running) -> None:
    open_at(page, running, f"?refinement={running.ids['first']}")
    page.locator("#rview .half:not(.right) .row[data-i='3'] .body").click()
    expect(page.locator("#rview .row.from")).to_have_attribute("data-i", "3")
    expect(page.locator(".rbar .where")).to_contain_text("step 3 by hand")
    page.get_by_role("button", name="undo").click()
    expect(page.locator("#rview .row.from")).to_have_count(0)
    page.locator("#ledger a[data-line]").first.click()  # a line of a step given by hand
    expect(page.locator("#rview .row.from")).to_have_attribute("data-i", "3")
    page.get_by_role("button", name="undo").click()
    expect(page.locator(".rbar .where")).not_to_contain_text("by hand")
    expect(page.locator("#rview .row.from")).to_have_count(0)
    open_at(page, running, f"?refinement={running.ids['first']}")
    page.locator("#rview .card[data-name=global]").click()
    expect(page.locator("#rview .half.right .vhead")).to_contain_text("rewritten as a whole")
    page.wait_for_url("**/refine?*show=global")  # of this page: the document's base would make it Explore's
    page.reload()
    expect(page.locator("#rview .half.right .vhead")).to_contain_text("rewritten as a whole")


def test_the_ledgers_rows_are_addresses(page: Page, running: Running) -> None:
    open_at(page, running, f"?refinement={running.ids['first']}")
    page.locator("#ledger select[name=where]").select_option("hand")
    expect(page.locator("#ledger a[data-line]")).to_have_count(1)
    page.locator("#ledger a[data-line]").click()
    expect(page.locator("#rview .half.right .vhead")).to_contain_text("from step 3, given by hand")
    assert f"refinement={running.ids['hand']}" in page.url
    page.go_back()
    expect(page.locator("#rview .half.right .vhead")).to_contain_text("rewritten from step 2")


def test_from_explore_a_key_opens_the_chain_and_a_click_refines_it(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['right']}")
    expect(page.locator(f"#view .vhead[data-chain='{running.ids['right']}']")).to_be_visible(timeout=150_000)
    page.keyboard.press("r")
    page.wait_for_url(f"**/refine?chain={running.ids['right']}")
    expect(page.locator("#rview")).to_contain_text("Not refined yet")
    page.keyboard.press("r")
    expect(page.locator("#rview .card[data-name=global]")).to_be_visible(timeout=240_000)
    line = running.store.refinements(limit=1)[0]
    assert (line.draft, line.at) == (running.ids["right"], None)
    assert "/refine?" in page.url
    assert "run=" in page.url


def test_the_threshold_chosen_in_explore_goes_along(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}&t=0.3")
    expect(page.locator("#view .hand")).to_have_text("≤ .30")
    page.keyboard.press(",")  # five hundredths less
    page.keyboard.press("r")
    page.wait_for_url(f"**/refine?chain={running.ids['wrong']}&t=0.25")
    expect(page.locator(".rbar [name=t]")).to_have_value("0.25")
    expect(page.locator(".rbar .where")).to_have_text("step 3")


def test_folded_settings_stay_open_until_they_are_closed(page: Page, running: Running) -> None:
    open_at(page, running, f"?refinement={running.ids['first']}")
    more, pop = page.get_by_text("More", exact=True), page.locator(".rbar .pop").nth(1)
    more.click()
    page.locator(".rbar [name=samples]").select_option("4")
    expect(page.locator(".rbar summary").nth(1)).to_have_text("4 samples")
    expect(pop).to_be_visible()
    page.locator(".rbar [name=no_flag]").select_option("skip")
    expect(page.locator(".rbar summary").nth(1)).to_have_text("4 samples, skipped if none is flagged")
    expect(pop).to_be_visible()
    page.keyboard.press("Escape")
    expect(pop).not_to_be_visible()
    page.get_by_text("Models", exact=True).click()
    expect(page.locator(".rbar .pop").first).to_be_visible()
    page.locator("#ledger h2").click()
    expect(page.locator(".rbar details[open]")).to_have_count(0)


def test_explores_list_is_refined_at_once(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.locator("#chains a", has_text="Refine many").click()
    dialog = page.locator("#sv-dialog")
    expect(dialog.locator(".estimate")).to_contain_text("1 draft, 2 refinements")
    dialog.locator("input[value=all]").check()
    expect(dialog.locator(".estimate")).to_contain_text("2 drafts, 4 refinements")
    dialog.locator("input[value=all]").focus()
    page.keyboard.press("ArrowLeft")  # the keyboard stays in the form while the estimate follows it
    expect(dialog.locator("input[value=doubted]")).to_be_checked()
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".estimate")).not_to_contain_text("at most")
    dialog.get_by_role("button", name="Refine 2 chains").click()
    expect(dialog).not_to_be_visible()
    expect(page.locator("#rview .report")).to_contain_text("2 drafts: 2 refined", timeout=240_000)
    page.locator("#ledger select[name=of]").select_option("problem")
    page.wait_for_url("**of=problem*")
    assert "many=" not in page.url


@pytest.mark.parametrize("width", [420, 820, 1024, 1280, 1920])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 500})
    open_at(page, running, f"?refinement={running.ids['first']}&samples=4&no_flag=argmin")
    for half in page.locator("#rview .tab").all():
        half.evaluate("e => e.classList.add('x')")  # as with the exact judge's column
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for pane in ("#rview .pair", "#rview .half", "#rview .half.right", "#ledger", "#rform"):
        assert page.locator(pane).first.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), pane
    button = page.locator(".rbar .pri")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    bar = page.locator(".rbar").bounding_box()
    assert bar["x"] + bar["width"] - 20 <= box["x"] + box["width"] <= width, "at the right, whatever stands before it"
    assert page.locator("#rview .q").evaluate("e => e.scrollHeight <= e.clientHeight"), "the question is not cut"
    for i in range(2):
        page.locator(".rbar summary").nth(i).click()
        pop = page.locator(".rbar .pop").nth(i).bounding_box()
        assert pop["x"] >= 0
        assert pop["x"] + pop["width"] <= width


def test_any_model_can_be_typed_in_and_one_that_is_not_there_is_said(page: Page, running: Running) -> None:
    before = len(running.store.runs())
    open_at(page, running, f"?refinement={running.ids['first']}")
    page.get_by_text("Models", exact=True).click()
    own = page.locator(".rbar [name=sorm_own]")
    expect(own).to_be_hidden()
    page.locator(".rbar [name=sorm]").select_option("own")
    expect(own).to_be_focused()
    own.fill("/nowhere/at/all")
    own.press("Enter")
    expect(page.locator(".sv-toast.bad")).to_contain_text("there is no model '/nowhere/at/all'")
    expect(own).to_have_value("/nowhere/at/all")
    own.fill("hf:Qwen/Qwen2.5-Math-PRM-7B")
    own.press("Enter")
    expect(page.locator(".rbar [name=sorm]")).to_have_value("hf:Qwen/Qwen2.5-Math-PRM-7B")
    expect(own).to_be_hidden()
    page.wait_for_url("**sorm=hf%3AQwen%2FQwen2.5-Math-PRM-7B*")
    assert len(running.store.runs()) == before, "to name a model starts nothing"
