"""Jobs end to end on a real store, with a worker in this process and an engine that answers from a script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.importing import ImportReport, _store
from stepviz.rollouts import by_prefix, values
from stepviz.steps import segment
from stepviz.types import Chain, Completion, Problem, PromptStyle, Request, Sampling, SourceItem, Verdict, prefix_hash
from stepviz.worker import Worker
from tests.store_cases import new_url

PROBLEM = Problem("Tom has 3 apples and buys 12 more. How many?", answer="15", source="mine", key="1")
OTHER = Problem("A box holds 8 muffins. Ana eats 2 a day. How many days?", answer="4", source="mine", key="2")
TEXT = "Tom has 3 apples.\n3+12=16\n#### 16\n"
CHAIN = Chain(PROBLEM.id, "test", "1", TEXT, segment(TEXT), "line/1")
WRONG = Verdict("wrong", "", "test", "16")
NOBODY = {"worker": False}  # the test is the worker


class SlowEngine:
    """Stands where a model stands: right on even seeds, a batch of four every `pause` seconds."""

    model_id, device, context = "scripted@1", "cpu", 100

    def __init__(self, spec: str, pause: float = 0.0) -> None:
        self.spec, self.pause, self.seen = spec, pause, []

    def generate(self, requests, sampling, on_batch=None, on_completion=None, cancelled=None):  # noqa: ANN001
        completions = []
        for i, request in enumerate(requests):
            if cancelled():
                done = Completion("", "error", 0, error="cancelled")
            else:
                self.seen.append(request)
                done = self.complete(request)
            completions.append(done)
            on_completion(i, done)
            if i % 4 == 3 and not cancelled():
                time.sleep(self.pause)
                on_batch(i + 1, 6 * (i + 1))
        return completions

    def complete(self, request: Request) -> Completion:
        if "too long" in request.prefix:
            return Completion("", "error", 0, error="the prompt has 101 tokens, the model reads 100")
        return Completion(f"3+12=15\n#### {15 if request.seed % 2 == 0 else 16}\n", "stop", 6)

    def close(self) -> None: ...


class Bench:
    """A store with two problems and a chain, and a worker that does what it is told to."""

    def __init__(self, store: Store) -> None:
        self.store, self.pause, self.engine = store, 0.0, None
        store.add_items([SourceItem(PROBLEM, (CHAIN,)), SourceItem(OTHER)], {CHAIN.id: WRONG})
        self.worker = Worker(store, self.load)

    def load(self, spec: str, device: str | None, tokenizer: str | None) -> SlowEngine:
        if spec == "hf:nowhere":
            raise StepvizError("cannot load a model from 'nowhere'")
        self.engine = SlowEngine(spec, self.pause)
        return self.engine

    def do(self, kind: str, **spec: object) -> dict[str, object]:
        """Starts a job, does all that waits, and gives its row back."""
        run_id = jobs.start(self.store, kind, spec, **NOBODY)
        while self.worker.run_next(None):
            pass
        return self.store.run(run_id)

    def draws(self, problem: Problem = PROBLEM) -> list[tuple[str, int]]:
        return [(c.prefix_hash, c.j) for c in self.store.continuations_for(problem.id)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


def expected_draws(n: int, steps: range = range(3)) -> set[tuple[str, int]]:
    return {(prefix_hash(CHAIN.prefix(i)), j) for i in steps for j in range(n)}


# ---- what the kinds do


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
    bench.do("measure", chains=[CHAIN.id], steps=[2], add=32)
    assert set(bench.draws()) == expected_draws(4) | expected_draws(68, range(2, 3))


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


def test_a_crash_in_a_job_is_written_down_and_the_worker_lives(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowEngine, "complete", lambda *_: 1 / 0)
    run = bench.do("sample", problems=[PROBLEM.id], n=1)
    assert run.state == "failed"
    assert run.error == "ZeroDivisionError: division by zero"
    assert any("Traceback" in line for _, line in bench.store.log_lines(run.id))
    monkeypatch.undo()
    assert bench.do("sample", problems=[PROBLEM.id], n=1).state == "done"


def test_a_prefix_too_long_is_reported_and_the_others_are_measured(bench: Bench) -> None:
    text = "fine\nthis is too long\n#### 16"
    long = Chain(PROBLEM.id, "test", "2", text, segment(text), "line/1")
    bench.store.add_chain(long, WRONG)
    run = bench.do("measure", chains=[long.id], n=2)
    assert run.state == "done"
    assert run.progress["note"] == (
        "1 of the prefixes could not be continued: the prompt has 101 tokens, the model reads 100"
    )
    assert len(bench.draws()) == 4
    run = bench.do("measure", chains=[long.id], steps=[2], n=2)
    assert (run.state, "could not continue any" in run.error) == ("failed", True)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("paint", {}, "no job 'paint'"),
        ("sample", {"problems": ["p"], "n": 1, "colour": 1}, "does not know colour"),
        ("sample", {"n": 1}, "needs problems"),
        ("sample", {"problems": ["p"]}, "needs either n"),
        ("sample", {"problems": ["p"], "n": 1, "add": 1}, "needs either n"),
        ("measure", {"chains": ["c"], "n": 0}, "1 or above"),
        ("continue", {"chain": "c"}, "needs step"),
        ("sample", {"problems": ["p"], "n": 1, "sampling": "abc"}, "no sampling 'abc'"),
    ],
)
def test_a_job_that_is_asked_for_wrongly_is_a_users_error(
    bench: Bench, kind: str, spec: dict[str, object], message: str
) -> None:
    with pytest.raises(StepvizError, match=message):
        jobs.start(bench.store, kind, spec, **NOBODY)
    assert bench.store.runs() == []


# ---- order, cancel, resume


def test_the_same_job_twice_is_one_run(bench: Bench) -> None:
    sampling = Sampling(temperature=1.0, style=PromptStyle(stop=("x",)))
    spec = {"problems": [PROBLEM.id], "n": 2, "sampling": sampling}
    first = jobs.start(bench.store, "sample", spec, **NOBODY)
    assert jobs.start(bench.store, "sample", spec, **NOBODY) == first
    assert jobs.start(bench.store, "sample", spec | {"n": 3}, **NOBODY) != first
    bench.worker.run_next(None)
    assert bench.store.run(first).state == "done"
    assert jobs.start(bench.store, "sample", spec, **NOBODY) != first


def test_big_jobs_are_of_another_kind(bench: Bench) -> None:
    def kind(of: str, **spec: object) -> str:
        return jobs.normalised(bench.store, of, spec)[0]

    assert kind("sample", problems=["p"], n=64) == "sample"
    assert kind("sample", problems=["p"] * 100, n=8) == "sample many"
    assert kind("measure", chains=["c"], n=32) == "measure"
    assert kind("measure", chains=["c"], steps=[3], add=500) == "measure"
    assert kind("measure", chains=["c"] * 20, n=8) == "measure many"


def test_a_click_is_served_between_the_batches_of_a_long_job(bench: Bench) -> None:
    bench.pause = 0.05
    long = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 600}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    wait_for(lambda: bench.engine is not None and len(bench.engine.seen) > 8)
    asked = time.monotonic()
    click = jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "n": 2}, **NOBODY)
    wait_for(lambda: bench.store.run(click).state == "done")
    assert time.monotonic() - asked < 1.5
    assert bench.store.run(long).state == "running"
    bench.store.request_cancel(long)
    thread.join()
    assert set(bench.draws()) == expected_draws(2)


def test_cancel_is_heard_within_two_seconds_and_what_is_done_stays(bench: Bench) -> None:
    bench.pause = 0.05
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 600}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    wait_for(lambda: len(bench.draws(OTHER)) > 8)
    asked = time.monotonic()
    bench.store.request_cancel(run)
    wait_for(lambda: bench.store.run(run).state == "cancelled")
    assert time.monotonic() - asked < 2
    thread.join()
    drawn = {j for _, j in bench.draws(OTHER)}
    assert 8 < len(drawn) < 600
    assert len(bench.store.chains(OTHER.id)) == len(drawn)
    assert bench.store.run(run).progress["done"] <= len(drawn)  # not the 600 that were asked for
    bench.pause = bench.engine.pause = 0.0
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert sorted(j for _, j in bench.draws(OTHER)) == [*range(600)]
    assert len(bench.engine.seen) == 600  # none was drawn twice


def test_a_job_that_loads_a_model_is_cancelled_all_the_same(bench: Bench) -> None:
    loading, go = threading.Event(), threading.Event()
    load = bench.load

    def slow(*spec: object, **more: object) -> SlowEngine:
        loading.set()
        go.wait(20)
        return load(*spec, **more)

    bench.worker.load = slow
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 9}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    assert loading.wait(5)
    asked = time.monotonic()
    bench.store.request_cancel(run)
    wait_for(lambda: bench.store.run(run).state == "cancelled")
    assert time.monotonic() - asked < 2
    go.set()
    thread.join()
    assert bench.store.run(run).state == "cancelled"
    assert bench.draws(OTHER) == []


def test_so_many_more_is_planned_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed halfway through "32 more": the rest is drawn, not another 32."""
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)
    bench.do("measure", chains=[CHAIN.id], n=4)
    run = jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "steps": [1], "add": 32}, **NOBODY)

    class Killed(BaseException):
        """As little caught as a signal 9."""

    def record(new: list[object]) -> int:
        stored = add(new)
        if len(bench.draws()) >= 12 + 8:
            raise Killed
        return stored

    add = bench.store.add_continuations
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_continuations", record)
        with pytest.raises(Killed):
            bench.worker.run_next(None)
    assert len(bench.draws()) == 20
    finish_lease(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    Worker(bench.store, bench.load).run_next(None)
    assert bench.store.run(run).state == "done"
    assert set(bench.draws()) == expected_draws(4) | expected_draws(36, range(1, 2))


def test_a_kill_between_a_draw_and_its_chain_loses_no_chain(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)

    class Killed(BaseException): ...

    def fall(*_: object) -> int:
        raise Killed

    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 6}, **NOBODY)
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_chains", fall)
        with pytest.raises(Killed):
            bench.worker.run_next(None)
    assert len(bench.draws(OTHER)) == 4
    assert bench.store.chains(OTHER.id) == []
    finish_lease(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert len(bench.store.chains(OTHER.id)) == 6


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def finish_lease(store: Store, run_id: int) -> None:
    wait_for(lambda: store.run(run_id).state == "interrupted")
