"""A base of the hub: its name is its engine's, its settings do not hang on the download, its memory is asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from typer.testing import CliRunner

from db.store import Store
from stepviz import engines, reward, train_job, train_memory, trainings
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.train_memory import Machine, memory_needed
from tests import tiny, tiny_scorers
from tests import training_cases as cases
from tests.hub_cases import COMMIT, QWEN_7B, QWEN_7B_PARAMETERS, Hub, hub
from training import memory
from training.__main__ import app
from training.record import base_of

__all__ = ["hub"]
QWEN = "Qwen/Qwen2.5-Math-7B"
GPU = Machine("the GPU", 80 << 30, 80 << 30, on_gpu=True)


@pytest.mark.parametrize("saved", [torch.float32, torch.bfloat16])
def test_a_base_of_the_hub_is_recorded_under_the_name_that_its_engine_gives_it(
    saved: torch.dtype, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NAME@COMMIT, with the precision on a GPU; else the 7B's own draws look as if they were another's."""
    model = tiny.build(tmp_path / "model")
    AutoModelForCausalLM.from_pretrained(model, dtype=saved).save_pretrained(model)
    hub.put("org/name", model)
    suffix = {torch.float32: "", torch.bfloat16: "+bfloat16"}[saved]
    cpu = f"org/name@{COMMIT[:12]}"
    assert base_of("org/name").id == base_of("hf:org/name").id == engines.load("hf:org/name", device="cpu").model_id
    assert base_of("org/name").id == cpu
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(PreTrainedModel, "to", lambda self, device: self)
    assert base_of("org/name").id == engines.load("hf:org/name", device="cuda").model_id == cpu + suffix
    hub.put("org/name", model, commit="f" * 40)
    assert base_of("org/name").id == f"org/name@{'f' * 12}{suffix}"


def test_a_scorer_of_the_hub_has_its_commit_in_its_name(hub: Hub, tmp_path: Path) -> None:
    hub.put("org/judge", tiny_scorers.lines(tmp_path / "judge"))
    assert reward.load_scorer("hf:org/judge", device="cpu").model_id == f"org/judge@{COMMIT[:12]}"


def test_a_base_that_cannot_be_fetched_is_named(hub: Hub) -> None:
    with pytest.raises(StepvizError, match="cannot read the config of 'org/nobody'"):
        base_of("org/nobody")


# ---- settings


@pytest.mark.parametrize("size", [None, 0, 100_000_000, 7_615_616_512])
def test_what_is_large_or_of_unknown_size_gets_the_rates_of_published_models(size: int | None) -> None:
    for training in trainings.TRAININGS.values():
        found = trainings.defaults_for(training, size)
        assert (found.learning_rate, found.epochs, found.batch, found.length) == (1e-5, 2, 8, 1024)
        assert trainings.defaults_for(training, 99_999_999) == training.defaults


def test_the_same_command_is_the_same_training_before_and_after_the_download(
    store: Store, hub: Hub, base: Path
) -> None:
    made = cases.solutions(store)
    asked = {"recipe": "sft", "dataset": made.id, "base": "org/name", "name": "mine"}
    before = train_job.normalised(store, asked)
    hub.put_config("org/name", json.loads((base / "config.json").read_text()))
    halfway = train_job.normalised(store, asked)
    hub.put("org/name", base)
    assert look("org/name").parameters
    assert before == halfway == train_job.normalised(store, asked)
    assert before["settings"]["learning_rate"] == 1e-5
    assert train_job.normalised(store, asked | {"base": str(base)})["settings"]["learning_rate"] == 1.5e-3


def test_a_size_is_known_when_all_files_are_here(hub: Hub, base: Path) -> None:
    snapshot = hub.put("org/name", base)
    whole = look("org/name").parameters
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors").rename(snapshot / "model-1.safetensors")
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert look("org/name").parameters is None
    (snapshot / "model-2.safetensors").write_bytes((snapshot / "model-1.safetensors").read_bytes())
    assert look("org/name").parameters == 2 * (whole or 0)


# ---- memory


def test_a_7b_is_refused_by_its_config_before_its_weights_are_fetched(
    store: Store, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_job, "memory_of", lambda: Machine("this machine", 16 << 30, 16 << 30))
    made = cases.solutions(store)
    hub.put_config(QWEN, QWEN_7B)
    words = ["sft", "--dataset", str(made.id), "--base", QWEN, "--out", str(tmp_path / "mine"), "--db", store.url]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, StepvizError)
    assert "this training needs about 124.3 GB" in str(result.exception)
    assert "and this machine has 17.2 GB: take a smaller base model" in str(result.exception)
    (run,) = store.runs()
    assert (run.state, run.error) == ("failed", str(result.exception))
    assert run.spec["settings"]["learning_rate"] == 1e-5


def test_a_7b_needs_what_the_readme_says(hub: Hub) -> None:
    """By hand: 4 × 2 bytes a parameter, and of one block of 1,024 tokens the inputs of 28 layers, the 34 numbers of
    one, and the logits."""
    hub.put_config(QWEN, QWEN_7B)
    assert memory.parameters_of(look(QWEN)) == QWEN_7B_PARAMETERS
    block = 1024 * (2 * (28 + 34) * 3584 + 10 * 152064)
    need = 8 * QWEN_7B_PARAMETERS + block
    settings = {"batch": 8, "length": 1024}
    assert memory_needed(look(QWEN), settings, on_gpu=True, parameters=QWEN_7B_PARAMETERS) == need
    said = json.loads(CliRunner().invoke(app, ["memory", "--base", QWEN]).stdout)
    assert said["gb_on_a_gpu"] == round(need / 1e9, 1)
    assert said["one_block_at_a_time"] is True
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"{said['gb_on_a_gpu']} GB" in readme
    train_memory.require(look(QWEN), settings, GPU, QWEN_7B_PARAMETERS)
