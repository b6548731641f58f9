"""`world audit`: the premises without which the papers' comparisons on the embedded world mean nothing.

Measured on the student, on development problems, before any result (design.md, section 5). Each premise is a share
with the threshold it has to reach; one that is missed is printed as missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

from stepviz.audit_draws import Measured, Sampled, judged, measure, sample, seed, whole
from stepviz.engines import Engine
from stepviz.types import Problem, Request, Sampling
from stepviz.world import Graph, Judgement, exact_for
from stepviz.world.expressions import number_text
from stepviz.world.hardness import hard
from stepviz.world.solutions import equation

K = 8  # GLoRe's continuations a prefix
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is drawn. The defaults take about ten minutes on two cores."""

    problems: int = 120  # with `votes` samples each
    votes: int = 64
    measured: int = 60  # problems whose chains are measured at every prefix
    chains: int = 3  # of each
    rollouts: int = 16  # at each prefix
    subgoal_problems: int = 100
    subgoal_rollouts: int = 32
    structure: int = 2000  # problems looked at without the student


@dataclass(frozen=True, slots=True)
class Premise:
    comparison: str
    what: str
    measured: float
    needed: float
    n: int  # what the share is of

    @property
    def holds(self) -> bool:
        return self.measured >= self.needed


def audit(
    engine: Engine, problems: Sequence[Problem], sizes: Sizes, sampling: Sampling, progress: Progress = print
) -> dict[str, Any]:
    """All premises, with the numbers behind them; `problems` should be unseen development problems."""
    progress(f"sampling {sizes.votes} chains for each of {sizes.problems} problems")
    votes = sample(engine, problems[: sizes.problems], sizes.votes, sampling)
    progress(f"measuring up to {sizes.measured * sizes.chains} chains at every prefix")
    chosen = [c for group in votes[: sizes.measured] for c in group[: sizes.chains]]
    measured = measure(engine, chosen, sizes.rollouts, sampling)
    progress(f"trying subgoals of {sizes.subgoal_problems} problems")
    spread, one_step = subgoals(engine, problems[: sizes.subgoal_problems], sizes.subgoal_rollouts, sampling)
    premises = [
        *labels(measured),
        *routes(problems[: sizes.structure]),
        *pits(votes),
        critical(measured),
        spread,
        ballots(votes),
    ]
    return {
        "premises": [
            {"comparison": p.comparison, "what": p.what, "measured": round(p.measured, 4), "needed": p.needed, "n": p.n,
             "holds": p.holds}
            for p in premises
        ],
        "holds": all(p.holds for p in premises),
        "temperature": sampling.temperature,
        **overview([c for group in votes for c in group]),
        **one_step,
    }  # fmt: skip


def overview(chains: Sequence[Sampled]) -> dict[str, float]:
    """Shares of the sampled chains, and of their steps that the judge cannot read."""
    judged = [c.judgement for c in chains]
    return {
        "accuracy": round(mean(j.right for j in judged), 4),
        "unreadable_steps": round(mean(not s.readable for j in judged for s in j.steps), 5),
        "lucky": round(mean(j.lucky for j in judged), 4),
        "lucky_with_repair": round(mean(j.lucky and any(s.repair for s in j.steps) for j in judged), 4),
        "unfinished": round(mean(not j.finished for j in judged), 4),
    }


def labels(measured: Sequence[Measured]) -> Iterator[Premise]:
    """ORM against SORM, and what the SORM's post-processing is for."""
    from sklearn.metrics import roc_auc_score

    open_values = [v for m in measured for v, ok in zip(m.values, m.chain.judgement.solvable, strict=False) if ok]
    weak = mean(v < 0.5 for v in open_values)
    yield Premise(
        "ORM against SORM",
        "V < 0.5 on solvable prefixes (a shared one counts once a chain)",
        weak,
        0.20,
        len(open_values),
    )
    raw = [[any(d[:K]) for d in m.draws[1:]] for m in measured]
    truth = [m.chain.judgement.solvable[1 : len(m.draws)] for m in measured]
    positive = [ok for row, oks in zip(raw, truth, strict=True) for label, ok in zip(row, oks, strict=True) if label]
    false = mean(not ok for ok in positive) if positive else 0.0
    yield Premise("SORM's post-processing", "false successes among raw positive labels", false, 0.03, len(positive))
    flat = [(i, label, any(row[i + 1 :])) for row in raw for i, label in enumerate(row)]
    late = mean(not label and later for _, label, later in flat)
    yield Premise("SORM's post-processing", "raw labels that are not monotone", late, 0.02, len(flat))
    auc = float(roc_auc_score([label for _, label, _ in flat], [-i for i, _, _ in flat]))
    yield Premise("SORM's post-processing", "AUC of position alone for the raw label", auc, 0.65, len(flat))


def routes(problems: Sequence[Problem]) -> Iterator[Premise]:
    """Local against global refinement: is there another way to go?"""
    graphs = [Graph.from_json(p.meta["world"]) for p in problems]
    share = mean(differing_routes(g) for g in graphs)
    yield Premise(
        "local against global", "problems with routes differing in a hard operation", share, 0.30, len(graphs)
    )


def differing_routes(graph: Graph) -> bool:
    """Whether some needed quantity has two derivations of which, with all that they need, one is harder."""
    forks = Counter(d.target for d in graph.derivations if d.target in graph.on_route)
    return any(len({len(_hard_on(graph, i)) for i in _ways(graph, q)}) > 1 for q, n in forks.items() if n > 1)


def _ways(graph: Graph, quantity: int) -> list[int]:
    return [i for i, d in enumerate(graph.derivations) if d.target == quantity]


