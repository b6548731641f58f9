"""Scores after each step, against the plain library asked prefix by prefix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Qwen2Model,
)

from stepviz.errors import StepvizError
from stepviz.reward import load_scorer
from stepviz.reward.encoding import encode_steps
from stepviz.reward.specs import place, plain
from tests import tiny, tiny_scorers

QUESTION = "Tom has 3 apples and buys 12 more. How many?"
CHAINS = [
    (QUESTION, ["3+12=15", "#### 15"]),
    ("A box holds 8 muffins.", ["8/2=4 days", "4 is a lot", "so it lasts", "#### 4"]),
    (QUESTION, ["15"]),
]


@pytest.mark.parametrize("labels", [1, 2])
def test_a_head_is_read_at_the_newline_after_each_step(labels: int, tmp_path: Path) -> None:
    folder = tiny_scorers.lines(tmp_path / "orm", labels)
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(folder).eval(), _tokenizer(folder)
    expected = []
    for question, steps in CHAINS:
        texts = [f"{question}\n" + "".join(f"{s}\n" for s in steps[:i]) for i in range(1, len(steps) + 1)]
        logits = [model(torch.tensor([tokenizer(t)["input_ids"]])).logits[0, -1].detach() for t in texts]
        expected.append([float(x.softmax(-1)[1] if labels == 2 else x.sigmoid()[0]) for x in logits])
    found = load_scorer(f"hf:{folder}", "cpu").score(CHAINS)
    assert [len(scores) for scores in found] == [2, 4, 1]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert max(map(max, found)) - min(map(min, found)) > 0.02  # the model tells steps apart


def test_a_qwen_prm_is_read_at_its_separator(tmp_path: Path) -> None:
    """By hand: a Qwen2Model, then Linear, ReLU, Linear, at each <extra_0> of the published conversation."""
    from safetensors.torch import load_file

    folder = tiny_scorers.qwen_prm(tmp_path / "prm")
    weights, tokenizer = load_file(folder / "model.safetensors"), _tokenizer(folder)
    backbone = Qwen2Model.from_pretrained(folder).eval()
    expected = []
    for question, steps in CHAINS:
        text = (
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
            + "".join(f"{s}<extra_0>" for s in steps)
            + "<|im_end|>\n"
        )
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        hidden = backbone(ids).last_hidden_state[0]
        inner = (hidden @ weights["score.0.weight"].T + weights["score.0.bias"]).relu()
        positive = (inner @ weights["score.2.weight"].T + weights["score.2.bias"]).softmax(-1)[:, 1]
        expected.append(positive[ids[0] == tokenizer.convert_tokens_to_ids("<extra_0>")].tolist())
    scorer = load_scorer(f"hf:{folder}", "cpu")
    assert (scorer.kind, scorer.role) == ("qwen-prm", "prm")
    for one, other in zip(scorer.score(CHAINS), expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_published_prm_is_loaded_without_its_code_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen2.5-Math-PRM names code of its own for its config and its model; here that code ends the process."""
    folder = tiny_scorers.qwen_prm(tmp_path / "prm")
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], sorted(config["auto_map"])) == ("qwen2", ["AutoConfig", "AutoModel"])
    assert len(list(folder.glob("*.py"))) == 2
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asks whether to run the code"))
    scorer = load_scorer(f"hf:{folder}", "cpu")
    assert (scorer.kind, type(scorer.model).__module__) == ("qwen-prm", "stepviz.reward.loading")


def test_a_step_that_writes_the_separator_is_one_step_all_the_same(tmp_path: Path) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.qwen_prm(tmp_path / 'prm')}", "cpu")
    assert [len(s) for s in scorer.score([(QUESTION, ["3<extra_0>4", "12"])])] == [2]


def test_a_stock_head_with_the_separator_is_read_as_a_qwen_prm(tmp_path: Path) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.qwen_prm(tmp_path / 'prm', own_head=False)}", "cpu")
    assert scorer.kind == "qwen-prm"
    assert [len(s) for s in scorer.score(CHAINS)] == [2, 4, 1]


