"""Tiny models for refining: a refiner's checkpoint, scorers' checkpoints, and stand-ins that answer from a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from db.store import Store
from stepviz import jobs
from stepviz.steps import segment
from stepviz.types import Chain, Completion, Request, Sampling
from stepviz.worker import Worker
from tests import tiny, tiny_scorers

FIXED = "Tom has 3 apples.\n3+12=15\n#### 15"
WORSE = "3-12=9\n#### 9"


def checkpoints(folder: Path) -> dict[str, str]:
    """Specs of a refiner, an ORM and a SORM with random weights."""
    return {
        "refiner": f"hf:{tiny.build(folder / 'refiner', max_position_embeddings=512)}",
        "orm": f"hf:{tiny_scorers.lines(folder / 'orm', seed=1, role='orm')}",
        "sorm": f"hf:{tiny_scorers.lines(folder / 'sorm', seed=2, role='sorm')}",
    }


def rest(prompt: str, text: str) -> str:
    """What a model that would write this text writes where the prompt ends with its beginning."""
    return text.removeprefix(prompt.rpartition("Refinement:\n")[2])


class ScriptedRefiner:
    """Stands where a refiner stands: right where a later step is marked, wrong where the first one is."""

    model_id, device, context = "refiner@1", "cpu", 1000

    def __init__(self, spec: str, local: str = FIXED, globally: str = WORSE, reason: str = "stop") -> None:
        self.spec, self.local, self.globally, self.reason = spec, local, globally, reason
        self.prompts: list[str] = []
        self.before_batch: Callable[[], None] = lambda: None

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch=None,  # noqa: ANN001
        on_completion=None,  # noqa: ANN001
        cancelled=None,  # noqa: ANN001
    ) -> list[Completion]:
        """A batch of two at a time."""
        done = []
        for i, request in enumerate(requests):
            if i % 2 == 0:
                self.before_batch()
            if cancelled():
                made = Completion("", "error", 0, error="cancelled")
            else:
                self.prompts.append(request.question)
                made = self.complete(request)
            done.append(made)
            on_completion(i, made)
            if i % 2 and not cancelled():
                on_batch(i + 1, 9 * (i + 1))
        return done

    def complete(self, request: Request) -> Completion:
        if "too long" in request.question:
            return Completion("", "error", 0, error="the prompt has 1001 tokens, the model reads 1000")
        text = self.globally if "Draft:\n[BAD]" in request.question else self.local
        return Completion(rest(request.question, text), self.reason, 9)

    def close(self) -> None: ...


class ScriptedScorer:
    """Stands where a scorer stands: a step's score is what `of` says of its text, else `other`."""

    device = "cpu"

    def __init__(self, spec: str, role: str, of: dict[str, float], other: float = 0.9) -> None:
        self.spec, self.role, self.model_id, self.of, self.other = spec, role, f"{role}@1", of, other
        self.asked: list[tuple[str, ...]] = []

    def score(
        self,
        chains: Sequence[tuple[str, Sequence[str]]],
        on_scores=None,  # noqa: ANN001
        on_refused=None,  # noqa: ANN001
        cancelled=None,  # noqa: ANN001
    ) -> list[list[float]]:
        found = []
        for i, (question, steps) in enumerate(chains):
            self.asked.append(tuple(steps))
            if "unreadable" in question:
                on_refused(i, f"the chain has 999 tokens with its question, {self.spec} reads 256")
                found.append([])
            else:
                found.append([self.of.get(step, self.other) for step in steps])
                if on_scores is not None:
                    on_scores(i, found[-1])
        return found

    def close(self) -> None: ...


def draft(problem_id: str, key: str, text: str, cut: bool = True) -> Chain:
    return Chain(problem_id, "student", key, text, segment(text) if cut else (), "line/1")


# ---- the store that the page's tests look at

LOCAL = (
    "She buys 6 * 24 = 144 candles.\nShe keeps 12, so 144 - 12 = 132 are left for sale.\nAt $2 each: 132 * 2 = 264.\n"
    "#### 264"
)
GLOBAL = "6 * 24 = 148 candles are bought.\n148 - 12 = 136 are for sale.\n136 * 2 = 272\n#### 272"
KEEPS = "She keeps 12, so 144 - 12 = 122 are left."
SORM = {KEEPS: 0.31, "At $2 each: 122 * 2 = 244.": 0.22, "#### 244": 0.05}
ORM = {"#### 244": 0.21, "#### 272": 0.12, "#### 264": 0.91}


class Scripted:
    """A worker in this process whose refiner and scorers answer from a script, under the specs they are given."""

    def __init__(self, store: Store, specs: dict[str, str]) -> None:
        self.store, self.specs = store, specs
        self.refiner = ScriptedRefiner(specs["refiner"], LOCAL, GLOBAL)
        scorers = {
            specs["orm"]: ScriptedScorer(specs["orm"], "orm", ORM, 0.8),
            specs["sorm"]: ScriptedScorer(specs["sorm"], "sorm", SORM, 0.93),
        }
        self.worker = Worker(store, lambda *_, **__: self.refiner, lambda spec, _: scorers[spec])

    def refine(self, chain: str, **settings: object) -> int:
        """The id of the ledger's newest line."""
        spec = {"chains": [chain], **self.specs, **settings}
        run = jobs.start(self.store, "refine", spec, worker=False)
        self.work()
        found = self.store.run(run)
        assert found.state == "done", found.error
        return self.store.refinements(limit=1)[0].id

    def work(self) -> None:
        while self.worker.run_next(None):
            pass
