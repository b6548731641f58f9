"""The form of the Train page without a browser: what it offers, what it takes, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from db.store import Store
from stepviz import trainings
from stepviz.types import Problem, SourceItem
from stepviz.ui import train_words
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.train_page import Train
from stepviz.ui.view_train_form import sent_of, spec_of
from stepviz.ui.workbench import Workbench
from tests import training_cases as cases
from tests.hub_cases import Hub, hub
from tests.page_cases import options, said, sender, value
from tests.training_cases import SMALL

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Train)
__all__ = ["hub"]


def test_every_training_and_setting_is_explained() -> None:
    assert train_words.TRAININGS.keys() == trainings.TRAININGS.keys()
    for training in trainings.TRAININGS.values():
        assert training.role in train_words.ROLES
        assert training.options.keys() <= train_words.SETTINGS.keys()


def test_only_datasets_that_fit_can_be_chosen_and_say_how_many_rows_they_have(store: Store) -> None:
    sums, steps, drafts = cases.solutions(store), cases.labelled(store, 60), cases.drafts(store)
    sft = send(store, "form", recipe="sft").html["tform"]
    assert f'type="radio" name="data" value="{sums.id}" checked' in sft
    assert "200 rows" in sft
    assert "steps" not in re.findall(r"<span><b>(\w+)</b> <i", sft)
    sorm = send(store, "form", recipe="sorm").html["tform"]
    assert re.findall(r"<span><b>(\w+)</b> <i", sorm) == ["steps"]
    refiner = send(store, "form", recipe="refiner").html["tform"]
    assert f'type="checkbox" name="data-{drafts.id}" value="on" checked' in refiner
    nothing = send(store, "form", recipe="orm").html["tform"]
    assert "orm learns from a dataset of the recipe orm, and there is none yet: build one first." in nothing
    assert 'class="btn "' in nothing  # no first choice while it cannot start
    assert steps.id


def test_the_address_of_a_dataset_brings_what_learns_from_it(store: Store) -> None:
    steps = cases.labelled(store)
    cases.labelled(store, 30, name="newer")
    html = send(store, "open", f"?dataset={steps.id}").html["tform"]
    assert 'name="of" value="sorm"' in html
    assert f'value="{steps.id}" checked' in html
    assert send(store, "open", "?dataset=99").html["tform"]
    assert (
        f"/train?dataset={steps.id}"
        in Datasets(Workbench(store)).act({"act": "look", "at": f"?dataset={steps.id}"}, "ana").html["dopen"]
    )
    pairs = store.add_dataset("pairs", "self-explore", {}, [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert (
        "Train on this"
        not in Datasets(Workbench(store)).act({"act": "look", "at": f"?dataset={pairs.id}"}, "ana").html["dopen"]
    )


def test_defaults_follow_the_training_and_what_was_changed_stays(store: Store, base: Path) -> None:
    cases.solutions(store)
    html = send(store, "form", recipe="sft").html["tform"]
    assert (value(html, "learning_rate"), value(html, "batch"), value(html, "length")) == ("0.0015", "16", "384")
    assert "appendix that could not be read" in html
    sent = {"of": "sft", "ofsize": "small", "learning_rate": "0.0015", "epochs": "3", "batch": "16", "length": "384"}
    html = send(store, "form", recipe="refiner", **sent).html["tform"]
    assert (value(html, "batch"), value(html, "length"), value(html, "epochs")) == ("8", "768", "3")
    assert html.count('class="share changed"') == 1


def test_a_large_base_brings_the_rate_of_large_models(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases.solutions(store)
    monkeypatch.setattr("stepviz.trainings.LARGE", 10_000)
    sent = {"of": "sft", "ofsize": "small", "learning_rate": "0.0015", "epochs": "5", "batch": "16", "length": "384"}
    html = send(store, "form", recipe="sft", base="own", own=str(base), **sent).html["tform"]
    assert (value(html, "learning_rate"), value(html, "ofsize")) == ("1e-05", "large")
    assert "LlamaForCausalLM" in html
    assert "one block at a time" in html


def test_a_base_that_is_not_here_yet_brings_the_rates_of_large_models(store: Store, hub: Hub, base: Path) -> None:
    """Before and after its download the form, and what it starts, are the same; its memory is asked in between."""
    cases.solutions(store)
    sent = {"recipe": "sft", "base": "own", "own": "org/name"}
    html = send(store, "form", **sent).html["tform"]
    assert (value(html, "learning_rate"), value(html, "batch"), value(html, "ofsize")) == ("1e-05", "8", "large")
    assert "before its weights are fetched" in html
    hub.put("org/name", base)
    html = send(store, "form", **sent).html["tform"]
    assert (value(html, "learning_rate"), value(html, "batch"), value(html, "ofsize")) == ("1e-05", "8", "large")
    assert "before its weights are fetched" not in html
    nothing = send(store, "form", recipe="sft", base="own", own="").html["tform"]
    assert (value(nothing, "learning_rate"), value(nothing, "ofsize")) == ("0.0015", "small")


def test_a_large_base_can_have_adapters_with_a_rate_of_their_own(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cases.solutions(store)
    sent = {"recipe": "sft", "base": "own", "own": str(base), "data": str(made.id)}
    assert 'name="lora"' not in send(store, "form", **sent).html["tform"]  # nothing to save in a small one
    monkeypatch.setattr("stepviz.trainings.LARGE", 10_000)
    html = send(store, "form", **sent).html["tform"]
    assert (value(html, "lora"), value(html, "oflora"), value(html, "learning_rate")) == ("0", "0", "1e-05")
    large = sent | {"of": "sft", "ofsize": "large", "oflora": "0", "learning_rate": "1e-05", "epochs": "2"}
    large |= {"batch": "8", "length": "1024", "seed": "0"}
    html = send(store, "form", **large, lora="16").html["tform"]
    assert (value(html, "lora"), value(html, "oflora"), value(html, "learning_rate")) == ("16", "16", "0.0002")
    html = send(store, "form", **(large | {"learning_rate": "3e-4"}), lora="16").html["tform"]
    assert value(html, "learning_rate") == "3e-4"  # what was typed stays
    assert "“LoRA rank” 16" in train_words.in_words("train adapters beside its weights (--lora 16)")
    send(store, "start", **(large | {"learning_rate": "2e-4", "length": "64", "name": "mine"}), lora="16")
    (run,) = store.runs()
    assert (run.spec["options"], run.spec["settings"]["learning_rate"]) == ({"lora": 16}, 2e-4)
    assert value(send(store, "like", run=str(run.id)).html["tform"], "lora") == "16"


def test_what_it_takes_is_told_and_what_is_wrong_in_the_forms_own_words(store: Store, tmp_path: Path) -> None:
    small = SMALL | {"of": "sft", "ofsize": "small", "data": str(cases.solutions(store).id)}
    drafts = cases.drafts(store)
    html = send(store, "form", recipe="sft", base="embedded:base", **small).html["tform"]
    assert re.search(r"≈\s[\d.]+\s[kM]\stokens · [\d,]+\ssteps · ≈\s\d+\.\d\sGB · ≈\s\d+\s(s|min)", html)
    few = send(store, "form", recipe="sft", **(small | {"epochs": "0.1"})).html["tform"]
    assert "too few to learn much" in few
    own = send(store, "form", recipe="sft", base="own", own="").html["tform"]
    assert "Give the folder or the hub id of a model." in own
    plain = cases.without_bad(tmp_path / "plain")
    sent = {"recipe": "refiner", "of": "refiner", "base": "own", "own": str(plain), f"data-{drafts.id}": "on"}
    html = send(store, "form", **sent).html["tform"]
    assert "or let the training add it (“Give it [BAD]”)" in html
    odd = send(store, "form", recipe="sft", **(small | {"batch": "many"})).html["tform"]
    assert "the batch is a whole number, not &#x27;many&#x27;" in odd


def test_nothing_starts_that_cannot_work(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    sent = {"recipe": "sft", "of": "sft", "base": "own", "own": str(base), "data": str(made.id), **SMALL}
    assert "there is no model" in said(send(store, "start", **(sent | {"own": "/nowhere"})))
    assert "choose a dataset" in said(send(store, "start", **(sent | {"data": ""})))
    assert "a model's name has" in said(send(store, "start", **sent, name="../up"))
    assert "sorm learns from sorm" in said(send(store, "start", **(sent | {"recipe": "sorm"})))
    assert store.runs() == []
    update = send(store, "start", **sent)
    (run,) = store.runs()
    assert 'data-kind="run" data-nonce' in update.reply
    assert run.spec["name"] == "my-sft"
    assert run.spec["settings"] == {
        "epochs": 2.0, "learning_rate": 0.001, "batch": 4, "length": 64, "seed": 0, "compile": False,
    }  # fmt: skip
    assert 'placeholder="my-sft-2"' in update.html["tform"]
    assert "Waiting for the training process." in update.html["topen"]
    assert value(send(store, "like", run=str(run.id)).html["tform"], "epochs") == "2"  # as it was typed, not 2.0
    assert spec_of(store, sent_of(run.spec) | {"name": "my-sft"}) | {"base": str(base)} == {
        **spec_of(store, sent | {"name": "my-sft"}), "datasets": [made.id],
    } | {"settings": spec_of(store, sent_of(run.spec))["settings"], "base": str(base)}  # fmt: skip


def test_expert_iteration_asks_for_questions_and_no_dataset(store: Store) -> None:
    html = send(store, "form", recipe="expert-iteration").html["tform"]
    assert "It reads questions of the store, and no dataset" in html
    assert "2 · Questions" in html
    assert 'name="data"' not in html
    assert options(html, "student")[:2] == ["embedded", "embedded:base"]
    assert (options(html, "source"), options(html, "split")) == (["embedded"], ["train", "dev"])
    assert options(html, "dev_split") == ["dev", "train"]
    assert (value(html, "samples"), value(html, "questions"), value(html, "rounds")) == ("16", "1500", "3")
    assert re.search(r"a\sround:\s≈\s[\d.]+\sM\ssampled · .*at\smost\s3\srounds", html)
    assert 'class="btn pri">Train expert-iteration' in html


def test_questions_of_ones_own_bring_the_papers_samples_and_hold_some_out(store: Store) -> None:
    made = [Problem(f"{i}?", "1", f"#### {i}", "school", f"train/{i}", "train") for i in range(30)]
    store.add_items([SourceItem(p) for p in made] + [SourceItem(Problem("t?", "1", None, "school", "test/1", "test"))])
    sent = {"of": "expert-iteration", "ofsize": "small", "ofsource": "embedded", "samples": "16", "questions": "20"}
    html = send(store, "form", recipe="expert-iteration", source="school", **sent).html["tform"]
    assert options(html, "split") == ["train", "any"]  # the test split is not offered
    assert "the last ones of the same, held out" in html
    assert options(html, "dev_split") == ["train"]
    assert (value(html, "samples"), value(html, "questions")) == ("96", "20")  # what was changed stays
    assert "the last 800 problems of school/train judge the rounds, and there are only 30" in html
    sent |= {"recipe": "expert-iteration", "source": "school", "split": "train", "dev_split": "train", "dev": "10"}
    assert said(send(store, "start", **sent, name="mine")) == ""
    (run,) = store.runs()
    assert run.spec["datasets"] == []
    assert {k: run.spec["options"][k] for k in ("source", "split", "dev_split", "dev", "questions", "samples")} == {
        "source": "school", "split": "train", "dev_split": "train", "dev": 10, "questions": 20, "samples": 16,
    }  # fmt: skip
    again = send(store, "like", run=str(run.id), serial="4").html["tform"]
    assert value(again, "serial") == "4"
    assert (value(again, "questions"), value(again, "dev"), value(again, "samples")) == ("20", "10", "16")
    assert spec_of(store, sent_of(run.spec) | {"name": "mine"})["options"].keys() == run.spec["options"].keys()
