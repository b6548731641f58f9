"""Studies in a real Chromium, with accounts: made, seen growing, a conflict settled; an annotator is kept out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.store import Store, open_store
from stepviz.accounts import hashed
from stepviz.types import Annotation
from tests import chromium, ui_cases
from tests.chromium import Running
from tests.ui_cases import HOSTILE

pytestmark = [*chromium.MARKS, pytest.mark.timeout(300)]
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('studies')}/ui.db") as store:
        ids = ui_cases.fill(store)
        ui_cases.add_scores(store, ids)
        for name, role in (("root", "admin"), ("Ana", "annotator"), ("bob", "annotator")):
            store.add_user(name, role, hashed(SECRET))
        with chromium.serve(store, ids=ids, accounts=True) as app:
            yield app


def sign_in(page: Page, running: Running, who: str) -> None:
    assert page.request.post(f"{running.url}/login", form={"username": who, "password": SECRET}).ok


def label(store: Store, study: int, who: str, *ratings: tuple[int, ...], note: str = "") -> None:
    """Submitted turns at the items in their order: what this person says of step 1, 2, …"""
    for values in ratings:
        slot = store.next_slot(study, who, 2, 600, lambda _: "blind")
        said = [Annotation(slot.chain_id, who, "correct", step, value) for step, value in enumerate(values, 1)]
        store.label_in_slot(slot.id, who, said, 600)
        store.end_slot(slot.id, who, finish="solution", seconds=12.0, note=note)


def test_made_seen_growing_and_settled(page: Page, running: Running) -> None:
    store, form, opened = running.store, page.locator("#sform"), page.locator("#sopen")
    sign_in(page, running, "root")
    page.goto(f"{running.url}/studies?source=embedded")
    expect(form.locator(".takes")).to_have_text("2 items · 4 turns")
    form.locator("select[name=order]").select_option("uncertain")
    expect(form.locator(".wrong[data-of=scorer]")).to_contain_text("A scorer is needed")
    form.locator("textarea[name=guideline]").fill(f"Be fair.\n{HOSTILE}")
    form.locator("input[name=people]").fill("no")
    form.locator("input[name=people]").blur()
    expect(form.locator(".wrong[data-of=people]")).to_contain_text("A whole number from 1 to 100.")
    form.locator("input[name=name]").fill(HOSTILE[:100])
    form.get_by_role("button", name="Create the study").click()
    expect(page.locator(".sv-toast.bad")).to_contain_text("No study was made.")
    assert store.studies() == []
    expect(form.locator("textarea[name=guideline]")).to_have_value(f"Be fair.\n{HOSTILE}")
    expect(form.locator("input[name=people]")).to_have_value("no")
    form.locator("input[name=people]").fill("2")
    form.locator("select[name=order]").select_option("given")
    expect(form.locator(".takes")).to_have_text("2 items · 4 turns")
    form.get_by_role("button", name="Create the study").click()
    expect(opened.locator(".phead h2")).to_have_text(" ".join(HOSTILE[:100].split()))
    (row,) = store.studies()
    assert (row.created_by, row.items, row.config["order"]) == ("root", 2, "given")
    assert row.guideline == f"Be fair.\n{HOSTILE}"
    assert page.url.endswith(f"?study={row.id}")

    label(store, row.id, "Ana", (1, -1), (1, 1, 1, 1), note=HOSTILE)
    label(store, row.id, "bob", (1, 1, -1), (1, 1, 1, 1))
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#slist .drow.on .drows")).to_have_text("4 of 4")
    expect(opened.locator(".people tbody tr").first).to_contain_text("Ana")
    expect(opened.locator(".confl a").first).to_contain_text("correct: first error 2 or 3")

    opened.get_by_role("link", name="Settle the first").click()
    step = opened.locator(".srow.on")
    expect(step).to_have_attribute("data-step", "2")
    expect(opened.locator(".who .name")).to_have_text(["Ana", "bob"])
    page.keyboard.press("h")
    expect(opened.locator(".who .name").first).to_be_hidden()
    page.keyboard.press("e")
    expect(opened.locator("input[name=correct-1][value='1']")).to_be_checked()
    expect(opened.locator("input[name=correct-2][value='-1']")).to_be_checked()
    page.keyboard.press("j")
    expect(step).to_have_attribute("data-step", "3")
    page.keyboard.press("u")
    page.keyboard.press("n")
    page.keyboard.type("It is 132.")
    page.reload()  # what is chosen stays in the tab
    expect(opened.locator("input[name=correct-3][value=unsure]")).to_be_checked()
    expect(opened.locator("textarea[name=note]")).to_have_value("It is 132.")
    page.keyboard.press("Enter")
    expect(page.locator(".sv-toast")).to_contain_text("it was the last one")
    expect(opened.locator(".sfoot")).to_contain_text("settled by root")
    rows = store.annotations(running.ids["wrong"], f"adjudicated:{row.name}")
    assert [(r.annotation.step, r.annotation.value, r.annotation.note) for r in rows] == [
        (1, 1, ""), (2, -1, "It is 132."), (3, None, ""),
    ]  # fmt: skip
    assert {(r.annotation.meta["by"], r.annotation.meta["study"]) for r in rows} == {("root", row.id)}
    page.keyboard.press("z")
    expect(opened.locator(".sfoot")).to_contain_text("not settled")
    assert store.settlements(row.id) == {}
    page.keyboard.press("Escape")
    expect(opened).to_contain_text("1 open, 0 settled")
    opened.get_by_role("button", name="Revise…").click()
    page.locator("#sv-dialog textarea").fill("Be fairer.")
    page.get_by_role("button", name="Save the new version").click()
    expect(opened).to_contain_text("version 2")
    opened.get_by_role("button", name="Close").click()
    expect(opened.locator(".phead .state")).to_have_text("closed")
    assert not store.studies()[0].open


def test_an_annotator_is_kept_out(page: Page, running: Running) -> None:
    """The page is refused, and so is the action that an admin's page would send."""
    sign_in(page, running, "root")
    with page.expect_request(lambda r: '"act":"open"' in (r.post_data or "").replace(" ", "")) as asked:
        page.goto(f"{running.url}/studies")
    sent, url = asked.value.post_data, asked.value.url
    page.context.clear_cookies()
    sign_in(page, running, "Ana")
    assert page.goto(f"{running.url}/studies").status == 403
    expect(page.locator("body")).to_contain_text("This page is for admins")
    forged = sent.replace('"act":"open"', '"act":"close_study","study":"1"')
    assert forged != sent
    before = [study.open for study in running.store.studies()]
    assert page.request.post(url, data=forged, headers={"Content-Type": "application/json"}).status == 403
    assert [study.open for study in running.store.studies()] == before


@pytest.mark.parametrize("width", [390, 1024, 1280])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, running, "root")
    page.goto(f"{running.url}/studies")
    expect(page.locator("#sform .takes")).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for pane in ("#sform", "#slist", "#sopen"):
        assert page.locator(pane).evaluate("e => e.scrollWidth <= e.clientWidth"), pane
