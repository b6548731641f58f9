"""What the pages show of a store, worked by hand: 4, 6, 0, 0 of 8 continuations along a wrong chain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.store import open_store
from db.values import ChainRow, ContinuationKey, ModelRow, RunRow
from stepviz import embedded, jobs
from stepviz.steps import segment
from stepviz.types import (
    Annotation,
    Chain,
    Continuation,
    Problem,
    Sampling,
    SourceItem,
    StepValue,
    Verdict,
    prefix_hash,
)
from stepviz.ui import pits, render_chain, render_chains, render_head
from stepviz.ui.address import Address
from stepviz.ui.opening import opening_chain, opening_problem
from stepviz.ui.render_inspector import continuation
from stepviz.ui.status import run_here, took
from stepviz.ui.view_chain import chain_page, endings
from stepviz.ui.views import (
    answer_shares,
    chain_list,
    measurement,
    problem_list,
    rounded,
    tokens,
)
from stepviz.ui.workbench import Workbench
from tests import ui_cases


@dataclass
class Filled:
    bench: Workbench
    ids: dict[str, str]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as store:
        yield Filled(Workbench(store), ui_cases.fill(store))


def page(filled: Filled, chain: str = "wrong", **at: object):
    store, id_ = filled.bench.store, filled.ids[chain]
    row = store.chain(id_)
    problem = store.problem(row.chain.problem_id)
    return chain_page(filled.bench, Address(problem.id, id_, **at), problem, row)


def test_values_stand_at_their_steps(filled: Filled):
    rows = page(filled).rows
    assert [(r.value.k, r.value.n) for r in rows] == [(4, 8), (6, 8), (0, 8), (0, 8), (0, 0)]
    assert rows[4].value.terminal == "wrong"
    assert [r.kind for r in rows] == ["step", "step", "step", "step", "answer"]


def test_pits_and_the_critical_step_are_marked(filled: Filled):
    rows = page(filled).rows
    assert [mark.evidence for mark in rows[2].pits] == ["Self-Explore 0/8", "GLoRe 0/8"]
    assert not any(r.pits for i, r in enumerate(rows) if i != 2)
    assert [r.gain for r in rows] == [None, 0.25, None, None, None]


def test_a_chain_opens_at_its_pit_and_a_shared_step_wins(filled: Filled):
    assert page(filled).selected == 2
    assert page(filled, step=1).selected == 1
    assert page(filled, step=99).selected == 4


def test_false_equations_and_people_are_shown_at_the_step(filled: Filled):
    rows = page(filled).rows
    assert [m.holds for m in rows[1].equations] == [True]
    assert [m.holds for m in rows[2].equations] == [False]
    assert [(label.who, label.value) for label in rows[2].labels] == [("ana", -1)]


def test_what_is_said_of_the_whole_chain_stands_at_its_question(filled: Filled):
    store, right = filled.bench.store, filled.ids["right"]
    store.add_annotation(Annotation(right, "processbench", "first_error", 0, None, key="17=-1"))
    store.add_annotation(Annotation(right, "ben", "correct", 0, 0))
    rows = page(filled, "right").rows
    assert [(x.who, x.value, x.question) for x in rows[0].labels] == [
        ("processbench", 1, "no step is wrong"),
        ("ben", 0, "correct (the whole chain)"),
    ]
    assert not any(row.labels for row in rows[1:])


def test_a_verdict_is_no_label_of_the_question(filled: Filled):
    store, wrong = filled.bench.store, filled.ids["wrong"]
    before = [row.labels for row in page(filled).rows]
    store.override_verdict(wrong, "correct", "the gold answer is off", "ana")
    opened = page(filled)
    assert opened.verdict == "correct"
    assert [row.labels for row in opened.rows] == before


def test_endings_are_clusters_of_answers(filled: Filled):
    ends = page(filled).rows[1].endings
    assert [(e.answer, e.verdict, e.n) for e in ends] == [("264", "correct", 6), ("244", "wrong", 2)]


def a_draw(j: int = 0, **fields: object) -> Continuation:
    key = {"prefix_hash": prefix_hash(""), "model_id": ui_cases.MODEL, "sampling_id": ui_cases.SAMPLING.hash}
    done = {"seed": j, "text": "#### 264", "finish_reason": "stop", "tokens": 4, "answer": "264", "verdict": "correct"}
    return Continuation(**({"problem_id": ui_cases.problem().id, "j": j} | key | done | fields))


def test_an_answer_before_the_token_limit_is_an_ending_and_not_a_cut():
    """One states 264 and babbles on to the limit, one is cut before it answers: k is 1, unfinished is 1."""
    babbled = a_draw(0, text="#### 264\nand so on and", finish_reason="length")
    cut = a_draw(1, text="6 * 24", finish_reason="length", answer=None, verdict="unknown")
    shown = endings([babbled, cut])
    assert [(e.answer, e.verdict, e.n, e.unfinished) for e in shown] == [
        ("264", "correct", 1, False),
        (None, "unknown", 1, True),
    ]
    assert "cut off" in continuation(cut, False)
    assert "cut off" not in continuation(babbled, False)


def test_the_page_shows_what_its_own_buttons_draw(filled: Filled):
    """8 draws a prefix at 0.7 are the app's own; 40 from the question at 1.0, and 40 of earlier weights, are not."""
    store, id_ = filled.bench.store, filled.ids["problem"]
    hot = store.add_sampling(Sampling(temperature=1.0))
    store.add_continuations([a_draw(j, sampling_id=hot) for j in range(40)])
    assert measurement(filled.bench, id_).sampling_id == ui_cases.SAMPLING.hash
    store.add_model(ModelRow("embedded/student@newer0000000", "generator", "embedded"))
    store.add_continuations([a_draw(j, model_id="embedded/student@newer0000000") for j in range(3)])
    assert measurement(filled.bench, id_).model_id == "embedded/student@newer0000000"
    assert page(filled).rows[0].value.n == 3


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


