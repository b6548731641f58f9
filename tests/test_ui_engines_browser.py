"""Another model in a real Chromium: it samples and measures where it is chosen, and stays chosen for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.types import Sampling
from tests import chromium, tiny, ui_cases
from tests.chromium import Running

pytestmark = chromium.MARKS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("engines")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        ids = ui_cases.fill(store) | {"other": str(tiny.build(folder / "other"))}
        with chromium.serve(store, "embedded", Sampling(max_tokens=8), ids) as app:
            yield app


def test_a_chosen_model_samples_and_measures_and_stays_for_the_session(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.locator("#chains [data-act=sampler]").click()
    page.locator("#sv-dialog [name=other]").fill(running.ids["other"])
    page.locator("#sv-dialog").get_by_role("button", name="Choose only").click()
    expect(page.locator("#chains [data-act=sampler]")).to_have_text("other")
    page.goto(f"{running.url}/refine")
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    expect(page.locator("#chains [data-act=sampler]")).to_have_text("other")
    page.wait_for_url("**engine=hf*")
    page.locator("#view .vhead [data-act=measurer]").click()
    expect(page.locator("#sv-dialog input[name=by]").first).to_be_checked()
    page.locator("#sv-dialog [name=other]").fill(running.ids["other"])
    page.locator("#sv-dialog").get_by_role("button", name="Measure").click()
    said = page.locator("#view .notice.whose")
    expect(said).to_contain_text("These values are of other, not of the chain’s own model", timeout=240_000)
    run = running.store.runs()[0]
    assert (run.kind, run.spec["engine"]) == ("measure", f"hf:{running.ids['other']}")
    page.get_by_role("button", name="Show its own").click()
    expect(said).to_be_hidden()
    expect(page.locator("#view .row[data-i='1'] .mv")).to_contain_text("6")


def test_a_model_that_is_not_there_is_refused_in_the_dialog(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
    page.locator("#chains [data-act=sampler]").click()
    page.locator("#sv-dialog [name=other]").fill("/nowhere/at/all")
    page.locator("#sv-dialog").get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".sv-toast.bad")).to_contain_text("there is no model")
    expect(page.locator("#sv-dialog [name=other]")).to_have_value("/nowhere/at/all")
