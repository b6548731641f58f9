"""What Measure will cost, by which strategy, before the click. No HTML, no gradio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.values import ChainRow, ProblemRow
from stepviz import pits
from stepviz.adaptive import Adaptive
from stepviz.measure_cost import Chosen, of_chain, read, speed_of
from stepviz.measure_estimate import Expected, token_lengths
from stepviz.measure_job import newest_sorm
from stepviz.measuring import Walking
from stepviz.posterior import posterior
from stepviz.rollouts import terminal
from stepviz.strategies import NAMES, NOTHING, STRATEGIES, Seen, Walk, bisected_pit, over
from stepviz.types import Chain, Continuation, StepValue
from stepviz.ui.render import number
from stepviz.ui.rows import Scorer
from stepviz.ui.views import models_of, rounded
from stepviz.ui.workbench import MEASURE_N, Workbench

SIZES = (4, 8, 16, 32, 64)  # continuations of a prefix that the dialog offers
GIVES = {
    "exhaustive": "the whole curve: as many continuations of every prefix",
    "backward": "SORM labels, the same as exhaustive ones: from the last step back to the first success",
    "forward": "Self-Explore’s first pit: from the first step on, until one has only failures",
    "bisect": "a first pit by halving (OmegaPRM): wrong where values rise and fall",
    "adaptive": "the likeliest pit, and how sure it is: draws where they say most for their tokens",
}
LEAST = 0.5  # continuations: fewer are expected only where none will be drawn
_LOOKED_AT = 30  # latest runs, for the speed: pages must be quick


@dataclass(frozen=True, slots=True)
class StrategyOffer:
    """A strategy with what it will take for one chain; seconds: None where the engine has drawn nothing here yet.

    why: where it would draw nothing, the reason and what it has found.
    """

    name: str
    gives: str
    expected: Expected
    seconds: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class HowToMeasure:
    """The part of the dialog that says how. scorer: a SORM's spec, where it is not the one that is read anyway."""

    offers: tuple[StrategyOffer, ...]
    strategy: str = "exhaustive"
    n: int = MEASURE_N
    scorer: str = ""


def how_to_measure(
    bench: Workbench, problem: ProblemRow, row: ChainRow, strategy: str, n: int, shown: Sequence[Scorer]
) -> HowToMeasure:
    """bench: with the engine that measures; shown: the scorers whose scores the page shows."""
    store, newest = bench.store, newest_sorm(bench.store)
    sorm = next((s for s in shown if s.role == "sorm"), None)
    model = next(iter(models_of(bench)[-1:]), "")
    found = read(store, row, problem.problem, model, bench.sampling, [sorm.id] if sorm else newest)
    offers = []
    for name in NAMES:
        cost = of_chain(found, _walking(found, name, n), pits.shipped())
        speed = speed_of(store, bench.engine, _LOOKED_AT, name)
        why = "" if cost.continuations >= LEAST else why_nothing(name, found, n)
        offers.append(StrategyOffer(name, GIVES[name], cost, cost.tokens / speed if speed else None, why))
    others = sorm is not None and sorm.id not in newest[:1]
    return HowToMeasure(tuple(offers), strategy if strategy in NAMES else NAMES[0], n, sorm.spec if others else "")


def next_size(values: Sequence[StepValue]) -> int:
    """The first that brings something new everywhere: of a chain that is measured, more than there is."""
    least = min((v.n for v in values if v.terminal is None), default=0)
    return next((n for n in SIZES if n > least and n >= MEASURE_N), SIZES[-1])


# ---- a strategy that would draw nothing


def _walking(found: Chosen, name: str, n: int) -> Walking:
    walking = found.walking(STRATEGIES.get(name) or Adaptive(pits.shipped()), n, consistent_only=name == "backward")
    if name != "adaptive":
        walking.scores = ()
    return walking


