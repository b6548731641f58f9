"""A chain under measurement by a strategy: what it wants next, and what the draws so far have said.

Between the pure strategies (stepviz.strategies), which know counts, and the drawing (stepviz.rollouts), which knows
texts. Knows no database and no job: draws are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from stepviz.glore import Results, consistent, own_suffix
from stepviz.rollouts import Drawn, Want, prefix_of, terminal
from stepviz.strategies import Seen, Strategy, Walk
from stepviz.types import Chain, Continuation, Problem, Verdict


def has_pit(verdict: Verdict) -> bool:
    """Whether a chain missed the answer: it is wrong, or it stated none. One that cannot be judged may be right."""
    return verdict.value == "wrong" or (verdict.value == "unknown" and verdict.answer is None)


@dataclass
class Walking:
    """One chain. consistent_only: a success counts if GLoRe's rule accepts it, as SORM labels ask; else every one."""

    chain: Chain
    problem: Problem
    verdict: Verdict
    strategy: Strategy
    k: int
    scores: tuple[float, ...] = ()
    consistent_only: bool = False
    results: Results = "every"
    separator: str = "\n"
    draws: dict[int, Sequence[Continuation]] = field(default_factory=dict)  # step → the draws asked for
    failed: dict[int, str] = field(default_factory=dict)  # step → why it cannot be continued

    @cached_property
    def open(self) -> tuple[int, ...]:
        return tuple(i for i in range(1, self.chain.n + 1) if not terminal(self.chain, i))

    @cached_property
    def walk(self) -> Walk:
        """What is remembered has to be so before."""
        own = own_suffix(self.chain, self.verdict, results=self.results) if self.consistent_only else ()
        tokens, paid = lengths(self.chain, self.open), len(self.draws.get(0, ()))
        return Walk(self.open, self.k, has_pit(self.verdict), own, self.scores, tokens, paid)

    def remember(self, draws: Mapping[str, Sequence[Continuation]]) -> None:
        """Of what was drawn earlier: draws 0, 1, … < k of the question and the open prefixes, by prefix hash and j.

        The chain itself may be one of the question's. It is known to be wrong, so the question looks no better by it.
        """
        for i in (0, *self.open):
            found = draws.get(self.want(i, self.k).key.prefix_hash, ())
            whole = [c for place, c in enumerate(found) if c.j == place < self.k]
            if whole:
                self.draws[i] = whole

    def want(self, step: int, n: int) -> Want:
        return Want(self.problem, prefix_of(self.chain, step, self.separator), n)

    def wants(self) -> dict[int, Want]:
        """Of the next turn; empty where the strategy is done."""
        return {i: self.want(i, n) for i, n in self.strategy(self.walk, self.seen()).items()}

    def hear(self, wants: Mapping[int, Want], drawn: Drawn) -> None:
        """A prefix has failed where nothing new came of it; one of whose draws some came is asked again."""
        for i, want in wants.items():
            # another chain may have asked for more of them
            found = [c for c in drawn.continuations.get(want.key, ()) if c.j < want.n]
            if want.key in drawn.failed and len(found) <= len(self.draws.get(i, ())):
                self.failed[i] = drawn.failed[want.key]
            elif found:
                self.draws[i] = found

    def seen(self) -> dict[int, Seen]:
        steps = self.draws.keys() | self.failed.keys()
        found = {i: self.draws.get(i, ()) for i in steps}
        return {i: Seen(len(d), sum(self.succeeds(i, c) for c in d), i in self.failed) for i, d in found.items()}

    def succeeds(self, i: int, draw: Continuation) -> bool:
        """Whether a continuation of prefix(i) counts."""
        if draw.verdict != "correct" or not self.consistent_only:
            return draw.verdict == "correct"
        return consistent(self.chain.steps[:i], draw.text, results=self.results)


def lengths(chain: Chain, open_: Sequence[int]) -> tuple[float, ...]:
    """Of prefix 0 and the open ones: characters that the chain itself goes on for, what a continuation may take."""
    step = max(1.0, len(chain.text) / max(chain.n, 1))  # a chain that was cut off would still have written something
    return tuple(max(step, float(len(chain.text) - len(chain.prefix(i)))) for i in (0, *open_))
