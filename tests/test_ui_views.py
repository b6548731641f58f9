"""What the pages show of a store, worked by hand: 4, 6, 0, 0 of 8 continuations along a wrong chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.values import ModelRow, RunRow
from stepviz import jobs
from stepviz.types import Annotation, Sampling, StepValue
from stepviz.ui import pits
from stepviz.ui.address import Address
from stepviz.ui.render_inspector import continuation
from stepviz.ui.status import took
from stepviz.ui.view_chain import endings
from stepviz.ui.views import answer_shares, chain_list, measurement
from stepviz.ui.workbench import Workbench
from tests import ui_cases
from tests.ui_cases import Filled, a_draw, page


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


def test_a_run_whose_worker_died_took_until_its_lease_was_over():
    began = datetime(2026, 1, 1, tzinfo=UTC)
    dead = RunRow(
        1, "measure", {}, "interrupted", {}, None, "w", False, began, began, None, began + timedelta(seconds=42)
    )
    assert took(dead) == "42.0 s"


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


def test_no_answer_is_never_a_vote(filled: Filled):
    rows = filled.bench.store.chains(filled.ids["hostile"])
    shares, where = answer_shares(rows)
    assert [(s.answer, s.verdict) for s in shares] == [(None, "unknown")]
    assert where == {filled.ids["bad"]: "(none)"}


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


def test_draws_that_stopped_early_claim_no_pit_and_no_critical_step(filled: Filled):
    """After a strategy 0 of 1 is no label of GLoRe's, and 1 of 1 no value; 8 of each and more are."""
    row = filled.bench.store.chain(filled.ids["wrong"])

    def marks(*counts: tuple[int, int]) -> pits.Marks:
        values = [StepValue(i, k, n) for i, (k, n) in enumerate(counts)] + [StepValue(4, 0, 0, terminal="wrong")]
        return pits.marks_of(row.chain, row.verdict, values, {}, None, "\n")

    def named(found: pits.Marks) -> set[str]:
        return {mark.evidence.split()[0] for tags in found.pits.values() for mark in tags}

    early = marks((2, 8), (1, 1), (0, 1), (0, 0))
    assert (named(early), early.critical) == (set(), None)
    whole = marks((2, 8), (30, 40), (0, 8), (0, 8))
    assert "GLoRe" in named(whole)
    assert (whole.critical, whole.gain) == (1, 0.5)
