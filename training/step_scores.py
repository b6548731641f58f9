"""One trainer for ORM, Balanced ORM, SORM (GLoRe, papers.md 1.2) and step reward models: a score after each step.

What differs is the dataset, and so what the model comes to estimate (its role); the trainer is the same: a causal
checkpoint under a token classification head, asked at the last token of each step, in one pass over the chain.
The result is an ordinary *ForTokenClassification checkpoint that stepviz.reward, and any stock library, loads.

Choices:
1. Two labels (wrong, right) and a softmax, as stock losses and servers expect, not one and a sigmoid: the same
   probability, σ(z₁ − z₀), with one row more.
2. The loss is the mean over the steps that have a label: of a batch, not of each chain.
3. Soft labels: the target is k/n, so the model estimates V whatever the dataset's recipe, and its role is an ORM's.
   Where k of n people call a step right it is no V, and the role stays a step reward model's.
   Of a dataset that is balanced by its labels it is V with that balance: build with --no-balance for V itself.
4. A share of the problems is held out, by a hash of the prompt, and the trained model judged on them; where the
   labels are balanced by masking, so are those it is judged on. Soft labels are judged as V: above 1/2 or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz import glore
from stepviz.errors import StepvizError
from stepviz.reward.specs import ESTIMATES
from training.language_model import LossLog, Report, Settings, arguments, check_memory, cost
from training.language_model import run as train
from training.large import head_of, with_exact_head
from training.packing import IGNORED, pack
from training.room import Parts
from training.step_rows import Labelled, PackedChains, collate, documents, held_out, read

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from stepviz.reward.scorer import Scorer

# For the embedded base; a 7B model wants about 1e-5 and one or two epochs.
SCORER = Settings(epochs=4, learning_rate=1e-3, batch=16)
LABELS = ("wrong", "right")
HELD_OUT = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """What `python -m training NAME` reads and makes."""

    role: str  # stepviz.reward.ROLES; with soft labels of rollouts an ORM's
    datasets: tuple[str, ...]  # recipes of datasets that it learns from


RECIPES = {
    "orm": Recipe("orm", ("orm",)),
    "balanced-orm": Recipe("orm", ("balanced-orm",)),
    "sorm": Recipe("sorm", ("sorm",)),
    "prm": Recipe("prm", ("stepwise",)),
}


def run(
    rows: Iterable[Mapping[str, Any]],
    base: Path | str,
    out: Path,
    recipe: Recipe,
    settings: Settings = SCORER,
    *,
    soft: bool = False,
    template: str | None = None,
    counts: Mapping[str, Any] | None = None,
    share: float = HELD_OUT,
    report: Report | None = None,
) -> dict[str, Any]:
    """Trains a scorer from the causal checkpoint `base` and writes it to `out`; returns cost and held-out figures.

    `template` is what rendered the rows' prompts (see step_rows.read), `counts` by which rule their rollouts were
    counted (see counts_of): it is kept with the cost. StepvizError for rows of another kind.
    """
    chains = read(rows, soft, template)
    learnt, judged = held_out(chains, share)
    if not learnt:
        raise StepvizError(f"all {len(chains)} chains are of problems that are held out: give more, or --held-out 0")
    model, tokenizer = load_base(base, settings.seed)
    settings = replace(settings, length=min(settings.length, model.config.get_text_config().max_position_embeddings))
    made = documents(tokenizer, learnt)
    fitting = [d for d in made if len(d.ids) <= settings.length]
    if not fitting:
        raise StepvizError(f"every chain is longer than {settings.length} tokens; raise --length")
    check_memory(model)
    spent = _fit(model, tokenizer, pack(fitting, settings.length, settings.seed), out, settings, report)
    role = "orm" if soft and recipe.role != "prm" else recipe.role
    said = {"role": role, "estimates": ESTIMATES[role]} | ({"template": template} if template else {})
    head_of(model).to(model.dtype)  # as it will be read, and judged below
    save(model, tokenizer, out, said)
    return {
        **said,
        **({"counts": dict(counts)} if counts else {}),
        "chains": len(fitting),
        "left_out_too_long": len(made) - len(fitting),
        "labelled_steps": sum(label != IGNORED for d in fitting for label in d.labels),
        **spent,
        "held_out": figures(_scorer(model, tokenizer, role), judged, soft) | _against(role, soft),
    }


def counts_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a dataset's configuration the rule by which rollouts were counted; nothing where none were."""
    names = glore.Counting._fields
    return {name: config[name] for name in names} if set(names) <= config.keys() else {}


