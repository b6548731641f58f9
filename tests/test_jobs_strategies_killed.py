"""A strategy's run that is killed, and what it began with: resumed, it walks as if nothing had come in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import ContinuationTable, RunTable
from db.store import open_store
from stepviz import jobs, measure_job, pits
from stepviz.measuring import Walking
from stepviz.rollouts import by_prefix
from stepviz.strategies import STRATEGIES, replay
from stepviz.types import Completion, Continuation, Sampling, continuation_seed, prefix_hash
from tests.job_cases import CHAIN, NOBODY, PROBLEM, WRONG, Bench, SlowEngine
from tests.store_cases import new_url
from tests.strategy_cases import LONG, NAMES, RIGHT, new_bench, outcomes, scored, strategy_of, wanted


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield new_bench(store)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_run_that_was_cut_short_goes_on_to_the_same_draws(
    bench: Bench, name: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run that dies in the middle of every turn, with `kept` of its draws stored: resumed, it walks from where it
    began over what it has drawn, and leaves what an undisturbed one asks for."""
    whole = bench.store.add_continuations

    def write(new: Sequence[Continuation]) -> int:
        whole(new[:kept])
        if len(new) > kept:
            raise RuntimeError("the power is gone")
        return len(new)

    monkeypatch.setattr(bench.store, "add_continuations", write)
    spec = {"chains": [CHAIN.id, LONG.id, RIGHT.id], "n": 8, "strategy": name}
    run = jobs.start(bench.store, "measure", spec, **NOBODY)
    deaths = 0
    while bench.worker.run_next(None) and bench.store.run(run).state != "done":
        deaths += 1
        jobs.resume(bench.store, run, **NOBODY)
    assert bench.store.run(run).state == "done"
    assert deaths or (name, kept) != ("backward", 1)
    assert set(bench.draws()) == wanted(bench, name)


def test_a_resumed_run_asks_again_for_all_of_a_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of step 1 draw 4 alone succeeds. Undisturbed, forward asks for 1, 2, 4 and then 8 draws: 5, 6 and 7 belong to it
    though the run dies with 4 stored, and one that took its own draws for an earlier measurement would stop there."""
    first = prefix_hash(LONG.prefix(1))
    lucky = continuation_seed(PROBLEM.id, first, "scripted@1", Sampling().hash, 4)
    answer = {True: "#### 15\n", False: "#### 16\n"}
    monkeypatch.setattr(SlowEngine, "complete", lambda _, r: Completion(answer[r.seed == lucky], "stop", 2))
    whole = bench.store.add_continuations

    def write(new: Sequence[Continuation]) -> int:
        whole(new[:1])
        if len(new) > 1:
            raise RuntimeError("the power is gone")
        return 1

    monkeypatch.setattr(bench.store, "add_continuations", write)
    run = jobs.start(bench.store, "measure", {"chains": [LONG.id], "n": 8, "strategy": "forward"}, **NOBODY)
    while bench.worker.run_next(None) and bench.store.run(run).state != "done":
        jobs.resume(bench.store, run, **NOBODY)
    assert bench.store.run(run).state == "done"
    assert {j for prefix, j in bench.draws() if prefix == first} == set(range(8))


def clocks(bench: Bench, hours: int) -> None:
    """All draws there are were stored by a machine whose clock is so far ahead."""
    with bench.store.writing() as connection:
        connection.execute(update(ContinuationTable).values(created_at=datetime.now(UTC) + timedelta(hours=hours)))


def test_a_run_begins_with_the_draws_that_were_there_then_whatever_the_clocks_say(bench: Bench) -> None:
    """A machine whose clock is an hour ahead asks for a measurement of step 3: its draws are the earlier ones still."""
    bench.do("measure", chains=[LONG.id], n=2, steps=[3])
    clocks(bench, 1)
    newest = bench.store.newest_continuation()
    assert bench.do("measure", chains=[LONG.id], n=8, strategy="backward").progress["plan"]["drawn"] == newest
    later = len(bench.draws())
    assert later > 2
    walking = Walking(LONG, PROBLEM, WRONG, STRATEGIES["backward"], 8)
    walking.remember(by_prefix(bench.store.continuations_for(PROBLEM.id, up_to=newest)))
    assert {i: len(draws) for i, draws in walking.draws.items()} == {3: 2}
    assert len(bench.store.continuations_for(PROBLEM.id, up_to=bench.store.newest_continuation())) == later


def dies_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next turn stores one draw, and the power is gone."""
    whole = bench.store.add_continuations

    def write(new: Sequence[Continuation]) -> int:
        monkeypatch.setattr(bench.store, "add_continuations", whole)
        whole(new[:1])
        raise RuntimeError("the power is gone")

    monkeypatch.setattr(bench.store, "add_continuations", write)


