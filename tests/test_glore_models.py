"""From a student to ORM, SORM and refiner: draws by an engine whose texts are known, tiny trainings, a real store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz.reward import load_scorer
from stepviz.types import Sampling
from stepviz.world import problem
from tests import tiny
from tests.knowing_engine import WRONG, KnowingEngine
from training import glore_models as glore
from training.drawing import Drawing, problems_of
from training.record import Base, base_of

PROBLEMS = [problem("train", i) for i in range(6)]
HOT = glore.HOT
SIZES = glore.Sizes(6, samples=6, wrong=2, k=4)
QUICK = {"epochs": 1.0, "batch": 2, "length": 1024, "compile": False, "bf16": False, "max_steps": 2}


@pytest.fixture
def store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tiny.build(tmp_path_factory.mktemp("models") / "student", sharp=1.0, max_position_embeddings=2048)
    return base_of(str(folder))


def quick(arm: glore.Arm) -> glore.Arm:
    return replace(arm, settings=replace(arm.settings, **QUICK))


def quiet(_line: str) -> None:
    pass


# ---- draws


def test_problems_are_made_once(store: Store) -> None:
    assert [p.key for p in problems_of(store, "train", 3)] == ["train/0", "train/1", "train/2"]
    assert [p.id for p in problems_of(store, "train", 2)] == [p.id for p in PROBLEMS[:2]]
    assert store.stats()["problems"] == 3


def test_chains_are_stored_and_not_drawn_again(store: Store) -> None:
    problems_of(store, "train", 6)
    engine = KnowingEngine(PROBLEMS)
    chains = Drawing(store, engine, HOT, quiet).chains(PROBLEMS, 4)
    assert [len(rows) for rows in chains.values()] == [4] * 6
    assert len(engine.asked) == 24
    for p in PROBLEMS:
        for row, seed in zip(chains[p.id], [r.seed for r in engine.asked if r.question == p.question], strict=True):
            assert row.verdict.value == ("wrong" if seed % 2 else "correct")
            assert row.chain.text == ("\n".join([WRONG, "#### 999999"]) if seed % 2 else p.solution)
    again = KnowingEngine(PROBLEMS)
    more = Drawing(store, again, HOT, quiet).chains(PROBLEMS, 5)
    assert len(again.asked) == 6  # the fifth of each
    assert [row.chain.id for row in more[PROBLEMS[0].id]][:4] == [r.chain.id for r in chains[PROBLEMS[0].id]]


def test_a_draw_that_a_kill_left_without_its_chain_gets_it(store: Store) -> None:
    problems_of(store, "train", 2)
    drawing = Drawing(store, KnowingEngine(PROBLEMS), HOT, quiet)
    from stepviz.rollouts import Want

    drawing.draw([Want(p, "", 3) for p in PROBLEMS[:2]], "killed after the draws")
    assert store.stats()["chains"] == 0
    chains = drawing.chains(PROBLEMS[:2], 3)
    assert [len(rows) for rows in chains.values()] == [3, 3]
    assert store.stats()["chains"] == 6


def test_backwards_until_one_succeeds(store: Store) -> None:
    """A wrong chain whose first steps are right: measured from the end, and no further than to the last good step."""
    p = next(q for q in PROBLEMS if len((q.solution or "").split("\n")) >= 4 and "No, that" not in (q.solution or ""))
    problems_of(store, "train", 6)
    lines = (p.solution or "").split("\n")
    text = "\n".join([*lines[:2], WRONG, "2+2=<<2+2=4>>4 more", "#### 999999"])

    class Slips(KnowingEngine):
        def _text(self, request: Any) -> str:
            return text if not request.prefix else super()._text(request)

    engine = Slips(PROBLEMS, always=True)  # from a prefix without the wrong step it always gets there
    drawing = Drawing(store, engine, HOT, quiet)
    (row,) = drawing.chains([p], 1)[p.id]
    engine.asked.clear()
    measured = drawing.measure_backwards([(p, row)], 4)
    prefixes = [request.prefix for request in engine.asked]
    counts = {n: prefixes.count("".join(f"{s}\n" for s in row.chain.steps[:n])) for n in range(5)}
    # steps 4 and 3 hold the wrong step: none of their draws is right; step 2's are, and consistent as the reference is
    assert counts == {0: 0, 1: 0, 2: 4, 3: 4, 4: 4}
    assert measured == 3


# ---- datasets and models


def test_what_is_measured_of_a_question(store: Store) -> None:
    problems_of(store, "train", 6)
    engine = KnowingEngine(PROBLEMS)
    rows = Drawing(store, engine, HOT, quiet).chains(PROBLEMS, 6)[PROBLEMS[0].id]
    chosen = glore.to_measure(rows, 2)
    assert sum(row.verdict.value == "wrong" for row in chosen) == 1  # all wrong ones say the same


def test_rollouts_are_drawn_of_the_first_problems_alone_and_labels_are_theirs(store: Store) -> None:
    engine, sizes = KnowingEngine(PROBLEMS), replace(SIZES, measured=2)
    drawn = glore.collect(store, engine, sizes, quiet)
    assert {r.question for r in engine.asked} == {p.question for p in PROBLEMS[:6]}
    measured = {r.question for r in engine.asked if r.prefix}
    assert measured
    assert measured <= {p.question for p in PROBLEMS[:2]}
    read = {r: store.dataset(glore.dataset(store, r, drawn, sizes, r)).config["limit"] for r in ("orm", "sorm")}
    assert read == {"orm": 6, "sorm": 2}


def test_global_pairs_are_made_of_more_drafts_than_the_rest(store: Store) -> None:
    engine, sizes = KnowingEngine(PROBLEMS), replace(SIZES, samples=2, paired=6)
    drawn = glore.collect(store, engine, sizes, quiet)
    assert len(store.chains(PROBLEMS[0].id, engine.model_id)) == 6
    configs = {r: store.dataset(glore.dataset(store, r, drawn, sizes, r)).config for r in ("orm", "refine-global")}
    assert {recipe: config["max_chains"] for recipe, config in configs.items()} == {"orm": 2, "refine-global": 6}
    fewer = glore.collect(store, engine, replace(sizes, paired=0), quiet)  # … and what they leave out stays out
    assert fewer == drawn


def test_a_plan_says_tokens_and_minutes_before_anything_starts() -> None:
    rows = glore.plan(glore.Sizes(100, samples=4, wrong=2), [glore.ORM])
    # 400 drafts of 135 tokens; 200 of them measured; 0.9 of 400 chains of 80 + 135 tokens, epochs times
    assert [(r["stage"], r["tokens"]) for r in rows] == [
        ("sample", 54_000),
        ("measure", 200 * glore.TRACES),
        ("orm", round(0.9 * glore.ORM.settings.epochs * 400 * 215)),
    ]
    assert "in all" in glore.told(rows)
    small = glore.plan(glore.PRESETS["small"])
    assert sum(r["minutes"] for r in small) <= 27
    assert sum(r["minutes"] for r in glore.plan(glore.PRESETS["full"])) <= 76


def test_all_three_models_from_nothing_and_again_without_work(store: Store, student: Base, tmp_path: Path) -> None:
    engine = KnowingEngine(PROBLEMS)
    arms = [quick(arm) for arm in glore.SHIPPED]
    said: list[str] = []
    made = glore.make(store, engine, student, tmp_path / "out", SIZES, arms, log=said.append)
    assert "min on two idle cores" in said[0]
    assert {m.role for m in made.values()} == {"orm", "sorm", "refiner"}
    assert all(m.parents == (student.id,) for m in made.values())
    recipes = {name: [d["recipe"] for d in m.meta["datasets"]] for name, m in made.items()}
    assert recipes == {"orm": ["orm"], "sorm": ["sorm"], "refiner": ["refine-local", "refine-global"]}
    (scores,) = load_scorer(made["sorm"].spec, "cpu").score([("Q", ["a", "b"])])
    assert len(scores) == 2
    asked, stamp = len(engine.asked), (tmp_path / "out" / "orm" / "training.json").stat().st_mtime_ns
    again = glore.make(store, engine, student, tmp_path / "out", SIZES, arms, log=quiet)
    assert len(engine.asked) == asked
    assert {n: m.id for n, m in again.items()} == {n: m.id for n, m in made.items()}
    assert (tmp_path / "out" / "orm" / "training.json").stat().st_mtime_ns == stamp


def test_a_half_made_model_is_made_anew_and_another_seed_learns_of_others(
    store: Store, student: Base, tmp_path: Path
) -> None:
    engine = KnowingEngine(PROBLEMS)
    drawn = glore.collect(store, engine, SIZES, quiet)
    out = tmp_path / "orm"
    out.mkdir()
    (out / "model.safetensors").write_bytes(b"half")
    arm, sizes = quick(glore.ORM), replace(SIZES, share=0.6)
    first = glore.train(store, arm, drawn, student, out, sizes, 0, quiet)
    cost = json.loads((out / "training.json").read_text())
    assert cost["seed"] == 0
    other = glore.train(store, arm, drawn, student, tmp_path / "other" / "orm", sizes, 1, quiet)
    assert other.id != first.id
    rows = list(store.dataset_rows(first.meta["datasets"][0]["id"]))
    chosen = [{r["origin"]["problem"] for r in glore._subset(iter(rows), 0.6, seed)} for seed in (0, 1)]
    assert chosen[0] != chosen[1]


def test_a_label_measured_backwards_is_the_label_measured_whole(store: Store) -> None:
    engine = KnowingEngine(PROBLEMS)
    drawn = glore.collect(store, engine, SIZES, quiet)
    backwards = store.dataset(glore.dataset(store, "sorm", {**drawn, "balance": False}, SIZES, "sorm"))
    glore.collect(store, engine, replace(SIZES, full=True), quiet)
    whole = store.dataset(glore.dataset(store, "sorm", {**drawn, "balance": False}, SIZES, "sorm"))
    assert backwards.hash == whole.hash
    assert Sampling(temperature=1.0) == HOT
