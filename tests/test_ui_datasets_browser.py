"""Datasets in a real Chromium: a training set is built by the worker, read, and downloaded as files that load."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import open_store
from stepviz.types import Problem, SourceItem
from tests import chromium
from tests import dataset_cases as cases
from tests.chromium import Held, Running
from tests.study_cases import labelled, made
from tests.ui_cases import HOSTILE

pytestmark = chromium.MARKS
BAD_SOLUTION = "${document.title='pwned'} </p><script>document.title='pwned'</script>\n#### 7"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("datasets")
    with open_store(f"sqlite:///{folder}/ui.db") as store:
        cases.school(store)
        store.add_items([SourceItem(Problem(HOSTILE, "7", BAD_SOLUTION, "mine", "1", "train"))])
        with chromium.serve(store) as app:
            yield app


def saved(page: Page, label: str, folder: Path) -> Path:
    """What the browser saves after a click."""
    with page.expect_download(timeout=150_000) as waiting:
        page.get_by_role("link", name=label, exact=True).click()
    target = folder / waiting.value.suggested_filename
    waiting.value.save_as(target)
    return target


def test_an_sft_set_is_built_read_and_downloaded(page: Page, running: Running, tmp_path: Path):
    from datasets import load_dataset, load_from_disk

    page.set_default_timeout(150_000)
    expect.set_options(timeout=150_000)
    page.goto(running.url + "/")
    page.locator("#top").get_by_role("link", name="Datasets").click()
    expect(page.locator("#dopen")).to_contain_text("No training set yet")
    page.locator("#build input[name=name]").fill("first set")
    page.get_by_role("button", name="Build sft").click()
    expect(page.locator("#dopen .phead h2")).to_have_text("first set", timeout=120_000)
    expect(page.locator("#dopen article")).to_have_count(7)
    assert "run=" in page.url
    last = page.locator("#dopen article").last
    expect(last.locator(".q")).to_have_text(HOSTILE)
    expect(last.locator(".cmp p")).to_contain_text("${document.title='pwned'} </p><script>")
    assert page.locator("#dsets img, #dopen script").count() == 0
    (made,) = running.store.datasets()
    assert (made.recipe, made.n_rows) == ("sft", 7)
    stored = list(running.store.dataset_rows(made.id))
    for label, kind in (("JSONL", "json"), ("Parquet", "parquet")):
        file = saved(page, label, tmp_path)
        loaded = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        assert [loaded[i]["completion"] for i in range(7)] == [row["completion"] for row in stored]
    packed = saved(page, "datasets folder", tmp_path)
    zipfile.ZipFile(packed).extractall(tmp_path / "folder")
    folder = tmp_path / "folder" / "first-set-v1"
    assert "first set, version 1" in (folder / "README.md").read_text(encoding="utf-8")
    assert load_from_disk(str(folder))["train"]["prompt"] == [row["prompt"] for row in stored]
    page.locator("#dopen article").first.get_by_role("link", name="Open in Explore").click()
    expect(page.locator("#view .vhead[data-problem]")).to_be_visible()
    assert f"problem={stored[0]['origin']['problem']}" in page.url


def test_another_recipe_brings_its_own_options_and_mistakes_are_said(page: Page, running: Running):
    page.set_default_timeout(150_000)
    page.goto(running.url + "/datasets")
    form = page.locator("#build")
    expect(form.get_by_text("reads 7 problems")).to_be_visible(timeout=150_000)
    form.locator("input[value=sorm]").check()
    expect(form.locator("input[name=k]")).to_have_value("8", timeout=150_000)
    form.locator("input[name=k]").fill("many")
    page.get_by_role("button", name="Build sorm").click()
    expect(page.locator(".sv-toast.bad")).to_contain_text("“Rollouts a step” is a whole number", timeout=150_000)
    form.locator("input[value=self-explore]").check()
    expect(form.locator("input[name=k]")).to_have_value("4", timeout=150_000)
    form.locator("input[value=stepwise]").check()
    expect(form.locator(".foot .notice")).to_contain_text("Nobody has labelled a step yet", timeout=150_000)


@pytest.mark.parametrize("width", [420, 1024, 1280, 1920])
def test_the_page_fits_and_the_button_is_in_sight(page: Page, running: Running, width: int):
    from stepviz.datasets import build

    made = build(running.store, "self-explore", name="pairs")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{running.url}/datasets?dataset={made.id}")
    expect(page.locator("#dopen .pair")).to_have_count(6, timeout=150_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for pane in ("#build .scroll", "#dlist", "#dopen"):
        assert page.locator(pane).evaluate("e => e.scrollWidth <= e.clientWidth"), pane
        if width == 420:
            assert page.locator(pane).bounding_box()["width"] > 380, f"{pane} is one of a stack"
    if width > 420:
        box = page.get_by_role("button", name="Build sft").bounding_box()
        assert box["y"] + box["height"] <= 800


def test_a_form_is_sent_though_a_field_of_it_is_named_dataset(page: Page):
    page.set_content(
        '<form data-act="train" data-run="3"><input name="dataset" value="gsm8k"><button>Go</button></form>'
    )
    page.add_script_tag(path="stepviz/ui/static/js/core.js")
    page.evaluate("stepviz.hub(document.body, (name, data) => (window.sent = data), () => {}, 'act')")
    page.get_by_role("button").click()
    assert page.evaluate("window.sent") == {"act": "train", "at": "", "run": "3", "dataset": "gsm8k"}


def test_what_is_typed_stays_though_the_answer_to_a_choice_comes_late(page: Page, running: Running):
    page.goto(running.url + "/datasets")
    form = page.locator("#build")
    expect(form.get_by_text("reads 7 problems")).to_be_visible()
    held = Held(page, "form")
    form.locator("input[value=sorm]").check()
    held.wait(1)
    name = form.locator("input[name=name]")
    name.click()
    page.keyboard.type("typed wh")
    form.locator("select[name=split]").select_option("any")
    held.wait(2)
    name.click()
    held.answer(0)
    expect(form.locator("input[name=k]")).to_have_value("8")  # the recipe's own default is the server's word
    expect(name).to_have_value("typed wh")
    expect(name).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type("ile waiting")
    held.answer(1)
    expect(form.locator("select[name=split] option[selected]")).to_have_attribute("value", "any")
    expect(name).to_have_value("typed while waiting")
    form.locator("input[name=k]").fill("16")
    form.locator("input[value=self-explore]").check()
    held.wait(3)
    form.locator("input[name=k]").fill("32")  # of the recipe that was left
    held.answer(2)
    expect(form.locator("input[name=k]")).to_have_value("4")


def test_an_answer_that_was_overtaken_changes_nothing(page: Page, running: Running):
    page.goto(running.url + "/datasets")
    form = page.locator("#build")
    expect(form.get_by_text("reads 7 problems")).to_be_visible()
    held = Held(page, "form")
    form.locator("input[value=sorm]").check()
    held.wait(1)
    form.locator("select[name=split]").select_option("any")
    held.wait(2)
    held.answer(1)
    expect(form.locator("select[name=split] option[selected]")).to_have_attribute("value", "any")
    held.answer(0)
    held.wait(3)  # the form asks again
    expect(form.locator("select[name=split]")).to_have_value("any")
    held.answer(2)
    expect(form.locator("select[name=split] option[selected]")).to_have_attribute("value", "any")
    expect(form.locator("input[name=recipe][value=sorm]")).to_be_checked()
    expect(form.locator("select[name=split]")).to_have_value("any")


def test_what_people_agree_on_becomes_a_training_set_at_one_click(page: Page, running: Running):
    """From a study's page: its labels are chosen in the form, Build freezes them, and Train is one click away."""
    page.set_default_timeout(150_000)
    own = [row.chain for row in running.store.chains(cases.problem(2).id)]
    study = made(running.store, [c.id for c in own], name="first & last")
    for who in ("ana", "ben"):
        for _ in own:
            labelled(running.store, study, who, {1: 1, 2: -1}, finish="found_error")
    page.goto(f"{running.url}/studies?study={study}")
    page.get_by_role("link", name="Build a training set").click()
    form = page.locator("#build")
    expect(form.locator("input[name=recipe][value=stepwise]")).to_be_checked(timeout=150_000)
    expect(form.locator("select[name=study]")).to_have_value("first & last")
    page.get_by_role("button", name="Build stepwise").click()
    expect(page.locator("#dopen .phead h2")).to_have_text("stepwise", timeout=150_000)
    expect(page.locator("#dopen article")).to_have_count(3)
    expect(page.locator("#dopen article").first).to_contain_text("labels of ana, ben")
    expect(page.get_by_role("link", name="Train on this")).to_be_visible()
    assert running.store.datasets()[0].config["study"] == "first & last"
