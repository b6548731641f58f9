"""Measure by a strategy, in a real Chromium and by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.types import prefix_hash
from tests import chromium, ui_cases
from tests.chromium import Running

pytestmark = chromium.MARKS


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory, no_worker: None) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ui")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ids = ui_cases.fill(store)
        with chromium.serve(store, ids=ids) as app:
            yield app


def test_a_strategy_is_chosen_by_keyboard_and_what_it_takes_follows_the_form(page: Page, running: Running):
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    expect(page.locator("#view .tag.post.possible")).to_be_visible()
    page.keyboard.press("w")
    form = page.locator("#sv-dialog form[data-act=measure]")
    first = form.locator("label", has=page.locator("[name=strategy][value=exhaustive]"))
    expect(first).to_contain_text("32 draws")
    form.locator("[name=n][value='16']").focus()
    page.keyboard.press("ArrowRight")
    expect(first).to_contain_text("96 draws")  # 24 more from 4 prefixes
    expect(form.locator("[name=n][value='32']")).to_be_focused()
    form.locator("[name=strategy][value=forward]").focus()
    page.keyboard.press("ArrowUp")
    expect(form.locator("[name=strategy][value=backward]")).to_be_checked()
    form.get_by_role("button", name="Measure", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#view .run:not([hidden])")).to_contain_text("waiting for the engine")
    spec = running.store.runs(1)[0].spec
    assert (spec["strategy"], spec["n"], spec["chains"]) == ("backward", 32, [running.ids["wrong"]])


def test_measure_waits_while_the_chosen_strategy_would_draw_nothing(page: Page, running: Running):
    """Eight draws a prefix are there and 16 are offered: exhaustive makes them, to adaptive they are not worth it."""
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.locator("#view .row[data-i]").first.wait_for()
    page.keyboard.press("w")
    form = page.locator("#sv-dialog form[data-act=measure]")
    measure = form.get_by_role("button", name="Measure", exact=True)
    expect(measure).to_be_enabled()
    form.locator("[name=strategy][value=adaptive]").check()
    expect(measure).to_be_disabled()
    expect(form).to_contain_text("nothing worth its tokens: likeliest pit step 2")
    form.locator("[name=other]").fill("hf:somebody/else")
    expect(measure).to_be_enabled()
    form.locator("[name=other]").fill("")
    expect(measure).to_be_disabled()
    form.locator("[name=n][value='64']").check()
    expect(measure).to_be_enabled()


# ---- what must not overlap, wrap or be cut

_BESIDE = """() => [...document.querySelectorAll('#view .row[data-i]')].flatMap(row => {
  const at = (css) => row.querySelector(css)?.getBoundingClientRect(), text = document.createRange();
  const kn = at('.mv .kn'), ci = at('.mv .ci');
  text.selectNodeContents(row.querySelector('.sc .by') ?? row.querySelector('.sc'));
  const score = text.getBoundingClientRect().left;
  return kn ? [{curve: at('.trk').right, from: kn.left, to: kn.right, score, under: ci.top >= kn.bottom - 2,
                shown: ci.width > 0}] : [];
})"""


@pytest.mark.parametrize("width", [420, 1024, 1440])
def test_three_digits_of_draws_fit_between_the_curve_and_the_scores(page: Page, running: Running, width: int):
    """128 draws of each prefix; beneath k/n stands the interval where the pane is narrow (design: under 800)."""
    chain = running.store.chain(running.ids["wrong"]).chain
    for step in (1, 2, 3):
        key = {"prefix_hash": prefix_hash(chain.prefix(step))}
        running.store.add_continuations([ui_cases.a_draw(j, **key) for j in range(8, 128)])
    ui_cases.add_scores(running.store, running.ids)
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    expect(page.locator("#view .row[data-i='1'] .mv .kn")).to_have_text("126/128")
    rows = page.evaluate(_BESIDE)
    assert len(rows) == 4
    for row in rows:
        assert row["curve"] <= row["from"] + 0.5
        assert row["to"] <= row["score"]
        assert row["shown"]
        assert row["under"] == (width < 1440)
    cost, measure = page.locator("#view .cost").bounding_box(), page.locator("#view .split").bounding_box()
    assert page.locator("#view .cost").inner_text().removeprefix("adds ").startswith("≈ ")
    assert abs(cost["y"] + cost["height"] / 2 - measure["y"] - measure["height"] / 2) < 2  # beside the button


_TICKS = """() => [...document.querySelectorAll('#view .tx .calc')].map(tick => {
  const before = document.createRange(), text = tick.previousSibling, end = text.textContent.length;
  before.setStart(text, end - 1);
  before.setEnd(text, end);
  const a = before.getBoundingClientRect(), b = tick.getBoundingClientRect();
  return [b.left - a.right, b.top - a.top];
})"""


def test_a_tick_stays_with_its_equation_at_every_width(page: Page, running: Running):
    page.set_viewport_size({"width": 700, "height": 860})
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['right']}")
    page.locator("#view .calc").first.wait_for()
    for width in range(60, 140):
        page.add_style_tag(content=f"#view .tx {{ width: {width}px; }}")
        ticks = page.evaluate(_TICKS)
        assert len(ticks) == 3
        assert all(0 <= right < 6 and abs(down) < 8 for right, down in ticks), (width, ticks)


_LEGEND = """() => [...document.querySelectorAll('#sv-dialog #legend dt')].flatMap(dt => {
  const text = document.createRange(), a = document.createRange();
  text.selectNodeContents(dt.nextElementSibling);
  const b = text.getBoundingClientRect();
  return [...dt.querySelectorAll('*')].map(e => e.getBoundingClientRect()).filter(a => a.width && a.height &&
    a.right > b.left && a.left < b.right && a.bottom > b.top && a.top < b.bottom).map(() => dt.innerText);
})"""


@pytest.mark.parametrize("width", [420, 1440, 1920])
def test_no_mark_of_the_legend_lies_over_its_explanation(page: Page, running: Running, width: int):
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.locator("#view .row[data-i]").first.wait_for()
    page.keyboard.press("?")
    page.locator("#sv-dialog #legend .post.certain").wait_for()
    assert page.evaluate(_LEGEND) == []


def test_a_phone_reaches_every_page_while_a_run_is_at_work(page: Page, running: Running):
    id = running.store.add_run("measure", {"engine": "embedded"})
    running.store.claim_run("w")
    running.store.heartbeat(id, "w", {"done": 3, "total": 5, "unit": "continuations"}, 3600)
    page.set_viewport_size({"width": 420, "height": 860})
    page.goto(f"{running.url}/runs")
    status = page.locator("#top a.status")
    expect(status).to_have_attribute("aria-label", "measuring 60 %")
    for tab in (page.locator("#top nav a").first, page.locator("#top nav a").last):
        tab.scroll_into_view_if_needed()  # ten tabs are wider than a phone; what a run says lies over none of them
        box, said = tab.bounding_box(), status.bounding_box()
        assert box
        assert said
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= said["x"]
