"""Measure by a strategy, in a real Chromium and by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
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
