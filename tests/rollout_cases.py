"""A problem, a chain, an engine that answers from a script, and a memory of draws."""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.steps import segment
from stepviz.types import Chain, Completion, Continuation, Problem, Request, Sampling

PROBLEM = Problem("Tom has 3 apples and buys 12 more. How many?", answer="15")
SAMPLING = Sampling(temperature=1.0)


class ScriptedEngine:
    """Stands where a model stands. Right on even seeds; refuses prefixes that say "too long"."""

    spec, model_id, device, context = "scripted", "scripted@1", "cpu", 100

    def __init__(self, lengthy: bool = False, batch: int = 3) -> None:
        self.lengthy, self.batch = lengthy, batch
        self.seen: list[Request] = []

    def generate(self, requests, sampling, on_batch=None, on_completion=None, cancelled=None):  # noqa: ANN001
        completions = []
        for i, request in enumerate(requests):
            if cancelled is not None and cancelled():
                completion = Completion("", "error", 0, error="cancelled")
            else:
                self.seen.append(request)
                completion = self._complete(request)
            completions.append(completion)
            on_completion(i, completion)
            if i % self.batch == 0:
                on_batch(i + 1, 5 * (i + 1))
        return completions

    def _complete(self, request: Request) -> Completion:
        if "too long" in request.prefix:
            return Completion("", "error", 0, error="the prompt has 101 tokens, the model reads 100")
        if self.lengthy:
            return Completion("3+12=15\nso the answer", "length", 5)
        return Completion(f"3+12=15\n#### {15 if request.seed % 2 == 0 else 16}\n", "stop", 5)

    def close(self) -> None: ...


class Memory:
    """Recall and record over a dict, insert-or-ignore like the store."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], Continuation] = {}
        self.batches: list[int] = []

    def recall(self, problem: str, prefix: str) -> list[Continuation]:
        return [c for (p, h, _), c in self.rows.items() if (p, h) == (problem, prefix)]

    def record(self, new: Sequence[Continuation]) -> None:
        self.batches.append(len(new))
        for c in new:
            assert (c.problem_id, c.prefix_hash, c.j) not in self.rows, "drawn twice"
            self.rows[c.problem_id, c.prefix_hash, c.j] = c

    @property
    def both(self) -> dict[str, object]:
        return {"recall": self.recall, "record": self.record}


def chain_of(text: str, key: str = "1", rule: str = "line/1") -> Chain:
    return Chain(PROBLEM.id, "test", key, text, segment(text), rule)


WRONG_CHAIN = chain_of("Tom has 3 apples.\n\n3+12=16\n#### 16\n")