def test_a_shepherd_is_read_at_its_tag(tmp_path: Path) -> None:
    """By hand: plus against minus after `QUESTION Step 1: … ки`, and so on, each prefix by itself."""
    folder = tiny_scorers.shepherd(tmp_path / "math-shepherd")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), _tokenizer(folder)
    pair = [tokenizer.convert_tokens_to_ids(x) for x in "+-"]
    steps = ["3+12=15", "коки знают ки", "#### 15"]  # a step may hold the tag's letters
    numbered = [f"Step {i}: {step} ки" for i, step in enumerate(steps, start=1)]
    expected = []
    for i in range(1, 4):
        ids = torch.tensor([tokenizer(f"{QUESTION} " + "\n".join(numbered[:i]))["input_ids"]])
        expected.append(float(model(ids).logits[0, -1, pair].softmax(-1)[0].detach()))
    for spec in (f"hf:{folder}", f"math-shepherd:{folder}"):
        scorer = load_scorer(spec, "cpu")
        assert (scorer.kind, scorer.role) == ("math-shepherd", "prm")
        (found,) = scorer.score([(QUESTION, steps)])
        assert found == pytest.approx(expected, abs=1e-5)
        assert scorer.score([(QUESTION, ["Step 1: 3+12=15", *steps[1:]])])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("prepend", ["always", "first", "never"])
def test_a_shepherd_of_a_sentencepiece_vocabulary_is_read_at_its_tag_for_plus_and_minus_after_a_space(
    prepend: str, tmp_path: Path
) -> None:
    """As Mistral's: "▁+" and "▁-", which the published code asks for, are other tokens than "+" and "-"."""
    folder = tiny_scorers.shepherd(tmp_path / "math-shepherd", prepend=prepend)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), _tokenizer(folder)
    vocab = tokenizer.get_vocab()
    assert len({vocab[x] for x in ("+", "-", "▁+", "▁-")}) == 4
    steps = ["3 + 12 = 15", "коки знают ки", "#### 15"]
    numbered = [f"Step {i}: {step} ки" for i, step in enumerate(steps, start=1)]
    expected = []
    for i in range(1, 4):
        ids = tokenizer(f"{QUESTION} " + "\n".join(numbered[:i]))["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids[-2:]) == ["▁", "ки"]
        logits = model(torch.tensor([ids])).logits[0, -1].detach()
        expected.append(float(logits[[vocab["▁+"], vocab["▁-"]]].softmax(-1)[0]))
    (found,) = load_scorer(f"hf:{folder}", "cpu").score([(QUESTION, steps)])
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_of_ours_says_what_it_estimates_and_how_it_was_asked(tmp_path: Path) -> None:
    plain = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'plain')}", "cpu")
    noted = tiny_scorers.lines(tmp_path / "noted", role="sorm", template="Q: {question}\nA:\n", separator="\n\n")
    ours = load_scorer(f"hf:{noted}", "cpu")
    assert (plain.role, ours.role) == ("prm", "sorm")
    soft = tiny_scorers.lines(tmp_path / "soft", role="sorm", estimates="V")  # as it was noted before roles followed
    assert load_scorer(f"hf:{soft}", "cpu").role == "orm"
    asked = encode_steps(ours.tokenizer, f"Q: {QUESTION}\nA:\n", ["15 "], "\n\n")
    assert ours.encode(QUESTION, ["15"]) == asked
    assert ours.tokenizer.decode(asked.ids) == f"<s>Q: {QUESTION}\nA:\n15\n\n"
    assert asked.ends == (len(asked.ids) - 1,)


