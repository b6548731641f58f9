"""Agreement in a real Chromium: two judges chosen, numbers as the command prints them, a door into Explore and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from db.store import open_store
from stepviz.cli import app
from stepviz.ui.render_agreement_numbers import written
from tests import agreement_cases, chromium
from tests.agreement_cases import SCORER
from tests.chromium import Running
from tests.ui_cases import HOSTILE

pytestmark = [*chromium.MARKS, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = f"sqlite:///{tmp_path_factory.mktemp('agreement')}/ui.db"
    with open_store(url) as store:
        world = agreement_cases.fill(store)
        with chromium.serve(store, ids={"db": url, "wrong": world.wrong, "right": world.right}) as at_work:
            yield at_work


def number(page: Page, name: str) -> str:
    return page.locator(f'#areport [data-number="{name}"] > b').inner_text()


def test_from_two_judges_to_the_chains_behind_a_number_and_back(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/agreement")
    page.locator("#aform select[name=a]").select_option("exact")
    page.locator("#aform input[name=question][value=correct]").check()
    page.wait_for_url(re.compile(r"/agreement\?a=exact&b=[^&]*$"))  # correct is what is asked where nothing is said
    page.locator("#aform select[name=b]").select_option("bob")
    page.wait_for_url("**/agreement?a=exact&b=bob")
    expect(page.locator("#areport .phead h2")).to_have_text("exact and bob")
    expect(page.locator('#areport [data-number="detection.agreement"] > b')).to_be_visible()

    words = ["agree", "--db", running.ids["db"], "--a", "exact", "--b", "bob", "--json"]
    known = json.loads(CliRunner().invoke(app, words).stdout)
    for part in ("detection", "localisation", "processbench", "by_step"):
        for name, told in known[part].items():
            assert number(page, f"{part}.{name}") == written(told["value"]), (part, name)

    page.locator("#areport .two2 .door[data-cell=both_err]").click()
    expect(page.locator("#chains .doorbar")).to_contain_text("1 chain of which exact and bob both see an error")
    expect(page.locator("#chains a.crow.dw")).to_have_count(1)
    expect(page.locator("#view .vhead")).to_have_attribute("data-chain", running.ids["wrong"])
    expect(page.locator("#view .row.on")).to_have_attribute("data-i", "1")
    expect(page.locator("#view .tag.voice")).to_have_count(2)
    expect(page.locator("#view .row[data-i='2'] .ag .hl.hm")).to_be_visible()
    shared = page.url
    page.reload()
    expect(page.locator("#chains a.crow.dw")).to_have_count(1)
    assert page.url == shared
    page.locator("#chains .doorbar a", has_text="Back to Agreement").click()
    expect(page.locator("#areport .phead h2")).to_have_text("exact and bob")
    page.go_back()
    expect(page.locator("#chains .doorbar")).to_be_visible()
    page.locator("#chains [data-act=allchains]").click()
    expect(page.locator("#chains .crow[data-chain]")).to_have_count(2)
    assert "agree=" not in page.url


def test_a_scorers_plots_follow_the_theme_and_its_recalibration_is_saved(page: Page, running: Running) -> None:
    """And nothing is asked for elsewhere, which the page's fixture sees to."""
    page.goto(f"{running.url}/agreement?a=exact&b={SCORER}")
    line = page.locator("#aplot-roc .trace:nth-child(2) .js-line")
    expect(line).to_be_attached()
    expect(page.locator("#aplots .js-plotly-plot")).to_have_count(4)
    light = line.evaluate("e => getComputedStyle(e).stroke")
    page.locator("#top [data-act=theme]").click()
    assert (light, line.evaluate("e => getComputedStyle(e).stroke")) == ("rgb(116, 70, 196)", "rgb(183, 156, 240)")
    page.get_by_role("button", name="Save recalibration with the model").click()
    expect(page.locator(".sv-toast")).to_contain_text("Saved with tiny/sorm: isotonic, learnt from 8 steps of test.")
    expect(page.locator('#areport [data-number="scores.ece.again"] > b')).to_have_text("0")
    expect(page.locator("#aplot-reliability .trace:nth-child(3) .point")).not_to_have_count(0)
    assert running.store.model("tiny/sorm@1").meta["calibrations"][0]["kind"] == "isotonic"


def test_a_person_with_a_hostile_name_does_no_harm(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/agreement")
    page.wait_for_url("**/agreement?a=exact&b=*")  # the page has been told who there is
    page.locator("#aform select[name=b]").select_option("own")
    own = page.locator("#aform input[name=b_own]")
    own.fill(HOSTILE[:90])
    own.blur()
    expect(page.locator("#areport .empty")).to_contain_text("Nobody of that name")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{running.url}/agreement?a=exact&b={SCORER}")
    expect(page.locator("#amore .sq .two2")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for pane in ("#aform", "#apane"):
        assert page.locator(pane).evaluate("e => e.scrollWidth <= e.clientWidth"), pane
