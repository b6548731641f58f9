"""Rows {prompt, completions, labels} → packed blocks in which each chain is alone.

labels: 1, 0, or −100 for a step that is not learnt; with soft labels the target is k/n of the steps that have counts.
Several chains share a block, so that every batch has one shape; a mask and positions that start again keep them
apart, so a chain gets in its block the very scores that it gets by itself (a test holds the two together).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepviz.errors import StepvizError
from stepviz.reward.encoding import TEMPLATE, encode_steps
from stepviz.types import digest
from training.packing import IGNORED, Document

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

COLUMNS = "prompt, completions and labels"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A chain with a label after each step; `targets` is what is learnt: the labels, or k/n."""

    prompt: str  # rendered
    steps: tuple[str, ...]
    labels: tuple[int, ...]
    targets: tuple[float, ...]


def read(rows: Iterable[Mapping[str, Any]], soft: bool = False, template: str | None = None) -> list[Labelled]:
    """The rows that hold a label. StepvizError for rows of another kind, or where none holds one.

    template: the prompts are rendered by it. None: they end with a newline, as ours do, or are bare questions,
    as in public sets, which are rendered here.
    """
    chains = [_labelled(row, soft) for row in rows]
    if not chains:
        raise StepvizError("the dataset is empty: nothing to train on")
    chains = [chain for chain in chains if any(label != IGNORED for label in chain.labels)]
    if not chains:
        raise StepvizError("no step of this dataset has a label: measure chains first, then build it again")
    before, after = (template or TEMPLATE).split("{question}", 1)
    odd = sum(not (c.prompt.startswith(before) and c.prompt.endswith(after)) for c in chains)
    if odd and template is not None:
        raise StepvizError(f"{odd} prompts of this dataset are not made by its template {template!r}: build it again")
    if odd:
        chains = [Labelled(before + c.prompt.rstrip() + after, c.steps, c.labels, c.targets) for c in chains]
    return chains


def _labelled(row: Mapping[str, Any], soft: bool) -> Labelled:
    prompt, steps, labels = (row.get(name) for name in ("prompt", "completions", "labels"))
    if not isinstance(prompt, str) or not isinstance(steps, list) or not isinstance(labels, list):
        raise StepvizError(
            f"this dataset has no columns {COLUMNS}; build one with the recipes orm, balanced-orm, sorm or stepwise"
        )
    if len(steps) != len(labels) or not all(isinstance(step, str) for step in steps):
        raise StepvizError(f"a row has {len(steps)} steps and {len(labels)} labels: each step has one")
    if not all(label in (0, 1, IGNORED) for label in labels):
        raise StepvizError(f"labels are 1, 0 or {IGNORED} (not learnt), not {sorted(set(map(str, labels)))[:5]}")
    whole = tuple(int(label) for label in labels)
    targets = _soft(row, whole) if soft else tuple(map(float, whole))
    known = tuple(IGNORED if target == IGNORED else label for label, target in zip(whole, targets, strict=True))
    return Labelled(prompt, tuple(steps), known, targets)


def _soft(row: Mapping[str, Any], labels: Sequence[int]) -> tuple[float, ...]:
    """k/n of each step that is learnt, and the last one's label, from which nothing is sampled: it is the answer.

    A label of an earlier step of which nothing was sampled was carried back, or is the chain's own suffix's: it says
    that V is above 0, and no more.
    """
    k, n = row.get("k"), row.get("n")
    if not isinstance(k, list) or not isinstance(n, list) or not len(k) == len(n) == len(labels):
        raise StepvizError("this dataset has no counts k and n for each step: train without --soft, or build it again")
    counts = zip(labels, k, n, strict=True)
    found = [IGNORED if label == IGNORED or not total else hits / total for label, hits, total in counts]
    if labels and not n[-1]:
        found[-1] = labels[-1]
    return tuple(map(float, found))


def held_out(chains: Sequence[Labelled], share: float) -> tuple[list[Labelled], list[Labelled]]:
    """(to learn from, to be judged by): by problem, so that no question is in both, and the same ones every time."""
    away = {c.prompt for c in chains if int(digest("held out", c.prompt)[:8], 16) < share * 16**8}
    return [c for c in chains if c.prompt not in away], [c for c in chains if c.prompt in away]


def documents(tokenizer: PreTrainedTokenizerBase, chains: Iterable[Labelled]) -> list[Document]:
    """A target at each step's last token, nothing to learn elsewhere."""
    made = []
    for chain in chains:
        encoded = encode_steps(tokenizer, chain.prompt, chain.steps)
        labels = [float(IGNORED)] * len(encoded.ids)
        for end, target in zip(encoded.ends, chain.targets, strict=True):
            labels[end] = target
        made.append(Document(encoded.ids, tuple(labels)))
    return made


class PackedChains:
    """A map-style data set: {input_ids, labels, position_ids, chain}, each `length` long; `chain` numbers the chains.

    What is left at a block's end is a chain of its own, of padding.
    """

    def __init__(self, blocks: Sequence[Sequence[Document]], length: int, pad: int) -> None:
        self.blocks, self.length, self.pad = blocks, length, pad

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        import torch

        padding = self.length - sum(len(d.ids) for d in self.blocks[index])
        rest = Document((self.pad,) * padding, (float(IGNORED),) * padding)
        whole = [*self.blocks[index], rest]
        sizes = torch.tensor([len(d.ids) for d in whole])
        return {
            "input_ids": torch.tensor([i for d in whole for i in d.ids]),
            "labels": torch.tensor([x for d in whole for x in d.labels], dtype=torch.float32),
            "position_ids": torch.cat([torch.arange(len(d.ids)) for d in whole]),
            "chain": torch.repeat_interleave(torch.arange(len(whole)), sizes),
        }


def collate(rows: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """[B, T] each, and a mask [B, 1, T, T]: a token sees those before it in its own chain, and itself."""
    import torch

    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    chain = batch.pop("chain")
    same = chain[:, :, None] == chain[:, None, :]
    return batch | {"attention_mask": same.tril()[:, None]}
