"""Expert iteration: rounds, unions, when it stops and that it goes on; tiny trainings, engines that know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz.errors import StepvizError
from stepviz.world import problem
from tests import tiny
from tests.knowing_engine import KnowingEngine
from training import expert_iteration as ei
from training.drawing import problems_of
from training.record import Base, base_of
from training.sft import STUDENT

TRAIN = [problem("train", i) for i in range(5)]
DEV = [problem("dev", i) for i in range(4)]
PLAN = ei.Plan(questions=3, samples=4, dev=4, rounds=4, supervised=5)
QUICK = replace(STUDENT, epochs=1, batch=2, length=1024, compile=False, bf16=False, max_steps=1)


@pytest.fixture
def store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tiny.build(tmp_path_factory.mktemp("models") / "base", sharp=1.0, max_position_embeddings=2048)
    return base_of(str(folder))


class Grows(KnowingEngine):
    """Greedy it solves the first `solved` development problems; samples are as the seeds fall."""

    def __init__(self, name: str, solved: int) -> None:
        super().__init__([*TRAIN, *DEV], name)
        self.solved = {p.question for p in DEV[:solved]}

    def _text(self, request: Any) -> str:
        if request.question in {p.question for p in DEV}:
            self.always = request.question in self.solved
            text = super()._text(request)
            self.always = None
            return text
        return super()._text(request)


def engines(monkeypatch: pytest.MonkeyPatch, student: Base, *solved: int) -> list[str]:
    """The student solves solved[0] development problems greedily, the round-i model solved[i]; what was loaded."""
    loaded: list[str] = []

    def load(spec: str) -> Grows:
        loaded.append(spec)
        number = int(spec.rpartition("round-")[2]) if "round-" in spec else 0
        return Grows(f"round-{number}", solved[number])

    monkeypatch.setattr(ei, "load", load)
    return loaded


def run(store: Store, base: Base, out: Path, plan: ei.Plan = PLAN) -> Any:
    return ei.run(store, base, base, out, plan, QUICK, log=lambda line: None)


def test_rounds_until_greedy_accuracy_stops_rising(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, base, 1, 3, 2, 4)
    made = run(store, base, tmp_path / "student-ei")
    rounds = made.meta["rounds"]
    assert [r["greedy"] for r in rounds] == [0.25, 0.75, 0.5]  # the third is not begun
    assert made.meta["round"] == 1
    assert made.meta["rose"]
    assert made.parents == (base.id,)
    first = tmp_path / "student-ei-rounds" / "round-1"
    assert (tmp_path / "student-ei" / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()


def test_a_round_learns_from_right_distinct_samples_of_all_rounds_and_every_reference(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, base, 0, 1, 1)
    run(store, base, tmp_path / "ei")
    unions = [d for d in store.datasets() if d.name == "ei/union"]
    # the engine's right samples are the references themselves: equal, so five rows are left in each round
    assert {d.n_rows for d in unions} == {5}
    rows = list(store.dataset_rows(unions[0].id))
    assert sorted(r["completion"] for r in rows) == sorted((p.solution or "").strip() for p in TRAIN)
    right = next(d for d in store.datasets() if d.name == "ei/right samples")  # the last round's
    assert set(right.config["model"]) == {"round-0@1", "round-1@1"}
    assert (right.config["keep"], right.config["reference"]) == (None, True)


def test_no_rise_is_said(store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(monkeypatch, base, 2, 2)
    made = run(store, base, tmp_path / "ei")
    assert made.meta["rose"] is False
    assert len(made.meta["rounds"]) == 2


def test_a_killed_one_goes_on_without_drawing_or_training_again(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = engines(monkeypatch, base, 1, 2, 2)
    real, trained = ei.sft.run, []

    def once(*args: Any, **more: Any) -> Any:
        trained.append(args[2].name)
        if len(trained) == 2:
            (args[2]).mkdir(parents=True)
            (args[2] / "config.json").write_text("{}")
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(ei.sft, "run", once)
    with pytest.raises(KeyboardInterrupt):
        run(store, base, tmp_path / "ei")
    before = store.stats()["rollouts"]
    made = run(store, base, tmp_path / "ei")
    assert trained == ["round-1", "round-2", "round-2"]
    assert made.meta["round"] == 1
    assert store.stats()["rollouts"] == before + 4  # round 2's greedy answers; all else was there
    assert loaded


def test_the_plan() -> None:
    assert ei.Plan().samples == 96
    assert (ei.EMBEDDED.samples, ei.EMBEDDED.questions) == (16, 1_500)
    assert "rounds" in ei.budget(ei.EMBEDDED, 1_500)
    with pytest.raises(StepvizError, match="samples must be at least 1"):
        ei.Plan(samples=0)


def test_a_store_without_such_problems_is_said(store: Store, base: Base, tmp_path: Path) -> None:
    problems_of(store, "train", 2)
    with pytest.raises(StepvizError, match="no problem of school/train"):
        run(store, base, tmp_path / "ei", replace(PLAN, source="school"))
