"""Two problems, a chain, a worker in this process and an engine that answers from a script."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from db.store import Store
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.steps import segment
from stepviz.types import Chain, Completion, Problem, Request, SourceItem, Verdict, prefix_hash
from stepviz.worker import Worker

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


def expected_draws(n: int, steps: range = range(3)) -> set[tuple[str, int]]:
    return {(prefix_hash(CHAIN.prefix(i)), j) for i in steps for j in range(n)}


def wait_for(condition: Callable[[], object], seconds: float = 240.0) -> None:
    """Ends with the condition; `seconds` only say when to give up, on a machine that is slow and busy."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def heartbeats(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs of the heartbeats that are written from now on, as they come."""
    beats: list[int] = []
    heartbeat = store.heartbeat

    def beat(run_id: int, *told: object) -> bool:
        beats.append(run_id)
        return heartbeat(run_id, *told)

    monkeypatch.setattr(store, "heartbeat", beat)
    return beats


def finish_lease(store: Store, run_id: int) -> None:
    wait_for(lambda: store.run(run_id).state == "interrupted")
