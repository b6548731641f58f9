"""The form of the Datasets page without a browser: what it offers, counts, sends and refuses."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from db.store import Store
from stepviz.datasets import build
from stepviz.datasets_config import options_of
from stepviz.errors import StepvizError
from stepviz.recipes import RECIPES
from stepviz.steps import segment
from stepviz.types import Chain, PromptStyle, Verdict
from stepviz.ui import recipe_words
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.view_datasets import in_words
from stepviz.ui.view_recipe import config_of, sent_of
from tests import dataset_cases as cases
from tests.page_cases import fields_of, said, sender

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Datasets)


def test_every_recipe_and_option_is_explained():
    assert set(recipe_words.RECIPES) == set(RECIPES)
    for recipe in RECIPES.values():
        for option in options_of(recipe):
            label, about = recipe_words.option_words(recipe.name, option)
            assert label != option.replace("_", " ").capitalize() or option == "seed", option
            assert about.endswith((".", "?")), option


def test_a_form_shows_the_papers_defaults(school: Store):
    html = send(school, "form", recipe="sorm").html["build"]
    assert re.search(r'name="k" value="8"', html)
    for option, on in (
        ("consistent", True),
        ("plain", False),
        ("carry_back", True),
        ("balance", True),
        ("soft", False),
    ):
        assert (f'name="{option}" value="on" checked' in html) is on, option
    assert "reads 6 problems · 18 chains" in html
    assert f"{cases.SAMPLING.hash} {cases.MODEL}" in html
    assert re.search(r'name="k" value="4"', send(school, "form", recipe="self-explore").html["build"])


def test_another_recipe_starts_from_its_own_defaults(school: Store):
    sent = {"recipe": "self-explore", "of": "sorm", "k": "16", "source": "school", "limit": "3"}
    html = send(school, "form", **sent).html["build"]
    assert re.search(r'name="k" value="4"', html)
    assert re.search(r'name="limit" value="3"', html)
    assert re.search(r'value="school" selected', html)


def test_the_form_says_which_request_it_answers(school: Store):
    assert (
        '<input type="hidden" name="serial" value="7">' in send(school, "form", recipe="sft", serial="7").html["build"]
    )
    made = build(school, "sft", name="first")
    like = send(school, "like", dataset=str(made.id), serial="8").html["build"]
    assert 'name="serial" value="8"' in like
    assert 'name="serial" value=""' in send(school, "open").html["build"]
    hostile = send(school, "form", recipe="sft", serial='9"><img src=x>').html["build"]
    assert "<img" not in hostile


def test_what_was_filled_in_stays_when_embedded_problems_are_added(store: Store):
    update = send(store, "world", recipe="rft", of="rft", name="mine", limit="7", serial="2")
    assert 'name="name" maxlength="80" value="mine"' in update.html["build"]
    assert 'name="limit" value="7"' in update.html["build"]
    assert 'value="rft" checked' in update.html["build"]


def test_test_splits_cannot_be_chosen(store: Store):
    cases.add(store, cases.problem(2), cases.problem(3, "test"), cases.problem(4, "dev"))
    html = send(store, "form", recipe="sft").html["build"]
    split = re.search(r'name="split">(.*?)</select>', html)[1]
    assert re.findall(r'value="(\w+)"', split) == ["train", "dev", "any"]


def test_what_the_form_says_is_what_is_built(school: Store):
    words = {"recipe": "sorm", "of": "sorm", "k": "4", "consistent": "on", "soft": "on", "seed": "5", "split": "train",
             "limit": "3", "part": "all", "held_out": "0.2", "name": "  my   set ", "test_overlap": "drop"}  # fmt: skip
    recipe, config, name = config_of(words)
    made = build(school, recipe, config, name=name)
    wanted = {"k": 4, "consistent": True, "plain": False, "carry_back": False, "balance": False, "soft": True,
              "seed": 5, "limit": 3, "held_out": 0.2, "test_overlap": "drop", "branches": False}  # fmt: skip
    assert {key: made.config[key] for key in wanted} == wanted
    assert made.name == "my set"
    again, same, _ = config_of(sent_of(made.recipe, made.config, made.name))
    assert build(school, again, same, name="my set").id == made.id


def test_used_again_it_is_the_same_dataset_with_its_prompt_and_all_of_its_models(school: Store):
    """Built by the command line with `--model` twice and `--style FILE`: the form has neither of its own."""
    theirs = Chain(cases.problem(2).id, "gpt 4", "a", "4\n#### 4", segment("4\n#### 4"), "line/1")
    school.add_chain(theirs, Verdict("correct", "", "stepviz/1", "4"))
    style = asdict(PromptStyle("asked", 'Q: {question}\n"A":\n', few_shot=(("1+1?", "2"),)))
    for model in (("gpt 4", cases.MODEL), ("gpt 4",)):
        made = build(school, "rft", {"model": model, "style": style}, name="theirs")
        shown = send(school, "open", f"?dataset={made.id}").html["dopen"]
        assert f"<dd>{', '.join(model)}</dd>" in shown
        html = send(school, "like", dataset=str(made.id)).html["build"]
        again = fields_of(html)
        recipe, config, name = config_of(again)
        assert build(school, recipe, config, name=name).id == made.id
        assert made.config["style"]["template"].startswith("Q: ")
    assert (config["model"], made.counts["chains"]) == (("gpt 4",), 1)
    plain = build(school, "rft", {}, name="theirs")
    assert 'name="style"' not in send(school, "like", dataset=str(plain.id)).html["build"]
    with pytest.raises(StepvizError, match="fields out of"):
        config_of({**again, "style": '{"templ": 1}'})
    with pytest.raises(StepvizError, match="“Prompt” is a prompt style's JSON"):
        config_of({**again, "style": "{question}"})


def test_any_split_and_all_samples(school: Store):
    _, config, name = config_of({"recipe": "rft", "of": "rft", "keep": "", "split": "any", "distinct": "exact"})
    assert (config["split"], config["keep"], config["distinct"], name) == (None, None, "exact", None)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"recipe": "magic"}, "no recipe"),
        ({"recipe": "sorm", "of": "sorm", "k": "many"}, "Rollouts a step” is a whole number"),
        ({"recipe": "sorm", "of": "sorm", "k": "0"}, "k must be at least 1"),
        ({"recipe": "sft", "limit": "1.5"}, "At most, problems” is a whole number, or empty"),
        ({"recipe": "sft", "held_out": "2"}, "between 0 and 1"),
        ({"recipe": "sft", "name": "x" * 81}, "at most 80 characters"),
        ({"recipe": "sft", "split": "nowhere"}, "No problem of this source and split"),
        ({"recipe": "stepwise", "of": "stepwise"}, "“Labels of” NAME"),
        ({"recipe": "sft", "part": "third"}, "part is one of all, train, held-out"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(school: Store, sent: dict, answer: str):
    update = send(school, "build", **sent)
    assert answer in said(update)
    assert school.runs() == []


def test_messages_for_the_command_line_name_the_form():
    told = in_words("choose another split (--split train), or leave such problems out (--test-overlap drop)")
    assert told == "choose another split (“Split” train), or leave such problems out (“Also in a test split” drop)"
    advised = "Measure first: python -m stepviz measure --split train --k 8, or lower --k."
    assert (
        in_words(advised) == "Measure first: python -m stepviz measure --split train --k 8, or lower “Rollouts a step”."
    )


def test_a_message_without_options_stays_as_it_is():
    assert in_words("labels -- and steps") == "labels -- and steps"
    with pytest.raises(StepvizError, match="no recipe"):
        config_of({})
