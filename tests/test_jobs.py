"""What each kind of job leaves in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.store import open_store
from stepviz.importing import ImportReport, _store
from stepviz.rollouts import by_prefix, values
from stepviz.steps import segment
from stepviz.types import Chain, Problem, Sampling, SourceItem
from tests.job_cases import (
    CHAIN,
    OTHER,
    PROBLEM,
    WRONG,
    Bench,
    expected_draws,
)
from tests.store_cases import new_url


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


def test_sample_makes_chains_and_doing_it_again_changes_nothing(bench: Bench) -> None:
    run = bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=6)
    assert run.state == "done"
    assert (run.progress["done"], run.progress["total"], run.progress["unit"]) == (12, 12, "continuations")
    sampled = bench.store.chains(PROBLEM.id, "scripted@1")
    assert [c.continuation.j for c in sampled] == [*range(6)]
    assert all(c.verdict.value == ("correct" if c.seed % 2 == 0 else "wrong") for c in sampled)
    assert len(bench.store.chains(OTHER.id)) == 6
    bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=6)
    assert len(bench.engine.seen) == 12
    assert len(bench.store.chains(PROBLEM.id, "scripted@1")) == 6
    assert bench.store.model("scripted@1").spec == "embedded"


def test_sample_more_means_more(bench: Bench) -> None:
    bench.do("measure", chains=[CHAIN.id], n=3)  # its draws from the question are chains to come
    bench.do("sample", problems=[PROBLEM.id], add=2)
    assert [c.continuation.j for c in bench.store.chains(PROBLEM.id, "scripted@1")] == [0, 1]
    assert len(bench.engine.seen) == 9
    bench.do("sample", problems=[PROBLEM.id], add=4)
    assert sorted(c.continuation.j for c in bench.store.chains(PROBLEM.id, "scripted@1")) == [*range(6)]
    assert len(bench.engine.seen) == 12


def test_measure_draws_every_prefix_that_is_not_terminal(bench: Bench) -> None:
    run = bench.do("measure", chain_ids=[CHAIN.id], k=5)
    assert run.state == "done"
    assert set(bench.draws()) == expected_draws(5)
    found = values(CHAIN, by_prefix(bench.store.continuations_for(PROBLEM.id)), WRONG)
    assert [v.n for v in found] == [5, 5, 5, 0]
    assert [c.chain.id for c in bench.store.chains(PROBLEM.id)] == [CHAIN.id]


def test_thirty_two_more_at_one_step(bench: Bench) -> None:
    bench.do("measure", chains=[CHAIN.id], n=4)
    bench.do("measure", chains=[CHAIN.id], steps=[2], add=32)
    assert set(bench.draws()) == expected_draws(4) | expected_draws(36, range(2, 3))
    run = bench.do("measure", chains=[CHAIN.id], steps=[2], add=32)
    assert set(bench.draws()) == expected_draws(4) | expected_draws(68, range(2, 3))
    assert (run.progress["done"], run.progress["total"], run.progress["there"]) == (32, 32, 36)


def test_what_was_there_is_no_progress_of_a_run(bench: Bench) -> None:
    bench.do("sample", problems=[PROBLEM.id], n=6)
    run = bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=8)
    assert (run.progress["done"], run.progress["total"], run.progress["there"]) == (10, 10, 6)  # 2 and 8 more
    run = bench.do("sample", problems=[PROBLEM.id], n=8)
    assert (run.progress["done"], run.progress["total"], run.progress["there"]) == (0, 0, 8)


def test_continue_makes_new_chains_that_branch_after_the_step(bench: Bench) -> None:
    bench.do("measure", chains=[CHAIN.id], n=4)
    run = bench.do("continue", chain=CHAIN.id, step=1, n=2)
    assert run.state == "done"
    branches = bench.store.chains(PROBLEM.id, "scripted@1")
    assert [(b.chain.parent, b.chain.branch_step, b.continuation.j) for b in branches] == [
        (CHAIN.id, 1, 4),
        (CHAIN.id, 1, 5),
    ]
    assert branches[0].chain.text.startswith("Tom has 3 apples.\n3+12=15\n#### ")
    assert [s.k + s.n for s in values(CHAIN, by_prefix(bench.store.continuations_for(PROBLEM.id)), WRONG)][1] >= 6


def test_sample_more_counts_what_was_continued_from_the_question(bench: Bench) -> None:
    """Both are draws from the question: four that came by Continue are not drawn again, and not counted as new."""
    bench.do("sample", problems=[PROBLEM.id], n=2)
    bench.do("continue", chain=CHAIN.id, step=0, n=3)
    before = len(bench.store.chains(PROBLEM.id))
    bench.do("sample", problems=[PROBLEM.id], add=4)
    assert len(bench.store.chains(PROBLEM.id)) == before + 4


def test_branch_continues_an_edited_step(bench: Bench) -> None:
    run = bench.do("branch", chain=CHAIN.id, step=2, text="3+12=15", n=2)
    assert run.state == "done"
    made = bench.store.chains(PROBLEM.id, "scripted@1")
    assert [m.chain.steps[:3] for m in made] == [("Tom has 3 apples.", "3+12=15", "3+12=15")] * 2
    assert {(m.chain.parent, m.chain.branch_step) for m in made} == {(CHAIN.id, 1)}


def test_branch_with_an_edited_answer_needs_no_engine(bench: Bench) -> None:
    run = bench.do("branch", chain=CHAIN.id, step=3, text="#### 15", author="ana")
    assert run.state == "done"
    (made,) = bench.store.chains(PROBLEM.id, "ana")
    assert made.verdict.value == "correct"
    assert bench.engine is None


def test_import_reports_what_came_in_and_what_did_not(bench: Bench, tmp_path: Path) -> None:
    good = '{"question": "Ann has 2 pens and buys 3. How many?", "answer": "2+3=5\\n#### 5"}\n'
    (tmp_path / "part.jsonl").write_text(good + "{broken\n" + good.replace("pens", "cups"))
    run = bench.do("import", format="gsm8k", path=str(tmp_path / "part.jsonl"))
    assert run.state == "done"
    assert run.progress["report"]["problems_new"] == 2
    assert run.progress["report"]["refused"] == 1
    (line,) = [line for _, line in bench.store.log_lines(run.id)]
    assert "part.jsonl:2" in line


# ---- what goes wrong


def test_what_cannot_be_done_fails_with_its_reason(bench: Bench) -> None:
    for spec, reason in [
        ({"problems": ["nothing"], "n": 1}, "no problem nothing"),
        ({"problems": [PROBLEM.id], "n": 1, "engine": "hf:nowhere"}, "cannot load a model"),
        ({"problems": [PROBLEM.id], "n": 3, "sampling": Sampling(temperature=0)}, "temperature 0"),
    ]:
        run = bench.do("sample", **spec)
        assert run.state == "failed"
        assert reason in run.error
    run = bench.do("measure", chains=[CHAIN.id], steps=[9], n=1)
    assert (run.state, "no step 9" in run.error) == ("failed", True)


def test_without_a_gold_answer_there_is_nothing_to_measure(bench: Bench) -> None:
    nameless = Problem("How long is a piece of string?", source="mine", key="1")
    said = Chain(nameless.id, "human", "1", "as long as it is\nlonger", segment("as long as it is\nlonger"), "line/1")
    bench.store.add_items([SourceItem(nameless, (said,))])
    run = bench.do("measure", chains=[said.id], n=2)
    assert run.state == "failed"
    assert "gold answer" in run.error
    run = bench.do("measure", chains=[said.id, CHAIN.id], n=2)
    assert run.state == "done"
    assert run.progress["note"].startswith("1 of the chains")
    assert set(bench.draws()) == expected_draws(2)
    assert not bench.draws(nameless)


def test_draws_made_before_the_gold_answer_came_are_graded_when_it_comes(bench: Bench) -> None:
    """Unjudged at first; then each draw that says 15 is a success of the question, as its chain is."""
    late = Problem("Tom has 3 apples and finds 12. How many?", source="table", key="late")
    bench.store.add_items([SourceItem(late)])
    bench.do("sample", problems=[late.id], n=8)
    assert {c.verdict for c in bench.store.continuations_for(late.id)} == {"unknown"}
    report = ImportReport("table", "late.jsonl")
    _store(bench.store, [SourceItem(replace(late, answer="15"))], report, "auto")
    draws = bench.store.continuations_for(late.id)
    right = sum(c.text.endswith("#### 15\n") for c in draws)
    assert 0 < right < 8
    assert [c.verdict for c in draws] == ["correct" if "#### 15" in c.text else "wrong" for c in draws]
    assert bench.store.problem(late.id).n_correct == right
    assert report.regraded == 8
