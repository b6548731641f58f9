"""The `score` job and its command, with a tiny scorer that is really loaded, in a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import open_store
from stepviz import engines, jobs
from stepviz.errors import StepvizError
from stepviz.reward import load_scorer
from stepviz.steps import segment
from stepviz.types import Chain, SourceItem
from tests import tiny, tiny_scorers
from tests.job_cases import CHAIN, NOBODY, OTHER, PROBLEM, Bench
from tests.store_cases import new_url


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


@pytest.fixture(scope="module")
def sorm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scorers.lines(tmp_path_factory.mktemp("models") / "sorm", role="sorm")


def chain(problem_id: str, key: str, text: str, cut: bool = True) -> Chain:
    return Chain(problem_id, "test", key, text, segment(text) if cut else (), "line/1")


def test_scores_are_stored_under_a_model_whose_role_says_what_they_estimate(bench: Bench, sorm: Path) -> None:
    other = chain(OTHER.id, "2", "8/2=4\n\n#### 4")
    bench.store.add_items([SourceItem(OTHER, (other,))])
    run = bench.do("score", chains=[CHAIN.id, other.id], model=f"hf:{sorm}")
    assert run.state == "done", run.error
    assert (run.progress["done"], run.progress["total"], run.progress["unit"]) == (2, 2, "chains")
    (model,) = bench.store.models("sorm")
    assert model.spec == f"hf:{sorm}"
    asked = [(PROBLEM.question, CHAIN.steps), (OTHER.question, other.steps)]
    for id_, expected in zip((CHAIN.id, other.id), load_scorer(f"hf:{sorm}", "cpu").score(asked), strict=True):
        found = bench.store.scores(id_)
        assert [(s.step, s.model_id) for s in found] == [(i, model.id) for i in range(1, len(expected) + 1)]
        assert [s.score for s in found] == pytest.approx(expected, abs=1e-5)


def test_what_is_scored_is_not_scored_again_and_new_steps_are(
    bench: Bench, sorm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepviz.reward.scorer import Scorer

    asked: list[int] = []
    score = Scorer.score
    monkeypatch.setattr(
        Scorer, "score", lambda self, chains, *rest: (asked.append(len(chains)), score(self, chains, *rest))[1]
    )
    for _ in range(2):
        assert bench.do("score", chains=[CHAIN.id], model=f"hf:{sorm}").progress["done"] == 1
    bench.store.set_spans(CHAIN.id, segment(CHAIN.text)[:2], "line/1")
    bench.do("score", chains=[CHAIN.id], model=f"hf:{sorm}")
    assert asked == [1, 0, 1]
    assert len(bench.store.scores(CHAIN.id)) == 2


def test_a_chain_that_cannot_be_scored_costs_no_other_its_scores(bench: Bench, sorm: Path) -> None:
    stepless = chain(PROBLEM.id, "none", "3+12=15", cut=False)
    long = chain(PROBLEM.id, "long", "1+1=2\n" * 100)
    bench.store.add_items([SourceItem(PROBLEM, (stepless, long))])
    run = bench.do("score", chains=[stepless.id, CHAIN.id, long.id], model=f"hf:{sorm}")
    assert run.state == "done"
    assert run.progress["note"].startswith("2 of the chains could not be scored")
    assert len(bench.store.scores(CHAIN.id)) == CHAIN.n
    assert bench.store.scores(stepless.id) == bench.store.scores(long.id) == []
    lines = [line for _, line in bench.store.log_lines(run.id)]
    assert any(stepless.id in line and "no steps" in line for line in lines)
    assert any(long.id in line and "reads 256" in line for line in lines)
    alone = bench.do("score", chains=[stepless.id], model=f"hf:{sorm}")
    assert (alone.state, "no steps" in alone.error) == ("failed", True)


def test_a_cancel_keeps_what_was_scored(bench: Bench, sorm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepviz import worker
    from stepviz.reward import scorer as module

    monkeypatch.setitem(module.TOKENS, "cpu", 1)  # a batch a chain
    monkeypatch.setattr(worker, "BEAT_S", 0.01)
    many = [chain(PROBLEM.id, f"many {i}", "3+12=15\n" * (i % 20 + 1)) for i in range(150)]
    bench.store.add_items([SourceItem(PROBLEM, tuple(many))])
    run_id = jobs.start(bench.store, "score", {"chains": [c.id for c in many], "model": f"hf:{sorm}"}, **NOBODY)
    add = bench.store.add_scores

    def cancel_after_three(*scored: object) -> bool:
        kept = add(*scored)
        if sum(len(s) for s in bench.store.scores_for(PROBLEM.id).values()) > 40:
            bench.store.request_cancel(run_id)
        return kept

    monkeypatch.setattr(bench.store, "add_scores", cancel_after_three)
    bench.worker.run_next(None)
    assert bench.store.run(run_id).state == "cancelled"
    kept = bench.store.scores_for(PROBLEM.id)
    assert 0 < len(kept) < 150
    monkeypatch.setattr(bench.store, "add_scores", add)
    jobs.resume(bench.store, run_id, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run_id).state == "done"
    assert len(bench.store.scores_for(PROBLEM.id)) == 150


def test_a_chain_that_is_cut_anew_while_it_is_scored_is_scored_on_its_new_steps(
    bench: Bench, sorm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepviz.reward.scorer import Scorer

    score, new, asked = Scorer.score, segment(CHAIN.text)[:2], []

    def cut_meanwhile(self: Scorer, chains: list, *rest: object) -> object:
        asked.append([len(steps) for _, steps in chains])
        if len(asked) == 1:
            bench.store.set_spans(CHAIN.id, new, "line/1")
        return score(self, chains, *rest)

    monkeypatch.setattr(Scorer, "score", cut_meanwhile)
    run = bench.do("score", chains=[CHAIN.id], model=f"hf:{sorm}")
    assert asked == [[3], [2]]
    assert (run.state, run.progress["done"]) == ("done", 1)
    expected = load_scorer(f"hf:{sorm}", "cpu").score([(PROBLEM.question, CHAIN.steps[:2])])[0]
    assert [s.score for s in bench.store.scores(CHAIN.id)] == pytest.approx(expected, abs=1e-5)


def test_a_foreign_model_gets_the_role_it_is_given(bench: Bench, tmp_path: Path) -> None:
    folder = tiny_scorers.lines(tmp_path / "theirs")
    bench.do("score", chains=[CHAIN.id], model=f"lines:{folder}", role="orm")
    assert [m.id.partition("@")[0] for m in bench.store.models("orm")] == ["theirs"]


def test_what_is_no_scorer_is_said(bench: Bench, tmp_path: Path) -> None:
    for spec, message in (
        ("orm:x", "unknown scorer"),
        ("vllm:hf:", "unknown scorer"),
        ("vllm:embedded", "which scores no steps: take embedded:sorm"),
        ("openai:sorm", "openai:http://HOST:PORT/v1#MODEL"),
        ("openai:http://127.0.0.1:1/v1", "which of the models"),
        ("embedded", "which scores no steps: take embedded:sorm"),
        ("embedded:student", "which scores no steps: take embedded:sorm"),
        ("embedded:none", "no embedded"),
    ):
        with pytest.raises(StepvizError, match=message):
            jobs.start(bench.store, "score", {"chains": [CHAIN.id], "model": spec}, **NOBODY)
    with pytest.raises(StepvizError, match="role is one of"):
        jobs.start(bench.store, "score", {"chains": [CHAIN.id], "model": "hf:x", "role": "judge"}, **NOBODY)
    run = bench.do("score", chains=[CHAIN.id], model=f"hf:{tiny.build(tmp_path / 'student')}")
    assert (run.state, "gives no score after a step" in run.error) == ("failed", True)


def test_one_model_has_one_spelling_and_many_chains_wait(
    bench: Bench, sorm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sorm.parent)
    spec = {"chains": [CHAIN.id], "model": f"hf:{sorm.name}"}
    assert jobs.normalised(bench.store, "score", spec) == ("score", {"chains": [CHAIN.id], "model": f"hf:{sorm}"})
    assert engines.canonical(f"qwen-prm:{sorm.name}") == f"qwen-prm:{sorm}"
    assert engines.canonical("math-shepherd:someone/prm") == "math-shepherd:someone/prm"
    assert engines.canonical(f"vllm:qwen-prm:{sorm.name}") == f"vllm:qwen-prm:{sorm}"
    assert engines.canonical("openai:HTTP://Host:1/v1/#lines:m") == "openai:http://host:1/v1#lines:m"
    many = {**spec, "chains": [str(i) for i in range(jobs.MANY + 1)]}
    assert jobs.normalised(bench.store, "score", many)[0] == "score many"


def test_the_command_scores_and_says_so(tmp_path: Path, sorm: Path) -> None:
    from tests.test_cli import run, value

    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        store.add_items([SourceItem(PROBLEM, (CHAIN,))])
    said = value(run(tmp_path, "score", "--model", f"hf:{sorm}", "--json"))
    assert isinstance(said, dict)
    assert (said["state"], said["done"]) == ("done", 1)
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        assert len(store.scores(CHAIN.id)) == CHAIN.n
    nothing = run(tmp_path, "score", "--model", f"hf:{sorm}", "--verdict", "correct")
    assert (nothing.returncode, "no chain fits" in nothing.stderr) == (1, True)
    assert json.dumps(said)
