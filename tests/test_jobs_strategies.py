"""`measure` by a strategy, through the worker: what is drawn is what the strategy asks for, killed or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from db.store import open_store
from stepviz import jobs, measure_job
from stepviz.errors import StepvizError
from stepviz.measuring import Walking
from stepviz.rollouts import Drawn
from stepviz.strategies import STRATEGIES
from stepviz.types import (
    Sampling,
    SourceItem,
    StepScore,
    Verdict,
    prefix_hash,
)
from tests.job_cases import CHAIN, OTHER, PROBLEM, WRONG, Bench
from tests.rollout_cases import chain_of
from tests.store_cases import draw, new_url
from tests.strategy_cases import LONG, NAMES, RIGHT, new_bench, scored, wanted


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield new_bench(store)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_what_the_strategy_asks_for(bench: Bench, name: str) -> None:
    run = bench.do("measure", chains=[CHAIN.id, LONG.id, RIGHT.id], n=8, strategy=name)
    assert (run.state, run.error) == ("done", None)
    assert set(bench.draws()) == wanted(bench, name)
    assert (run.progress["done"], run.progress["total"], run.progress["unit"]) == (3, 3, "chains")
    drawn = len(bench.draws())
    again = bench.do("measure", chains=[CHAIN.id, LONG.id, RIGHT.id], n=8, strategy=name)
    assert again.state == "done"
    assert len(bench.draws()) == drawn


def test_what_an_earlier_measurement_says_costs_nothing(bench: Bench) -> None:
    """Every prefix has its eight draws: no strategy has anything to ask, and adaptive knows them all at once."""
    bench.do("measure", chains=[LONG.id], n=8)
    there = bench.draws()
    for name in NAMES:
        assert bench.do("measure", chains=[LONG.id], n=8, strategy=name).progress["spent"]["sampled"] == 0
    assert bench.draws() == there


def test_a_walk_hears_what_it_asked_for_and_not_what_a_neighbour_did() -> None:
    """Two chains share a prefix: one asks for a draw, the other for four, and both are drawn in one turn."""
    walking = Walking(LONG, PROBLEM, WRONG, STRATEGIES["backward"], 8)
    wants = walking.wants()
    ((step, want),) = wants.items()
    four = [draw(PROBLEM, j, prefix=want.prefix) for j in range(4)]
    walking.hear(wants, Drawn({want.key: four}))
    assert (want.n, walking.draws[step]) == (1, four[:1])


def test_a_draw_that_failed_costs_a_prefix_none_of_its_others() -> None:
    """A server stumbles over one of four: the three are known and the fourth is wanted again, until nothing comes."""
    walking = Walking(LONG, PROBLEM, WRONG, STRATEGIES["backward"], 8)
    walking.draws = {4: [draw(PROBLEM, j, verdict="wrong") for j in (0, 1)]}
    ((step, want),) = walking.wants().items()
    assert (step, want.n) == (4, 4)
    three = [draw(PROBLEM, j, verdict="wrong") for j in (0, 1, 3)]
    walking.hear({4: want}, Drawn({want.key: three}, {want.key: "it failed (500)"}))
    assert (walking.failed, walking.seen()[4].n) == ({}, 3)
    walking.hear({4: want}, Drawn({want.key: three}, {want.key: "it failed (500)"}))
    assert walking.failed == {4: "it failed (500)"}
    assert walking.seen()[4].n == 3
    assert 3 in walking.wants()  # the step before it


def test_more_chains_than_are_under_way_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_job, "WINDOW", 1)
    assert bench.do("measure", chains=[CHAIN.id, LONG.id, RIGHT.id], n=8, strategy="forward").state == "done"
    assert set(bench.draws()) == wanted(bench, "forward")


def test_adaptive_begins_where_the_scores_expect_the_pit(bench: Bench) -> None:
    """Two models scored the chain: the newest SORM's scores are read, and a step it condemns is drawn first."""
    for name, scores in (("old", [0.9, 0.9, 0.9, 0.9, 0.1]), ("new", [0.9, 0.01, 0.01, 0.01, 0.01])):
        scored(bench, name, LONG, *scores)
    models = measure_job.newest_sorm(bench.store)
    assert models == ["new@1", "old@1"]
    assert measure_job.scores_of(bench.store, LONG.id, 5, models) == (0.9, 0.01, 0.01, 0.01, 0.01)
    assert measure_job.scores_of(bench.store, CHAIN.id, 3, models) == ()
    assert StepScore(1, 0.9, "old@1") in bench.store.scores(LONG.id)