def load_base(base: Path | str, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The checkpoint under a new head of two labels, drawn from the seed; precision as in training.sft."""
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification

    from stepviz.engines.precision import trained_in
    from stepviz.engines.transformers import load_tokenizer
    from stepviz.reward.loading import chosen_device

    torch.manual_seed(seed)
    try:
        config = AutoConfig.from_pretrained(str(base), trust_remote_code=False)
        config.update({"num_labels": len(LABELS), "classifier_dropout": 0.0})
        config.id2label, config.label2id = dict(enumerate(LABELS)), {name: i for i, name in enumerate(LABELS)}
        model, found = AutoModelForTokenClassification.from_pretrained(
            str(base),
            config=config,
            dtype=trained_in(config, chosen_device(None)),
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise StepvizError(f"cannot put a head on {str(base)!r} (safetensors, no remote code): {error}") from error
    lacking = [name for name in found["missing_keys"] if not name.startswith(("score.", "classifier."))]
    if lacking:
        raise StepvizError(f"{base} is no causal checkpoint: it lacks {', '.join(sorted(lacking)[:3])}")
    return with_exact_head(model), load_tokenizer(str(base))


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path, said: Mapping[str, str]) -> None:
    """An ordinary checkpoint whose config notes what its scores estimate, for stepviz.reward."""
    import shutil

    from stepviz.reward.recognise import SETTINGS

    setattr(model.config, SETTINGS, dict(said))
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    shutil.rmtree(out / "trainer", ignore_errors=True)  # last: a kill before this can still go on from a checkpoint


def figures(scorer: Scorer, chains: Sequence[Labelled], soft: bool = False) -> dict[str, Any]:
    """How a scorer fares on labelled chains: all steps, and the last one of each chain (the final answer's).

    `auc_position` is what the step's number alone achieves, early steps being right more often. Of soft labels the
    scorer estimates V: it is judged by whether V is above 1/2, and by its squared error, beside that of the mean V.
    """
    asked = [(c.prompt, c.steps) for c in chains]
    scores = scorer.score(asked, on_refused=lambda index, reason: None)
    rows = [
        (int(target > 0.5), score, -i, i == len(chain.targets) - 1, target)
        for chain, found in zip(chains, scores, strict=True)
        for i, (target, score) in enumerate(zip(chain.targets, found, strict=False))
        if target != IGNORED
    ]
    last = [row for row in rows if row[3]]
    return {
        "chains": len(chains),
        "refused": sum(not found for found in scores),
        **(_of_v([row[4] for row in rows], [row[1] for row in rows]) if soft else {}),
        **_figures([row[0] for row in rows], [row[1] for row in rows]),
        "auc_position": _auc([row[0] for row in rows], [row[2] for row in rows]),
        "last_step": _figures([row[0] for row in last], [row[1] for row in last]),
    }


def _against(role: str, soft: bool) -> dict[str, str]:
    """What soft labels of a step reward model are: shares of people."""
    return {"against": "called right by more than half"} if soft and role == "prm" else {}


def _of_v(targets: list[float], scores: list[float]) -> dict[str, Any]:
    """Against V itself; None where nothing is known."""
    mean = sum(targets) / len(targets) if targets else 0.0
    errors = [
        sum((t - s) ** 2 for t, s in zip(targets, guess, strict=True)) for guess in (scores, [mean] * len(targets))
    ]
    own, base = (round(error / len(targets), 4) if targets else None for error in errors)
    return {"against": "V above 1/2", "squared_error": own, "squared_error_of_mean": base}


def _figures(labels: list[int], scores: list[float]) -> dict[str, Any]:
    """None for what one class alone does not say."""
    from sklearn.metrics import balanced_accuracy_score

    both = len(set(labels)) == 2
    said = [int(score > 0.5) for score in scores]  # at or below it a step is bad, as in the paper
    return {
        "steps": len(labels),
        "positive": round(sum(labels) / len(labels), 4) if labels else None,
        "balanced_accuracy": round(float(balanced_accuracy_score(labels, said)), 4) if both else None,
        "auc": _auc(labels, scores),
    }


def _auc(labels: Sequence[int], scores: Sequence[float]) -> float | None:
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(labels, scores)), 4) if len(set(labels)) == 2 else None


def _scorer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, role: str) -> Scorer:
    """Of the model in memory; prompts are rendered already."""
    from stepviz.reward.encoding import Lines
    from stepviz.reward.loading import head_reader, scorer

    encode = Lines(tokenizer, template="{question}")
    named = {"spec": "this model", "model_id": "", "role": role, "kind": "lines", "device": str(model.device)}
    return scorer(model.eval(), tokenizer, encode, head_reader(model), **named)


def _fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    blocks: list[Any],
    out: Path,
    settings: Settings,
    report: Report | None,
) -> dict[str, Any]:
    """Trains the model in place; what that cost."""
    from torch.nn.functional import binary_cross_entropy_with_logits
    from transformers import Trainer

    class StepTrainer(Trainer):
        """The stock trainer with a loss that takes targets between 0 and 1: the mean over a step's labels, also where
        its batch comes in parts."""

        loss_is_scaled_for_ga = True

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            targets = inputs.pop("labels")
            logits = model(**inputs).logits.float()
            known = targets != IGNORED
            margin = logits[..., 1] - logits[..., 0]
            each = binary_cross_entropy_with_logits(margin, targets.clamp(min=0), reduction="none")
            of = known.sum() if num_items_in_batch is None else num_items_in_batch
            loss = (each * known).sum() / of.clamp(min=1)
            return (loss, {"logits": logits}) if return_outputs else loss

    pad = tokenizer.pad_token_id or 0
    log = LossLog(report, settings.batch * settings.length)

    def made(parts: Parts) -> Trainer:
        trainer = StepTrainer(
            model=model,
            args=arguments(out, settings, len(blocks), parts, remove_unused_columns=False),
            train_dataset=PackedChains(blocks, settings.length, pad),
            data_collator=collate,
            callbacks=log.callbacks(),
        )
        trainer.model_accepts_loss_kwargs = True  # our loss takes the count of the whole batch's labels
        return trainer

    result = train(made, model, out, settings, log)
    return cost(blocks, settings, log, result.global_step)
