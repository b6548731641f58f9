"""The posterior of pits and values: against the model's definition worked by hand, and its coverage by simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import numpy as np
import pytest
from scipy.special import betaincinv

from stepviz.adaptive import Adaptive, information, labels
from stepviz.posterior import Found, PitModel, posterior
from stepviz.posterior_fit import fit
from stepviz.strategies import Seen, Walk, exhaustive, replay

# alive V ~ Beta(1, 1): a draw succeeds in half of the cases; dead V ~ Beta(1, 9): in a tenth. Every step is as likely
# to be the pit as not, if no earlier one is.
EVEN = PitModel((1.0, 1.0), (1.0, 9.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0, 0.0))
SHARP = PitModel((4.0, 2.0), (0.2, 40.0), (-2.0, 0.0, 2.0), (-2.0, 0.0, 2.0, -0.5, 0.2))


def walk_of(m: int, k: int = 8, **fields: object) -> Walk:
    return Walk(
        tuple(range(1, m + 1)), k, tokens=(float(m + 1), *(float(m + 1 - i) for i in range(1, m + 1))), **fields
    )


def test_before_any_draw_the_chances_are_the_hazards() -> None:
    assert posterior(EVEN, walk_of(2), {}).pit == pytest.approx([0.5, 0.25, 0.25])
    assert posterior(EVEN, walk_of(2), {}).alive == pytest.approx([0.5, 0.25])


def test_scores_move_the_pit() -> None:
    """With weight 1 on the log odds alone, the chance that step i is the pit is its score."""
    scored = walk_of(2, scores=(0.2, 0.9, 0.5))
    assert posterior(EVEN, scored, {}).pit == pytest.approx([0.2, 0.8 * 0.9, 0.8 * 0.1])


def test_a_success_says_alive_by_bayes() -> None:
    # P(success at 1 | E = 1) = 0.1, else 0.5; at prior 0.5, 0.25, 0.25 the sum is 0.3
    found = posterior(EVEN, walk_of(2), {1: Seen(1, 1)})
    assert found.pit == pytest.approx([0.05 / 0.3, 0.125 / 0.3, 0.125 / 0.3])


def test_failures_are_weighed_by_the_beta_binomial() -> None:
    # two failures: alive 1/2 · 2/3 = 1/3; dead 9/10 · 10/11 = 9/11
    found = posterior(EVEN, walk_of(1), {1: Seen(2, 0)})
    assert found.pit[0] == pytest.approx((9 / 11) / (9 / 11 + 1 / 3))


def test_at_most_mixes_the_two_betas() -> None:
    # Beta(1, 3) and Beta(1, 11) after two failures: 1 − (1 − v)^3 and 1 − (1 − v)^11
    found = posterior(EVEN, walk_of(1), {1: Seen(2, 0)})
    dead = found.pit[0]
    expected = (1 - dead) * (1 - 0.95**3) + dead * (1 - 0.95**11)
    assert found.at_most(0.05) == pytest.approx([expected])
    low, high = found.interval(1)
    assert found.at_most(low) == pytest.approx([0.025], abs=1e-4)
    assert found.at_most(high) == pytest.approx([0.975], abs=1e-4)


def test_a_pit_is_certain_only_with_evidence_on_both_sides() -> None:
    walk, sure = walk_of(2), {1: Seen(8, 6), 2: Seen(30, 0)}
    assert posterior(SHARP, walk, sure).found() == Found(2, "certain", pytest.approx(1.0, abs=1e-3))
    assert posterior(SHARP, walk, {2: Seen(30, 0)}).found().sure != "certain"  # what is before it was not seen
    assert posterior(SHARP, walk, {1: Seen(8, 6), 2: Seen(8, 5)}).found()[:2] == (3, "certain")  # the wrong answer
    assert posterior(EVEN, walk_of(4), {}).found().sure == "possible"
    flat = PitModel((1.0, 1.0), (1.0, 9.0), (-1.0, 0.0, 0.0), EVEN.scored)
    assert posterior(flat, walk_of(4), {}).found().sure == "needs more"


def test_information_is_the_expected_fall_of_entropy() -> None:
    """One open step, E = 1 or 2 with 1/2 each: success 0.1 or 0.5, so 0.3 in all."""
    entropy = lambda p: -(p * math.log(p) + (1 - p) * math.log(1 - p))  # noqa: E731
    expected = math.log(2) - 0.3 * entropy(0.05 / 0.3) - 0.7 * entropy(0.45 / 0.7)
    assert information(posterior(EVEN, walk_of(1), {})) == pytest.approx([expected])


def simulated(model: PitModel, walk: Walk, rng: random.Random) -> tuple[int, list[float], dict[int, list[bool]]]:
    """A pit, values and draws as the model says they come."""
    pit = rng.choices(range(1, len(walk.open) + 2), posterior(model, walk, {}).pit)[0]
    values = [rng.betavariate(*(model.alive if i < pit else model.dead)) for i in walk.open]
    table = {i: [rng.random() < v for _ in range(walk.k)] for i, v in zip(walk.open, values, strict=True)}
    return pit, values, {0: [True] * walk.k} | table


@pytest.fixture(scope="module")
def adaptive_runs() -> list[tuple[Walk, int, list[float], Mapping[int, Seen]]]:
    rng = random.Random(3)
    runs = []
    for _ in range(600):
        walk = walk_of(rng.randint(1, 7))
        pit, values, table = simulated(SHARP, walk, rng)
        runs.append((walk, pit, values, replay(Adaptive(SHARP, price=1.0, budget=0.5), walk, table)))
    return runs


def test_intervals_cover_though_the_draws_decided_when_to_stop(adaptive_runs: list) -> None:
    """95 % of the values lie in their intervals, within three standard errors: those of one chain share its pit, so
    the chains are counted."""
    inside = total = 0
    for walk, _, values, seen in adaptive_runs:
        found = posterior(SHARP, walk, seen)
        for i, value in zip(walk.open, values, strict=True):
            low, high = found.interval(i)
            inside, total = inside + (low <= value <= high), total + 1
    assert total > 2000
    assert inside / total == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / len(adaptive_runs)))


def test_claims_are_as_sure_as_they_say(adaptive_runs: list) -> None:
    """Of prefixes called lost at 95 %, at most 5 % have V > 0.05, and probabilities of pits are met as often."""
    claims = wrong = hits = 0
    expected = 0.0
    for walk, pit, values, seen in adaptive_runs:
        for label, value in zip(labels(walk, seen, SHARP), values, strict=True):
            claims, wrong = claims + (label == 0), wrong + (label == 0 and value > 0.05)
        found = posterior(SHARP, walk, seen).found()
        hits, expected = hits + (found.step == pit), expected + found.probability
    assert claims > 200
    assert wrong / claims < 0.05 + 3 * math.sqrt(0.05 * 0.95 / claims)
    assert hits / len(adaptive_runs) == pytest.approx(expected / len(adaptive_runs), abs=0.06)


def test_adaptive_spends_a_part_and_stops_at_its_budget(adaptive_runs: list) -> None:
    for walk, _, _, seen in adaptive_runs:
        cost = sum(at.n * walk.tokens[i] for i, at in seen.items())
        assert cost <= 0.5 * walk.k * sum(walk.tokens)
        at = posterior(SHARP, walk, seen).found(seen.get(0, Seen()))
        assert 0 not in seen or at.step == 1, "the question decides nothing about a later pit"
    spent = sum(at.n for _, _, _, seen in adaptive_runs for at in seen.values())
    assert 0 < spent < 0.5 * sum(walk.k * (len(walk.open) + 1) for walk, *_ in adaptive_runs)


def test_a_pit_at_step_1_asks_whether_the_question_is_alive() -> None:
    """Beta(1, 1) before a draw: P(V[0] > 0.05) = 0.95, below the 0.96 asked for; after a success 1 − 0.05² = 0.9975,
    after one failure 0.95² = 0.9025, after that and a success 1 − P(Beta(2, 2) ≤ 0.05) = 1 − (3 · 0.05² − 2 · 0.05³).
    """
    walk, strategy = walk_of(1, k=60), Adaptive(EVEN, confidence=0.96, budget=2.0)
    lost = {1: Seen(60, 0)}
    assert posterior(EVEN, walk, lost).at_most(0.05)[0] > 0.96
    assert strategy(walk, lost) == {0: 1}
    assert strategy(walk, lost | {0: Seen(1, 1)}) == {}
    assert strategy(walk, lost | {0: Seen(1, 0)}) == {0: 2}
    assert posterior(EVEN, walk, lost).sides(Seen(1, 0))[2] == pytest.approx(0.9025)
    assert posterior(EVEN, walk, lost).sides(Seen(2, 1))[2] == pytest.approx(1 - (3 * 0.05**2 - 2 * 0.05**3))
    assert strategy(walk, lost | {0: Seen(2, 1)}) == {}
    assert strategy(walk, lost | {0: Seen(60, 0)}) == {}, "no more than k draws, and no claim"
    assert Adaptive(EVEN, confidence=0.96, budget=0.34)(walk, lost) == {}, "step 1 has cost a third"


def test_a_right_chain_costs_nothing() -> None:
    walk = walk_of(3, wrong=False)
    assert replay(Adaptive(SHARP), walk, {}) == {}
    assert labels(walk, {}, SHARP) == (1, 1, 1)


def test_a_prefix_that_cannot_be_continued_gets_no_draws() -> None:
    seen = {i: Seen(failed=True) for i in (1, 2, 3)}
    assert Adaptive(SHARP, price=0.0)(walk_of(3), seen) == {}


def test_fit_finds_the_model_that_made_the_draws() -> None:
    rng = random.Random(5)
    made = []
    for _ in range(500):
        walk = walk_of(rng.randint(2, 6), k=12)
        _, _, table = simulated(SHARP, walk, rng)
        seen = replay(exhaustive, walk, table)
        made.append((walk, {i: at for i, at in seen.items() if i}))
    found = fit(made)
    mean = lambda beta: beta[0] / sum(beta)  # noqa: E731
    assert mean(found.alive) == pytest.approx(mean(SHARP.alive), abs=0.03)
    assert mean(found.dead) == pytest.approx(mean(SHARP.dead), abs=0.01)
    walk = walk_of(4)
    assert posterior(found, walk, {}).pit == pytest.approx(posterior(SHARP, walk, {}).pit, abs=0.06)
    assert found.scored == (*found.unscored, 0.0, 0.0)  # nothing was scored


def test_the_betas_quantiles_are_scipys() -> None:
    """Where the pit is sure the interval is that of one Beta: all successes after step 1 say that it is alive."""
    found = posterior(SHARP, walk_of(2), {1: Seen(8, 8), 2: Seen(8, 8)})
    assert found.interval(1) == pytest.approx(betaincinv(12.0, 2.0, np.array([0.025, 0.975])), abs=1e-3)
