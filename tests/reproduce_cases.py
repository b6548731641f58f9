"""Drafts of two steps and an answer, for tables that can be worked by hand."""

from __future__ import annotations

from typing import Any

from stepviz.types import Problem
from stepviz.world import problem
from training.reproduce.glore_data import BO, Judged, Shared


def two_steps(n: int = 3) -> list[Problem]:
    """Problems whose reference solution is two steps and an answer."""
    found = (problem("test", i) for i in range(4000))
    fits = (p for p in found if p.meta["steps"] == 2 and len((p.solution or "").split("\n")) == 3)
    good = []
    while len(good) < n:
        p = next(fits)
        if Judged(p, tuple((p.solution or "").split("\n"))).right and not false_first(p).solvable[0]:
            good.append(p)
    return good


def false_first(p: Problem) -> Judged:
    """The first step's value is wrong, the second is left out, and so is the answer."""
    first = (p.solution or "").split("\n")[0]
    head, _, tail = first.partition("=<<")
    words = tail.partition(">>")[2].lstrip("0123456789. ")
    return Judged(p, (f"{head}=<<{tail.partition('=')[0]}=7777>>7777 {words}", "#### 7777"))


def right(p: Problem) -> Judged:
    return Judged(p, tuple((p.solution or "").split("\n")))


def three_drafts() -> list[Judged]:
    """Solvable before the answer line: 1 1 | 0 | 1 1."""
    a, b, c = two_steps()
    return [right(a), false_first(b), right(c)]


def shared(drafts: list[Judged], **more: Any) -> Shared:
    empty: dict[str, Any] = {"samples": [[] for _ in drafts], "s8": [], "deep": [], "drafts": None, "tokens": {}}
    found = {**empty, **more}
    found.setdefault("refined", [i for i, group in enumerate(found["samples"]) if len(group) >= BO])
    return Shared("student", drafts, drafts, **found)
