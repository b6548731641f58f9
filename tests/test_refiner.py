"""The refiner's trainer: rows made by hand, models with and without a [BAD] token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stepviz.errors import StepvizError
from tests import tiny, training_cases
from training import refiner

SHORT = replace(refiner.REFINER, epochs=2, batch=2, length=96, compile=False, bf16=False)
ROWS = [
    {"prompt": f"{q} has 3.\n{mark}", "completion": "3+12=15\n#### 15\n"}
    for q in ("Tom", "Ana", "Bo")
    for mark in ("[BAD]3+12=16\n", "3+12=15\n[BAD]#### 16\n")
]


def with_another_token(folder: Path) -> Path:
    """A base whose one special token of its own is not [BAD], as a chat model has some."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tiny.build(folder)
    raw = Tokenizer.from_file(str(folder / "tokenizer.json")).to_str().replace("[BAD]", "[ODD]")
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(raw), bos_token="<s>", eos_token="</s>", extra_special_tokens=["[ODD]"]
    ).save_pretrained(folder)
    return folder


def test_the_refiner_learns_from_marked_drafts(tmp_path: Path) -> None:
    base, out = tiny.build(tmp_path / "base"), tmp_path / "refiner"
    cost = refiner.run(ROWS, base, out, SHORT, report=lambda row: None)
    assert (cost["documents"], cost["left_out_too_long"]) == (6, 0)
    before, after = (AutoModelForCausalLM.from_pretrained(f).state_dict() for f in (base, out))
    assert all(not torch.equal(before[k], after[k]) for k in before)
    assert len(AutoTokenizer.from_pretrained(out).encode("[BAD]", add_special_tokens=False)) == 1


def test_a_model_without_the_token_is_refused_with_what_to_do(tmp_path: Path) -> None:
    base = training_cases.without_bad(tmp_path / "base")
    with pytest.raises(StepvizError, match=r"no \[BAD\] token.*embedded:base.*--add-token"):
        refiner.run(ROWS, base, tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()


def test_or_it_is_given_the_token(tmp_path: Path) -> None:
    base, out = with_another_token(tmp_path / "base"), tmp_path / "out"
    refiner.run(ROWS, base, out, SHORT, add_token=True, report=lambda row: None)
    tokenizer, model = AutoTokenizer.from_pretrained(out), AutoModelForCausalLM.from_pretrained(out)
    (bad,) = tokenizer.encode("[BAD]", add_special_tokens=False)
    assert bad < model.get_input_embeddings().weight.shape[0]
    assert tokenizer.extra_special_tokens == ["[ODD]", "[BAD]"]  # a chat model keeps its own


@pytest.mark.parametrize(
    "rows, message",
    [
        ([], "empty"),
        ([{"prompt": "Q\n3+12=16\n", "completion": "x"}], r"1 of 1 prompts have no \[BAD\]"),
        ([{"prompt": "Q", "labels": [1]}], "build one by the recipe refine-local or refine-global"),
    ],
)
def test_rows_of_another_kind_are_refused(rows: list[dict[str, object]], message: str, tmp_path: Path) -> None:
    with pytest.raises(StepvizError, match=message):
        refiner.run(rows, tmp_path / "never loaded", tmp_path / "out", SHORT)
