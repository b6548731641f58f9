"""Agreement of judges: coefficients against published examples and the libraries, counts against hand-worked chains."""

from __future__ import annotations

import json
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from stepviz.agreement import coefficients, first_errors, scores, step_labels
from stepviz.agreement.opinions import BAD, GOOD, NEUTRAL, NONE_WRONG, of_first_error, of_ratings, of_scores
from stepviz.agreement.recalibration import fit, read
from stepviz.agreement.square import CELLS, square
from stepviz.agreement.tables import Said, among, between


def test_a_first_error_says_nothing_of_the_steps_after_it() -> None:
    assert of_first_error("p", "c", "ana", 4, 2).steps == (GOOD, BAD, None, None)
    assert of_first_error("p", "c", "ana", 2, None).steps == (GOOD, GOOD)
    assert of_first_error("p", "c", "ana", 2, None).first == NONE_WRONG
    with pytest.raises(ValueError, match="step 3 of a chain of 2"):
        of_first_error("p", "c", "ana", 2, 3)


@pytest.mark.parametrize(
    ("ratings", "to_first", "steps", "first"),
    [
        ((1, 0, 1), True, (1, 0, 1), 0),  # PRM800K's 0 is no error
        ((1, -1, 1), True, (1, -1, None), 2),
        ((1, -1, 1), False, (1, -1, 1), 2),  # it can be solved again: a repair
        ((None, -1, None), True, (None, -1, None), None),  # step 1 may be the first
        ((1, None), True, (1, None), None),
        ((1, -1, None), True, (1, -1, None), 2),
        ((), True, (), 0),
    ],
)
def test_ratings_say_where_the_first_error_is_if_all_before_it_are_rated(
    ratings: tuple[int | None, ...], to_first: bool, steps: tuple[int | None, ...], first: int | None
) -> None:
    found = of_ratings("p", "c", "ana", ratings, to_first=to_first)
    assert (found.steps, found.first) == (steps, first)


def test_a_scorers_step_at_the_threshold_is_wrong() -> None:
    assert of_scores("p", "c", "sorm", (0.9, 0.5, 0.7), 0.5).first == 2
    assert of_scores("p", "c", "sorm", (0.9, 0.51), 0.5).first == NONE_WRONG


def pairs(table: list[list[int]]) -> tuple[list[int], list[int]]:
    rows = [(a, b) for a, row in enumerate(table) for b, n in enumerate(row) for _ in range(n)]
    return [a for a, _ in rows], [b for _, b in rows]


def said(judge: str, labels: list[int], problem: str = "") -> list[Said]:
    """A thing a problem unless one is named."""
    return [Said(problem or f"p{i}", (problem, i), judge, label) for i, label in enumerate(labels)]


def test_kappa_and_ac1_of_a_table_worked_by_hand() -> None:
    """20 5 / 10 15: observed .70; Cohen's chance .5·.6 + .5·.4 = .50, Gwet's 2·.55·.45 = .495."""
    a, b = pairs([[20, 5], [10, 15]])
    tables = between(said("a", a), said("b", b), 2)
    assert tables.n == (50,)
    assert float(coefficients.observed(tables.whole())) == pytest.approx(0.7)
    assert float(coefficients.kappa(tables.whole())) == pytest.approx(0.4) == cohen_kappa_score(a, b)
    assert float(coefficients.ac1(tables.whole())) == pytest.approx(0.205 / 0.505)


def test_alpha_of_krippendorffs_own_example() -> None:
    """Two observers, ten units, two values: 0.095 (Krippendorff 2011, section B)."""
    a, b = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    tables = among([*said("a", a), *said("b", b)], 2)
    assert float(coefficients.alpha(tables.whole("labels"))) == pytest.approx(0.095, abs=5e-4)


