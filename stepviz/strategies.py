"""Which prefixes of a chain are continued, and how often: the same answer for fewer tokens.

A strategy looks at what the draws of one chain have said so far and names the draws that shall exist next, absolutely
("draws 0 … 3 of prefix 5"), or none where it is done. So strategies are pure, and a job that was killed repeats
nothing: asked again, they walk over what is stored.

    exhaustive   k draws of every prefix 0 … n: the reference
    backward     from the last step back, until a prefix succeeds: GLoRe's SORM labels (arXiv 2402.10963), whose
                 positives are carried back to all earlier steps anyway
    forward      from the first step on, until a prefix has failed k times: Self-Explore's first pit (arXiv 2404.10346)
    bisect       binary search for the first prefix that fails k times (OmegaPRM, arXiv 2406.06592): right where labels
                 are monotone, which drawn ones need not be
    adaptive     where a posterior of the pit learns most for a token: stepviz.adaptive

In all but the first a prefix stops at its first success, since one success is all that a label asks for. What is drawn
at once from a prefix doubles (1, 1, 2, 4): batches stay full, and at most as much is wasted as was needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """The first n draws from a prefix, k of them successes. failed: it cannot be continued at all."""

    n: int = 0
    k: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """What a strategy knows of a chain before it draws.

    open: the steps 1 … whose prefix is not terminal; k: draws that make a prefix a failure; wrong: whether the chain's
    own answer is; own: of each step 1 … n whether the chain's own suffix already makes it positive (empty: of none;
    see stepviz.glore.own_suffix); scores: a SORM's after each step, where there are any; tokens: of each open step
    what a continuation is expected to cost; paid: draws of the question that were there before, sampling's.
    """

    open: tuple[int, ...]
    k: int
    wrong: bool = True
    own: tuple[bool, ...] = ()
    scores: tuple[float, ...] = ()
    tokens: tuple[float, ...] = ()
    paid: int = 0

    def positive(self, step: int) -> bool:
        return bool(self.own) and self.own[step - 1]


Wanted = dict[int, int]  # step -> how many draws of its prefix shall exist
Strategy = Callable[[Walk, Mapping[int, Seen]], Wanted]
NOTHING = Seen()


def exhaustive(walk: Walk, seen: Mapping[int, Seen]) -> Wanted:
    return {i: walk.k for i in (0, *walk.open) if not over(seen.get(i, NOTHING), walk.k, whole=True)}


def backward(walk: Walk, seen: Mapping[int, Seen]) -> Wanted:
    for i in reversed(walk.open):
        at = seen.get(i, NOTHING)
        if walk.positive(i) or at.k:
            return {}
        if not over(at, walk.k):
            return {i: _doubled(at.n, walk.k)}
    return {}


def forward(walk: Walk, seen: Mapping[int, Seen]) -> Wanted:
    """A right chain has no pit (Self-Explore walks along wrong ones), so it costs nothing."""
    for i in walk.open if walk.wrong else ():
        at = seen.get(i, NOTHING)
        if not over(at, walk.k):
            return {i: _doubled(at.n, walk.k)}
        if not at.k:
            return {}
    return {}


def bisect(walk: Walk, seen: Mapping[int, Seen]) -> Wanted:
    """The middle of what is left of a wrong chain: as far as known, all before it succeed and from it on all fail."""
    left, right = 0, len(walk.open) if walk.wrong else 0  # the pit is one of open[left:right], or behind them
    while left < right:
        middle = (left + right - 1) // 2
        i = walk.open[middle]
        at = seen.get(i, NOTHING)
        if not over(at, walk.k):
            return {i: _doubled(at.n, walk.k)}
        left, right = (middle + 1, right) if at.k else (left, middle)
    return {}


def bisected_pit(walk: Walk, seen: Mapping[int, Seen]) -> int | None:
    """Where the search ended: the step that it takes for the first that fails; None: it is not through."""
    if bisect(walk, seen):
        return None
    left, right = 0, len(walk.open)
    while left < right:
        middle = (left + right - 1) // 2
        left, right = (middle + 1, right) if seen.get(walk.open[middle], NOTHING).k else (left, middle)
    return walk.open[left] if left < len(walk.open) else (walk.open[-1] if walk.open else 0) + 1


STRATEGIES: dict[str, Strategy] = {
    "exhaustive": exhaustive,
    "backward": backward,
    "forward": forward,
    "bisect": bisect,
}
NAMES: Sequence[str] = (*STRATEGIES, "adaptive")


def over(at: Seen, k: int, whole: bool = False) -> bool:
    """Whether a prefix needs no more draws: it fails, has k, or (unless the `whole` k are asked for) a success."""
    return at.failed or at.n >= k or (at.k > 0 and not whole)


def _doubled(n: int, k: int) -> int:
    return min(k, max(1, 2 * n))


def replay(strategy: Strategy, walk: Walk, table: Mapping[int, Sequence[bool]]) -> dict[int, Seen]:
    """What a strategy sees of a recorded table (step → whether its draws 0, 1, … succeed) until it is done.

    ValueError: the table has fewer draws than the strategy asks for.
    """
    seen: dict[int, Seen] = {}
    while wanted := strategy(walk, seen):
        for i, n in wanted.items():
            if len(table[i]) < n:
                raise ValueError(f"the table has {len(table[i])} draws of prefix {i}, {n} are asked for")
            seen[i] = Seen(n, sum(table[i][:n]))
    return seen
