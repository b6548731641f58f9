"""A store in which people, a scorer and the exact judge can be held against each other; every number by hand.

One embedded problem (six derivations and the answer), of which there are a right chain and a wrong one: its first step
is false, which all that follows inherits. ana finds every step of both fine, bob is right about the right chain and
sees the error of the wrong one at step 2. The scorer doubts the wrong chain's first step alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from db.store import Store
from db.values import ModelRow
from stepviz.types import Annotation, Chain, SourceItem
from stepviz.world import embedded_problems
from tests import study_cases
from tests.store_cases import WRONG, chain, problem

SCORER = "hf:tiny/sorm"
N = 7  # steps of each chain


@dataclass
class World:
    problem: str
    right: str
    wrong: str


def fill(store: Store) -> World:
    of = list(embedded_problems("test", 2))[1]
    right = chain(of, "right", of.solution)
    wrong = chain(of, "wrong", of.solution.replace("13+17=<<13+17=30>>30", "13+17=<<13+17=31>>31"))
    assert right.n == wrong.n == N
    store.add_items([SourceItem(of, (right, wrong))], {wrong.id: WRONG})
    for c in (right, wrong):
        for step in range(1, N + 1):
            store.add_annotation(Annotation(c.id, "ana", "correct", step, 1))
    store.add_annotation(Annotation(right.id, "bob", "first_error", 0, None))
    store.add_annotation(Annotation(wrong.id, "bob", "first_error", 0, 2))
    store.add_model(ModelRow("tiny/sorm@1", "sorm", SCORER))
    scored(store, right, 0.9)
    scored(store, wrong, 0.2)
    return World(of.id, right.id, wrong.id)


def scored(store: Store, of: Chain, first: float) -> None:
    store.add_scores(of.id, "tiny/sorm@1", (first, *[0.8] * (N - 1)))


def study(store: Store) -> None:
    """Four chains of two steps, labelled by three people in two arms and scored; what they say is worked in
    tests/test_agree_study.py."""
    problems = [problem(f"What is {i} + 0?", key=f"study/{i}", source="svamp" if i == 3 else "gsm8k") for i in range(4)]
    chains = [chain(of, text="two steps\nA: 5") for of in problems]
    store.add_items([SourceItem(of, (c,)) for of, c in zip(problems, chains, strict=True)])
    for c, first in zip(chains, (0, 2, 2, 0), strict=True):
        store.add_scores(c.id, "tiny/sorm@1", tuple(0.1 if i == first else 0.9 for i in (1, 2)))
    made = study_cases.made(store, [c.id for c in chains], people=9)
    said_by = {"ana": (0, 1, 2, 0), "bob": (0, 1, 2, 0), "eve": (0, 1, 0, 1)}  # the first error, 0: none
    for who, firsts in said_by.items():
        arm = "blind" if who == "ana" else "scores"
        for first in firsts:
            said = {1: 1, 2: 1} if not first else {1: 1, 2: -1} if first == 2 else {1: -1}
            study_cases.labelled(store, made, who, said, arm=arm)
    study_cases.settled(store, made, chains[3].id, {1: -1})