def test_draws_that_came_while_it_was_dead_are_no_earlier_measurement(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine measures step 2 of the chain meanwhile, by a clock that is an hour behind."""
    dies_once(bench, monkeypatch)
    run = jobs.start(bench.store, "measure", {"chains": [LONG.id], "n": 8, "strategy": "forward"}, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "failed"
    noted = bench.store.run(run).progress["plan"]
    other = bench.do("measure", chains=[LONG.id], n=1, steps=[2])
    assert other.state == "done"
    clocks(bench, -1)
    begun = []
    remember = Walking.remember
    monkeypatch.setattr(Walking, "remember", lambda walk, draws: (begun.append(draws), remember(walk, draws)))
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "done"
    assert begun == [{}]
    assert bench.store.run(run).progress["plan"] == noted


def test_a_run_that_began_before_it_noted_anything_goes_on_from_when_it_was_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.do("measure", chains=[LONG.id], n=2, steps=[3])
    before = bench.store.newest_continuation()
    dies_once(bench, monkeypatch)
    run = jobs.start(bench.store, "measure", {"chains": [LONG.id], "n": 8, "strategy": "forward"}, **NOBODY)
    bench.worker.run_next(None)
    left = bench.store.run(run)
    assert bench.store.newest_continuation() > before
    with bench.store.writing() as connection:  # as an older version left it
        told = {name: value for name, value in left.progress.items() if name != "plan"}
        connection.execute(update(RunTable).where(RunTable.id == run).values(progress=told))
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "done"
    assert bench.store.run(run).progress["plan"]["drawn"] == before


@pytest.mark.parametrize("came", ["a newer model's", "a known model's"])
def test_scores_that_came_while_it_was_dead_change_no_walk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, came: str
) -> None:
    """The run begins with one chain scored, which condemns its last steps. Scores that condemn step 1 come between its
    two lives, to both chains: it walks where it began, by the scores and without."""
    began: list[dict[str, tuple[float, ...]]] = []

    class Noting(Walking):
        def remember(self, draws: object) -> None:
            began[-1][self.chain.id] = self.scores
            super().remember(draws)

    monkeypatch.setattr(measure_job, "Walking", Noting)
    low, high = (0.9, 0.9, 0.9, 0.1, 0.1), (0.1, 0.1, 0.1, 0.1, 0.1)
    scored(bench, "old", LONG, *low)
    dies_once(bench, monkeypatch)
    run = jobs.start(bench.store, "measure", {"chains": [LONG.id, CHAIN.id], "n": 8, "strategy": "adaptive"}, **NOBODY)
    began.append({})
    bench.worker.run_next(None)
    assert bench.store.run(run).progress["plan"]["scored"] == [["old@1", 1], ["", 1]]
    name = "new" if came == "a newer model's" else "old"
    if name == "new":
        scored(bench, name, LONG, *high)
    scored(bench, name, CHAIN, *high[:3])
    jobs.resume(bench.store, run, **NOBODY)
    began.append({})
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "done"
    assert began == [{LONG.id: low, CHAIN.id: ()}] * 2


def test_a_scorer_that_became_another_between_two_lives_ends_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Judge:
        role, tokens_read = "sorm", 0

        def __init__(self, spec: str) -> None:
            self.spec, self.model_id = spec, weights[0]

        def score(self, chains: Sequence[object], on_scores: object, *_: object) -> None:
            for i, (_, steps) in enumerate(chains):
                on_scores(i, [0.5] * len(steps))

    weights = ["sorm@1"]
    bench.worker.load_scorer = lambda spec, device: Judge(spec)
    monkeypatch.setattr("stepviz.worker._stamp", lambda spec: weights[0])
    dies_once(bench, monkeypatch)
    spec = {"chains": [LONG.id], "n": 8, "strategy": "adaptive", "scorer": "embedded:sorm"}
    run = jobs.start(bench.store, "measure", spec, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).progress["plan"]["scored"] == [["sorm@1", 1]]
    weights[0] = "sorm@2"
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    left = bench.store.run(run)
    assert (left.state, "was sorm@1 when this run began and is sorm@2 now" in left.error) == ("failed", True)
    weights[0] = "sorm@1"
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "done"


def test_a_pit_model_that_was_fitted_anew_between_two_lives_changes_no_walk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the second one every step is dead whatever is drawn, so that nothing would be left to ask for."""
    path, first = tmp_path / "pits.json", pits.shipped()
    pits.save(first, path, {})
    dies_once(bench, monkeypatch)
    spec = {"chains": [LONG.id], "n": 8, "strategy": "adaptive", "pits": str(path)}
    run = jobs.start(bench.store, "measure", spec, **NOBODY)
    bench.worker.run_next(None)
    assert len(bench.draws()) == 1
    hopeless = {"model": {"alive": [1e-3, 1e3], "dead": [1e-3, 1e3], "unscored": [9, 9, 9], "scored": [9, 9, 9, 0, 0]}}
    path.write_text(json.dumps(hopeless), encoding="utf-8")
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run).state == "done"
    walk = Walking(LONG, PROBLEM, WRONG, strategy_of("adaptive"), 8).walk
    seen = replay(strategy_of("adaptive"), walk, outcomes(bench.store, 8)[LONG.id])
    wanted = {(prefix_hash(LONG.prefix(i)), j) for i, at in seen.items() for j in range(at.n)}
    assert set(bench.draws()) == wanted
    assert len(wanted) > 1