def test_without_a_gold_answer_there_is_nothing_to_measure(bench: Bench) -> None:
    from stepviz.types import Problem

    unknown = Problem("How many?", source="mine", key="9")
    chain = chain_of("3+12=15\n#### 15\n", "unknown")
    chain = type(chain)(unknown.id, chain.origin, chain.key, chain.text, chain.spans, chain.rule)
    bench.store.add_items([SourceItem(unknown, (chain,))])
    run = bench.do("measure", chains=[chain.id], n=8, strategy="adaptive")
    assert run.state == "failed"
    assert "gold answer" in run.error
    run = bench.do("measure", chains=[chain.id, LONG.id], n=8, strategy="adaptive")
    assert run.state == "done"
    assert "1 of the chains were left out" in run.progress["note"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "backward"])
def test_a_chain_whose_answer_could_not_be_judged_is_told_as_not_searched(bench: Bench, name: str) -> None:
    """It may be right: no pit is looked for. One that states no answer missed it, and is walked along."""
    unjudged = chain_of("3+12=16\n16 it is\n#### 16\n", "unjudged")
    silent = chain_of(LONG.text.replace("#### 16", "That is all of them."), "silent")
    verdicts = {
        unjudged.id: Verdict("unknown", "two values", "test", "x"),
        silent.id: Verdict("unknown", "none", "test"),
    }
    bench.store.add_items([SourceItem(PROBLEM, (unjudged, silent))], verdicts)
    run = bench.do("measure", chains=[unjudged.id], n=8, strategy=name)
    assert (run.state, bench.draws()) == ("done", [])
    assert run.progress["note"].startswith("1 chains state an answer that could not be judged: they were not taken")
    run = bench.do("measure", chains=[silent.id], n=8, strategy=name)
    assert (run.state, run.progress.get("note", "")) == ("done", "")
    assert bench.draws()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"n": 8, "strategy": "magic"}, "there is no strategy 'magic'; there are: exhaustive, backward"),
        ({"n": 8, "strategy": "backward", "scorer": "embedded:sorm"}, "scorer is a setting of the adaptive strategy"),
        ({"n": 8, "budget": 0.2}, "budget is a setting of the adaptive strategy, not of exhaustive"),
        ({"add": 8, "strategy": "forward"}, "give n, the most draws of a prefix"),
        ({"n": 8, "steps": [1], "strategy": "forward"}, "chooses its steps itself"),
        ({"n": 8, "strategy": "adaptive", "confidence": 1.0}, "a share above 0 and below 1, such as 0.95"),
        ({"n": 8, "strategy": "backward", "results": "some"}, "results is every or last"),
        ({"n": 8, "strategy": "adaptive", "scorer": "nonsense"}, "unknown scorer"),
    ],
)
def test_settings_that_do_not_go_together(bench: Bench, spec: dict[str, object], said: str) -> None:
    with pytest.raises(StepvizError, match=said):
        jobs.start(bench.store, "measure", {"chains": [LONG.id], **spec}, worker=False)


def test_a_file_that_is_no_pit_model_fails_the_run_with_what_to_do(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "pits.json").write_text('{"model": {"alive": [1, 2]}}')
    run = bench.do("measure", chains=[LONG.id], n=8, strategy="adaptive", pits=str(tmp_path / "pits.json"))
    assert run.state == "failed"
    assert "python -m stepviz pits" in run.error


def test_exhaustive_by_name_is_the_measurement_without_one(bench: Bench) -> None:
    first = jobs.start(bench.store, "measure", {"chains": [LONG.id], "n": 8}, worker=False)
    again = {"chains": [LONG.id], "n": 8, "strategy": "exhaustive"}
    assert jobs.start(bench.store, "measure", again, worker=False) == first


def test_problems_of_other_runs_are_let_go(bench: Bench) -> None:
    known = measure_job.Known(bench.store, bench.load("embedded", None, None), Sampling())
    known.recall(PROBLEM.id, prefix_hash(""))
    known.recall(OTHER.id, prefix_hash(""))
    known.keep({OTHER.id})
    assert set(known.problems) == {OTHER.id}


def test_the_time_left_goes_by_the_chains_that_take_time() -> None:
    """Of ten chains four came through for nothing and two in ten seconds, two are under way and two wait. Half of those
    begun cost something: 5 s × (2 + ½ · 2)."""
    told: dict[str, object] = {}
    bill, spec = SimpleNamespace(sampled=0), {"strategy": "forward"}
    job = SimpleNamespace(tell=lambda **how: told.update(how), bill=bill, spec=spec)
    walks = [Walking(LONG, problem, WRONG, STRATEGIES["forward"], 8) for problem in (*[PROBLEM] * 4, *[OTHER] * 2)]
    turns = measure_job.Turns(job, 10, began=time.monotonic() - 10)
    turns.through(walks[:4], {OTHER.id})
    assert told["eta_s"] is None
    turns.active = 4
    turns.through(walks[4:], {OTHER.id})
    assert (told["done"], told["eta_s"]) == (6, pytest.approx(15, abs=0.5))
