"""GLoRe's tables of refinement on hand-made tries: what is fixed, what is right in the end, and its tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.reproduce_cases import false_first, right, shared, three_drafts, two_steps
from training.reproduce import glore_arms, glore_fixed, glore_refine
from training.reproduce.glore_data import Judged
from training.reproduce.work import Clock, Work


@pytest.fixture(scope="module")
def drafts() -> list[Judged]:
    return three_drafts()


def test_the_place_of_a_local_refinement() -> None:
    assert glore_refine.place([0.9, 0.5, 0.1]) == 2
    assert glore_refine.place([0.9, 0.7, 0.8]) == 2  # nothing is flagged: the lowest


def refined(drafts: Sequence[Judged], first: list[Any], local: list[Any], scores: list[list[float]]) -> Any:
    def way(tries: list[Any], tokens: int) -> glore_refine.Way:
        found = [t and replace(t, tokens=tokens) for t in tries]
        return glore_refine.Way("", found, [tokens] * len(found))

    ways = {"global": way(first, 10), "local, SORM": way(local, 20), "local, ORM": way(first, 10)}
    ways |= {f"{name}, again": way([None] * len(drafts), 0) for name in ("global", "local, SORM")}
    ways["local, exact pit (oracle)"] = way(local, 20)
    named = dict(zip(("draft", "global", "local, SORM"), scores, strict=True))
    places = {"local, SORM": [2] * len(drafts)}
    return glore_refine.Refined(ways, places, named, [[] for _ in drafts])


def test_what_is_fixed_and_what_is_right_in_the_end_by_hand(drafts: list[Judged], tmp_path: Path) -> None:
    a, b, _ = drafts
    other = false_first(two_steps(4)[3])
    wrong = [b, other]
    samples = [[right(d.problem)] * 3 if d is b else [false_first(d.problem)] * 3 for d in (a, b, other)]
    world = shared([a, *wrong], samples=samples)
    # of the two wrong drafts the global one fixes the first, the local one the second; the global one breaks a
    first = [false_first(a.problem), right(b.problem), None]
    local = [a, b, right(other.problem)]
    one = refined(world.test, first, local, [[0.9, 0.2, 0.3], [0.8, 0.1, 0.0], [0.9, 0.1, 0.6]])
    fixed = {name: rows.mean() for name, rows in glore_fixed.fixed([one], world).items()}
    assert fixed["global"] == 0.5
    assert fixed["local, SORM"] == 0.5
    assert fixed["either"] == 1.0
    assert fixed["global twice"] == 0.5
    assert fixed["two samples of the student"] == 0.5
    assert fixed[glore_fixed.BEFORE] == 0.0
    which, three = [0, 1, 2], [0.1, 0.2, 0.3] * 3  # all drafts
    kept = glore_fixed._kept(one, world, which, three)
    assert kept["draft"] == [True, False, False]
    assert kept["global, every draft"] == [False, True, False]
    # the gate keeps the draft with .9 and refines those with .2 and .3
    assert kept["global, ORM gate"] == [True, True, False]
    # the ORM takes a (.9, the draft wins the tie), then the draft b (.2 over .1 and .1), then the local one (.6)
    assert kept["draft, global, local: ORM's pick"] == [True, False, True]
    assert kept["draft, global: ORM's pick"] == [True, False, False]  # of the last draft there is no global one
    assert kept["draft, local, SORM: ORM's pick"] == [True, False, True]
    assert kept["draft, global, local: any (oracle)"] == [True, True, True]
    assert kept["best of three samples"] == [False, True, False]
    cost = glore_fixed._kept_tokens(one, world, which)
    assert cost["global, ORM gate"] == pytest.approx(2 / 3 * 10)
    assert cost["draft, global, local: ORM's pick"] == 10 + 20
    assert cost["draft, local, SORM: ORM's pick"] == 20


def test_either_gets_a_second_try_where_local_is_global(drafts: list[Judged]) -> None:
    """Of two wrong drafts the SORM flags step 1 of the first: there local is global, and global's second try is right.

    b: E = 1, both tries wrong, the second global one right. other: E = 2, the local one right, global never.
    """
    b, other = drafts[1], false_first(two_steps(4)[3])
    world = shared([b, other], samples=[[b] * 3, [other] * 3])
    one = refined(world.test, [b, other], [b, right(other.problem)], [[0.1] * 2] * 3)
    one.places["local, SORM"][:] = [1, 2]
    again = [right(b.problem), other]
    one.ways["global, again"] = glore_refine.Way("", [*again], [7, 9])
    found = glore_fixed.fixed([one], world)
    assert found["either"].tolist() == [[0, 1]]
    assert found["global twice"].tolist() == [[1, 0]]
    assert found[glore_fixed.TWO].tolist() == [[1, 1]]
    later = glore_fixed.later([one], world)
    assert later.tolist() == [[0, 1]]
    rows = {row["contrast"]: row for row in glore_fixed.fixed_contrasts(found, later)}
    assert rows["either − global twice"]["points [95 %]"].startswith("0.0 ")
    assert rows[f"{glore_fixed.TWO} − global twice"]["points [95 %]"].startswith("50.0 ")
    alone = rows["either − global twice, where E is after step 1"]
    assert (alone["points [95 %]"].split()[0], alone["drafts"]) == ("100.0", 1)
    # global 10 a draft, local 20 where it is another text (one of two), global again 7 for the one whose E is 1
    assert glore_fixed._costs([one], world)[glore_fixed.TWO] == round(10 + 20 / 2 + 7 / 2)


def test_a_refinement_that_was_cut_off_was_sampled(
    drafts: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 tokens up to the limit: no try, and 300 tokens; (300 + 40 + 0) / 3 with a draft that was not tried."""
    a, b, _ = drafts
    written = {a: ("12", False, 300), b: ("\n".join(right(b.problem).steps), True, 40)}
    monkeypatch.setattr(glore_refine.Writer, "_texts", lambda self, prompts: list(written.values()))
    model = glore_arms.Trained("refiner", "hf:m", "m", 0)
    way = glore_refine.Writer(Work(tmp_path), "s", model, drafts).write("global", drafts, [None] * 3, [0, 1])
    assert [t is None for t in way.tries] == [True, False, True]
    assert way.spent == [300, 40, 0]
    assert way.tokens([0, 1, 2]) == pytest.approx(340 / 3)


