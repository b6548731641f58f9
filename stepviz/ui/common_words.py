"""What two sequences have in common, in their order: a longest common subsequence in a bounded number of looks.

Greedy, by E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1986, after everything has
been taken out that stands on one side only.
"""

from __future__ import annotations

from collections.abc import Sequence

AT_ONCE = 20_000  # looks for two sequences: some 200 words that both have, and in another order


class Looks:
    """How often a word may still be held against another."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, n: int) -> bool:
        """False, and nothing is taken, where so many are not left."""
        if n > self.left:
            return False
        self.left -= n
        return True


def in_common(a: Sequence[str], b: Sequence[str], looks: Looks) -> list[tuple[int, int]] | None:
    """Places (i, j), 0-based and rising, where a[i] == b[j]; None where finding them would take too many looks."""
    if not looks.take(len(a) + len(b)):
        return None
    on_both = set(a) & set(b)
    at_a, at_b = [[i for i, item in enumerate(side) if item in on_both] for side in (a, b)]
    allowed = min(looks.left, AT_ONCE)
    found, spent = _myers([a[i] for i in at_a], [b[j] for j in at_b], allowed)
    looks.take(min(spent, looks.left))
    return None if found is None else [(at_a[i], at_b[j]) for i, j in found]


def _myers(a: Sequence[str], b: Sequence[str], allowed: int) -> tuple[list[tuple[int, int]] | None, int]:
    """The pairs, and how many looks they took."""
    n, m, spent = len(a), len(b), 0
    furthest = {1: 0}  # by diagonal x - y: how far one comes in `a` with d items left out
    rounds = []
    for d in range(n + m + 1):
        rounds.append(dict(furthest))
        for k in range(-d, d + 1, 2):
            x = start = _next(furthest, d, k)
            while x < n and x - k < m and a[x] == b[x - k]:
                x += 1
            furthest[k] = x
            spent += 1 + x - start
            if x >= n and x - k >= m:
                return _back(rounds, n, m), spent
            if spent >= allowed:
                return None, spent
    raise AssertionError("leaving everything out always comes to the end")


def _down(furthest: dict[int, int], d: int, k: int) -> bool:
    """Whether diagonal k begins round d where an item of `b` was left out; else one of `a` was."""
    return k == -d or (k != d and furthest[k - 1] < furthest[k + 1])


def _next(furthest: dict[int, int], d: int, k: int) -> int:
    """Where diagonal k begins round d."""
    return furthest[k + 1] if _down(furthest, d, k) else furthest[k - 1] + 1


def _back(rounds: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs = []
    for d in reversed(range(len(rounds))):
        furthest, k = rounds[d], x - y
        for _ in range(x - _next(furthest, d, k)):
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = (x, y - 1) if _down(furthest, d, k) else (x - 1, y)
    return pairs[::-1]
