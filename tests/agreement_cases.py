"""A store in which people, a scorer and the exact judge can be held against each other; every number by hand.

One embedded problem (six derivations and the answer), of which there are a right chain and a wrong one: its first step
is false, which all that follows inherits. ana finds every step of both fine, bob is right about the right chain and
sees the error of the wrong one at step 2. The scorer doubts the wrong chain's first step alone.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from db.store import Store
from db.values import ModelRow
from stepviz.types import Annotation, Chain, SourceItem
from stepviz.ui.agreement_at import Door
from stepviz.ui.agreement_page import Agreement
from stepviz.ui.explore import Explore
from stepviz.ui.hearing import Hearing
from stepviz.world import embedded_problems
from tests import study_cases
from tests.page_cases import said, sender
from tests.store_cases import WRONG, chain, problem

SCORER = "hf:tiny/sorm"
N = 7  # steps of each chain
EXACT_BOB, EXACT_SCORER = "?a=exact&b=bob", f"?a=exact&b={SCORER}"
send, explore = sender(Agreement), sender(Explore)


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


# ---- what the pages show of it


def wait_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers wait until what is asked for is computed, however busy the machine is; no interval is looked at."""
    monkeypatch.setattr("stepviz.agreement.resampling.DRAWS", 20)
    waits = Hearing.ask
    monkeypatch.setattr(
        Hearing,
        "ask",
        lambda self, key, compute, total=0, wait_s=0.0, anew=True: waits(self, key, compute, total, 60, anew),
    )


def told(store: Store, at: str) -> str:
    page = send(store, "open", at)
    assert said(page) == ""
    return page.html["areport"] + page.html["amore"]


def numbers(report: str) -> dict[str, str]:
    """Each number's text by its name: `localisation.exact` → `0`."""
    rows = re.findall(r'data-number="([^"]+)">.*?<b class="num[^"]*">([^<]*)</b>', report)
    return dict(rows)


def doors(report: str) -> list[tuple[str, str]]:
    """(address, what stands on it), each door of a page."""
    found = re.findall(r'<a class="door[^"]*" href="([^"]*)"[^>]*>([^<]*)</a>', report)
    return [(html.unescape(link), text) for link, text in found]


def asked(of: Door) -> str:
    return urlsplit(of.query).query


def behind(store: Store, link: str) -> tuple[str, int, int, int]:
    """What Explore shows at a door: its bar's words, things, pairs of labels, chains."""
    shown = explore(store, "chains", urlsplit(link).query).html["chains"]
    counts = re.search(r'data-things="(\d+)" data-pairs="(\d+)" data-chains="(\d+)"', shown)
    assert counts, shown
    listed = len(re.findall(r'<a class="crow dw', shown))
    assert listed == min(50, int(counts[3]))
    words = html.unescape(re.sub(r"<[^>]+>", " ", re.search(r'<div class="doorbar".*?</p>', shown)[0]))
    return " ".join(words.split()), *(int(n) for n in counts.groups())
