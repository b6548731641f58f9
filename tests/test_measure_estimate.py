"""What a measurement is expected to cost: hand-worked walks, and the first screen's recorded draws."""

from __future__ import annotations

import pytest

from db.store import Store
from db.values import ChainFilter
from stepviz import first_screen, pits
from stepviz.adaptive import Adaptive
from stepviz.measure_cost import read
from stepviz.measure_estimate import CHARACTERS_A_TOKEN, Expected, characters_a_token, expected, of_walk, token_lengths
from stepviz.measure_job import newest_sorm
from stepviz.posterior import PitModel
from stepviz.strategies import STRATEGIES, Walk, replay
from stepviz.types import Continuation
from tests.rollout_cases import chain_of

# A prefix that is alive always succeeds, a dead one never; of two open steps the second is the pit for sure:
# its log odds are 90 · 2/3 = 60, the first one's 90 / 3 − 90 = −60.
SURE = PitModel((1e9, 1e-9), (1e-9, 1e9), (0.0, -90.0, 90.0), (0.0, -90.0, 90.0, 0.0, 0.0))
# The only open step of a chain is the pit as likely as not.
EVEN = PitModel((1e9, 1e-9), (1e-9, 1e9), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0))
SIZES = {0: 30.0, 1: 20.0, 2: 10.0}


def walk_of(m: int, k: int = 4, **fields: object) -> Walk:
    return Walk(tuple(range(1, m + 1)), k, tokens=tuple(SIZES[i] for i in range(m + 1)), **fields)


def cost(name: str, walk: Walk, stored: dict[int, dict[int, bool]] | None = None, model: PitModel = SURE) -> Expected:
    return of_walk(STRATEGIES[name], walk, stored or {}, SIZES, model)


def failures(n: int) -> dict[int, bool]:
    return dict.fromkeys(range(n), False)


def test_exhaustive_is_counted() -> None:
    assert cost("exhaustive", walk_of(2)) == Expected(12, 4 * 30 + 4 * 20 + 4 * 10, exact=True)
    # 4 of prefix 0 are there, 0 and 2 of prefix 1; 9 of prefix 2 are more than asked for
    stored = {0: failures(4), 1: {0: True, 2: False}, 2: failures(9)}
    assert cost("exhaustive", walk_of(2), stored) == Expected(2, 40, exact=True)
    assert of_walk(STRATEGIES["exhaustive"], walk_of(2), {}, SIZES, SURE, paid=(0, 1)) == Expected(4, 40)


@pytest.mark.parametrize("name", ["forward", "bisect", "backward"])
def test_each_walk_costs_one_success_and_four_failures(name: str) -> None:
    """The pit is step 2 for sure: prefix 1 succeeds at once, prefix 2 fails 4 times, in whichever order."""
    assert cost(name, walk_of(2)) == Expected(5, 1 * 20 + 4 * 10, exact=False)


def test_stored_draws_cost_nothing() -> None:
    assert cost("forward", walk_of(2), {2: failures(4)}) == Expected(1, 20, exact=False)
    assert cost("forward", walk_of(2), {1: {0: True}, 2: failures(3)}) == Expected(1, 10, exact=False)
    assert cost("forward", walk_of(2), {1: {0: True}, 2: failures(4)}) == Expected(0, 0, exact=True)


def test_what_is_stored_decides_what_is_expected() -> None:
    """Before any draw the one step is dead or alive with 1/2 each: 8 draws or 1, 4.5 on average. A success says alive;
    a failure, which an alive one never has, dead: then 7 are left."""
    walk = walk_of(1, k=8)
    many = of_walk(STRATEGIES["forward"], walk, {}, SIZES, EVEN, runs=3000)
    assert many.continuations == pytest.approx(4.5, abs=0.2)  # 3.5 / √3000 = 0.064, three times
    assert many.tokens == pytest.approx(20 * many.continuations)
    assert cost("forward", walk, {1: {0: True}}, EVEN).continuations == 0
    assert cost("forward", walk, {1: failures(1)}, EVEN).continuations == pytest.approx(7)