def test_batches_change_nothing_and_each_is_told_as_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepviz.reward import scorer as module

    loaded = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'orm')}", "cpu")
    together = loaded.score(CHAINS * 3)
    monkeypatch.setitem(module.TOKENS, "cpu", 1)  # each chain by itself, the longest first
    told: list[int] = []
    alone = loaded.score(CHAINS, on_scores=lambda i, scores: told.append(i))
    assert told == [1, 0, 2]
    for one, other in zip(together, alone * 3, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert loaded.score(CHAINS, cancelled=lambda: bool(told)) == [[], [], []]


# ---- what cannot be scored


def test_a_chain_that_cannot_be_scored_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'orm')}", "cpu")
    asked = [CHAINS[0], (QUESTION, []), (QUESTION, ["1+1=2"] * 200), CHAINS[1]]
    why: dict[int, str] = {}
    found = scorer.score(asked, on_refused=why.__setitem__)
    assert [len(s) for s in found] == [2, 0, 0, 4]
    assert "no steps" in why[1]
    assert "reads 256: score it with a model that reads more" in why[2]
    with pytest.raises(StepvizError, match="chain 2 of 4 cannot be scored: the chain has no steps"):
        scorer.score(asked)


@pytest.mark.parametrize(
    "make, spec, message",
    [
        (
            lambda f: tiny_scorers.lines(f, labels=3),
            "hf:",
            r"3 labels \(LABEL_0, .*1 or 2 .*: take another scorer, or train",
        ),
        (lambda f: tiny_scorers.lines(f, labels=1), "qwen-prm:", "1 labels.* needs 2"),
        (lambda f: tiny_scorers.qwen_prm(f, separator=False), "hf:", "no separator token <extra_0>"),
        (lambda f: tiny_scorers.shepherd(f, tag=False), "math-shepherd:", "no token for the step tag"),
        (lambda f: tiny.build(f), "hf:", "is LlamaForCausalLM, which gives no score"),
        (lambda f: tiny.build(f), "lines:", r"lacks weights of a trained scorer \(score\."),
        (lambda f: tiny_scorers.encoder_only(f), "hf:", "reads both ways"),
        (lambda f: tiny_scorers.lines(f, role="judge"), "hf:", "says it estimates 'judge'"),
    ],
)
def test_a_model_that_does_not_fit_says_what_to_do(make, spec: str, message: str, tmp_path: Path) -> None:  # noqa: ANN001
    folder = make(tmp_path / "model")
    with pytest.raises(StepvizError, match=message):
        load_scorer(f"{spec}{folder}", "cpu")


@pytest.mark.parametrize("spec", ["orm", "embedded", "vllm:x", "hf:", "hf:/nowhere/at/all", "embedded:nothing"])
def test_a_spec_that_names_nothing_is_said(spec: str) -> None:
    with pytest.raises(StepvizError):
        load_scorer(spec, "cpu")


@pytest.mark.parametrize(
    "spec, checkpoint, kind, runs",
    [
        ("hf:a/b", "a/b", None, "here"),
        ("math-shepherd:a/b", "a/b", "math-shepherd", "here"),
        ("vllm:a/b", "a/b", None, "vllm"),
        ("vllm:hf:a/b", "a/b", None, "vllm"),
        ("vllm:qwen-prm:a/b", "a/b", "qwen-prm", "vllm"),
        ("openai:http://host:1/v1/#a/b", "a/b", None, "http://host:1/v1"),
        ("openai:http://host:1/v1#lines:a/b", "a/b", "lines", "http://host:1/v1"),
    ],
)
def test_a_spec_says_which_checkpoint_what_kind_and_what_computes_it(
    spec: str, checkpoint: str, kind: str | None, runs: str
) -> None:
    found = place(spec)
    assert (found.source, found.name, found.kind, found.runs) == (checkpoint, checkpoint, kind, runs)
    assert found.served_as == ("a/b" if runs.startswith("http") else "")
    assert (plain(spec) == spec) == (kind is None)
    assert kind is None or kind not in plain(spec)


def test_a_model_of_ours_keeps_its_name_at_a_server() -> None:
    found = place("openai:http://host:1/v1#embedded:sorm")
    assert (found.name, found.served_as) == ("embedded/sorm", "embedded:sorm")


def _tokenizer(folder: Path):  # noqa: ANN202
    return AutoTokenizer.from_pretrained(folder)
