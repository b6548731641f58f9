"""LoRA: small matrices learn beside weights that stay, and what comes out is an ordinary checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from db.store import Store
from stepviz import train_job, train_memory, trainings
from stepviz.checkpoints import look
from stepviz.engines import load
from stepviz.errors import StepvizError
from stepviz.train_memory import Machine, adapters, memory_needed
from stepviz.types import Request, Sampling
from tests import tiny
from tests import training_cases as cases
from tests.hub_cases import QWEN_7B, QWEN_7B_PARAMETERS, Hub, hub
from tests.test_train_large import SHORT, drafts, pairs
from training import refiner, sft
from training.__main__ import app
from training.adapters import adapted, merged
from training.watching import Watch

__all__ = ["hub"]
QWEN = "Qwen/Qwen2.5-Math-7B"


def test_only_linear_layers_change_and_by_no_more_than_the_rank(base: Path, tmp_path: Path) -> None:
    cost = sft.run(pairs(), base, tmp_path / "out", replace(SHORT, max_steps=30), lambda row: None, lora=2)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "out"))
    assert before.keys() == after.keys()
    assert cost["loss_last"] < cost["loss_first"]
    for name in before:
        if name.endswith("_proj.weight"):
            moved = torch.linalg.svdvals(after[name] - before[name])
            assert moved[0] > 1e-3, name
            assert moved[2] < 1e-5 * moved[0] + 1e-6, name
        else:
            assert torch.equal(before[name], after[name]), name
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert not list((tmp_path / "out").glob("adapter*"))
    (drawn,) = load(f"hf:{tmp_path / 'out'}", device="cpu").generate([Request("Tom 1.")], Sampling(max_tokens=4))
    assert drawn.tokens == 4 or drawn.finish_reason == "stop"


def test_adapters_of_a_base_in_bfloat16_learn_in_float32(base: Path) -> None:
    model = adapted(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), 2, 0)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in merged(model).parameters()} == {torch.bfloat16}


def test_block_by_block_too_and_on_from_a_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a 7B is: a large model's adapters, and a kill after the second step."""
    monkeypatch.setattr(trainings, "LARGE", 1_000)
    settings = replace(SHORT, max_steps=6)
    whole = sft.run(pairs(), base, tmp_path / "whole", settings, lambda row: None, lora=2)

    class Killed(Exception):
        pass

    def kill(row: dict[str, Any]) -> None:
        if row["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        sft.run(pairs(), base, tmp_path / "out", settings, Watch(kill, keep_every_s=0.0), lora=2)
    cost = sft.run(pairs(), base, tmp_path / "out", settings, Watch(lambda row: None), lora=2)
    assert cost["resumed_at_step"] > 0
    assert cost["losses"] == whole["losses"]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "out"))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_token_that_a_refiner_did_not_have_learns_its_place_too(tmp_path: Path) -> None:
    base, out = cases.without_bad(tmp_path / "base"), tmp_path / "out"
    with pytest.raises(StepvizError, match=r"has no \[BAD\] token"):
        refiner.run(drafts(), base, out, SHORT, lora=2, report=lambda row: None)
    refiner.run(drafts(), base, out, SHORT, add_token=True, lora=2, report=lambda row: None)
    bad = AutoTokenizer.from_pretrained(out).convert_tokens_to_ids("[BAD]")
    first = tmp_path / "first"
    refiner.run(drafts(), base, first, replace(SHORT, max_steps=1, learning_rate=1e-9), add_token=True, lora=2,
                report=lambda row: None)  # fmt: skip
    before, after = (AutoModelForCausalLM.from_pretrained(x).get_input_embeddings().weight for x in (first, out))
    changed = (before - after).abs().amax(1) > 1e-6
    assert changed.nonzero().flatten().tolist() == [bad]


# ---- what it takes


def test_memory_counts_the_adapters_that_learn(base: Path) -> None:
    found = look(str(base))
    model = adapted(AutoModelForCausalLM.from_pretrained(base), 4, 0)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert adapters(found, 4) == learning
    settings = {"batch": 4, "length": 64}
    less = memory_needed(found, settings, on_gpu=False) - memory_needed(found, settings, on_gpu=False, lora=4)
    assert less == 12 * found.parameters - 16 * learning


def test_a_7b_with_adapters_needs_what_the_readme_says(hub: Hub) -> None:
    """By hand: 2 bytes a weight, 16 a number of the adapters, and a block as without them."""
    hub.put_config(QWEN, QWEN_7B)
    a_layer = 16 * (2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944))
    need = 2 * QWEN_7B_PARAMETERS + 16 * 28 * a_layer + 1024 * (2 * (28 + 34) * 3584 + 10 * 152064)
    said = json.loads(CliRunner().invoke(app, ["memory", "--base", QWEN, "--lora", "16"]).stdout)
    assert said["gb_on_a_gpu"] == round(need / 1e9, 1)
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"{said['gb_on_a_gpu']} GB" in readme
    gpu = Machine("the GPU", 40 << 30, 40 << 30, on_gpu=True)
    settings = {"batch": 8, "length": 1024}
    train_memory.require(look(QWEN), settings, gpu, QWEN_7B_PARAMETERS, 16, True)
    with pytest.raises(StepvizError, match=r"62\.9 GB.* or train adapters beside its weights \(--lora 16\)"):
        train_memory.require(look(QWEN), settings, gpu, QWEN_7B_PARAMETERS, 0, True)


# ---- as a training of the store


def test_adapters_are_a_setting_with_a_rate_of_their_own(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    asked = {"recipe": "sft", "dataset": made.id, "base": "org/name", "name": "mine"}
    plain = train_job.normalised(store, asked)
    assert plain["options"] == {}  # as a training's spec was before there were adapters: it goes on
    spec = train_job.normalised(store, asked | {"options": {"lora": "16"}})
    assert spec["options"] == {"lora": 16}
    assert (plain["settings"]["learning_rate"], spec["settings"]["learning_rate"]) == (1e-5, 2e-4)
    assert train_job.words(spec)[-2:] == ["--lora", "16"]
    with pytest.raises(StepvizError, match="the LoRA rank is between 0 and 1024"):
        train_job.normalised(store, asked | {"options": {"lora": -1}})
    steps = cases.labelled(store)
    with pytest.raises(StepvizError, match="sorm has no option lora"):
        train_job.normalised(store, asked | {"recipe": "sorm", "dataset": steps.id, "options": {"lora": 4}})


def test_the_command_trains_adapters_and_says_what_they_take(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, base = cases.solutions(store, 40), tiny.build(tmp_path / "tiny")
    words = ["sft", "--dataset", str(made.id), "--base", str(base), "--out", "mine", "--db", store.url, "--lora", "2"]
    done = CliRunner().invoke(app, [*words, "--epochs", "1", "--batch", "4", "--length", "64", "--no-compile"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (needs,) = [row for row in rows if "needs_gb" in row]
    assert (needs["parameters"], needs["one_block_at_a_time"]) == (look(str(base)).parameters, False)
    assert json.loads((tmp_path / "mine" / "training.json").read_text())["options"] == {"lora": 2}
    assert store.model(rows[-1]["model"]) is not None
