"""Rates and costs that the pages show: which draws count, and what a measurement or a sample will take."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from db.values import ContinuationKey
from stepviz import embedded
from stepviz.types import Chain, Problem, Sampling, SourceItem, Verdict, prefix_hash
from stepviz.ui import render_chain, render_chains
from stepviz.ui.address import Address
from stepviz.ui.view_chain import chain_page
from stepviz.ui.views import chain_list, rounded, tokens
from stepviz.ui.workbench import Workbench
from tests import ui_cases
from tests.ui_cases import Filled, a_draw, page


def test_without_a_gold_answer_nothing_is_counted_as_a_failure(filled: Filled):
    store = filled.bench.store
    open_end = Problem("How many roads are there?", source="mine", key="1")
    said = Chain(open_end.id, ui_cases.MODEL, "x", "#### 42", (), "line/1")
    store.add_items([SourceItem(open_end, (said,))], {said.id: Verdict("unknown", "no gold", "stepviz/1", "42")})
    nothing = {"problem_id": open_end.id, "answer": "42", "verdict": "unknown"}
    store.add_continuations([replace(a_draw(j), **nothing) for j in range(8)])
    row, chain = store.problem(open_end.id), store.chain(said.id)
    opened = chain_page(filled.bench, Address(open_end.id, said.id), row, chain)
    assert (opened.rows[0].value.n, opened.rows[0].value.value) == (0, None)
    assert [(e.answer, e.n) for e in opened.rows[0].endings] == [("42", 8)]
    listed = chain_list(filled.bench, Address(open_end.id), row)
    assert listed.right is None
    assert listed.interval is None
    assert "no gold answer" in render_chains.chains(listed)


def test_an_interval_is_of_draws_of_one_rate(filled: Filled):
    """1 of 2 from one model has an interval (.09 to .91); with a branch, which is no draw from the question, none."""
    row = filled.bench.store.problem(filled.ids["problem"])
    assert chain_list(filled.bench, Address(row.id), row).interval == pytest.approx((0.0945, 0.9055), abs=1e-4)
    parent = filled.bench.store.chain(filled.ids["wrong"]).chain
    branch = replace(parent, key="branch", parent=parent.id, branch_step=1)
    filled.bench.store.add_chain(branch, Verdict("wrong", "", "stepviz/1", "244"))
    listed = chain_list(filled.bench, Address(row.id), filled.bench.store.problem(row.id))
    assert (listed.right, listed.of, listed.interval) == (1, 3, None)


def sampled(filled: Filled, number: int, key: str, verdict: str, sampling: Sampling) -> Chain:
    """A chain that the model drew from the question, stored with its draw."""
    of, answer = ui_cases.problem(), {"correct": "264", "wrong": "244"}[verdict]
    prefix = prefix_hash("")
    draw = a_draw(
        number, text=f"as drawn {key}\n#### {answer}", answer=answer, verdict=verdict, sampling_id=sampling.hash
    )
    filled.bench.store.add_continuations([draw])
    chain = ui_cases.chain(of, draw.text, ui_cases.MODEL, key)
    at = ContinuationKey(of.id, prefix, ui_cases.MODEL, sampling.hash, number)
    filled.bench.store.add_chain(chain, Verdict(verdict, "", "stepviz/1", answer), at)
    return chain


def rate(filled: Filled):
    row = filled.bench.store.problem(filled.ids["problem"])
    listed = chain_list(filled.bench, Address(row.id), row)
    return listed, re.sub("<[^>]+>", "", render_chains.chains(listed))


def test_a_greedy_chain_is_no_draw_of_the_rate(filled: Filled):
    """Of three draws at 0.7 one is right; a right greedy chain, and two that came with a file, enter no rate.

    Wilson's 95 % interval of 1 of 3: (1/3 + z²/6 ± z·√(2/27 + z²/36)) / (1 + z²/3) with z = 1.96.
    """
    greedy = Sampling(temperature=0.0)
    filled.bench.store.add_sampling(greedy)
    for number, (key, verdict) in enumerate([("x", "correct"), ("y", "wrong"), ("z", "wrong")], start=100):
        first = sampled(filled, number, key, verdict, ui_cases.SAMPLING)
    sampled(filled, 0, "greedy", "correct", greedy)
    listed, text = rate(filled)
    assert (listed.right, listed.rated, listed.of) == (1, 3, 6)
    assert listed.interval == pytest.approx((0.0615, 0.7923), abs=1e-4)
    assert "1 of 3 draws right" in text
    assert "the other 3 are" in render_chains.chains(listed).lower()
    filled.bench.store.add_chain(
        replace(first, key="branch", parent=first.id, branch_step=1), Verdict("wrong", "", "stepviz/1", "244")
    )
    assert rate(filled)[0].rated == 3


def test_measure_says_what_it_will_cost(filled: Filled):
    assert page(filled).measured
    assert page(filled).cost == "32 continuations, ≈ 640 tokens"  # 8 more from 4 prefixes, 20 tokens each
    shown = render_chain.view(page(filled))
    assert "Measure again" not in shown
    assert "Measure 8 more" in shown
    assert "Adds 8 continuations of embedded/student to each step: 32 continuations, ≈ 640 tokens" in shown
    assert "adds ≈ 640 tokens" in re.sub("<[^>]+>", "", shown)
    assert not page(filled, "right").measured
    assert page(filled, "right").cost.startswith("24 continuations, ≈ ")  # V[0] is shared, steps 1 to 3 are open


def cost_of(filled: Filled, name: str, bench: Workbench | None = None) -> str:
    problem = filled.bench.store.problem(filled.ids[name])
    return chain_list(bench or filled.bench, Address(problem.id), problem).cost


def test_sampling_costs_what_the_model_spent_on_questions(filled: Filled):
    """8 chains of 20 tokens, as drawn here; elsewhere as drawn anywhere; draws from later prefixes are shorter."""
    store = filled.bench.store
    store.add_continuations([a_draw(j, tokens=2, prefix_hash=prefix_hash("later")) for j in range(9)])
    assert cost_of(filled, "problem") == "≈ 160 tokens"
    assert cost_of(filled, "tex") == "≈ 160 tokens"
    store.add_continuations([a_draw(j, problem_id=filled.ids["tex"], tokens=50) for j in range(8)])
    assert cost_of(filled, "problem") == "≈ 160 tokens"
    assert cost_of(filled, "tex") == "≈ 400 tokens"
    assert cost_of(filled, "hostile") == "≈ 280 tokens"  # 8 draws of 20 and 8 of 50: 35 each
    other = Workbench(store, sampling=Sampling(temperature=0.2))  # nothing was drawn at it yet
    assert cost_of(filled, "tex", other) == "≈ 280 tokens"


def test_without_a_draw_of_the_model_sampling_costs_by_the_length_of_chains(filled: Filled):
    """Two chains of 108 and 50 characters, 79 on average: 79 / 1.76 + 1 is 45.9 tokens, 8 of them 367."""
    assert (len(ui_cases.WRONG), len(ui_cases.RIGHT)) == (108, 50)
    assert cost_of(filled, "problem", Workbench(filled.bench.store, "hf:some/model")) == "≈ 370 tokens"


def test_characters_a_token_are_those_of_the_first_screens_draws():
    path = Path(embedded.__file__).parent / "first_screen.jsonl"
    draws = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    spent = sum(draw[5] for draw in draws)
    assert sum(tokens(len(draw[3])) for draw in draws) == pytest.approx(spent, rel=0.01)


@pytest.mark.parametrize(("n", "written"), [(7, "7"), (99.6, "100"), (904, "900"), (4321, "4,300"), (98765, "99,000")])
def test_costs_have_two_figures(n: float, written: str):
    assert rounded(n) == written