def test_alpha_of_many_judges_is_the_librarys(rng: np.random.Generator) -> None:
    found, table = [], np.full((5, 40), np.nan)
    for judge in range(5):
        for i in np.flatnonzero(rng.random(40) < 0.6):
            table[judge, i] = rng.integers(3) if rng.random() < 0.5 else i % 3
            found.append(Said(f"p{i // 2}", int(i), f"j{judge}", int(table[judge, i])))
    mine = float(coefficients.alpha(among(found, 3).whole("labels")))
    assert mine == pytest.approx(krippendorff.alpha(table, level_of_measurement="nominal"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_what_is_undefined_says_why() -> None:
    constant = between(said("a", [0, 0, 0, 0]), said("b", [0, 1, 0, 1]), 2)
    assert constant.number(coefficients.kappa, coefficients.why_no_kappa).why == coefficients.CONSTANT
    one = between(said("a", [0, 0]), said("b", [0, 0]), 2)
    assert one.number(coefficients.kappa, coefficients.why_no_kappa).why == coefficients.ONE_CATEGORY
    alone = one.number(coefficients.alpha, coefficients.why_no_alpha, "labels")
    assert (alone.value, alone.why) == (None, coefficients.ONE_CATEGORY)
    nothing = between(said("a", [0]), [], 2).number(coefficients.kappa, coefficients.why_no_kappa)
    assert (nothing.value, nothing.n, nothing.why) == (None, 0, "nothing was labelled by both")


def test_an_interval_draws_problems_again_and_not_things(rng: np.random.Generator) -> None:
    """Forty problems of ten things that agree all or none: the interval is that of forty, ten times as wide in variance
    as of four hundred. By the binomial, ±1.96·√(.25/40) = ±.155."""
    labels_a, labels_b = [], []
    for p in range(40):
        labels_a += [Said(f"p{p}", (p, i), "a", 0) for i in range(10)]
        labels_b += [Said(f"p{p}", (p, i), "b", p % 2) for i in range(10)]
    found = between(labels_a, labels_b, 2).number(coefficients.observed, lambda _: "")
    assert (found.value, found.n) == (0.5, 400)
    assert found.high - found.low == pytest.approx(2 * 0.155, abs=0.03)


def test_people_are_drawn_again_where_there_are_several() -> None:
    """One of three disagrees with both others on everything: without people drawn again there is no doubt at all."""
    found = [Said(f"p{p}", p, judge, 1 if judge == "odd" else 0) for p in range(50) for judge in ("a", "b", "odd")]
    tables = among(found, 2)
    assert tables.groups == ((1, 2, 3),)
    number = tables.number(coefficients.observed, lambda _: "")
    assert number.value == pytest.approx(1 / 3)
    assert (number.low, number.high) == (0.0, 1.0)
    # one who came once and left does not make the others any surer
    assert among([*found, Said("p0", 0, "once", 0)], 2).groups == ((1, 2, 3),)
    alone = between(*([s for s in found if s.judge == who] for who in ("a", "odd")), 2)
    assert (alone.groups, alone.number(coefficients.observed, lambda _: "").high) == ((), 0.0)


def test_a_scorer_beside_people_is_not_drawn_again() -> None:
    people = [Said(f"p{p}", p, judge, p % 2) for p in range(20) for judge in ("a", "b", "c")]
    scorer = [Said(f"p{p}", p, "sorm", p % 2) for p in range(20)]
    assert between(people, scorer, 2).groups == ((1, 2, 3),)
    assert between(scorer, [s for s in people if s.judge != "c"], 2).groups == ()


def test_first_errors_by_hand() -> None:
    """a: none, none, 2, 3, 3, 1. b: none, 2, 2, 4, none, 3."""
    a = [of_first_error(f"p{i}", f"c{i}", "a", 4, x) for i, x in enumerate((None, None, 2, 3, 3, 1))]
    b = [of_first_error(f"p{i}", f"c{i}", "b", 4, x) for i, x in enumerate((None, 2, 2, 4, None, 3))]
    table = between(first_errors.said(a), first_errors.said(b), 5).whole()
    at_all = between(first_errors.said_at_all(a), first_errors.said_at_all(b), 2)
    assert at_all.whole().tolist() == [[1, 1], [1, 3]]
    assert float(first_errors.exact(table)) == pytest.approx(1 / 3)
    assert float(first_errors.within_one(table)) == pytest.approx(2 / 3)
    assert float(first_errors.same(table)) == pytest.approx(2 / 6)
    assert float(first_errors.error_accuracy(table)) == pytest.approx(1 / 4)
    assert float(first_errors.correct_accuracy(table)) == pytest.approx(1 / 2)
    assert float(first_errors.f1(table)) == pytest.approx(2 * (1 / 4) * (1 / 2) / (3 / 4))


def test_steps_by_hand() -> None:
    """a: + + −; + 0 unsure. b: + − (no more); + + −. Both spoke of steps 1, 2 of each: 1-1, 2-2 differ once."""
    a = [of_ratings("p", "c1", "a", (1, 1, -1)), of_ratings("p", "c2", "a", (1, NEUTRAL, None))]
    b = [of_ratings("p", "c1", "b", (1, -1, 1)), of_ratings("p", "c2", "b", (1, 1, -1))]
    table = between(step_labels.said(a), step_labels.said(b), 2).whole()
    assert table.tolist() == [[3, 1], [0, 0]]
    assert float(step_labels.precision(table)) == 0
    assert np.isnan(step_labels.recall(table))
    three = between(step_labels.said(a, ratings=True), step_labels.said(b, ratings=True), 3).whole()
    assert three.tolist() == [[2, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_stepverifys_repeated_labels(shared_data: Path) -> None:
    """235 solutions, 625 labels: of pairs 60 % exact, 87 % within one, alpha (nominal) 0.50."""
    lines = (shared_data / "stepverify/repeated_labels.jsonl").read_text().splitlines()
    found = []
    for i, row in enumerate(map(json.loads, lines)):
        for label in row["labels"]:
            step = label["first_error"] + 1
            found.append(of_first_error(row["problem"], f"c{i}", f"t/{label['row']}", len(row["steps"]), step))
    most = max(len(o.steps) for o in found)
    tables = among(first_errors.said(found), most + 1)
    assert (tables.n, tables.groups) == ((235,), ())
    numbers = [
        tables.number(first_errors.exact, lambda _: ""),
        tables.number(first_errors.within_one, lambda _: ""),
        tables.number(coefficients.alpha, coefficients.why_no_alpha, "labels"),
    ]
    assert [round(x.value, 2) for x in numbers] == [0.60, 0.87, 0.50]
    assert all(x.low < x.value < x.high for x in numbers)


# ---- scores


def test_bins_by_hand() -> None:
    """Two bins: .2 and .3 (labels 0, 1), .9 (label 1)."""
    labels, given = [0, 1, 1], [0.2, 0.3, 0.9]
    bins = scores.reliability(labels, given, 2)
    assert [(b.n, round(b.score, 2), b.share) for b in bins] == [(2, 0.25, 0.5), (1, 0.9, 1.0)]


def test_a_score_of_one_lies_in_the_last_bin() -> None:
    assert [(b.low, b.n) for b in scores.reliability([1], [1.0])] == [(0.9, 1)]


def test_curves_look_for_errors() -> None:
    """Scores that put every error below every other step find all of them first."""
    perfect = scores.roc([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert perfect.area == 1.0
    assert scores.precision_recall([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).area == 1.0
    assert scores.roc([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1]).area == 0.0
    assert scores.roc([1, 1], [0.9, 0.8]) is None


def test_isotonic_pools_what_is_out_of_order() -> None:
    """.2 and .4 say 1, 0: pooled to 1/2 each (adjacent violators); .8 says 1. Between .4 and .8 a straight line."""
    learnt = fit("isotonic", [1, 0, 1], [0.2, 0.4, 0.8])
    assert learnt([0.1, 0.3, 0.6, 0.9]) == pytest.approx([0.5, 0.5, 0.75, 1.0])
    assert read(json.loads(json.dumps(learnt.told()))) == learnt


def test_a_temperature_brings_the_mean_loss_down_to_what_is_true() -> None:
    """Of scores .99 and .01 (logits ±4.6) three in four are right: the best chance is 3/4, whose logit is ln 3."""
    learnt = fit("temperature", [1, 1, 1, 0, 0, 0, 0, 1], [0.99] * 4 + [0.01] * 4)
    assert learnt([0.99, 0.01]) == pytest.approx([0.75, 0.25], abs=1e-3)
    assert learnt.t == pytest.approx(np.log(99) / np.log(3), rel=1e-3)
    assert read(learnt.told()) == learnt
    assert 0 <= learnt([0.0])[0] < learnt([1.0])[0] <= 1
    with pytest.raises(ValueError, match="alike"):
        fit("temperature", [1, 1], [0.2, 0.3])


def test_correct_against_solvable_by_hand() -> None:
    """Two problems: + + − · against + − + +, and − against −: of four steps one each way, the fifth is unrated."""
    correct = [
        of_ratings("p", "c", "a", (1, 1, -1, None), to_first=False),
        of_ratings("q", "d", "a", (-1,), to_first=False),
        of_ratings("q", "only one of them", "a", (1,)),
    ]
    solvable = [
        of_ratings("p", "c", "b", (1, -1, 1, 1), to_first=False),
        of_ratings("q", "d", "b", (-1,), to_first=False),
    ]
    found = square(correct, solvable)
    steps = {cell: [(at.chain, at.step) for at in of] for cell, of in found.steps.items()}
    assert steps == {
        "right, solvable": [("c", 1)],
        "right but a dead end": [("c", 2)],
        "wrong but recoverable": [("c", 3)],
        "wrong, lost": [("d", 1)],
    }
    assert found.n == 4
    assert [found.shares[cell].value for cell in CELLS] == [0.25] * 4
    lost = found.shares["wrong, lost"]
    assert (lost.low, lost.high) == (0.0, 1.0)  # of two problems one has no other step, the other has none of them
