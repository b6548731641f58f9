"""Another model in a real Chromium: it samples and measures where it is chosen, and stays chosen for the session."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from db.store import open_store
from stepviz.types import Sampling
from tests import chromium, tiny, ui_cases
from tests.chromium import Running
from tests.openai_cases import serving

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
    expect(page.locator("#sv-dialog .refused")).to_contain_text("there is no model")
    expect(page.locator("#sv-dialog [name=other]")).to_have_value("/nowhere/at/all")


def test_a_servers_model_asks_for_its_tokenizer_and_what_is_wrong_stays_in_the_form(
    page: Page, running: Running
) -> None:
    with serving() as server:
        page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
        page.locator("#chains [data-act=sampler]").click()
        dialog = page.locator("#sv-dialog")
        other, tokenizer = dialog.locator("[name=other]"), dialog.locator("[name=tokenizer]")
        expect(dialog).to_contain_text("openai:http://127.0.0.1:8000/v1#MODEL")
        expect(tokenizer).to_be_hidden()
        other.fill(f"openai:{server.url}#mistyped")
        expect(tokenizer).to_be_visible()
        tokenizer.fill("some/tokenizer")
        dialog.get_by_role("button", name="Choose only").click()
        expect(dialog.locator(".refused")).to_contain_text("does not serve 'mistyped'; it serves: tiny")
        expect(dialog.get_by_role("button", name="Choose only")).to_have_css("opacity", "1")
        other.fill(server.spec)
        expect(dialog.locator(".refused")).to_have_count(0)
        dialog.get_by_role("button", name="Choose only").click()
        page.wait_for_url("**tokenizer=some%2Ftokenizer*")
        page.goto(f"{running.url}/?problem={running.ids['problem']}")
        page.wait_for_url("**tokenizer=some%2Ftokenizer*")  # for the session, with its model
        page.locator("#chains [data-act=sampler]").click()
        expect(tokenizer).to_have_value("some/tokenizer")
        dialog.locator("[name=engine][value=embedded]").check()
        expect(tokenizer).to_be_hidden()
        dialog.get_by_role("button", name="Choose only").click()
        expect(page.locator("#chains [data-act=sampler]")).to_have_text("embedded/student")
        assert "tokenizer" not in page.url


def test_who_waits_for_a_server_holds_up_nobody_else(page: Page, browser: Browser, running: Running) -> None:
    """One that lets connect and says nothing: the form waits for seconds, another visitor's click does not, and what a
    run at work has to tell meanwhile does not end the waiting."""
    at_work = running.store.add_run("train", {"recipe": "sft"})
    running.store.claim_run("w", 3600, id=at_work)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        page.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
        page.locator("#chains [data-act=sampler]").click()
        page.locator("#sv-dialog [name=other]").fill(f"openai:http://127.0.0.1:{silent.getsockname()[1]}/v1#m")
        other = browser.new_context().new_page()
        other.goto(f"{running.url}/?problem={running.ids['problem']}&chain={running.ids['wrong']}")
        expect(other.locator("#view .row[data-i='1']")).to_be_visible()
        page.locator("#sv-dialog").get_by_role("button", name="Sample", exact=True).click()
        expect(page.locator("#sv-dialog form[aria-busy]")).to_have_count(1)
        other.locator(f"#chains .crow[data-chain='{running.ids['right']}']").click()
        expect(other.locator(f"#view .vhead[data-chain='{running.ids['right']}']")).to_be_visible()
        expect(page.locator("#sv-dialog form[aria-busy]")).to_have_count(1)  # it still waits
        expect(page.locator("#sv-dialog .refused")).to_contain_text("has not answered in 4 s")
        other.context.close()
    running.store.finish_run(at_work, "cancelled", worker="w")
