"""The store of `bench annotate`: chains of so many steps, a study of all of them, and accounts.

Problems are the embedded world's, fifty chains each, so that what is measured beside can be measured. Of three turns
one is blind, one shows scores, one a pit; every twentieth item is a gold one, which everybody gets.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from db.store import Store
from db.values import ModelRow
from stepviz.accounts import hashed
from stepviz.errors import StepvizError
from stepviz.studies import StudyConfig
from stepviz.study_make import GUIDELINE
from stepviz.types import Chain, Problem, SourceItem, Span
from stepviz.world import embedded_problems

STEPS, EACH = 10, 50  # steps of a chain, chains of a problem
PEOPLE, GOLD = 2, 20  # who label an item; every which one is a gold one
MARK = "bench"  # origin of the chains, and how names of studies and accounts begin
SCORER = "bench/scorer"
MOST_SCORED = 1000  # items at the start of the study: as far as people come
AT_ONCE = 20  # problems in one transaction


@dataclass(frozen=True, slots=True)
class Prepared:
    """study: its id; accounts: name → password; chains: in the order of the items; seconds: of filling the store."""

    study: int
    accounts: dict[str, str]
    chains: Sequence[str]
    seconds: float


def prepare(store: Store, annotators: int, steps: int) -> Prepared:
    """What is there already stays; study and accounts are new each time.

    StepvizError: the store holds something that is no benchmark's.
    """
    check(store)
    started = time.perf_counter()
    chains = fill(store, steps)
    seconds = time.perf_counter() - started
    Random(0).shuffle(chains)
    add_scores(store, chains[:MOST_SCORED])
    tag = f"{MARK}-{secrets.token_hex(4)}"
    arms = {"blind": 1, "scores": 1, "pit": 1}
    config = StudyConfig(("correct",), PEOPLE, "given", arms, scorer=SCORER)
    items = [(chain, place % GOLD == 0) for place, chain in enumerate(chains)]
    study = store.add_study(tag, config.told(), GUIDELINE, items, MARK)
    accounts = {f"{tag}-{i:02d}": secrets.token_urlsafe(12) for i in range(annotators)}
    for name, password in accounts.items():
        store.add_user(name, "annotator", hashed(password))
    return Prepared(study, accounts, chains, seconds)


def check(store: Store) -> None:
    """The benchmark lets made-up people label: not in a store of real ones."""
    others = [user.name for user in store.users() if not user.name.startswith(MARK)]
    if others or (store.stats()["problems"] and MARK not in dict(store.origins())):
        raise StepvizError("--db names a store that is in use: `bench annotate` needs one of its own, or a new one")


def fill(store: Store, steps: int) -> list[str]:
    """Chains of so many steps in all, rounded up to whole problems; their ids."""
    found: list[str] = []
    stored = store.stats()["steps"] >= steps
    some: list[SourceItem] = []
    for item in wanted(steps):
        found += [chain.id for chain in item.chains]
        some.append(item)
        if len(some) == AT_ONCE or len(found) * STEPS >= steps:
            if not stored:
                store.add_items(some)
            some = []
    return found


def wanted(steps: int) -> Iterator[SourceItem]:
    problems = -(-steps // (STEPS * EACH))
    for problem in embedded_problems("train", problems):
        yield SourceItem(problem, tuple(chain(problem, str(i)) for i in range(EACH)))


def chain(problem: Problem, key: str) -> Chain:
    """The reference solution, said again from its start where it is short of ten steps."""
    lines = (problem.solution or "").split("\n")
    lines = [lines[i % len(lines)] for i in range(STEPS)]
    starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(STEPS)]
    spans = tuple(Span(start, start + len(line)) for start, line in zip(starts, lines, strict=True))
    return Chain(problem.id, MARK, key, "\n".join(lines), spans, "line/1")


def add_scores(store: Store, chains: Sequence[str]) -> None:
    """Any numbers, the same for a chain each time: what is timed is that they are read."""
    store.add_model(ModelRow(SCORER, "sorm", SCORER))
    for id in chains:
        if not store.scores(id):
            rng = Random(id)
            store.add_scores(id, SCORER, [round(rng.random(), 3) for _ in range(STEPS)])
