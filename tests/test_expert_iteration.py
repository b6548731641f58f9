"""Expert iteration: rounds, unions, when it stops and that it goes on; tiny trainings, engines that know."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz import train_questions as questions
from stepviz.errors import StepvizError
from stepviz.types import Problem, SourceItem
from stepviz.world import problem
from tests import tiny
from tests.knowing_engine import KnowingEngine
from training import expert_iteration as ei
from training.drawing import Drawing, problems_of
from training.record import Base, base_of
from training.sft import STUDENT
from training.watching import Cancelled, Watch

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
        number = int(spec.rpartition("round-")[2][0]) if "round-" in spec else 0
        return Grows(f"round-{number}", solved[number])

    monkeypatch.setattr(ei, "load", load)
    return loaded


def run(store: Store, base: Base, out: Path, plan: ei.Plan = PLAN, **more: Any) -> dict[str, Any]:
    work, done = out.with_name(f".{out.name}.partial"), out.with_name(f"{out.name}-rounds")
    work.mkdir(exist_ok=True)
    quiet = more.pop("watch", Watch(lambda row: None))
    return ei.Iteration(store, base, base, out.name, work, done, plan, QUICK, watch=quiet, **more).run()


def test_rounds_until_greedy_accuracy_stops_rising(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, base, 1, 3, 2, 4)
    made = run(store, base, tmp_path / "student-ei")
    assert [r["greedy"] for r in made["rounds"]] == [0.25, 0.75, 0.5]  # the third is not begun
    assert made["round"] == 1
    assert made["rose"]
    first = tmp_path / "student-ei-rounds" / "student-ei-round-1"
    best = tmp_path / ".student-ei.partial" / "model.safetensors"
    assert best.read_bytes() == (first / "model.safetensors").read_bytes()
    rounds = {m.spec: m for m in store.models()}
    assert rounds[f"hf:{first}"].parents == (base.id,)
    assert [d["id"] for d in rounds[f"hf:{first}"].meta["datasets"]] == made["learnt_from"]


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
    assert made["rose"] is False
    assert len(made["rounds"]) == 2


def test_a_killed_one_goes_on_without_drawing_or_training_again(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = engines(monkeypatch, base, 1, 2, 2)
    real, trained = ei.sft.run, []

    def once(*args: Any, **more: Any) -> Any:
        trained.append(args[2].name.rpartition("-")[0])  # what it is made of stands behind
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
    assert made["round"] == 1
    assert store.stats()["rollouts"] == before + 4  # round 2's greedy answers; all else was there
    assert loaded
    assert [p.name for p in (tmp_path / "ei-rounds").iterdir()] == ["ei-round-1", "ei-round-2"]


def test_a_round_of_other_settings_is_not_written_over(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, base, 1, 1)
    run(store, base, tmp_path / "ei", replace(PLAN, rounds=1))
    first = (tmp_path / "ei-rounds" / "ei-round-1" / "training.json").read_bytes()
    run(store, base, tmp_path / "ei", replace(PLAN, rounds=1, epochs=2.0))
    assert (tmp_path / "ei-rounds" / "ei-round-1" / "training.json").read_bytes() == first
    again = [m for m in store.models() if m.spec.endswith("ei-round-1-2")]
    assert [m.meta["settings"]["epochs"] for m in again] == [2.0]


def test_it_tells_how_far_it_is_and_hears_of_a_cancel(
    store: Store, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, base, 1, 2, 2)
    told: list[dict[str, Any]] = []
    run(store, base, tmp_path / "ei", replace(PLAN, rounds=2), watch=Watch(told.append))
    assert "at most 2 rounds" in next(row["budget"] for row in told if "budget" in row)
    notes = list(dict.fromkeys(row["note"] for row in told if "note" in row))
    assert notes[:4] == [
        "the student: reading questions",
        "the student: greedy accuracy",
        "round 1 of at most 2: sampling",
        "round 1 of at most 2: freezing its dataset",
    ]
    assert notes[-2:] == ["round 2 of at most 2: greedy accuracy", "round 2 of at most 2: done"]
    sampled = [row for row in told if row.get("stage") == "sampling"]
    assert [(row["draws"], row["of"]) for row in sampled if row["draws"] == row["of"]] == [(12, 12), (12, 12)]
    steps = [row for row in told if "step" in row]
    assert {row["note"] for row in steps} == {f"round {i} of at most 2: fine-tuning" for i in (1, 2)}
    assert [r["greedy"] for r in told[-1]["rounds"]] == [0.25, 0.5, 0.5]
    before = store.stats()["rollouts"]
    stop = Watch(lambda row: None, lambda: store.stats()["rollouts"] > before)
    with pytest.raises(Cancelled):
        run(store, base, tmp_path / "other", replace(PLAN, samples=9), watch=stop)
    assert store.stats()["rollouts"] > before  # what was drawn stays
    assert not (tmp_path / "other-rounds").exists()


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


# ---- what is read


def add(store: Store, split: str, count: int, **fields: Any) -> None:
    made = [Problem(f"{split} {i}?", "1", f"#### {i}", "school", f"{split}/{i}", split) for i in range(count)]
    store.add_items([SourceItem(replace(p, **fields)) for p in made])


def school(**fields: Any) -> dict[str, Any]:
    return asdict(replace(PLAN, source="school", **fields))


def test_a_source_without_another_split_holds_its_last_problems_out(store: Store) -> None:
    add(store, "train", 10)
    add(store, "test", 5)
    counts = questions.counted(store, school(questions=None, supervised=None, dev_split="train", dev=3))
    assert counts == questions.Counts(usable=7, sampled=7, references=7, dev=3, held_out=True)
    sampled, judging = questions.selected(store, school(questions=4, supervised=None, dev_split="train", dev=3))
    assert [p.question for p in sampled] == ["train 0?", "train 1?", "train 2?", "train 3?"]
    assert [p.question for p in judging] == ["train 7?", "train 8?", "train 9?"]


def test_as_many_embedded_problems_are_made_as_are_read(store: Store) -> None:
    plan = asdict(replace(PLAN, questions=20, supervised=7, dev=4))
    assert questions.counted(store, plan) == questions.Counts(20, 20, 7, 4, held_out=False, made=20)
    alone = questions.counted(store, {**plan, "dev_split": "train"})
    assert alone == questions.Counts(20, 20, 7, 4, held_out=True, made=24)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"split": "test"}, "never reads the test problems of school/test"),
        ({"dev_split": "test"}, "never reads the test problems of school/test"),
        (
            {"split": "other"},
            r"no problem of school/other in this store: import some first; its splits are: train \(10\)",
        ),
        ({"dev_split": "train", "dev": 10}, "there are only 10: judge by fewer"),
        ({"split": "any"}, "--dev-split any"),
    ],
)
def test_what_cannot_be_read_is_said(store: Store, fields: dict[str, Any], message: str) -> None:
    add(store, "train", 10)
    add(store, "test", 5)
    with pytest.raises(StepvizError, match=message):
        questions.counted(store, school(**fields))


def test_what_has_no_answer_or_is_in_a_test_split_too_is_neither_sampled_nor_judges(store: Store) -> None:
    add(store, "train", 4)
    add(store, "open", 3, answer=None)
    store.add_items([SourceItem(Problem("train 1?", "1", None, "exam", "test/1", "test"))])
    sampled, judging = questions.selected(
        store, school(split="any", dev_split="any", dev=4, questions=None, supervised=None)
    )
    assert [p.question for p in sampled] == ["train 0?", "train 2?"]
    assert [p.question for p in judging] == ["train 3?"]


def test_a_problem_that_judges_the_rounds_is_learnt_from_in_none(store: Store) -> None:
    """Two of the seven before those that judge are test problems too, so a limit of seven reached two of these."""
    add(store, "train", 10)
    store.add_items([SourceItem(Problem(f"train {i}?", "1", None, "exam", f"test/{i}", "test")) for i in (1, 4)])
    plan = ei.Plan("school", dev_split="train", dev=3, samples=2)
    counts, (sampled, judging) = questions.counted(store, asdict(plan)), questions.selected(store, asdict(plan))
    engine = KnowingEngine([*sampled, *judging], "knows")
    engine.always = True
    Drawing(store, engine, plan.sampling, lambda _: None).chains([*sampled, *judging], 2)  # somebody drew them all
    made = ei.union(store, [engine.model_id], plan, counts, "ei", {p.id for p in judging})
    prompts = {row["prompt"] for row in store.dataset_rows(made.id)}
    assert prompts == {f"train {i}?\n" for i in (0, 2, 3, 5, 6)}
