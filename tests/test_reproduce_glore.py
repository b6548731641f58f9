"""GLoRe's comparison: the whole path on tiny models and an engine that knows, and its tables on hand-made judges."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.store import Store, open_store
from stepviz import results
from stepviz.types import Completion, Problem
from stepviz.world import problem
from tests import tiny
from tests.knowing_engine import KnowingEngine
from training import glore_models
from training.record import base_of
from training.reproduce import glore, glore_arms, glore_refine
from training.reproduce import glore_judges as judges
from training.reproduce.glore_data import Judged, Scale, Shared
from training.reproduce.glore_judges import Judge
from training.reproduce.work import Work

QUICK = {"epochs": 1.0, "batch": 2, "length": 1024, "compile": False, "bf16": False, "max_steps": 1}
SCALE = Scale(
    test=6, dev=5, sampled=3, n=32, three=6, measured=3, deep=2, rollouts=16,
    data=glore_models.Sizes(5, samples=6, wrong=2, k=4, full=True),
)  # fmt: skip
PROBLEMS = [problem(split, i) for split in ("train", "dev", "test") for i in range(6)]


@pytest.fixture
def store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


# ---- tables by hand


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


@pytest.fixture(scope="module")
def drafts() -> list[Judged]:
    a, b, c = two_steps()
    return [right(a), false_first(b), right(c)]


def shared(drafts: list[Judged], **more: Any) -> Shared:
    empty: dict[str, Any] = {"samples": [[] for _ in drafts], "s8": [], "deep": [], "drafts": None, "tokens": {}}
    return Shared("student", drafts, drafts, **{**empty, **more})


def test_steps_before_the_answer_and_the_answer_itself(drafts: list[Judged]) -> None:
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    assert labels == [[1, 1, None], [0, None], [1, 1, None]]
    assert judges.answers(drafts) == [[None, None, 1], [None, 0], [None, None, 1]]


def test_a_judges_row_and_a_contrast_by_hand(drafts: list[Judged]) -> None:
    good = Judge("good", [[[0.9, 0.9, 0.9], [0.1, 0.1], [0.8, 0.4, 0.9]]], [0.5])
    bad = Judge("bad", [[[0.9, 0.2, 0.1], [0.6, 0.9], [0.2, 0.9, 0.9]]], [0.5])
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    row = judges.figures(good, {"solvable": labels})
    # 3 of 4 positives and 1 of 1 negatives; every positive scores above the one negative
    assert (row["balanced, solvable"], row["AUC, solvable"], row["accuracy, solvable"]) == (87.5, 1.0, 80.0)
    assert (row["base rate"], row["steps"]) == (80.0, 5)
    # the other: 2 of 4 and 0 of 1
    found = judges.contrast("good − bad", labels, good, bad, "8")
    assert found["points [95 %]"].startswith("62.5 [")
    assert (found["steps"], found["drafts"]) == (5, 3)
    last = judges.final(bad, drafts)
    # answer lines .1 (right), .9 (wrong), .9 (right): 1 of 2 and 0 of 1
    assert last["balanced, final answer"] == 25.0


def test_unscored_steps_are_bad_in_every_figure_and_counted(drafts: list[Judged]) -> None:
    """Labels 1 1 | 0 | 1 1; the first draft has no score, in one of two seeds.

    Then 2 of 4 positives and the negative are named, and of 4 pairs with the negative's .1 two are in order: .5; the
    other seed has all: 1. The negative without a score is named bad, and every positive ranks above it.
    """
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    some, whole = [[], [0.1, 0.1], [0.9] * 3], [[0.9] * 3, [0.1, 0.1], [0.9] * 3]
    row = judges.figures(Judge("some", [some, whole], [0.5, 0.5]), {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"]) == (87.5, 0.75)
    assert (row["steps"], row["unscored"]) == (5, 1.0)  # two steps before the answer line, in one seed of two
    row = judges.figures(Judge("no bad", [[[0.9] * 3, [], [0.9] * 3]], [0.5]), {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"], row["unscored"]) == (100.0, 1.0, 1)
    turned = judges.figures(Judge("turned", [[[0.1] * 3, [0.9, 0.9], [0.1] * 3]], [0.5]), {"solvable": labels})
    assert turned["AUC, solvable"] == 0.0  # every pair the wrong way round is a value, not a missing one


def test_position_knows_the_share_of_solvable_steps(drafts: list[Judged]) -> None:
    assert judges.position(drafts, drafts[:2]) == [[2 / 3, 1.0, 0.0], [2 / 3, 1.0]]


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
    return glore_refine.Refined(ways, {}, named, [[] for _ in drafts])


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
    fixed = {name: rows.mean() for name, rows in glore_refine.fixed([one], world).items()}
    assert fixed["global"] == 0.5
    assert fixed["local, SORM"] == 0.5
    assert fixed["either"] == 1.0
    assert fixed["global twice"] == 0.5
    assert fixed["two samples of the student"] == 0.5
    assert fixed["two samples from before the pit"] == 0.0
    which, three = [0, 1, 2], [0.1, 0.2, 0.3] * 3
    kept = glore_refine._kept(one, world, which, three)
    assert kept["draft"] == [True, False, False]
    assert kept["global, every draft"] == [False, True, False]
    # the gate keeps the draft with .9 and refines those with .2 and .3
    assert kept["global, ORM gate"] == [True, True, False]
    # the ORM takes a (.9, the draft wins the tie), then the draft b (.2 over .1 and .1), then the local one (.6)
    assert kept["draft, global, local: ORM's pick"] == [True, False, True]
    assert kept["draft, global, local: any (oracle)"] == [True, True, True]
    assert kept["best of three samples"] == [False, True, False]
    cost = glore_refine._kept_tokens(one, world, which)
    assert cost["global, ORM gate"] == pytest.approx(2 / 3 * 10)
    assert cost["draft, global, local: ORM's pick"] == 10 + 20


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
    cost = glore_refine._costs(seeds, world)
    assert cost["global"] == 150  # (100 + 300) / 2 and half of it, without the right draft's 7
    assert cost["either"] == 300
    assert cost["two samples of the student"] == 3
    assert cost["two samples from before the pit"] == 7  # 14 for one of two wrong drafts
    whole = glore_refine._kept_tokens(seeds[0], world, [0, 1, 2])
    assert whole["draft"] == 20
    assert whole["global, every draft"] == pytest.approx(20 + 407 / 3)
    assert whole["global, ORM gate"] == pytest.approx(20 + 100 / 3)  # only b is doubted
    assert whole["draft and two samples: ORM's pick"] == 20 + 3
    assert whole["best of three samples"] == 9


def test_tokens_in_the_end_are_the_mean_of_all_seeds(
    drafts: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = shared(drafts, samples=[[right(d.problem)] * 3 for d in drafts])
    monkeypatch.setattr(glore_refine, "score", lambda *rest: [[0.5]] * 9)
    seeds = [refined(drafts, drafts, drafts, [[0.9] * 3] * 3) for _ in range(2)]
    seeds[0].ways["global"].spent[:] = [40, 40, 40]  # the other seed: 10 each
    found = glore_refine.kept(Work(tmp_path), [{"orm": None}] * 2, seeds, world)  # type: ignore[dict-item]
    assert found["global, every draft"][1] == 25


def test_a_budget_is_said_for_each_stage_and_seed() -> None:
    rows = glore.budget(glore.Settings(seeds=2, sizes=SCALE))
    assert [r["stage"] for r in rows][:3] == ["sample", "measure", "test drafts, samples, labels"]
    assert sum(r["stage"].startswith("seed 1") for r in rows) == 3
    assert sum(r["minutes"] for r in glore.budget(glore.Settings(seeds=1))) <= 75
    assert sum(r["minutes"] for r in glore.budget(glore.Settings(seeds=3))) <= 150


def test_a_smaller_scale_takes_fewer_problems_and_as_many_draws() -> None:
    half = Scale().by(0.5)
    assert (half.test, half.sampled, half.n, half.data.problems) == (2500, 500, 32, 500)


# ---- the whole path


def test_each_ablation_learns_from_another_dataset(store: Store) -> None:
    drawn = glore_models.collect(store, KnowingEngine(PROBLEMS), SCALE.data, lambda line: None)
    arms = [glore_models.SORM, *glore_arms.ABLATIONS]
    configs = [
        store.dataset(glore_models.dataset(store, "sorm", {**drawn, **arm.datasets[0][1]}, SCALE.data, arm.name)).config
        for arm in arms
    ]
    off = [[name for name in ("consistent", "carry_back", "balance") if not config[name]] for config in configs]
    assert off == [[], ["consistent"], [], ["carry_back"], ["balance"]]
    assert [config["results"] for config in configs] == ["last", "last", "every", "last", "last"]


def test_the_control_of_equal_tokens_learns_whole_chains_with_their_outcome(store: Store) -> None:
    engine = KnowingEngine(PROBLEMS)
    drawn = glore_models.collect(store, engine, SCALE.data, lambda line: None)
    made = store.dataset(glore_arms.with_traces(store, drawn, SCALE.data))
    plain = store.dataset(glore_models.dataset(store, "orm", drawn, SCALE.data, "orm"))
    rows = list(store.dataset_rows(made.id))
    assert made.n_rows > plain.n_rows
    assert made.recipe == "orm"
    answers = {p.id: f"#### {p.answer}" for p in PROBLEMS}
    assert all(set(r["labels"]) == {int(r["completions"][-1] == answers[r["origin"]["problem"]])} for r in rows)


class Student(KnowingEngine):
    """Greedy, every second problem is solved."""

    def _text(self, request: Any) -> str:
        if request.seed or request.prefix:
            return super()._text(request)
        self.always = list(self.solutions).index(request.question) % 2 == 0
        text = super()._text(request)
        self.always = None
        return text

    def generate(self, requests: Any, sampling: Any, *rest: Any, **more: Any) -> list[Completion]:
        if sampling.temperature == 0:
            requests = [replace(r, seed=0) for r in requests]
        return super().generate(requests, sampling, *rest, **more)


@pytest.fixture
def tiny_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(arm: glore_models.Arm) -> glore_models.Arm:
        return replace(arm, settings=replace(arm.settings, **QUICK))

    arms = {name: tuple(quick(arm) for arm in found) for name, found in glore_arms.SETS.items()}
    monkeypatch.setattr(glore, "SETS", arms)
    monkeypatch.setattr(glore_arms, "CORE", arms["core"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_comparison_on_tiny_models(
    store: Store, tmp_path: Path, tiny_arms: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.build(tmp_path / "student", sharp=1.0, max_position_embeddings=2048)
    engine = Student(PROBLEMS)
    monkeypatch.setattr(glore, "load", lambda spec: engine)
    settings = glore.Settings(seeds=1, arms="controls", student=str(folder), sizes=SCALE)
    said: list[str] = []
    tables = glore.run(store, tmp_path / "work", settings, said.append)
    assert "in all" in said[0]
    assert base_of(str(folder)).source == str(folder)
    judged = {row["judge"] for row in tables["step accuracy before the answer line, %"]}
    assert judged == {
        "orm", "orm, tuned", "sorm", "sorm, tuned", "balanced-orm", "orm-traces", "orm-traces, tuned",
        "oracle-solvable", "position only, tuned",
    }  # fmt: skip
    assert tables["contrasts of step judges: balanced accuracy against `solvable`"][0]["contrast"].endswith("(primary)")
    assert [row["n"] for row in tables["best of n by score, %"]] == [1, 2, 4, 8, 16, 32]
    fixed = {row["tries"] for row in tables["wrong drafts fixed"]}
    assert {"global", "local, SORM", "local, ORM", "either", "global twice", "local twice"} <= fixed
    labels = tables["wrong SORM labels of K rollouts, % of labels"]
    assert {row["K"] for row in labels} == {1, 2, 4, 8, 16}
    assert all(
        row["wrong"]
        == pytest.approx(row["incapacity"] + row["finite K"] + row["the rule"] + row["false success"], abs=0.03)
        for row in labels
    )
    asked = len(engine.asked)
    again = glore.run(store, tmp_path / "work", settings, said.append)
    assert len(engine.asked) == asked  # nothing is drawn again, trained again or refined again
    unlike = [name for name in tables if name != "what it took" and tables[name] != again[name]]
    assert unlike == []
    _written(tables, settings, tmp_path)


def _written(tables: Any, settings: glore.Settings, tmp_path: Path) -> None:
    glore.write(tables, settings, tmp_path / "results")
    value = json.loads((tmp_path / "results" / "glore.json").read_text())
    assert value["command"] == "python -m training reproduce glore --seeds 1 --arms controls"
    assert (tmp_path / "results" / "glore-rerank.svg").read_text().startswith("<svg")
    page = results.render(tmp_path / "results")
    assert "**wrong drafts fixed**" in page
    assert "results/glore-labels.svg" in page
    assert np.isfinite([row["n"] for row in tables["best of n by score, %"]]).all()