def _hard_on(graph: Graph, derivation: int) -> frozenset[int]:
    """The hard derivations on the easiest way that ends with this one; what is shared counts once."""
    found = frozenset({derivation}) if hard(graph, derivation) else frozenset()
    for operand in graph.operands[derivation] - graph.givens:
        found |= min((_hard_on(graph, i) for i in _ways(graph, operand)), key=len)
    return found


def pits(votes: Sequence[Sequence[Sampled]]) -> Iterator[Premise]:
    """First pit against outcome; and whether pits are spread over positions."""
    chains = [c for group in votes for c in group]
    wrong = [c for c in chains if c.judgement.exact_pit is not None]
    where = Counter(c.judgement.exact_pit for c in wrong)
    spread = 1 - max(where.values(), default=0) / max(1, len(wrong))
    yield Premise(
        "local against global", "wrong chains whose pit is not at the commonest position", spread, 0.40, len(wrong)
    )
    roomy = mean(_roomy(c.judgement) for c in wrong) if wrong else 0.0
    yield Premise(
        "first pit against outcome",
        "wrong chains with two correct steps before the pit and one step after",
        roomy,
        0.50,
        len(wrong),
    )  # fmt: skip
    lucky = mean(c.judgement.lucky for c in chains)
    yield Premise("first pit against outcome", "lucky chains", lucky, 0.03, len(chains))


def _roomy(j: Judgement) -> bool:
    pit = j.exact_pit
    assert pit is not None
    return sum(s.correct for s in j.steps[: pit - 1]) >= 2 and len(j.steps) > pit


def critical(measured: Sequence[Measured]) -> Premise:
    """Critical against random step: is there one jump that stands out? The answer's own jump is one."""
    sharp = [_stands_out(m) for m in measured if len(m.chain.steps) >= 4]
    return Premise(
        "critical against random step",
        "chains of four steps or more: largest |ΔV| (found on half the draws) at least twice the mean",
        mean(sharp) if sharp else 0.0,
        0.50,
        len(sharp),
    )


def _stands_out(m: Measured) -> bool:
    """The largest jump is found on half of the draws and looked up on the rest, so that noise makes none."""
    half = len(m.draws[0]) // 2
    end = [float(m.chain.judgement.right)] if m.chain.judgement.finished else []
    found, rest = (
        [abs(b - a) for a, b in pairwise([*(mean(d[part]) for d in m.draws), *end])]
        for part in (slice(half), slice(half, None))
    )
    at = max(range(len(found)), key=found.__getitem__)
    return rest[at] > 0 and rest[at] >= 2 * mean(rest)


def subgoals(
    engine: Engine, problems: Sequence[Problem], n: int, sampling: Sampling
) -> tuple[Premise, dict[str, float]]:
    """SEGO: does it matter which subgoal is set? And the same among subgoals one step away, which is stricter."""
    asked = [(p, g) for p in problems if len(g := subgoal_states(Graph.from_json(p.meta["world"]))) > 1]
    requests = [
        Request(p.question, state, seed(p, state, engine, sampling, j))
        for p, g in asked
        for state in g
        for j in range(n)
    ]
    texts = iter(whole(c) for c in engine.generate(requests, sampling))
    gaps, first_gaps = [], []
    for p, states in asked:
        judge = exact_for(p)
        halves = {}
        for state in states:
            draws = [judged(p, state + next(texts), judge).judgement.right for _ in range(n)]
            halves[state] = (mean(draws[: n // 2]), mean(draws[n // 2 :]))
        gaps.append(_gap(list(halves.values())))
        if len(first := [h for state, h in halves.items() if state.count("\n") == 1]) > 1:
            first_gaps.append(_gap(first))
    share, first_share = (sum(g >= 0.3 for g in found) / max(1, len(found)) for found in (gaps, first_gaps))
    premise = Premise("subgoals", "problems whose subgoals differ by 0.3 in p(goal | state)", share, 0.30, len(gaps))
    return premise, {"subgoals_one_step_away": round(first_share, 4)}


def _gap(halves: Sequence[tuple[float, float]]) -> float:
    """Best less worst, picked on the first half of the draws and compared on the second: noise alone gives 0."""
    return max(halves, key=lambda h: h[0])[1] - min(halves, key=lambda h: h[0])[1]


def subgoal_states(graph: Graph) -> list[str]:
    """For every quantity that can be derived but the target, the shortest way to it as text: the state it is met in."""
    found = sorted((q for q in graph.depth if q not in graph.givens and q != graph.target), key=graph.depth.__getitem__)
    return [way for q in found if graph.target not in graph.needs[q] and (way := _way(graph, q))]


def _way(graph: Graph, quantity: int) -> str:
    held, steps = set(graph.givens), []
    for q in sorted(graph.needs[quantity], key=graph.depth.__getitem__):
        i = next(i for i, d in enumerate(graph.derivations) if d.target == q and graph.operands[i] <= held)
        held.add(q)
        steps.append(f"{equation(graph.derivations[i].expr, graph)} {graph.quantities[q].name}\n")
    return "".join(steps)


def ballots(votes: Sequence[Sequence[Sampled]]) -> Premise:
    """Votes and evaluators: is a right answer there that the majority misses?"""
    reached = mean(any(c.judgement.right for c in group) for group in votes)
    elected = mean(_majority_right(group) for group in votes)
    return Premise("votes", "Pass@n − Maj1@n", reached - elected, 0.10, len(votes))


def _majority_right(group: Sequence[Sampled]) -> bool:
    answers = Counter(c.steps[-1] for c in group if c.judgement.finished)
    if not answers:
        return False
    graph = Graph.from_json(group[0].problem.meta["world"])
    return answers.most_common(1)[0][0] == f"#### {number_text(graph.truth[graph.target])}"
