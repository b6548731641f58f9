"""The list of problems, and what Explore opens where nobody asked for a chain."""

from __future__ import annotations

from dataclasses import replace

from stepviz.steps import segment
from stepviz.types import Chain, Problem, SourceItem, Verdict, prefix_hash
from stepviz.ui import render_head
from stepviz.ui.address import Address
from stepviz.ui.opening import opening_chain, opening_problem
from stepviz.ui.views import problem_list
from tests import ui_cases
from tests.ui_cases import Filled, a_draw


def test_a_problem_opens_with_its_measured_wrong_chain_or_the_asked_sources(filled: Filled):
    problem = filled.ids["problem"]
    assert opening_chain(filled.bench, problem).chain.id == filled.ids["wrong"]
    other = ui_cases.chain(ui_cases.problem(), "It is 5.\n#### 5", "stepverify/m", "z")
    filled.bench.store.add_chain(other)
    assert opening_chain(filled.bench, problem).chain.id == filled.ids["wrong"]
    assert opening_chain(filled.bench, problem, "stepverify").chain.id == other.id
    assert opening_chain(filled.bench, "nobody") is None


def measured(filled: Filled, name: str, rights: tuple[int, ...], answer: str = "244") -> Chain:
    """A chain of a problem of its own, wrong by default, with so many of 8 continuations right after each prefix."""
    of = Problem(f"What does {name} come to?", "264", source="embedded", key=f"embedded/test/{name}", split="test")
    text = "".join(f"{name} {i}\n" for i in range(1, len(rights))) + f"#### {answer}"
    said = ui_cases.chain(of, text, ui_cases.MODEL, name)
    verdict = Verdict("correct" if answer == "264" else "wrong", "", "stepviz/1", answer)
    filled.bench.store.add_items([SourceItem(of, (said,))], {said.id: verdict})
    draws = [
        a_draw(j, problem_id=of.id, prefix_hash=prefix_hash(said.prefix(step)), verdict="correct" if j < k else "wrong")
        for step, k in enumerate(rights)
        for j in range(8)
    ]
    filled.bench.store.add_continuations(draws)
    return said


def test_a_problem_opens_with_the_chain_that_shows_most(filled: Filled):
    """Among measured wrong chains: a pit midway and a critical step before one whose pit is its first or last step."""
    at_once = measured(filled, "ann", (4, 0, 0, 0))
    problem = at_once.problem_id
    at_last = replace(at_once, key="last", text="a\nb\nc\n#### 244", spans=())
    at_last = replace(at_last, spans=segment(at_last.text))
    midway = replace(at_once, key="mid", text="d\ne\nf\n#### 244", spans=())
    midway = replace(midway, spans=segment(midway.text))
    for chain, rights in ((at_last, (8, 8, 0)), (midway, (6, 0, 0))):
        filled.bench.store.add_chain(chain, Verdict("wrong", "", "stepviz/1", "244"))
        filled.bench.store.add_continuations(
            a_draw(
                j,
                problem_id=problem,
                prefix_hash=prefix_hash(chain.prefix(step)),
                verdict="correct" if j < k else "wrong",
            )
            for step, k in enumerate(rights, start=1)
            for j in range(8)
        )
    assert opening_chain(filled.bench, problem).chain.id == midway.id


def test_explore_opens_on_a_problem_whose_chain_falls_midway_after_a_critical_step(filled: Filled):
    """Not the first with chains: ann falls at once, bob never rises, cyd rises at 1 and falls at 2 of 3 steps."""
    for name, rights in (("ann", (4, 0, 0, 0)), ("bob", (0, 0, 0, 0)), ("cyd", (2, 6, 0, 0))):
        measured(filled, name, rights)
    at = Address(source="embedded", q="come to")
    assert opening_problem(filled.bench, at).question == "What does cyd come to?"
    assert opening_problem(filled.bench, Address(q="filler")).question.startswith("A filler problem about 0")


def test_problems_are_paged_on_the_server(filled: Filled):
    first = problem_list(filled.bench, Address())
    assert (first.total, len(first.lines), first.skip) == (63, 50, 0)
    second = problem_list(filled.bench, Address(skip=50))
    assert len(second.lines) == 13
    assert not {line.id for line in first.lines} & {line.id for line in second.lines}
    assert problem_list(filled.bench, Address(skip=5000)).skip == 0
    assert problem_list(filled.bench, Address(source="filler", q="goats 17")).total == 1
    assert {line.id for line in problem_list(filled.bench, Address(result="mixed")).lines} == {filled.ids["problem"]}


def test_a_branch_enters_no_rate_in_the_list_of_problems(filled: Filled):
    """One of two chains is right; a third, edited from the first step of the wrong one, is right, too."""
    store, id_ = filled.bench.store, filled.ids["problem"]
    trunk = store.chain(filled.ids["wrong"]).chain
    edited = replace(trunk, origin="edited", key="e", parent=trunk.id, branch_step=1)
    assert store.add_chain(edited, Verdict("correct", "", "stepviz/1", "264"))
    lines = problem_list(filled.bench, Address()).lines
    line = next(line for line in lines if line.id == id_)
    assert (line.n_chains, line.n_correct, line.branches) == (2, 1, 1)
    assert not any(line.branches for line in lines if line.id != id_)
    html = render_head.problems(problem_list(filled.bench, Address(result="mixed")))
    assert "2 chains · 1 branch<" in html
    assert ">.50<" in html
