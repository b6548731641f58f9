"""A training whose batch has no room in memory goes on with parts of it, by the same updates, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer

from db.store import Store
from stepviz.errors import StepvizError
from stepviz.train_job import normalised
from tests import training_cases as cases
from tests.test_train_large import _sft, _sorm
from training.recorded import Recorded, Spent
from training.room import BLOCKS, TIMES, smaller

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def room_for(rows: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each step's part, as they come; more than `rows` are too many."""
    seen: list[int] = []
    step = Trainer.training_step

    def stepping(self: Trainer, model: Any, inputs: Any, *given: Any) -> Any:
        seen.append(inputs["input_ids"].shape[0])
        if seen[-1] > rows:
            raise FULL
        return step(self, model, inputs, *given)

    monkeypatch.setattr(Trainer, "training_step", stepping)
    return seen


@pytest.mark.parametrize("train", [_sft, _sorm])
def test_half_a_batch_at_a_time_makes_the_same_model(
    train: Callable[..., Any], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four blocks a batch three are too many."""
    told: list[dict[str, Any]] = []
    whole = train(base, tmp_path / "whole", lambda row: None)
    seen = room_for(2, monkeypatch)
    parts = train(base, tmp_path / "parts", told.append)
    assert seen == [4] + [2] * 8
    assert [row["warning"] for row in told if "warning" in row] == [
        "the memory of cpu was too small for 4 blocks of a batch at once: it goes on with 2"
    ]
    assert parts["steps"] == whole["steps"] == 4
    assert [x for _, x in parts["losses"]] == pytest.approx([x for _, x in whole["losses"]], abs=2e-4)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    start = load_file(base / "model.safetensors")
    for name in one.keys() & start.keys():
        assert (one[name] - two[name]).norm() < 0.02 * (one[name] - start[name]).norm(), name


def test_one_block_that_does_not_fit_says_what_to_do(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = room_for(0, monkeypatch)
    with pytest.raises(StepvizError, match=r"out of memory with one block at a time \(CUDA .*shorter blocks, adapters"):
        _sft(base, tmp_path / "out", lambda row: None)
    assert seen == [4, 2, 1]


def test_what_fails_for_another_reason_is_not_tried_again(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("no such kernel")

    monkeypatch.setattr(Trainer, "training_step", broken)
    with pytest.raises(ValueError, match="no such kernel"):
        _sft(base, tmp_path / "out", lambda row: None)


@pytest.mark.parametrize(
    ("blocks", "times", "expected"),
    [(24, 1, (12, 2)), (9, 1, (3, 3)), (7, 1, (1, 7)), (2, 6, (1, 12)), (1, 8, None)],
)
def test_parts_make_up_the_batch(blocks: int, times: int, expected: tuple[int, int] | None) -> None:
    found = smaller({BLOCKS: blocks, TIMES: times, "gradient_checkpointing": True})
    assert (found and (found[BLOCKS], found[TIMES])) == expected


# ---- what it has cost


def test_a_training_pays_for_all_of_its_stages_and_lives() -> None:
    """Two rounds of learning and two of sampling; then a kill, and what was learnt since the checkpoint once more."""
    spent = Spent.of({})
    for row in ({"step": 25, "trained": 2500}, {"step": 50, "trained": 5000}, {"trained": 100}, {"trained": 400}):
        spent.hear(row)
    for row in (
        {"draws": 5, "tokens": 70},
        {"note": "learning"},
        {"draws": 9, "tokens": 120},
        {"draws": 1, "tokens": 10},
    ):
        spent.hear(row)
    assert (spent.trained, spent.sampled) == (5400, 130)
    again = Spent.of({"spent": spent.told()})
    again.hear({"step": 45, "trained": 1000})
    assert (again.told()["trained"], again.told()["sampled"]) == (6400, 130)
    assert again.told()["seconds"] >= spent.told()["seconds"]


def test_a_warning_stands_in_the_runs_log_and_beside_it(store: Store, base: Path) -> None:
    asked = normalised(store, cases.spec(cases.solutions(store), base))
    with Recorded(store, asked) as record:
        record.tell({"warning": "half of it at once"})
        record.tell({"step": 1, "of": 4, "loss": 2.0, "tokens": 256, "trained": 256})
    run = store.run(record.run.id)
    assert run.progress["notes"] == ["half of it at once"]
    assert [line for _, line in store.log_lines(run.id)] == ["half of it at once"]
    assert run.progress["spent"]["trained"] == 256
