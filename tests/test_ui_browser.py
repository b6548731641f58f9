"""Explore, Import and Runs in a real Chromium, on a real store, with the real worker and a tiny real model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.steps import segment
from stepviz.types import Chain, Sampling
from tests import chromium, tiny, ui_cases
from tests.chromium import Running

pytestmark = chromium.MARKS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ui")
    model = tiny.build(folder / "tiny")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ids = ui_cases.fill(store)
        ui_cases.add_scores(store, ids)
        with chromium.serve(store, f"hf:{model}", Sampling(max_tokens=24), ids) as app:
            yield app


def open_at(page: Page, running: Running, address: str = "") -> None:
    page.goto(running.url + address)
    expect(page.locator("#view .vhead[data-problem]")).to_be_visible()


def chain_in(page: Page) -> str | None:
    return page.locator("#view .vhead").get_attribute("data-chain")


def test_the_first_screen_shows_a_measured_chain_and_its_pit(page: Page, running: Running):
    open_at(page, running)
    expect(page.locator("#view .row.fault .tag.pit").first).to_contain_text("Self-Explore 0/8 · GLoRe 0/8")
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "2")
    expect(page.locator("#chains .crow")).to_have_count(2)
    expect(page.get_by_role("link", name="Import your own file").first).to_be_attached()
    assert f"chain={running.ids['wrong']}" in page.url


def test_steps_and_chains_by_keyboard(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.keyboard.press("j")
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "3")
    expect(page.locator("#view .side h3")).to_have_text("Step 3")
    assert "step=3" in page.url
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(page.locator("#view .side h3")).to_have_text("Step 1")
    page.keyboard.press("J")
    expect(page.locator(f"#view .vhead[data-chain='{running.ids['right']}']")).to_be_visible()
    expect(page.locator("#view .side h3")).to_have_text("Step 1")
    page.keyboard.press("?")
    expect(page.locator("#sv-dialog")).to_contain_text("next, previous step")
    expect(page.locator("#sv-dialog #legend .tag.crit")).to_be_visible()
    expect(page.locator("#reply")).to_be_hidden()  # what came beside the page shows in the dialog only
    page.keyboard.press("Escape")
    expect(page.locator("#sv-dialog")).to_be_hidden()


def test_the_next_chain_keeps_the_step_or_has_its_last(page: Page, running: Running):
    """The measured chain has 4 steps and a pit at 2, which would open otherwise; a chain of one line has one step."""
    at = f"/?problem={running.ids['problem']}"
    wrong = page.locator(f"#view .vhead[data-chain='{running.ids['wrong']}']")
    for step in ("4", "0"):
        open_at(page, running, f"{at}&chain={running.ids['right']}&step={step}")
        page.keyboard.press("K")
        expect(wrong).to_be_visible()
        expect(page.locator("#view .row.on")).to_have_attribute("data-i", step)
    filler = running.store.problems()[20]
    long, short = (Chain(filler.id, "mine", t, t, segment(t), "line/1") for t in ("1\n2\n#### 3", "#### 3"))
    for chain in (long, short):
        running.store.add_chain(chain)
    open_at(page, running, f"/?problem={filler.id}&chain={long.id}&step=3")
    page.keyboard.press("J")
    expect(page.locator(f"#view .vhead[data-chain='{short.id}']")).to_be_visible()
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1")
    expect(page).to_have_url(re.compile("step=1$"))


def test_the_address_always_names_the_step_that_is_shown(page: Page, running: Running):
    """A chain opens at its pit, and the address says so before any key; a click on a step changes it, Q is step 0."""
    open_at(page, running, f"/?problem={running.ids['problem']}")
    expect(page).to_have_url(re.compile(f"chain={running.ids['wrong']}&step=2$"))
    page.locator("#view .row[data-i='3'] > .no").click()
    expect(page).to_have_url(re.compile("step=3$"))
    page.locator("#view .row.q > .no").click()
    expect(page).to_have_url(re.compile("step=0$"))
    page.reload()
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "0")
    page.locator(f"#chains .crow[data-chain='{running.ids['right']}']").click()
    expect(page).to_have_url(re.compile(f"chain={running.ids['right']}&step=0$"))
    page.go_back()
    expect(page).to_have_url(re.compile(f"chain={running.ids['wrong']}&step=0$"))


def test_keys_are_letters_while_somebody_types(page: Page, running: Running):
    open_at(page, running)
    before = page.locator("#view .row.on").get_attribute("data-i")
    page.keyboard.press("/")
    page.keyboard.type("jjkk")
    expect(page.locator("#find input")).to_have_value("jjkk")
    expect(page.locator("#problems")).to_contain_text("No problem matches")
    assert page.locator("#view .row.on").get_attribute("data-i") == before
    assert "q=jjkk" in page.url


def test_a_shared_address_shows_the_same_and_back_goes_back(page: Page, running: Running):
    at = f"/?problem={running.ids['problem']}&chain={running.ids['wrong']}&step=1&source=embedded&result=mixed"
    open_at(page, running, at)
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1")
    expect(page.locator("#find select[name=source]")).to_have_value("embedded")
    expect(page.locator("#find select[name=result]")).to_have_value("mixed")
    expect(page.locator("#problems .prow")).to_have_count(1)
    page.locator(f"#chains .crow[data-chain='{running.ids['right']}']").click()
    expect(page.locator(f"#view .vhead[data-chain='{running.ids['right']}']")).to_be_visible()
    page.go_back()
    expect(page.locator(f"#view .vhead[data-chain='{running.ids['wrong']}']")).to_be_visible()
    assert page.url.endswith(at[1:].replace("/?", "?")) or "step=1" in page.url


def test_an_unknown_address_says_so(page: Page, running: Running):
    page.goto(running.url + "/?problem=nobody")
    expect(page.locator("#view")).to_contain_text("This problem is not here")
    page.get_by_role("button", name="Show the first problem").click()
    expect(page.locator("#view .vhead[data-chain]")).to_be_visible()


def test_hostile_texts_are_text(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['hostile']}")
    view = page.locator("#view")
    expect(view.locator(".row.q .body")).to_have_text(ui_cases.HOSTILE)
    expect(view.locator(".row[data-i='1'] .body")).to_have_text("</div><script>document.title='pwned'</script>")
    expect(view.locator(".row[data-i='2'] .body")).to_contain_text("${document.title='pwned'} and `${1}` \\frac")
    assert page.locator("#shell img, #shell script").count() == 0
    page.keyboard.press("e")
    page.keyboard.press("j")
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1")


def test_mathematics_is_typeset_and_its_fonts_are_ours(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['tex']}")
    expect(page.locator("#view .row.q .katex")).to_have_count(1)
    expect(page.locator("#view .row[data-i='2'] .katex-display")).to_have_count(1)
    page.wait_for_function("document.fonts.check('16px KaTeX_Main') && document.fonts.check('14px Inter')")


def test_clusters_filter_chains(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['problem']}")
    page.locator("#chains .clu", has_text="264").click()
    expect(page.locator("#chains .crow")).to_have_count(1)
    assert "answer=264" in page.url
    page.locator("#chains .clu", has_text="264").click()
    expect(page.locator("#chains .crow")).to_have_count(2)


def test_a_verdict_is_explained_and_overridden_with_a_reason(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['hostile']}")
    page.locator("#view .verdict").click()
    dialog = page.locator("#sv-dialog")
    expect(dialog).to_contain_text("cannot judge")
    dialog.get_by_text("wrong", exact=True).click()
    dialog.locator("textarea").fill("its answer is markup")
    dialog.get_by_role("button", name="Override verdict").click()
    expect(page.locator("#view .verdict.no")).to_be_visible()
    verdict = running.store.chain(running.ids["bad"]).verdict
    assert (verdict.value, verdict.reason, verdict.grader) == ("wrong", "its answer is markup", "person:local")


def test_steps_are_cut_another_way_by_hand(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['problem']}&chain={running.ids['right']}")
    page.get_by_role("button", name="Steps", exact=True).click()
    dialog = page.locator("#sv-dialog")
    expect(dialog.locator(".cut")).to_have_count(4)
    dialog.locator(".cut").first.hover()
    dialog.get_by_role("button", name="Merge with next").first.click()
    expect(dialog.locator(".cut")).to_have_count(3)
    dialog.get_by_role("button", name="every line").click()
    expect(dialog.locator(".cut")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(page.locator("#view .row[data-i]")).to_have_count(5)


def test_sample_measure_and_branch_through_the_worker(page: Page, running: Running):
    """Progress arrives without a reload; what was drawn stays; a run is listed with its settings."""
    page.set_default_timeout(150_000)
    filler = running.store.problems()[10]
    open_at(page, running, f"/?problem={filler.id}")
    expect(page.locator("#chains")).to_contain_text("No chains yet")
    page.keyboard.press("s")
    expect(page.locator("#chains .crow[data-chain]")).to_have_count(8, timeout=150_000)
    expect(page.locator("#view .vhead[data-chain]")).to_be_visible()
    page.keyboard.press("M")
    expect(page.locator("#view .row.q .mv .kn")).to_contain_text("/8", timeout=150_000)
    expect(page.locator("#top header")).to_have_attribute("data-active", "0", timeout=150_000)
    page.keyboard.press("k")
    page.locator("#view .row.q").click()
    page.keyboard.press("c")
    page.locator("#sv-dialog").get_by_role("button", name="Continue").click()
    expect(page.locator("#chains .crow[data-chain]")).to_have_count(12, timeout=150_000)
    page.get_by_role("link", name="Runs").click()
    expect(page.locator(".rrow[data-run]")).to_have_count(3)
    page.locator(".rrow[data-run]").first.click()
    expect(page.locator(".rmore")).to_contain_text("engine")


def test_a_csv_comes_in_through_the_page(page: Page, running: Running, tmp_path: Path):
    """Guessed columns, a corrected one, a refused row with its line and reason, and the way to Explore."""
    file = tmp_path / "traces.csv"
    good = '"Add 2 and 3, <b>now</b>.",5,"2 + 3 = 5\n#### 5"\n"Add 4 and 4.",8,"#### 9"\n'
    file.write_text(f'prompt,truth,trace\n{good},1,"nothing"\n')
    page.goto(running.url + "/import")
    page.locator("#form input[type=file]").set_input_files(file)
    expect(page.locator("#preview article")).to_have_count(3)
    expect(page.locator("#form select[name=question]")).to_have_value("prompt")
    page.locator("#form select[name=answer]").select_option("truth")
    page.locator("#form select[name=response]").select_option("trace")
    expect(page.locator("#preview .chain li").first).to_contain_text("2 + 3 = 5")
    expect(page.locator("#preview")).to_contain_text("Add 2 and 3, <b>now</b>.")
    page.locator("#preview [data-act=import]").click()
    expect(page.locator("#preview .phead")).to_contain_text("Imported", timeout=150_000)
    expect(page.locator("#preview table")).to_contain_text("missing or empty")
    expect(page.locator("#preview .tiles")).to_contain_text("2new problems")
    page.get_by_role("link", name="Show in Explore").click()
    expect(page.locator("#problems .prow")).to_have_count(2)
    expect(page.locator("#view .row.q")).to_contain_text("Add 2 and 3, <b>now</b>.")


def test_light_and_dark(page: Page, running: Running):
    open_at(page, running)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light, dark) == ("rgb(250, 250, 248)", "rgb(17, 18, 20)")
    page.reload()
    expect(page.locator("#view .vhead[data-problem]")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


@pytest.mark.parametrize("width", [420, 1024, 1280, 1920])
def test_the_page_never_scrolls_sideways(page: Page, running: Running, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("wrong", "bad"):
        chain = running.store.chain(running.ids[name]).chain
        open_at(page, running, f"/?problem={chain.problem_id}&chain={chain.id}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.scrollHeight") <= 800
        tab = page.locator("#view .tab")
        assert tab.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_how_many_to_sample_is_chosen_and_remembered(page: Page, running: Running):
    open_at(page, running, f"/?problem={running.ids['problem']}")
    page.locator("#chains [data-count]").select_option("32")
    button = page.locator("#chains [data-act=sample]")
    expect(button).to_have_text("Sample 32 more s")
    page.reload()
    expect(button).to_have_text("Sample 32 more s")
    expect(button).to_have_attribute("data-n", "32")


def test_words_typed_are_searched_for_though_a_filter_changes_at_once(page: Page, running: Running):
    open_at(page, running)
    page.keyboard.press("/")
    page.evaluate(
        """() => {
            const [q, source] = ["q", "source"].map((name) => document.querySelector(`#find [name=${name}]`));
            q.value = "zzz"; q.dispatchEvent(new Event("input", { bubbles: true }));
            source.value = source.options[1].value; source.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    expect(page).to_have_url(re.compile(r"q=zzz&source="))


def test_a_phone_shows_chains_and_every_tab(page: Page, running: Running):
    page.set_viewport_size({"width": 420, "height": 860})
    open_at(page, running)
    row, last = page.locator("#chains .crow").first.bounding_box(), page.get_by_role("link", name="Runs")
    last.scroll_into_view_if_needed()  # ten tabs are wider than a phone: they scroll, and fade where there are more
    runs = last.bounding_box()
    assert row
    assert 44 < row["y"] < 860 - row["height"]
    assert page.locator("#chains .clist").bounding_box()["height"] >= 56  # two rows
    below = page.locator("#chains").bounding_box()
    assert page.locator("#view").bounding_box()["y"] >= below["y"] + below["height"]
    assert runs
    assert runs["x"] + runs["width"] <= page.locator("#top .icon").bounding_box()["x"]
