"""Chains of the embedded student with every draw that any strategy may ask for: the table that `bench measure` replays.

Of unseen test problems one chain each at the default sampling, until there are enough wrong and right ones; of each
prefix K draws, and of the first wrong chains as many again, which no strategy sees: what these say of V is what a label
is to foretell. Everything is a draw in a store, so that a bench that was stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from db.store import Store
from db.values import ModelRow
from stepviz.engines import Engine
from stepviz.engines.prompts import encode
from stepviz.glore import Results, consistent, own_suffix
from stepviz.measure_job import Known
from stepviz.measuring import lengths
from stepviz.reward import load_scorer
from stepviz.rollouts import Want, draw, prefix_of, terminal
from stepviz.sampling import Sample, read
from stepviz.strategies import Walk
from stepviz.types import Continuation, Problem, Sampling, SourceItem
from stepviz.world import ExactJudge, Judgement, embedded_problems, exact_for

K = 8
RESULTS: Results = "last"  # as the embedded SORM learnt
TWICE = 200  # wrong chains with 2K draws a prefix
FIRST = 10_000  # of the test problems: on earlier ones `adaptive` was seen to cost too much, and its price was raised
PROBLEMS = 200  # at once
AT_ONCE = 50  # chains measured in one call of the engine


@dataclass(frozen=True, eq=False)
class Case:
    """A chain, what the exact judge and the SORM say of it, and its draws of steps 0 … m.

    rule: which of a prefix's results a consistent success uses, see stepviz.glore.
    """

    problem: Problem
    sample: Sample
    draws: dict[int, list[Continuation]]
    prompt: dict[int, int]  # tokens before each prefix's end
    scores: tuple[float, ...] = ()
    rule: Results = RESULTS

    @property
    def wrong(self) -> bool:
        return self.sample.verdict.value != "correct"

    @cached_property
    def judgement(self) -> Judgement:
        judge = exact_for(self.problem)
        assert isinstance(judge, ExactJudge), self.problem.key
        return judge.judge(self.sample.chain.steps)

    @cached_property
    def walk(self) -> Walk:
        """Without `own`, which only the labels of GLoRe ask for."""
        steps = tuple(i for i in self.draws if i)
        return Walk(steps, K, self.wrong, (), self.scores, lengths(self.sample.chain, steps))

    @cached_property
    def own(self) -> tuple[bool, ...]:
        return own_suffix(self.sample.chain, self.sample.verdict, results=self.rule)

    @property
    def solvable(self) -> list[bool]:
        """Of the open steps."""
        return [bool(self.judgement.solvable[i]) for i in self.walk.open]

    def right(self, i: int) -> list[bool]:
        return [c.verdict == "correct" for c in self.draws[i]]

    @cached_property
    def accepted(self) -> dict[int, list[bool]]:
        """Step → of each draw whether it is right and, by GLoRe's rule, consistent."""
        steps = self.sample.chain.steps
        return {
            i: [c.verdict == "correct" and consistent(steps[:i], c.text, results=self.rule) for c in draws]
            for i, draws in self.draws.items()
        }

    def cost(self, i: int, n: int) -> int:
        """Newly sampled tokens of draws 0 … n-1. The question's draw 0 is the chain itself, which there was before."""
        return sum(c.tokens for c in self.draws[i][:n] if i or c.j)


def collect(store: Store, engine: Engine, scorer: str, each: int) -> list[Case]:
    """`each` wrong chains and as many right ones."""
    sampling = Sampling()
    store.add_model(ModelRow(engine.model_id, "generator", engine.spec))
    store.add_sampling(sampling)
    known = Known(store, engine, sampling)
    chosen = _sampled(store, engine, sampling, known, each)
    cases = []
    for start in range(0, len(chosen), AT_ONCE):
        _say(f"measuring {start} of {len(chosen)} chains")
        twice = max(0, min(each, TWICE) - start)  # the wrong ones come first
        cases += _measured(chosen[start : start + AT_ONCE], twice, engine, sampling, known)
    scores = load_scorer(scorer, "cpu").score([(c.problem.question, c.sample.chain.steps) for c in cases])
    return [Case(c.problem, c.sample, c.draws, c.prompt, tuple(s)) for c, s in zip(cases, scores, strict=True)]


def _sampled(store: Store, engine: Engine, sampling: Sampling, known: Known, each: int) -> list[tuple[Problem, Sample]]:
    """Wrong ones first. Of chains that ended by themselves: one that was cut off has no answer to be wrong."""
    found: dict[bool, list[tuple[Problem, Sample]]] = {True: [], False: []}
    start = FIRST
    while min(map(len, found.values())) < each:
        problems = list(embedded_problems("test", PROBLEMS, start))
        start += PROBLEMS
        store.add_items([SourceItem(p) for p in problems])
        wants = [Want(p, "", 1) for p in problems]
        drawn = draw(wants, engine, sampling, recall=known.recall, record=known.record)
        for want in wants:
            made = read(drawn.continuations[want.key][0], sampling)
            if made.chain.terminal and made.chain.n > 1:
                found[made.verdict.value != "correct"].append((want.problem, made))
        _say(f"{start - FIRST} problems: {len(found[True])} wrong chains, {len(found[False])} right ones")
    return found[True][:each] + found[False][:each]


def _measured(
    chosen: Sequence[tuple[Problem, Sample]], twice: int, engine: Engine, sampling: Sampling, known: Known
) -> list[Case]:
    """K draws a prefix, and 2K of the first `twice` chains."""
    wants: list[dict[int, Want]] = []
    for place, (problem, made) in enumerate(chosen):
        n = 2 * K if place < twice else K
        steps = [i for i in range(made.chain.n + 1) if not terminal(made.chain, i)]
        wants.append({i: Want(problem, prefix_of(made.chain, i), n) for i in steps})
    known.keep({problem.id for problem, _ in chosen})
    everything = [want for one in wants for want in one.values()]
    drawn = draw(everything, engine, sampling, recall=known.recall, record=known.record)
    tokenizer = engine.tokenizer  # type: ignore[attr-defined]
    cases = []
    for (problem, made), one in zip(chosen, wants, strict=True):
        draws = {i: drawn.continuations[want.key] for i, want in one.items()}
        asked = {i: len(encode(tokenizer, sampling.style, problem.question, want.prefix)) for i, want in one.items()}
        cases.append(Case(problem, made, draws, asked))
    return cases


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