def test_a_run_whose_worker_died_took_until_its_lease_was_over():
    began = datetime(2026, 1, 1, tzinfo=UTC)
    dead = RunRow(
        1, "measure", {}, "interrupted", {}, None, "w", False, began, began, None, began + timedelta(seconds=42)
    )
    assert took(dead) == "42.0 s"


def test_measure_says_what_it_will_cost(filled: Filled):
    assert page(filled).measured
    assert page(filled).cost == "32 continuations, ≈ 640 tokens"  # 8 more from 4 prefixes, 20 tokens each
    shown = render_chain.view(page(filled))
    assert "Measure again" not in shown
    assert "Measure 8 more" in shown
    assert "Adds 8 continuations of embedded/student to each step: 32 continuations, ≈ 640 tokens" in shown
    assert "adds ≈ 640 tokens" in shown
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


def test_chains_strips_and_clusters(filled: Filled):
    problem = filled.bench.store.problem(filled.ids["problem"])
    chains = chain_list(filled.bench, Address(problem.id), problem)
    first, second = chains.lines
    assert [c.value for c in first.cells] == [0.75, 0, 0, 0]
    assert [c.pit for c in first.cells] == [False, True, False, False]
    assert [c.value for c in second.cells] == [None, None, None, 1]  # nothing measured; the answer's verdict is known
    assert (chains.right, chains.of) == (1, 2)
    assert {(s.answer, s.verdict, s.n) for s in chains.shares} == {("244", "wrong", 1), ("264", "correct", 1)}
    only = chain_list(filled.bench, Address(problem.id, answer="244"), problem)
    assert [line.id for line in only.lines] == [filled.ids["wrong"]]
    assert only.of == 2


def test_only_foreign_problems_are_out_of_reach(filled: Filled):
    store = filled.bench.store

    def reach(name: str) -> str:
        problem = store.problem(filled.ids[name])
        return chain_list(filled.bench, Address(problem.id), problem).out_of_reach

    assert reach("problem") == ""
    assert "embedded student" in reach("tex")
    filled.bench.engine = "hf:some/model"
    assert reach("tex") == ""


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


def test_no_answer_is_never_a_vote(filled: Filled):
    rows = filled.bench.store.chains(filled.ids["hostile"])
    shares, where = answer_shares(rows)
    assert [(s.answer, s.verdict) for s in shares] == [(None, "unknown")]
    assert where == {filled.ids["bad"]: "(none)"}


@pytest.mark.parametrize(("n", "written"), [(7, "7"), (99.6, "100"), (904, "900"), (4321, "4,300"), (98765, "99,000")])
def test_costs_have_two_figures(n: float, written: str):
    assert rounded(n) == written


def test_an_engine_is_the_same_under_any_spelling(filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs are stored under the canonical spec: the page must look for the model under that, not as it was typed."""
    (tmp_path / "my-student").mkdir()
    monkeypatch.chdir(tmp_path)
    bench = Workbench(filled.bench.store, "hf:my-student")
    assert bench.engine == f"hf:{tmp_path}/my-student"
    assert Workbench(filled.bench.store, "embedded:student").engine == "embedded"
    _, spec = jobs.normalised(filled.bench.store, "sample", {"problems": ["x"], "n": 1, "engine": "hf:my-student"})
    assert spec["engine"] == bench.engine


def test_a_critical_step_needs_every_value(filled: Filled):
    """V[0] and V[1] alone: a gain elsewhere might be larger."""
    row = filled.bench.store.chain(filled.ids["wrong"])
    whole = [StepValue(i, k, 8) for i, k in enumerate((2, 6, 0, 0))] + [StepValue(4, 0, 0, terminal="wrong")]
    holes = [v if v.step < 2 or v.terminal else StepValue(v.step, 0, 0) for v in whole]
    assert pits.marks_of(row.chain, row.verdict, whole, {}, None, "\n").critical == 1
    assert pits.marks_of(row.chain, row.verdict, holes, {}, None, "\n").critical is None


def test_a_cancelled_run_is_named_where_it_ran_until_the_next_one(filled: Filled):
    store, ids = filled.bench.store, filled.ids
    problem, wrong, right = store.problem(ids["problem"]), store.chain(ids["wrong"]), store.chain(ids["right"])

    def cancel(kind: str, spec: dict) -> None:
        run = store.add_run(kind, spec)
        store.claim_run("me")
        store.heartbeat(run, "me", {"done": 12, "total": 64, "unit": "continuations"})
        store.request_cancel(run)
        store.finish_run(run, "cancelled", worker="me")

    def bar(chain: ChainRow | None) -> str:
        return render_chain.run_bar(run_here(filled.bench, problem, chain))

    cancel("sample", {"problems": [problem.id], "add": 64})
    assert "Sampling this problem was cancelled after 12 of 64 continuations." in bar(wrong)
    cancel("measure", {"chains": [wrong.chain.id], "n": 8})
    assert f"Measuring chain {wrong.number} was cancelled after 12 of 64 continuations." in bar(wrong)
    assert "hidden" in bar(right)  # the sampling before does not come back
    cancel("score", {"chains": ["another"], "model": "m"})
    assert "hidden" in bar(wrong)