@pytest.mark.parametrize("name", ["forward", "bisect", "adaptive"])
def test_a_right_chain_costs_nothing_where_the_pit_is_asked_for(name: str) -> None:
    strategy = STRATEGIES.get(name) or Adaptive(SURE)
    assert of_walk(strategy, walk_of(2, wrong=False), {}, SIZES, SURE) == Expected()


def test_backward_costs_what_the_chain_itself_does_not_show() -> None:
    assert cost("backward", walk_of(2, wrong=False, own=(True, True))) == Expected()
    # the chain never uses the result of step 2, so hardly any continuation does: 4 failures, and then step 1 stands
    assert cost("backward", walk_of(2, wrong=False, own=(True, False))).continuations == 4


def test_the_same_every_time() -> None:
    walk, strategy = walk_of(2, k=8), Adaptive(pits.shipped())
    once = of_walk(strategy, walk, {}, SIZES, pits.shipped())
    assert once == of_walk(strategy, walk, {}, SIZES, pits.shipped())
    assert 0 < once.continuations < 24


# ---- lengths

TEXT = "Tom has 3 apples.\n3+12=16\n#### 16\n"  # prefixes of 0, 18, 26 characters; 34 in all


def draw(tokens: int, text: str = "", finish: str = "stop") -> Continuation:
    return Continuation("p", "x", "m", "s", 0, 0, text, finish, tokens)


def test_a_continuation_is_as_long_as_those_before_it() -> None:
    chain = chain_of(TEXT, "1")
    here = {1: [draw(10), draw(20)]}
    known = [draw(11, "x" * 30), draw(10, "x" * 30, "length")]  # 60 characters in 20 tokens; one end token beside them
    assert characters_a_token(known) == 3.0
    found = token_lengths(chain, (1, 2), here, known)
    assert found == {0: pytest.approx(34 / 3 + 1), 1: 15.0, 2: pytest.approx(34 / 3 / 3 + 1)}  # at least a step's worth
    assert token_lengths(chain, (1, 2), here, known, most=12) == {0: 12.0, 1: 12.0, 2: found[2]}
    assert token_lengths(chain, (1, 2), {})[0] == pytest.approx(34 / CHARACTERS_A_TOKEN + 1)
    assert characters_a_token([draw(1)]) is None


# ---- on recorded draws


def test_the_estimate_is_near_what_recorded_draws_cost(store: Store) -> None:
    """All wrong chains of the first screen, which were measured exhaustively by a real student: the walks over what was
    recorded, against what was expected without any of it. Within a fifth, draws and tokens."""
    first_screen.seed(store)
    models, k = newest_sorm(store), 8
    strategies = {**STRATEGIES, "adaptive": Adaptive(pits.shipped())}
    spent, said = dict.fromkeys(strategies, 0), dict.fromkeys(strategies, 0.0)
    for row in store.chains_of(ChainFilter(verdict="wrong")):
        problem = store.problem(row.chain.problem_id).problem
        measured = store.measurements(problem.id)[0]
        found = read(store, row, problem, measured.model_id, store.sampling(measured.sampling_id), models)
        for name, strategy in strategies.items():
            walking = found.walking(strategy, k, consistent_only=name == "backward")
            at = found.at(walking)
            table = {i: [walking.succeeds(i, c) for c in draws] for i, draws in at.items()}
            spent[name] += sum(seen.n for seen in replay(strategy, walking.walk, table).values())
            sizes = token_lengths(row.chain, walking.walk.open, {})
            said[name] += expected(walking, {}, sizes, pits.shipped()).continuations
    assert said["exhaustive"] == spent["exhaustive"]
    for name in strategies:
        assert said[name] == pytest.approx(spent[name], rel=0.2), name
    assert said["adaptive"] < said["forward"] < said["backward"] < said["exhaustive"]
