"""Rows of a dataset as HTML: labels, pairs, prompts, and texts from anywhere."""

from __future__ import annotations

import pytest

from stepviz.ui.render_dataset_rows import row
from stepviz.ui.view_datasets import Origin
from tests.ui_cases import HOSTILE


def test_labels_have_the_shape_of_who_gave_them():
    steps = {"prompt": "2+2?", "completions": ["a", "b", "c"], "labels": [1, 0, -100]}
    measured = row(steps, 0, None, "sorm")
    assert measured.count('class="dot v8"') == measured.count('class="dot v0"') == 1
    assert '<li class="fault"><b class="num">2</b>' in measured
    assert '<li class="off"><b class="num">3</b>' in measured
    assert 'class="hl hm"' in row(steps, 0, None, "stepwise")
    exact = row(steps, 0, None, "stepwise", oracle=True)
    assert ('class="ic ok"' in exact, 'class="hl' in exact) == (True, False)
    outcome = row({**steps, "labels": [0, 0, 0]}, 0, None, "orm")
    assert outcome.count('class="ic no"') == 3
    assert "fault" not in outcome  # a chain's outcome says nothing of where it went wrong


def test_soft_labels_say_k_of_n_where_something_was_drawn():
    html = row({"prompt": "q", "completions": ["a", "b"], "labels": [1, 1], "k": [3, 0], "n": [8, 0]}, 0, None, "sorm")
    assert html.count('class="kn') == 1
    assert "<b>3</b><s>/</s>8" in html


def test_a_pair_stands_side_by_side_and_links_to_its_chain():
    pair = {"prompt": "q\n1+1=2\n", "chosen": "2+1=3", "rejected": "2+1=4"}
    html = row(pair, 11, Origin("/?chain=abc&step=2", "school 1 · chain 2", ("step 2",)), "self-explore")
    assert html.index('class="cho"') < html.index("2+1=3") < html.index('class="rej"') < html.index("2+1=4")
    assert 'href="/?chain=abc&amp;step=2"' in html
    assert '<span class="num dim">12</span>' in html  # people count rows from 1


def test_only_the_mark_of_a_refiners_prompt_stands_out():
    prompt = "Q?\nDraft:\n1+1=2\n[BAD] 2+1=4\n[BAD] again\nRefinement:\n"
    html = row({"prompt": prompt, "completion": "2+1=3"}, 0, None, "refine-local")
    assert html.count("<mark>[BAD]</mark>") == 1
    assert '<span class="badline"><mark>[BAD]</mark> 2+1=4</span>' in html
    assert "<mark>" not in row({"prompt": prompt, "completion": "x"}, 0, None, "sft")


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": HOSTILE, "completion": HOSTILE},
        {"prompt": HOSTILE, "completions": [HOSTILE], "labels": [HOSTILE], "k": [HOSTILE], "n": [3]},
        {"prompt": HOSTILE, "chosen": HOSTILE, "rejected": HOSTILE},
        {HOSTILE: {HOSTILE: [HOSTILE]}},
        {"prompt": None, "completions": None, "labels": None},
    ],
)
def test_hostile_rows_are_text(columns: dict):
    html = row(columns, 0, Origin("", HOSTILE, (HOSTILE,)), "refine-global")
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_long_texts_and_chains_are_cut():
    html = row({"prompt": "x" * 9000, "completions": ["s"] * 100, "labels": [1] * 100}, 0, None, "orm")
    assert "and 3,000 more characters" in html
    assert "and 36 more steps" in html