def test_a_mark_that_the_refiner_repeats_is_no_part_of_its_solution(
    drafts: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = drafts[0]
    text = "[BAD] " + "\n".join(right(a.problem).steps)
    monkeypatch.setattr(glore_refine.Writer, "_texts", lambda self, prompts: [(text, True, 40)])
    model = glore_arms.Trained("refiner", "hf:m", "m", 0)
    way = glore_refine.Writer(Work(tmp_path), "s", model, [a]).write("global", [a], [None], [0])
    assert way.right() == [True]


def test_a_stage_takes_what_all_calls_took_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 10.0, 12.0, 100.0, 100.0, 130.0, 130.0, 135.0])
    monkeypatch.setattr("training.reproduce.work.time.monotonic", lambda: next(now))
    first = Clock(tmp_path)
    first.start("shared")
    first.tick()
    first.tick()  # … and is killed
    again = Clock(tmp_path)
    again.start("shared")
    again.tick()
    again.start("seed 0")
    again.tick()
    assert json.loads((tmp_path / "seconds.json").read_text("utf-8")) == {"shared": 12 + 30, "seed 0": 5}


def test_tokens_are_over_the_drafts_that_the_share_is_of(drafts: list[Judged], tmp_path: Path) -> None:
    """a is right (spent 7 on it), b and c wrong (spent 100 and 300, cut off); two seeds, the second at half of it."""
    a, b, c = drafts[0], drafts[1], false_first(drafts[2].problem)
    drawn = [[replace(right(d.problem), tokens=t) for t in (1, 2, 6)] for d in (a, b, c)]
    world = shared([a, b, c], samples=drawn)
    world.test[:] = [replace(d, tokens=t) for d, t in zip((a, b, c), (10, 20, 30), strict=True)]
    scores = [[0.9, 0.2, 0.9]] * 3
    seeds = []
    for half in (1, 2):
        one = refined(world.test, [a, b, None], [a, b, None], scores)
        for name in ("global", "local, SORM"):
            one.ways[name].spent[:] = [7, 100 // half, 300 // half]
        one.samples[:] = [[], [replace(b, tokens=5), replace(b, tokens=9)], []]
        seeds.append(one)
    cost = glore_fixed._costs(seeds, world)
    assert cost["global"] == 150  # (100 + 300) / 2 and half of it, without the right draft's 7
    assert cost["either"] == 300
    seeds[0].places["local, SORM"][1] = 1  # the same text as the global one: its 100 are spent once
    assert glore_fixed._costs(seeds, world)["either"] == 300 - 100 / 2 / 2
    seeds[0].places["local, SORM"][1] = 2
    assert cost["two samples of the student"] == 3
    assert cost[glore_fixed.BEFORE] == 7  # 14 for one of two wrong drafts
    whole = glore_fixed._kept_tokens(seeds[0], world, [0, 1, 2])
    assert whole["draft"] == 20
    assert whole["global, every draft"] == pytest.approx(20 + 407 / 3)
    assert whole["global, ORM gate"] == pytest.approx(20 + 100 / 3)  # only b is doubted
    assert whole["draft and two samples: ORM's pick"] == 20 + 3
    assert whole["best of three samples"] == 9


def test_tokens_in_the_end_are_the_mean_of_all_seeds(
    drafts: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = shared(drafts, samples=[[right(d.problem)] * 3 for d in drafts])
    monkeypatch.setattr(glore_fixed, "score", lambda *rest: [[0.5]] * 9)
    seeds = [refined(drafts, drafts, drafts, [[0.9] * 3] * 3) for _ in range(2)]
    seeds[0].ways["global"].spent[:] = [40, 40, 40]  # the other seed: 10 each
    found = glore_fixed.kept(Work(tmp_path), [{"orm": None}] * 2, seeds, world)  # type: ignore[dict-item]
    assert found["global, every draft"][1] == 25
