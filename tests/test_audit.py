"""The audit's premises against tables worked by hand, on one small graph whose numbers are checked beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from stepviz import audit
from stepviz.audit import Premise
from stepviz.audit_draws import Measured, Sampled, judged, measure, whole
from stepviz.types import Completion, Problem, Request, Sampling
from stepviz.world import exact_for
from stepviz.world.graph import Derivation, Graph, Quantity

# Ann has 6 bags of 25 beads, 18 red and 7 blue ones each, and gives 12 away. Two routes to all her beads: 6*25, or
# 6*18 + 6*7. 13 packets are true, and of no use; half of what is left comes after the target.
GRAPH = Graph(
    quantities=(
        Quantity("bags", Fraction(6), given=True),  # 0
        Quantity("red beads a bag", Fraction(18), given=True),  # 1
        Quantity("blue beads a bag", Fraction(7), given=True),  # 2
        Quantity("beads in each bag", Fraction(25)),  # 3
        Quantity("red beads in all", Fraction(108)),  # 4
        Quantity("blue beads in all", Fraction(42)),  # 5
        Quantity("Ann's beads", Fraction(150)),  # 6
        Quantity("beads given away", Fraction(12), given=True),  # 7
        Quantity("beads left", Fraction(138)),  # 8, the target
        Quantity("packets", Fraction(13)),  # 9
        Quantity("beads for each of two", Fraction(69)),  # 10
    ),
    derivations=(
        Derivation(10, "#8/2", "share"),  # the order of derivations must not matter
        Derivation(6, "#4+#5", "add"),
        Derivation(6, "#0*#3", "times"),
        Derivation(3, "#1+#2", "add"),
        Derivation(4, "#0*#1", "times"),
        Derivation(5, "#0*#2", "times"),
        Derivation(8, "#6-#7", "take"),
        Derivation(9, "#0+#2", "add"),
    ),
    target=8,
)
EACH, RED, BLUE = "18+7=25 beads in each bag", "6*18=108 red beads in all", "6*7=42 blue beads in all"
ALL, LEFT, PACKETS = "6*25=150 Ann's beads", "150-12=138 beads left", "6+7=13 packets"
SLIP, SLIPPED, SLIP_LEFT = "18+7=26 beads in each bag", "6*26=156 Ann's beads", "156-12=144 beads left"

RIGHT = (EACH, ALL, LEFT, "#### 138")  # solvable throughout
FALLS_AT_2 = (SLIP, SLIPPED, SLIP_LEFT, "#### 144")  # the slip is recoverable by red and blue beads
FALLS_AT_3 = (EACH, ALL, "150+12=162 beads left", "#### 162")
STOPS = (EACH, ALL, "#### 150")  # pit 3, its last step
LUCKY = (SLIP, RED, BLUE, "108+42=150 Ann's beads", LEFT, "#### 138")
CUT_OFF = (EACH,)


def problem(question: str = "How many beads are left?", graph: Graph = GRAPH) -> Problem:
    return Problem(question, "138", source="embedded", key="hand/1", meta={"world": graph.to_json()})


def chain(steps: Sequence[str], of: Problem | None = None) -> Sampled:
    p = of or problem()
    return judged(p, "\n".join(steps), exact_for(p))


def measured(steps: Sequence[str], *draws: Sequence[int]) -> Measured:
    return Measured(chain(steps), tuple(tuple(map(bool, d)) for d in draws))


def half(first: int, second: int) -> list[int]:
    """16 draws: so many successes of the first eight, which make the raw label, and of the other eight."""
    return [1] * first + [0] * (8 - first) + [1] * second + [0] * (8 - second)


def figures(premises: Sequence[Premise]) -> list[tuple[float, int]]:
    return [(p.measured, p.n) for p in premises]


def test_the_chains_fall_where_the_tables_say() -> None:
    pits = [chain(c).judgement.exact_pit for c in (RIGHT, FALLS_AT_2, FALLS_AT_3, STOPS, LUCKY, CUT_OFF)]
    assert pits == [None, 2, 3, 3, None, None]
    assert chain(LUCKY).judgement.lucky
    assert not chain(CUT_OFF).judgement.finished


def test_labels() -> None:
    """| chain      | prefix | V     | solvable | raw |
    | FALLS_AT_2 | 0 1 2 3 | 10/16 6/16 1/16 1/16 | 1 1 0 0 | – 1 1 0 |  (the last success is the ninth draw)
    | RIGHT      | 0 1 2 3 | 8/16 2/16 4/16 16/16 | 1 1 1 1 | – 0 1 1 |
    | CUT_OFF    | 0 1     | 0 0                  | 1 1     | – 0     |
    """
    weak, false, late, position = audit.labels([
        measured(FALLS_AT_2, half(5, 5), half(3, 3), half(1, 0), half(0, 1)),
        measured(RIGHT, half(4, 4), half(0, 2), half(2, 2), half(8, 8)),
        measured(CUT_OFF, half(0, 0), half(0, 0)),
    ])  # fmt: skip
    assert (weak.measured, weak.n) == (5 / 8, 8)  # 6/16, 2/16, 4/16, 0, 0 of the eight solvable ones; 8/16 is not below
    assert (false.measured, false.n) == (1 / 4, 4)  # FALLS_AT_2 after step 2
    assert (late.measured, late.n) == (pytest.approx(1 / 7), 7)  # RIGHT after step 1
    # positives stand at 1, 2, 2, 3 and negatives at 3, 1, 1; earlier is better: (3½ + ½ + ½) / 12
    assert position.measured == pytest.approx(4.5 / 12)
    assert [p.holds for p in (weak, false, late, position)] == [True, True, True, False]


def test_pits() -> None:
    votes = [[chain(FALLS_AT_2), chain(FALLS_AT_2), chain(FALLS_AT_2), chain(FALLS_AT_3)],
             [chain(STOPS), chain(LUCKY), chain(RIGHT), chain(CUT_OFF)]]  # fmt: skip
    spread, roomy, lucky = audit.pits(votes)
    assert (spread.measured, spread.n) == (pytest.approx(2 / 5), 5)  # pits 2 2 2 3 3
    # before the pit FALLS_AT_2 has no correct step; after STOPS's there is none
    assert (roomy.measured, roomy.n) == (1 / 5, 5)
    assert (lucky.measured, lucky.n) == (1 / 8, 8)
    assert figures(list(audit.pits([[chain(RIGHT)]]))) == [(1, 0), (0, 0), (0, 1)]


def test_critical() -> None:
    """Four draws a prefix: the first two find the jump, the others say how large it is."""
    all_, one, none = [1, 1], [1, 0], [0, 0]
    rows = {
        "stands out": measured(FALLS_AT_3, all_ + all_, all_ + all_, none + none, none + none),  # 0 1 0 0
        "twice the mean": measured(FALLS_AT_2, all_ + all_, one + one, none + none, none + none),  # ½ ½ 0 0
        "the answer's own": measured(RIGHT, none + none, none + none, none + none, none + none),  # 0 0 0 1
        "noise": measured(RIGHT, one + all_, all_ + all_, all_ + none, all_ + all_),  # found at 1, where the rest is 0
        "flat": measured((EACH, RED, BLUE, "108+42=150 Ann's beads"), *[one + one] * 5),
        "too short": measured(STOPS, all_ + all_, all_ + all_, none + none),
    }
    alone = {name: audit.critical([row]).measured for name, row in rows.items()}
    assert alone == {"stands out": 1, "twice the mean": 1, "the answer's own": 1, "noise": 0, "flat": 0, "too short": 0}
    assert figures([audit.critical(list(rows.values()))]) == [(3 / 5, 5)]


def test_ballots() -> None:
    def group(*chains: Sequence[str]) -> list[Sampled]:
        return [chain(c) for c in chains]

    votes = [
        group(STOPS, RIGHT, STOPS),  # 150 is elected, 138 was there
        group(RIGHT, STOPS, RIGHT),
        group(FALLS_AT_2, FALLS_AT_3, STOPS),
        group(CUT_OFF, CUT_OFF),
        group(CUT_OFF, CUT_OFF, LUCKY),  # what has no answer does not vote
    ]
    assert figures([audit.ballots(votes)]) == [(pytest.approx(3 / 5 - 2 / 5), 5)]


def test_overview() -> None:
    repaired = (SLIP, "No, that is wrong. " + EACH, ALL, LEFT, "#### 138")
    chains = [chain(c) for c in (RIGHT, LUCKY, repaired, FALLS_AT_2, CUT_OFF)]
    assert audit.overview(chains) == {
        "accuracy": 0.6, "unreadable_steps": 0.0, "lucky": 0.4, "lucky_with_repair": 0.2, "unfinished": 0.2
    }  # fmt: skip


def with_blue(blue: int) -> Graph:
    """The graph with another number of blue beads a bag, and all that follows from it."""
    values = {2: blue, 3: 18 + blue, 5: 6 * blue, 6: 6 * (18 + blue), 8: 6 * (18 + blue) - 12, 9: 6 + blue}
    quantities = tuple(
        replace(q, value=Fraction(values[i])) if i in values else q for i, q in enumerate(GRAPH.quantities)
    )
    return replace(GRAPH, quantities=quantities)


def test_routes_differ_in_a_hard_operation() -> None:
    """Hard: a product of two significant digits with more than a small factor (3 or more)."""
    assert not audit.differing_routes(GRAPH)  # 6*25 against 6*18, with 6*7: one hard each
    assert audit.differing_routes(with_blue(12))  # 6*30 is 6*3: none, against 6*18 and 6*12
    problems = [problem(), problem("Another?", with_blue(12)), problem("A third?", with_blue(12))]
    assert figures(list(audit.routes(problems))) == [(pytest.approx(2 / 3), 3)]


# ---- subgoals

AT_EACH = "18+7=<<18+7=25>>25 beads in each bag\n"
AT_RED, AT_BLUE = "6*18=<<6*18=108>>108 red beads in all\n", "6*7=<<6*7=42>>42 blue beads in all\n"
AT_PACKETS = "6+7=<<6+7=13>>13 packets\n"
AT_ALL = AT_EACH + "6*25=<<6*25=150>>150 Ann's beads\n"  # two steps; by red and blue beads it would be three


def test_subgoal_states_are_the_shortest_ways_to_all_but_the_target_and_what_needs_it() -> None:
    states = audit.subgoal_states(GRAPH)
    assert sorted(states) == sorted([AT_EACH, AT_RED, AT_BLUE, AT_PACKETS, AT_ALL])
    assert states[-1] == AT_ALL  # nearest to the question first
    one_step = Graph((*GRAPH.quantities[:3], Quantity("beads", Fraction(25))), (Derivation(3, "#1+#2", "add"),), 3)
    assert audit.subgoal_states(one_step) == []


def test_gap_is_picked_on_one_half_and_compared_on_the_other() -> None:
    assert audit._gap([(0.5, 0.4), (1.0, 0.9), (0.0, 0.1)]) == pytest.approx(0.8)
    assert audit._gap([(0.9, 0.2), (0.1, 0.6)]) == pytest.approx(-0.4)
    assert audit._gap([(0.5, 0.0), (0.5, 1.0)]) == 0  # nothing to pick by: one and the same state


class Scripted:
    """An engine whose text of the j-th draw from a prefix is known."""

    spec, device, context, model_id = "fake:scripted", "cpu", 4096, "scripted@1"

    def __init__(self, write: Callable[[Request, int], str]) -> None:
        self.write = write
        self.drawn: dict[tuple[str, str], int] = {}
        self.seeds: set[int] = set()

    def generate(self, requests: Sequence[Request], sampling: Sampling, **_: Any) -> list[Completion]:
        return [Completion(self._text(r), "stop", 5) for r in requests]

    def _text(self, request: Request) -> str:
        assert request.seed not in self.seeds, "every draw has a seed of its own"
        self.seeds.add(request.seed)
        at = (request.question, request.prefix)
        self.drawn[at] = self.drawn.get(at, 0) + 1
        return self.write(request, self.drawn[at] - 1)

    def close(self) -> None:
        pass


def test_subgoals() -> None:
    lost = {"near": {AT_PACKETS}, "far": {AT_ALL}, "neither": set(), "late": set()}

    def write(request: Request, j: int) -> str:
        if request.question == "late" and request.prefix == AT_RED and j >= 2:
            return "#### 150"  # lost on the half that does not choose: no gap is claimed
        return "#### 150" if request.prefix in lost[request.question] else "#### 138"

    simple = Graph((*GRAPH.quantities[:3], Quantity("beads", Fraction(25))), (Derivation(3, "#1+#2", "add"),), 3)
    problems = [*(problem(name) for name in lost), problem("nothing to choose from", simple)]
    engine = Scripted(write)
    premise, beside = audit.subgoals(engine, problems, 4, Sampling())
    assert (premise.measured, premise.n) == (2 / 4, 4)  # near, far
    assert beside == {"subgoals_one_step_away": 1 / 4}  # near: Ann's beads are two steps away
    assert set(engine.drawn.values()) == {4}
    assert len(engine.drawn) == 4 * 5


# ---- draws


def test_measure_draws_from_every_prefix_without_an_answer() -> None:
    """Right from the question on even draws, from step 1 always, from step 2 never."""
    texts = {0: lambda j: "#### 138" if j % 2 == 0 else "#### 150", 1: lambda _: "#### 138", 2: lambda _: "#### 150"}
    engine = Scripted(lambda request, j: texts[request.prefix.count("\n")](j))
    found, cut = measure(engine, [chain(STOPS, problem("one")), chain(CUT_OFF, problem("two"))], 4, Sampling())
    assert found.draws == ((True, False, True, False), (True,) * 4, (False,) * 4)
    assert found.values == [0.5, 1, 0]
    assert cut.draws == found.draws[:2]


def test_a_number_that_the_limit_cut_in_two_is_not_read() -> None:
    assert whole(Completion("6*25=150\n#### 14", "length", 9)) == "6*25=150\n#### "
    assert whole(Completion("#### 14 ", "length", 9)) == "#### 14 "
    assert whole(Completion("#### 14", "stop", 9)) == "#### 14"
