"""Train in a real Chromium: a tiny model is trained from a dataset, its loss is seen, and the model in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz import jobs
from stepviz.model_choices import scorers
from tests import chromium, tiny
from tests import training_cases as cases
from tests.chromium import Held, Running
from tests.job_cases import wait_for
from tests.ui_cases import HOSTILE

pytestmark = [*chromium.MARKS, pytest.mark.timeout(600)]
PATIENCE = 150_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("train")
    base = tiny.build(folder / "base", sharp=1.0)
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        steps, sums = cases.labelled(store, 200), cases.solutions(store, name=HOSTILE)
        with chromium.serve(store, ids={"base": str(base), "steps": str(steps.id), "sums": str(sums.id)}) as app:
            yield app
        cases.stop_all(store)


def patient(page: Page) -> None:
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.locator(f"#tform input[name={name}]").fill(value)


def start_from(page: Page, running: Running) -> None:
    page.locator("#tform select[name=base]").select_option("own")
    own = page.locator("#tform input[name=own]")
    expect(own).to_be_visible()
    own.fill(running.ids["base"])
    own.blur()
    expect(page.locator("#tform")).to_contain_text("LlamaForCausalLM")


def more(page: Page, **fields: str) -> None:
    page.locator("#tform details summary").click()
    fill(page, **fields)


def test_from_a_dataset_to_a_model_with_its_loss_seen_falling(page: Page, running: Running):
    patient(page)
    page.goto(f"{running.url}/datasets?dataset={running.ids['steps']}")
    page.get_by_role("link", name="Train on this").click()
    expect(page.locator("#tform input[name=recipe][value=sorm]")).to_be_checked()
    expect(page.locator(f"#tform input[name=data][value='{running.ids['steps']}']")).to_be_checked()
    expect(page.locator("#topen")).to_contain_text("No training yet")
    start_from(page, running)
    expect(page.locator("#tform input[name=learning_rate]")).to_have_value("0.001")
    more(page, length="64")
    fill(page, epochs="40", batch="4", name="judge")
    page.locator("#tform input[name=name]").blur()
    expect(page.locator("#tform .takes")).to_contain_text("steps")
    page.get_by_role("button", name="Train sorm").click()
    expect(page.locator("#topen .phead h2")).to_have_text("judge")
    assert "run=" in page.url
    expect(page.locator("#topen .loss .now.live")).to_be_visible()  # while it runs
    first = page.locator("#topen .loss").get_attribute("aria-label")
    expect(page.locator("#top .status").first).to_contain_text("training")
    expect(page.locator("#topen .result header b")).to_contain_text("judge@", timeout=2 * PATIENCE)
    assert page.locator("#topen .loss").get_attribute("aria-label") != first
    (model,) = running.store.models("sorm")
    expect(page.locator("#topen .result")).to_contain_text(f"--sorm {model.spec}")
    page.locator("#topen .result").get_by_role("link", name="steps v1").click()
    expect(page.locator("#dopen .phead h2")).to_have_text("steps")
    losses = [loss for _, loss in running.store.runs(1, "train")[0].progress["losses"]]
    assert losses[-1] < losses[0]
    assert [c.spec for c in scorers(running.store, "sorm") if c.model_id] == [model.spec]


def test_cancel_and_what_cannot_start(page: Page, running: Running):
    patient(page)
    page.goto(f"{running.url}/train?dataset={running.ids['sums']}")
    expect(page.locator("#tform .picks label b")).to_have_text(HOSTILE)
    start_from(page, running)
    fill(page, batch="many")
    page.locator("#tform input[name=batch]").blur()
    expect(page.locator("#tform .foot .notice")).to_contain_text("the batch is a whole number")
    page.get_by_role("button", name="Train sft").click()
    expect(page.locator(".sv-toast.bad")).to_contain_text("the batch is a whole number")
    fill(page, batch="4", epochs="900", name="never")
    page.get_by_role("button", name="Train sft").click()
    expect(page.locator("#topen .phead h2")).to_have_text("never")
    expect(page.locator("#topen .loss .now")).to_be_visible()
    page.locator("#topen").get_by_role("button", name="Cancel").click()
    expect(page.locator("#topen")).to_contain_text("Nothing of the model was kept.")
    assert not any(m.id.startswith("never") for m in running.store.models())
    run = running.store.runs(1, "train")[0]
    assert not Path(run.spec["out"]).exists()
    page.locator("#tlist .drow").last.click()
    expect(page.locator("#topen .phead h2")).not_to_have_text("never")


def test_what_is_typed_stays_though_the_answer_to_a_choice_comes_late(page: Page, running: Running):
    patient(page)
    page.goto(f"{running.url}/train")
    form = page.locator("#tform")
    expect(form.locator(".picks label")).not_to_have_count(0)
    held = Held(page, "form")
    form.locator("input[name=recipe][value=sorm]").check()
    held.wait(1)
    fill(page, name="typed while waiting")
    held.answer(0)
    expect(form.get_by_role("button", name="Train sorm")).to_be_visible()
    expect(form.locator("input[name=name]")).to_have_value("typed while waiting")
    form.locator("input[name=name]").blur()
    held.wait(2)
    form.locator("input[name=recipe][value=orm]").check()
    held.wait(3)
    form.locator("input[name=recipe][value=sft]").check()
    held.wait(4)
    held.answer(3)
    expect(form.get_by_role("button", name="Train sft")).to_be_visible()
    held.answer(2)
    held.wait(5)  # an answer that was overtaken changes nothing: the form asks again
    held.answer(4)
    expect(form.get_by_role("button", name="Train sft")).to_be_visible()
    expect(form.locator("input[name=recipe][value=sft]")).to_be_checked()
    expect(form.locator("input[name=name]")).to_have_value("typed while waiting")


def test_the_settings_of_a_training_take_the_place_of_what_was_typed(page: Page, running: Running):
    patient(page)
    asked = {"recipe": "sft", "datasets": [int(running.ids["sums"])], "base": running.ids["base"], "name": "earlier",
             "settings": {"epochs": "3", "length": "64"}, "options": {}}  # fmt: skip
    run = jobs.start(running.store, "train", asked, worker=False)
    jobs.cancel(running.store, run)
    page.goto(f"{running.url}/train?run={run}")
    expect(page.locator("#topen .phead h2")).to_have_text("earlier")
    fill(page, name="typed before", epochs="9")
    page.get_by_role("button", name="Use its settings").click()
    expect(page.locator(".sv-toast")).to_contain_text("The form has the settings of earlier.")
    expect(page.locator("#tform input[name=epochs]")).to_have_value("3")
    expect(page.locator("#tform input[name=name]")).to_have_value("")


@pytest.mark.parametrize("width", [420, 1024, 1280, 1920])
def test_the_page_fits(page: Page, running: Running, width: int):
    patient(page)
    page.set_viewport_size({"width": width, "height": 800})
    wait_for(lambda: not any(r.state == "running" for r in running.store.runs(5, "train")))
    page.goto(f"{running.url}/train")
    expect(page.locator("#tform .picks label")).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for pane in ("#tform", "#tlist", "#topen"):
        assert page.locator(pane).evaluate("e => e.scrollWidth <= e.clientWidth"), pane
    if width > 420:
        box = page.get_by_role("button", name="Train sft").bounding_box()
        assert box["y"] + box["height"] <= 800
