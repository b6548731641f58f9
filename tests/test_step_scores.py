"""The trainer of ORMs, SORMs and step reward models on a tiny base: rows made by hand, a real training and store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification
from typer.testing import CliRunner

from db.store import Store, open_store
from stepviz import model_choices
from stepviz.compare_spec import role_of
from stepviz.errors import StepvizError
from stepviz.reward import load_scorer
from tests import tiny, tiny_scorers
from training.__main__ import app
from training.packing import IGNORED, Document
from training.step_rows import COLUMNS, PackedChains, collate, documents, held_out, read
from training.step_scores import RECIPES, SCORER, figures, run

SHORT = replace(SCORER, epochs=30, batch=4, length=128, learning_rate=3e-3, compile=False, bf16=False)


def row(question: str, steps: list[str], labels: list[int], **more: Any) -> dict[str, Any]:
    return {"prompt": f"{question}\n", "completions": steps, "labels": labels, **more}


def teachable(n: int = 60) -> list[dict[str, Any]]:
    """A step that says "apples" is wrong, and so is all after it; the last label is left out now and then."""
    rows = []
    for i in range(n):
        bad = i % 4  # 3: none
        steps = ["has apples" if j == bad else "buys 12" for j in range(3)]
        labels = [int(j < bad) for j in range(3)]
        rows.append(row(f"Tom {i}", steps, [*labels[:2], IGNORED if i % 5 == 0 else labels[2]]))
    return rows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "base", sharp=1.0)


# ---- rows


def test_rows_become_a_target_at_the_newline_of_each_step(base: Path) -> None:
    tokenizer = tiny.byte_tokenizer()
    (document,) = documents(tokenizer, read([row("Q", ["a=1", "b"], [1, IGNORED]), row("R", ["c"], [IGNORED])]))
    assert tokenizer.decode(document.ids) == "<s>Q\na=1\nb\n"
    learnt = {i: x for i, x in enumerate(document.labels) if x != IGNORED}
    (at,) = learnt
    assert learnt[at] == 1.0
    assert tokenizer.decode(document.ids[: at + 1]) == "<s>Q\na=1\n"


def test_soft_labels_are_k_of_n_and_the_label_where_nothing_was_sampled() -> None:
    (chain,) = read([row("Q", ["a", "b", "c", "d"], [1, IGNORED, 0, 1], k=[3, 4, 0, 0], n=[8, 8, 8, 0])], soft=True)
    assert chain.targets == (3 / 8, IGNORED, 0.0, 1.0)
    assert chain.labels == (1, IGNORED, 0, 1)


def test_a_label_of_a_step_that_was_not_measured_says_no_v() -> None:
    """Carried back from step 3, whose 2 of 8 are measured, 1 says that V is above 0; after the answer V is known."""
    (chain,) = read([row("Q", list("abcd"), [1, 1, 1, 0], k=[0, 0, 2, 0], n=[0, 0, 8, 0])], soft=True)
    assert chain.targets == (IGNORED, IGNORED, 0.25, 0.0)
    assert chain.labels == (IGNORED, IGNORED, 1, 0)


def test_prompts_are_rendered_as_they_will_be_asked() -> None:
    bare = {"prompt": "What is 1+1?", "completions": ["2"], "labels": [True]}
    assert [c.prompt for c in read([bare, row("Q", ["a"], [0])])] == ["What is 1+1?\n", "Q\n"]
    assert read([row("Problem: Q", ["a"], [0])], template="Problem: {question}\n")[0].prompt == "Problem: Q\n"
    with pytest.raises(StepvizError, match=r"1 prompts .* not made by its template"):
        read([row("Q", ["a"], [0])], template="Problem: {question}\n")


@pytest.mark.parametrize(
    "rows, soft, message",
    [
        ([], False, "empty"),
        ([{"prompt": "q", "completion": "x"}], False, COLUMNS),
        ([row("Q", ["a", "b"], [1])], False, "2 steps and 1 labels"),
        ([row("Q", ["a"], [2])], False, "labels are 1, 0 or -100"),
        ([row("Q", ["a"], [IGNORED]), row("Q", [], [])], False, "no step of this dataset has a label"),
        ([row("Q", ["a"], [1])], True, "no counts k and n"),
    ],
)
def test_rows_of_another_kind_are_refused(rows: list[dict[str, Any]], soft: bool, message: str) -> None:
    with pytest.raises(StepvizError, match=message):
        read(rows, soft)


def test_a_question_is_learnt_from_or_judged_by_never_both() -> None:
    chains = read([row(f"Q{i % 50}", ["a"], [i % 2]) for i in range(200)])
    learnt, judged = held_out(chains, 0.2)
    assert not {c.prompt for c in learnt} & {c.prompt for c in judged}
    assert len(learnt) + len(judged) == 200
    assert 3 <= len({c.prompt for c in judged}) <= 18  # of 50; far out in the binomial's tails
    assert held_out(chains, 0.0)[1] == []


def test_a_chain_in_a_packed_block_is_scored_as_if_it_were_alone(base: Path, tmp_path: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(tiny_scorers.lines(tmp_path / "orm")).eval()
    chains = [Document((0, *range(10, 10 + n)), (float(IGNORED),) * (n + 1)) for n in (5, 9, 3)]
    blocks = PackedChains([chains[:2], chains[2:]], length=20, pad=1)
    batch = collate([blocks[0], blocks[1]])
    batch.pop("labels")
    assert {name: tuple(x.shape) for name, x in batch.items()} == {
        "input_ids": (2, 20), "position_ids": (2, 20), "attention_mask": (2, 1, 20, 20),
    }  # fmt: skip
    with torch.inference_mode():
        together = model(**batch).logits
        alone = [model(input_ids=torch.tensor([d.ids])).logits[0] for d in chains]
    assert torch.isfinite(together).all()
    for found, expected in zip((together[0, :6], together[0, 6:16], together[1, :4]), alone, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


# ---- training


def test_training_changes_every_weight_and_tells_right_from_wrong_on_problems_it_has_not_seen(
    base: Path, tmp_path: Path
) -> None:
    told: list[dict[str, Any]] = []
    cost = run(teachable(), base, tmp_path / "sorm", RECIPES["sorm"], SHORT, share=0.3, report=told.append)
    assert told[-1]["loss"] < 0.35 < told[0]["loss"] + 0.35  # ln 2 = 0.69 is what a coin pays
    found = cost["held_out"]
    assert found["chains"] > 8
    assert found["auc"] > 0.9
    assert found["balanced_accuracy"] > 0.8
    assert found["last_step"]["steps"] < found["steps"]
    assert cost["tokens"] == cost["steps"] * 4 * 128
    config = json.loads((tmp_path / "sorm" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForTokenClassification"]
    assert config["id2label"] == {"0": "wrong", "1": "right"}
    before = AutoModelForTokenClassification.from_pretrained(base).state_dict()
    after = AutoModelForTokenClassification.from_pretrained(tmp_path / "sorm").state_dict()
    assert all(not torch.equal(before[k], after[k]) for k in before)
    scorer = load_scorer(f"hf:{tmp_path / 'sorm'}", "cpu")
    assert scorer.role == "sorm"
    (scores,) = scorer.score([("Tom 99", ["buys 12", "has apples", "buys 12"])])
    assert scores[0] > 0.5 >= scores[1]


def test_figures_by_hand() -> None:
    class Known:
        def score(self, asked: Any, on_refused: Any) -> list[list[float]]:
            on_refused(2, "too long")
            return [[0.9, 0.4, 0.5], [0.8, 0.6], []]

    chains = read([row("A", list("abc"), [1, 1, 0]), row("B", list("ab"), [IGNORED, 0]), row("C", ["a"], [1])])
    found = figures(Known(), chains)  # type: ignore[arg-type]
    # labels 1 1 0 0, scores .9 .4 .5 .6: one of two right ones above 0.5, one of two wrong ones not; of the four
    # pairs .9 beats both wrong ones and .4 none; steps 1 2 against 3 2: 1 beats both, 2 beats 3 and ties with 2
    assert (found["steps"], found["positive"], found["balanced_accuracy"], found["auc"]) == (4, 0.5, 0.5, 0.5)
    assert found["auc_position"] == (2 + 1.5) / 4
    assert found["refused"] == 1
    assert found["last_step"] == {"steps": 2, "positive": 0.0, "balanced_accuracy": None, "auc": None}


def test_soft_labels_are_judged_as_v() -> None:
    class Known:
        def score(self, asked: Any, on_refused: Any) -> list[list[float]]:
            return [[0.5, 0.7, 0.2]]

    rows = [row("A", list("abc"), [1, 1, 0], k=[2, 6, 0], n=[8, 8, 0])]
    found = figures(Known(), read(rows, soft=True), soft=True)  # type: ignore[arg-type]
    # V is 1/4, 3/4 and 0: one of three is above 1/2, though two labels say that the answer can be reached; the errors
    # are 1/4, −1/20 and 1/5, and those of the mean 1/3 are −1/12, 5/12 and −1/3
    assert (found["against"], found["positive"], found["balanced_accuracy"]) == ("V above 1/2", 0.3333, 1.0)
    assert found["squared_error"] == round((1 / 16 + 1 / 400 + 1 / 25) / 3, 4)
    assert found["squared_error_of_mean"] == round((1 / 144 + 25 / 144 + 1 / 9) / 3, 4)


def test_chains_longer_than_a_block_are_left_out_and_counted(base: Path, tmp_path: Path) -> None:
    rows = [*teachable(8), row("Q", ["1+1=2"] * 60, [1] * 60)]
    cost = run(rows, base, tmp_path / "orm", RECIPES["orm"], replace(SHORT, max_steps=1), share=0)
    assert (cost["chains"], cost["left_out_too_long"]) == (8, 1)
    assert cost["held_out"]["steps"] == 0
    with pytest.raises(StepvizError, match="every chain is longer than 128"):
        run(rows[-1:], base, tmp_path / "other", RECIPES["orm"], SHORT, share=0)


def test_a_base_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(StepvizError, match="cannot put a head on"):
        run(teachable(8), tmp_path / "nothing", tmp_path / "orm", RECIPES["orm"], SHORT, share=0)


# ---- from the store to the store


@pytest.fixture
def store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


def command(store: Store, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--db", store.url], catch_exceptions=True)


def test_the_command_reads_the_store_and_leaves_a_model_there(store: Store, base: Path, tmp_path: Path) -> None:
    made = store.add_dataset("mine", "sorm", {"template": "{question}\n"}, teachable())
    out = tmp_path / "my-sorm"
    words = ("sorm", "--dataset", str(made.id), "--base", str(base), "--out", str(out))
    done = command(store, *words, "--epochs", "2", "--batch", "4", "--length", "128", "--no-compile")
    assert done.exit_code == 0, done.output
    last = json.loads(done.stdout.strip().splitlines()[-1])
    (model,) = store.models("sorm")
    assert last["model"] == model.id
    assert model.spec == f"hf:{out}"
    (parent,) = model.parents
    assert store.model(parent).spec == f"hf:{base}"
    assert model.meta["datasets"] == [
        {"id": made.id, "name": "mine", "version": 1, "recipe": "sorm", "hash": made.hash}
    ]
    assert json.loads((out / "training.json").read_text())["held_out"] == model.meta["held_out"]
    assert load_scorer(model.spec, "cpu").model_id == model.id
    again = command(store, *words)
    assert "not empty; choose another --out" in str(again.exception)


def test_what_learns_soft_labels_estimates_v_and_is_an_orm_wherever_it_is_chosen(
    store: Store, base: Path, tmp_path: Path
) -> None:
    """Nowhere is it called a SORM, and the rule by which its successes were counted is kept."""
    rule = {"consistent": True, "plain": False, "results": "last"}
    rows = [r | {"k": [2 * label for label in r["labels"]], "n": [8, 8, 0]} for r in teachable()]
    made = store.add_dataset("mine", "sorm", {"template": "{question}\n", **rule}, rows)
    out = tmp_path / "soft"
    words = ("sorm", "--soft", "--dataset", str(made.id), "--base", str(base), "--out", str(out), "--held-out", "0.3")
    done = command(store, *words, "--epochs", "1", "--batch", "4", "--length", "128", "--no-compile")
    assert done.exit_code == 0, done.output
    assert store.models("sorm") == []
    (model,) = store.models("orm")
    assert (model.meta["role"], model.meta["estimates"], model.meta["counts"]) == ("orm", "V", rule)
    assert model.meta["held_out"]["against"] == "V above 1/2"
    assert load_scorer(model.spec, "cpu").role == role_of(model.spec) == "orm"
    assert [c.label for c in model_choices.scorers(store, "orm")] == ["orm", "soft"]


@pytest.mark.parametrize(
    "recipe, rows, message",
    [
        ("orm", teachable(4), "built by the recipe orm; sorm learns from sorm: build one"),
        ("sorm", [], "is empty"),
        ("sorm", [{"prompt": "q", "completion": "c"}], COLUMNS),
    ],
)
def test_a_dataset_that_does_not_fit_is_said_before_anything_starts(
    recipe: str, rows: list[dict[str, Any]], message: str, store: Store, base: Path, tmp_path: Path
) -> None:
    made = store.add_dataset("mine", recipe, {}, rows)
    done = command(store, "sorm", "--dataset", str(made.id), "--base", str(base), "--out", str(tmp_path / "out"))
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()
    assert store.models() == []