def why_nothing(name: str, found: Chosen, n: int) -> str:
    """Why a strategy has nothing to draw with n draws of a prefix, and what those that are there have told it."""
    walking = _walking(found, name, n)
    walking.remember(found.draws)
    walk, seen = walking.walk, walking.seen()
    if name == "exhaustive":
        return f"every prefix has its {n} draws"
    if name != "backward" and not walk.wrong:
        right = found.row.verdict.value == "correct"
        return "right chain: no pit" if right else "nobody can say whether this chain is right: no pit"
    if not walk.open:
        return "the answer stands in the first step: no prefix to draw from"
    if name == "backward":
        last = max((i for i in walk.open if walk.positive(i) or seen.get(i, NOTHING).k), default=0)
        return f"done: label 1 up to step {last}" if last else "done: label 0 at every step"
    return _likeliest(walking, n) if name == "adaptive" else _first_pit(name, walk, seen)


def _first_pit(name: str, walk: Walk, seen: Mapping[int, Seen]) -> str:
    dead = (i for i in walk.open if not seen.get(i, NOTHING).k)
    step = bisected_pit(walk, seen) if name == "bisect" else next(dead, None)
    if step not in walk.open:
        return "done: no pit before the answer"
    return f"done: first pit at step {step}, 0/{seen[step].n}"


def _likeliest(walking: Walking, n: int) -> str:
    """What ended an adaptive measurement, and where its posterior puts the pit: also before any draw."""
    strategy, walk, seen = walking.strategy, walking.walk, walking.seen()
    assert isinstance(strategy, Adaptive)
    place, sure, chance = posterior(strategy.model, walk, seen).found(seen.get(0, NOTHING), strategy.confidence)
    step = walk.open[place - 1] if place <= len(walk.open) else walk.open[-1] + 1
    where = f"step {step}" if step <= walking.chain.n else "behind the last step"
    if sure == "certain":
        ended = "done"
    elif all(over(seen.get(i, NOTHING), n, whole=True) for i in walk.open):
        ended = f"every prefix has its {n} draws"
    elif replace(strategy, budget=math.inf)(walk, seen):
        ended = f"its budget is spent, {100 * strategy.budget:.0f} % of an exhaustive measurement"
    else:
        ended = "nothing worth its tokens"
    return f"{ended}: likeliest pit {where}, P = {number(chance)}, {sure}"


# ---- the plain click


def measure_cost(
    chain: Chain, values: Sequence[StepValue], draws: Sequence[Sequence[Continuation]], most: int
) -> Expected:
    """What Measure has still to draw, or draws again on top; values and draws by step 0 … n."""
    steps = [v.step for v in values if v.terminal is None]
    again = all(values[i].n >= MEASURE_N for i in steps)
    left = {i: max(0, MEASURE_N - (0 if again else values[i].n)) for i in steps}
    sizes = _sizes(chain, draws, most)
    return Expected(sum(left.values()), sum(n * sizes[i] for i, n in left.items()))


def cost_from(chain: Chain, i: int, draws: Sequence[Continuation], n: int) -> str:
    """Of n more continuations of prefix(i); empty where nothing is drawn."""
    if terminal(chain, i):
        return ""
    return f"≈ {rounded(n * token_lengths(chain, _open(chain), {i: draws}, draws)[i])} tokens"


def spoken(cost: Expected) -> str:
    """`56 continuations, ≈ 4,300 tokens`."""
    return f"{cost.continuations:.0f} continuations, ≈ {rounded(cost.tokens)} tokens"


def seconds_of(bench: Workbench, cost: Expected) -> float | None:
    speed = speed_of(bench.store, bench.engine, _LOOKED_AT)
    return cost.tokens / speed if speed else None


def _sizes(chain: Chain, draws: Sequence[Sequence[Continuation]], most: int) -> dict[int, float]:
    known = [draw for found in draws for draw in found]
    return token_lengths(chain, _open(chain), dict(enumerate(draws)), known, most)


def _open(chain: Chain) -> list[int]:
    return [i for i in range(1, chain.n + 1) if not terminal(chain, i)]
