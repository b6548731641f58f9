"""How a large model is trained: block by block, and yet by the updates of the whole batch. On a tiny one."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Trainer

from stepviz import trainings
from stepviz.checkpoints import look
from stepviz.reward import load_scorer
from stepviz.train_memory import memory_needed
from tests import tiny
from training import refiner, sft, step_scores
from training.language_model import Settings
from training.large import head_of

SHORT = Settings(epochs=1, batch=4, length=64, learning_rate=3e-3, compile=False, bf16=False, max_steps=4)
Rows = list[dict[str, Any]]


def pairs(n: int = 64) -> Rows:
    """Of completions as long as questions and of far longer ones: blocks differ in how much of them is learnt."""
    return [{"prompt": f"Tom {i}.\n", "completion": "3+12=15\n" * (1 + 3 * (i % 2)) + "#### 15\n"} for i in range(n)]


def drafts() -> Rows:
    return [row | {"prompt": f"{row['prompt']}[BAD]3+12=16\n"} for row in pairs()]


def chains(n: int = 64) -> Rows:
    """Some with one label, some with three; k of 8 beside them."""
    rows = []
    for i in range(n):
        labels = [1, int(i % 4 > 0), int(i % 3 > 0)] if i % 2 else [1, -100, -100]
        counts = {"k": [8, 3, i % 8], "n": [8, 8, 8]}
        rows.append({"prompt": f"Tom {i}\n", "completions": ["a=1", "b=2", "c=3"], "labels": labels, **counts})
    return rows


def _sft(base: Path, out: Path, told: Callable[[Any], None]) -> Any:
    return sft.run(pairs(), base, out, SHORT, told)


def _refiner(base: Path, out: Path, told: Callable[[Any], None]) -> Any:
    return refiner.run(drafts(), base, out, SHORT, report=told)


def _sorm(base: Path, out: Path, told: Callable[[Any], None], soft: bool = False) -> Any:
    return step_scores.run(chains(), base, out, step_scores.RECIPES["sorm"], SHORT, soft=soft, share=0.0, report=told)


def _soft(base: Path, out: Path, told: Callable[[Any], None]) -> Any:
    return _sorm(base, out, told, soft=True)


@pytest.mark.parametrize("train", [_sft, _refiner, _sorm, _soft])
def test_block_by_block_the_updates_are_those_of_the_whole_batch(
    train: Callable[..., Any], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over all labels of a batch, not the mean of its blocks' means: blocks have more or fewer labels."""
    seen: list[tuple[int, ...]] = []
    step = Trainer.training_step

    def watched(self: Trainer, model: Any, inputs: Any, *given: Any) -> Any:
        seen.append((inputs["input_ids"].shape[0], self.model.is_gradient_checkpointing))
        return step(self, model, inputs, *given)

    monkeypatch.setattr(Trainer, "training_step", watched)
    whole = train(base, tmp_path / "whole", lambda row: None)
    assert seen == [(4, False)] * 4
    seen.clear()
    monkeypatch.setattr(trainings, "LARGE", 1_000)
    parts = train(base, tmp_path / "parts", lambda row: None)
    assert seen == [(1, True)] * 16
    assert [step for step, _ in parts["losses"]] == [step for step, _ in whole["losses"]] == [1, 2, 3, 4]
    assert [x for _, x in parts["losses"]] == pytest.approx([x for _, x in whole["losses"]], abs=2e-4)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    start = load_file(base / "model.safetensors")
    for name in one.keys() & start.keys():
        moved, apart = (one[name] - start[name]).norm(), (one[name] - two[name]).norm()
        assert moved > 0
        assert apart < 0.02 * moved, name  # Adam divides by small gradients: floats are not equal to the last digit


def test_the_models_that_are_trained_here_divide_by_the_whole_batchs_labels() -> None:
    """The stock trainer hands the count of labels to a model whose forward takes more than it names."""
    from transformers import Gemma2ForCausalLM, LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM

    for model in (Gemma2ForCausalLM, LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM):
        kinds = [p.kind for p in inspect.signature(model.forward).parameters.values()]
        assert inspect.Parameter.VAR_KEYWORD in kinds, model


def test_memory_is_that_of_one_block_whatever_the_batch(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 layers of width 32, 4 bytes: each layer's input, the 34 numbers of one, the logits of one block."""
    monkeypatch.setattr(trainings, "LARGE", 1_000)
    found = look(str(base))
    expected = 16 * found.parameters + 64 * (4 * (2 + 34) * 32 + 10 * found.config["vocab_size"])
    for batch in (1, 8, 100):
        assert memory_needed(found, {"batch": batch, "length": 64}, on_gpu=False) == expected


# ---- the head


def test_a_new_head_learns_in_float32_under_a_body_in_bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1e-5 a step moves weights around 0.02 by less than bfloat16 tells apart: the head stayed as it was drawn."""
    base = tiny.build(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    monkeypatch.setattr("stepviz.engines.precision.trained_in", lambda config, device: torch.bfloat16)
    drawn = head_of(step_scores.load_base(base, 0)[0]).weight.detach().clone()
    assert drawn.dtype == torch.float32
    large = drawn.abs() > 0.005  # there two numbers of bfloat16 are at least 3e-5 apart
    heads: list[torch.Tensor] = []
    saved = step_scores.save

    def keep(model: Any, *given: Any) -> None:
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}  # an ordinary checkpoint of one precision
        saved(model, *given)

    to = torch.nn.Linear.to

    def before(self: torch.nn.Linear, *given: Any, **more: Any) -> Any:
        if self.out_features == 2 and given == (torch.bfloat16,):
            heads.append(self.weight.detach().clone())
        return to(self, *given, **more)

    monkeypatch.setattr(step_scores, "save", keep)
    monkeypatch.setattr(torch.nn.Linear, "to", before)
    settings = replace(SHORT, learning_rate=1e-5, max_steps=2)
    step_scores.run(chains(), base, tmp_path / "out", step_scores.RECIPES["sorm"], settings, share=0.3, report=print)
    (learnt,) = heads
    assert (learnt != drawn)[large].float().mean() > 0.9
    assert {t.dtype for t in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}
    scorer = load_scorer(f"hf:{tmp_path / 'out'}", device="cpu")
    (scores,) = scorer.score([("Tom 1\n", ["a=1", "b=2"])])
    assert len(scores) == 2
    assert all(0 < score < 1 for score in scores)


def test_the_head_of_the_embedded_models_is_as_it_was(base: Path) -> None:
    head = head_of(step_scores.load_base(base, 0)[0])
    assert head.weight.dtype == torch.float32
    assert not head._forward_pre_hooks
    assert json.loads((base / "config.json").read_text())["dtype"] == "float32"
