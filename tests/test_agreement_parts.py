"""Parts of a comparison, the human ceiling, thresholds and intervals of scores: worked by hand, or by scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from stepviz.agreement import coefficients as co
from stepviz.agreement import split_up
from stepviz.agreement.ceiling import ceiling, majority
from stepviz.agreement.cells import cells
from stepviz.agreement.opinions import BAD, GOOD, Opinion, of_first_error, of_ratings
from stepviz.agreement.parts import Ceiling, Row
from stepviz.agreement.report import report
from stepviz.agreement.resampling import DRAWS, draws
from stepviz.agreement.scored import Labelled, Ranks, at_threshold, held, ranked
from stepviz.agreement.scores import POINTS, bounded, precision_recall, roc
from stepviz.agreement.tables import Said, among
from stepviz.agreement.thresholds import At, best, sweep

# ---- draws


def test_draws_are_of_as_many_problems_and_of_two_people_or_more() -> None:
    found = list(draws(5, [(1, 2, 3)], 3))
    weights, persons = (np.concatenate(part) for part in zip(*found, strict=True))
    assert weights.shape == (DRAWS, 5)
    assert set(weights.sum(1)) == {5}
    assert weights.mean() == pytest.approx(1, abs=0.05)
    assert set(persons[:, 0]) == {1}  # nobody
    assert set(persons[:, 1:].sum(1)) == {3}
    assert ((persons[:, 1:] > 0).sum(1) >= 2).all()
    alone = np.concatenate([p for _, p in draws(5, [(1, 2, 3)], 3, alone=True)])
    assert ((alone[:, 1:] > 0).sum(1) == 1).mean() == pytest.approx(1 / 9, abs=0.03)  # 3 of 27


def four_observers() -> list[Said]:
    """Krippendorff 2011, section C: four observers, twelve units, five values, some missing."""
    rows = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    return [
        Said(f"u{unit}", unit, judge, int(value) - 1)
        for judge, row in zip("ABCD", rows, strict=True)
        for unit, value in enumerate(row)
        if value != "."
    ]


def test_alpha_and_ac1_of_four_observers_as_published() -> None:
    """Krippendorff gives alpha 0.743, Gwet AC1 0.775. By hand, of the eleven units with two labels or more: they agree
    to 9 of 11 (two of them half), chance is Σ p (1 − p) / 4 with p = 3, 3.25, 2.5, 1.25 and 1 of 11."""
    said = four_observers()
    assert len(said) == 41
    tables = among(said, 5)
    assert tables.n == (11,)
    assert float(co.alpha(tables.whole("labels"))) == pytest.approx(0.743, abs=5e-4)
    p = np.array([3, 3.25, 2.5, 1.25, 1]) / 11
    chance = (p * (1 - p)).sum() / 4
    assert float(co.ac1(tables.whole("things"))) == pytest.approx((9 / 11 - chance) / (1 - chance))
    assert float(co.ac1(tables.whole("things"))) == pytest.approx(0.775, abs=5e-4)


# ---- the ceiling


def firsts(judge: str, where: tuple[int, ...], n: int = 2) -> list[Opinion]:
    return [of_first_error(f"p{i}", f"c{i}", judge, n, x or None) for i, x in enumerate(where)]


@pytest.mark.parametrize(
    ("where", "steps", "first"),
    [
        ((2, 2, 0), (GOOD, BAD, None, None), 2),
        ((2, 0), (GOOD, None, None, None), None),  # a tie, and what follows it
        ((2, 3, 0), (GOOD, GOOD, None, None), None),  # two say that step 2 is well; of step 3 the two left part
        ((0, 0, 1), (GOOD, GOOD, GOOD, GOOD), 0),
        ((4,), (GOOD, GOOD, GOOD, BAD), 4),
    ],
)
def test_what_most_of_the_others_say(where: tuple[int, ...], steps: tuple, first: int | None) -> None:
    said = [of_first_error("p", "c", str(i), 4, x or None) for i, x in enumerate(where)]
    found = majority("p", "c", "others", said)
    assert (found.steps, found.first, found.judge) == (steps, first, "others")


def test_of_what_can_still_be_solved_every_step_is_asked() -> None:
    said = [of_ratings("p", "c", name, steps, to_first=False) for name, steps in
            (("a", (1, -1, 1, 1)), ("b", (1, 1, -1, -1)), ("c", (-1, -1, 1, None)))]  # fmt: skip
    found = majority("p", "c", "others", said, to_first=False)
    assert (found.steps, found.first) == ((GOOD, BAD, GOOD, None), 2)


@pytest.fixture(scope="module")
def three() -> list[Opinion]:
    """Four chains of two steps. ana and bob say alike; eve sees no error in the third, and one in the fourth."""
    return [*firsts("ana", (0, 1, 2, 0)), *firsts("bob", (0, 1, 2, 0)), *firsts("eve", (0, 1, 0, 1))]


def row(found: Ceiling | None, kind: str, person: str = "", other: str = "") -> Row:
    """The pooled one, or that of a person (and another one)."""
    assert found is not None
    if kind == "pair":
        return next(r for r in found.rows if (r.kind, r.a, r.b) == (kind, person, other))
    return next(r for r in found.rows if (r.kind, r.person) == (kind, person))


def test_people_among_each_other(three: list[Opinion]) -> None:
    """Of twelve pairs eight name the same first error (3 + 3 + 1 + 1). Where both see one they all agree: 3 + 1 pairs.

    ana and eve: + +, −, then + and − against +, + against −: of six steps four alike, both call two errors:
    (4/6 − 20/36) / (16/36) = 1/4."""
    found = ceiling(three)
    pooled = row(found, "pairs")
    assert (pooled.items, pooled.numbers["same"].value) == (4, pytest.approx(8 / 12))
    assert (pooled.numbers["exact"].value, pooled.numbers["exact"].n) == (1, 4)
    assert pooled.numbers["kappa"].why.startswith("of all pairs there is no first")
    two = row(found, "pair", "ana", "eve")
    assert (two.items, two.steps, two.numbers["same"].value) == (4, 6, 0.5)
    assert two.numbers["agreement"].value == pytest.approx(4 / 6)
    assert two.numbers["kappa"].value == pytest.approx(1 / 4)
    assert row(found, "pair", "ana", "bob").numbers["kappa"].value == 1


def test_each_person_against_the_others_and_beside_the_scorer(three: list[Opinion]) -> None:
    """The others of ana (and of bob) part over chains 3, after step 1, and 4; those of eve never. So of first errors
    ana and bob have two chains each and agree; eve has four and agrees on two: 6 of 8. The scorer (none, 2, 2, none)
    agrees with ana and bob on one of two each, with eve on one of four: 3 of 8; with their others on 1, 1 and 3: 5."""
    scorer = firsts("sorm", (0, 2, 2, 0))
    found = ceiling(three, scorer, name="sorm")
    assert found is not None
    assert found.references == {"adjudicated": 0, "majority": 10, "tied": 2}
    others, scored, instead = (row(found, kind) for kind in ("others", "scorer", "stand-in"))
    assert [r.numbers["same"].value for r in (others, scored, instead)] == [6 / 8, 3 / 8, 5 / 8]
    assert [(r.items, r.steps) for r in (others, scored, instead)] == [(10, 14)] * 3
    assert others.numbers["agreement"].value == pytest.approx(12 / 14)
    assert scored.differences["same"].value == pytest.approx(-3 / 8)
    assert instead.differences["same"].value == pytest.approx(-1 / 8)
    eve = row(found, "others", "eve")
    assert (eve.items, eve.steps, eve.numbers["same"].value) == (4, 6, 0.5)
    assert row(found, "scorer", "eve").numbers["same"].value == 1 / 4
    assert row(found, "stand-in", "eve").numbers["same"].value == 3 / 4
    assert [r.person for r in found.rows if r.kind == "stand-in"] == ["", "eve", "ana", "bob"]  # by how many items


def test_what_was_settled_stands_before_the_majority(three: list[Opinion]) -> None:
    """Chain 4 has its first error in step 1, as eve says: of first errors ana and bob now have 2 of 3, eve 3 of 4."""
    settled = [of_first_error("p3", "c3", "adjudicated:s", 2, 1)]
    found = ceiling(three, adjudicated=settled)
    assert found is not None
    assert found.references == {"adjudicated": 3, "majority": 9, "tied": 0}
    assert row(found, "others").numbers["same"].value == pytest.approx(7 / 10)
    assert not [r for r in found.rows if r.kind in ("scorer", "stand-in")]


def test_one_person_alone_has_a_ceiling_only_where_it_was_settled() -> None:
    assert ceiling(firsts("ana", (0, 1))) is None
    found = ceiling(firsts("ana", (0, 1)), adjudicated=firsts("adjudicated:s", (0, 2)))
    assert row(found, "others").numbers["same"].value == 1 / 2


def test_a_ceiling_of_many_unnamed_people_has_no_row_for_each() -> None:
    people = [of_first_error(f"p{i}", f"c{i}", f"t/{3 * i + k}", 2, 1) for i in range(30) for k in range(3)]
    found = ceiling(people)
    assert found is not None
    assert [r.kind for r in found.rows] == ["pairs", "others"]
    assert found.left_out == 90 + 90  # pairs, and people, of one chain each


# ---- parts


def test_that_it_goes_wrong_may_be_known_without_where() -> None:
    """ana is unsure of step 1 and calls step 2 wrong: with bob she sees an error, perhaps not the same."""
    ana, bob = of_ratings("p", "c", "ana", (None, -1)), of_first_error("p", "c", "bob", 2, 2)
    found = report([ana], [bob])
    assert found.detected == [[0, 0], [0, 1]]
    assert (found.localisation["exact"].value, found.localisation["exact"].n) == (None, 0)
    assert found.confusion == [[0, 0], [0, 1]]
    assert report([of_ratings("p", "c", "ana", (1, None))], [bob]).detected == [[0, 0], [0, 0]]


def test_arms_beside_the_blind_one() -> None:
    """Of forty chains labelled blind every other agrees with the scorer, of forty others with the scores shown all do.
    The difference is 1/2, and varies as the blind share alone: ±1.96·√(.25/40) = ±.155."""
    people, scorer = [], []
    for i in range(80):
        arm, says = ("blind", 1 + i % 2) if i < 40 else ("scores", 1)
        own = of_first_error(f"p{i}", f"c{i}", "ana", 2, says)
        people.append(Opinion(own.problem, own.chain, own.judge, own.steps, own.first, arm))
        scorer.append(of_first_error(f"p{i}", f"c{i}", "sorm", 2, 1))
    blind, shown = split_up.by_arm(people, scorer)
    assert [(p.name, p.chains, p.numbers["exact"].value) for p in (blind, shown)] == [
        ("blind", 40, 0.5), ("scores", 40, 1.0),
    ]  # fmt: skip
    assert blind.differences == {}
    gap = shown.differences["exact"]
    assert gap.value == 0.5
    assert gap.high - gap.low == pytest.approx(2 * 0.155, abs=0.03)
    assert split_up.by_arm(scorer, scorer) == []


def test_pairs_of_people_lie_in_an_arm_where_both_do() -> None:
    given = (("ana", "blind", 1), ("bob", "blind", 1), ("eve", "scores", 2), ("kim", "scores", 1))
    people = []
    for judge, arm, says in given:
        own = of_first_error("p", "c", judge, 2, says)
        people.append(Opinion(own.problem, own.chain, own.judge, own.steps, own.first, arm))
    blind, shown = split_up.by_arm(people, None)
    assert [(p.numbers["exact"].value, p.numbers["exact"].n) for p in (blind, shown)] == [(1, 1), (0, 1)]


def test_steps_by_their_number() -> None:
    """+ − and + + against − and + +: of first steps one of two differs; of second ones one chain is left."""
    a = [of_first_error("p", "c", "a", 2, 2), of_first_error("q", "d", "a", 2, None)]
    b = [of_first_error("p", "c", "b", 2, 1), of_first_error("q", "d", "b", 2, None)]
    one, two = split_up.by_position(a, b)
    assert (one.name, one.problems, one.chains, one.steps) == ("1", 2, 2, 2)
    assert [one.numbers[name].value for name in ("errors_a", "errors_b", "agreement")] == [0, 0.5, 0.5]
    assert one.numbers["kappa"].why == co.CONSTANT
    assert (two.name, two.chains, two.numbers["kappa"].why) == ("2", 1, co.ONE_CATEGORY)
    long = [of_first_error("p", "c", name, 30, None) for name in "ab"]
    found = split_up.by_position(long, None)
    assert [(p.name, p.chains, p.steps) for p in found[4:]] == [
        ("5", 1, 1), ("6–8", 1, 3), ("9–12", 1, 4), ("13–20", 1, 8), ("21+", 1, 10),
    ]  # fmt: skip
    assert found[0].numbers["errors"].value == 0


def test_a_problem_of_two_sources_counts_in_each() -> None:
    a, b = firsts("a", (1, 0, 2)), firsts("b", (1, 1, 2))
    found = split_up.by_source(a, b, {"p0": ("gsm8k",), "p1": ("gsm8k", "svamp"), "p2": ("svamp",)})
    assert [(p.name, p.chains, p.numbers["same"].value) for p in found] == [("gsm8k", 2, 0.5), ("svamp", 2, 0.5)]
    assert found[0].numbers["processbench_f1"].value == 0  # of its correct chain b says an error: 2·1·0 / 1


# ---- scores


def given(labels: list[int], scores: list[float], problems: list[str] | None = None) -> Labelled:
    return Labelled(labels, scores, problems or [f"p{i}" for i in range(len(labels))], ["ana"] * len(labels))


def test_areas_of_weighted_labels_are_scikit_learns() -> None:
    """With ties: scores are rounded to tenths."""
    rng = np.random.default_rng(3)
    labels, problems = (rng.random(300) < 0.7).astype(int), rng.integers(40, size=300)
    scores = np.clip(np.round(0.3 * labels + rng.random(300) * 0.7, 1), 0, 1)
    ranks = Ranks(labels, scores, problems)
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=3).astype(float)
    for found, each in zip(ranks(weights), weights[:, problems], strict=True):
        assert found[0] == pytest.approx(roc_auc_score(1 - labels, 1 - scores, sample_weight=each))
        assert found[1] == pytest.approx(average_precision_score(1 - labels, 1 - scores, sample_weight=each))


def test_scores_have_intervals_over_problems() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(400) < 0.6).astype(int)
    scores = np.clip(0.2 * labels + rng.random(400) * 0.8, 0, 1)
    at = given(labels.tolist(), scores.tolist())
    areas, chances = ranked(at), held(at)
    assert areas["roc_auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert chances["brier"].value == pytest.approx(brier_score_loss(labels, scores))
    # Hanley and McNeil 1982
    a, bad, good = areas["roc_auc"].value, int((labels == 0).sum()), int(labels.sum())
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = ((a * (1 - a) + (bad - 1) * (q1 - a * a) + (good - 1) * (q2 - a * a)) / (bad * good)) ** 0.5
    assert areas["roc_auc"].high - areas["roc_auc"].low == pytest.approx(2 * 1.96 * error, rel=0.15)
    squared = (scores - labels) ** 2
    assert chances["brier"].high - chances["brier"].low == pytest.approx(2 * 1.96 * squared.std() / 20, rel=0.1)


def test_a_threshold_by_hand() -> None:
    """Steps well .9 .6 .4, errors .5 .7: at .5 one error of two is found, and one step wrongly called: 1 of 2 flagged
    is right. Balanced (1/2 + 2/3) / 2; observed 3/5, chance .4·.4 + .6·.6 = .52: kappa .08 / .48."""
    found = at_threshold(given([1, 1, 1, 0, 0], [0.9, 0.6, 0.4, 0.5, 0.7]), 0.5)
    values = {name: number.value for name, number in found.items()}
    assert values == pytest.approx({
        "accuracy": 3 / 5, "balanced": 7 / 12, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2,
        "kappa": 0.08 / 0.48, "flagged": 2 / 5,
    })  # fmt: skip
    assert [found[name].n for name in ("accuracy", "precision", "recall")] == [5, 2, 2]
    none = at_threshold(given([1, 1], [0.9, 0.8]), 0.5)
    assert none["precision"].why == "no step is at or below the threshold"
    assert none["recall"].why == "no step is labelled an error"
    assert ranked(given([1, 1], [0.9, 0.8]))["roc_auc"].why.startswith("all of these steps have the same label")


def test_calibration_error_by_hand() -> None:
    """Ten bins: .22 and .28 (labels 0, 1), .9 (label 1): gaps .25 of two and .1 of one."""
    assert held(given([0, 1, 1], [0.22, 0.28, 0.9]))["ece"].value == pytest.approx((2 * 0.25 + 0.1) / 3)
    assert held(given([1], [1.0]))["ece"].value == 0


def test_whose_labels_they_are_is_drawn_again_where_they_are_several() -> None:
    """Of three people one says the opposite of the other two, on fifty problems: 2/3 agree with the scorer, and a
    draw of people has from none to all of them. With one person there is no doubt."""
    rows = [(i, judge) for i in range(50) for judge in ("ana", "bob", "odd")]
    labels = [1 - i % 2 if judge == "odd" else i % 2 for i, judge in rows]
    at = Labelled(labels, [float(i % 2) for i, _ in rows], [f"p{i}" for i, _ in rows], [judge for _, judge in rows])
    found = at_threshold(at, 0.5)["accuracy"]
    assert (found.value, found.low, found.high) == (pytest.approx(2 / 3), 0, 1)
    kept = [k for k, (_, judge) in enumerate(rows) if judge == "ana"]
    alone = Labelled(*([side[k] for k in kept] for side in (at.labels, at.scores, at.problems, at.judges)))
    assert at_threshold(alone, 0.5)["accuracy"].low == 1


def test_a_curve_is_cut_down_to_what_a_page_can_draw() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(20_000) < 0.5).astype(int).tolist()
    scores = rng.random(20_000).tolist()
    for curve in (roc(labels, scores), precision_recall(labels, scores)):
        found = bounded(curve)
        assert len(found.x) == len(found.y) <= POINTS
        assert (found.x[0], found.x[-1], found.y[-1]) == (curve.x[0], curve.x[-1], curve.y[-1])
        assert found.area == curve.area
        assert max(abs(np.diff(found.x))) < 0.05
    few = roc([0, 1], [0.2, 0.8])
    assert bounded(few) == few


def test_a_sweep_by_hand() -> None:
    """Two chains: .2 .8, wrong first in step 1; .6 .4, well. At .2 only the error is flagged; at .4 the second chain
    is accused, too; at .6 two of its steps are. Thresholds are quantiles between the ends; .8 is the end."""
    points = sweep([1, 0], [(0.2, 0.8), (0.6, 0.4)], points=99, labels=[0, 1, 1], given=[0.2, 0.6, 0.4])
    known = {round(at.threshold, 1): at for at in points}
    assert [at.f1 for at in points] == [1, 0, 0, 0][: len(points)]
    assert (known[0.2].precision, known[0.2].recall, known[0.2].kappa) == (1, 1, 1)
    assert (known[0.4].precision, known[0.4].step_f1, known[0.4].balanced) == (1 / 2, pytest.approx(2 / 3), 3 / 4)
    assert (known[0.6].flagged, known[0.6].precision) == (1, pytest.approx(1 / 3))
    assert np.isnan(known[0.6].kappa)  # it calls every step an error
    assert [best(points, by).threshold for by in ("f1", "step_f1", "balanced", "kappa")] == [0.2] * 4
    unknown = sweep([], [], labels=[0, 1], given=[0.2, 0.6])
    assert np.isnan(unknown[0].f1)
    assert unknown[0].kappa == 1
    assert best(unknown) is None
    two = At(0.1, 1, 0, 0.2, kappa=0.9), At(0.2, 0, 1, 0.8, kappa=0.1)
    assert [best(two, by).threshold for by in ("f1", "kappa")] == [0.2, 0.1]


def test_who_is_on_both_sides_is_not_held_against_themselves() -> None:
    """Of three chains ana labelled all, ben the first, cyd the last: in the second ana is alone on both sides."""
    ana = firsts("ana", (0, 1, 2))
    people = [*ana, firsts("ben", (0,))[0], firsts("cyd", (0, 1, 2))[2]]
    found = report(people, ana)
    assert (found.chains, found.problems, found.detection["agreement"].n) == (2, 2, 2)
    positions = split_up.by_position(people, ana)
    assert [(part.name, part.chains, part.steps) for part in positions] == [("1", 2, 2), ("2", 2, 2)]
    of = cells(people, ana)
    assert [of.of("chains", f"position:{part.name}").chains for part in positions] == [2, 2]
    assert of["chains"].chains == 2


def test_one_problem_has_no_interval() -> None:
    """Drawn again it is itself: an interval of no width would say that everything is known."""
    a, b = ([of_first_error("p", chain, judge, 3, w) for chain, w in zip("cd", at, strict=True)]
            for judge, at in (("ana", (2, None)), ("ben", (2, 1))))  # fmt: skip
    found = report(a, b).detection["agreement"]
    assert (found.value, found.low, found.high) == (0.5, None, None)
    assert found.why.endswith("too few problems for an interval")
    at = Labelled([1, 0], [0.9, 0.2], ["p", "p"], ["ana", "ana"])
    every = [*ranked(at).values(), *held(at).values()]
    assert [(number.value is None, number.low) for number in every] == [(False, None)] * 4
    assert at_threshold(at, 0.5)["accuracy"].low is None


# ---- scale


def test_a_hundred_thousand_steps_take_seconds() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 10, 15_500)
    where = [int(rng.integers(0, n + 1)) for n in lengths]
    again = [w if rng.random() < 0.6 else int(rng.integers(0, n + 1)) for w, n in zip(where, lengths, strict=True)]
    a, b = (
        [
            of_first_error(f"p{i}", f"c{i}", name, int(n), w or None)
            for i, (w, n) in enumerate(zip(at, lengths, strict=True))
        ]
        for name, at in (("a", where), ("b", again))
    )
    steps = int(lengths.sum())
    assert steps > 100_000
    problems = np.repeat([f"p{i}" for i in range(len(lengths))], lengths).tolist()
    labels = (rng.random(steps) < 0.8).astype(int)
    scores = np.clip(0.4 * labels + rng.random(steps) * 0.6, 0, 1)
    at = Labelled(labels.tolist(), scores.tolist(), problems, ["ana"] * steps)
    began = time.process_time()  # other work on this machine is not ours
    found = report(a, b)
    positions = split_up.by_position(a, b)
    areas, chances, called = ranked(at), held(at), at_threshold(at, 0.5)
    took = time.process_time() - began
    assert found.localisation["exact"].low is not None
    assert sum(p.steps for p in positions) == found.steps
    assert all(n.low is not None for part in (areas, chances, called) for n in part.values())
    assert took < 60, f"{took:.0f} s"  # of the processor 8 s
