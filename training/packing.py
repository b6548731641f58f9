"""Documents → blocks of one length, without cutting a document: static shapes are what a compiled model needs."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # a label that costs nothing


@dataclass(frozen=True, slots=True)
class Document:
    """Token ids and their labels, equally long; a label of −100 is not learnt."""

    ids: tuple[int, ...]
    labels: tuple[float, ...]


def plain(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[Document]:
    """Every token of a text is learnt; each starts with the begin token and ends with the end token."""
    documents = []
    for ids in tokenizer(list(texts))["input_ids"]:
        whole = (*ids, tokenizer.eos_token_id)
        documents.append(Document(whole, whole))
    return documents


def prompt_completion(tokenizer: PreTrainedTokenizerBase, pairs: Iterable[tuple[str, str]]) -> list[Document]:
    """Only the completion and the end token are learnt."""
    documents = []
    for prompt, completion in pairs:
        head = tokenizer(prompt)["input_ids"]
        tail = [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        documents.append(Document((*head, *tail), (*[IGNORED] * len(head), *tail)))
    return documents


def pack(documents: Sequence[Document], length: int, seed: int, window: int = 4096) -> list[list[Document]]:
    """Best-fit: each document goes where it leaves least room. Documents longer than `length` are left out.

    Works through shuffled windows, so that blocks hold random documents; blocks come out shuffled.
    """
    rng = random.Random(seed)
    order = [d for d in documents if len(d.ids) <= length]
    rng.shuffle(order)
    blocks: list[list[Document]] = []
    for start in range(0, len(order), window):
        open_blocks: list[tuple[int, int]] = []  # (room, index), sorted
        for document in sorted(order[start : start + window], key=lambda d: -len(d.ids)):
            at = bisect_left(open_blocks, (len(document.ids), -1))
            if at < len(open_blocks):
                room, index = open_blocks.pop(at)
                blocks[index].append(document)
            else:
                room, index = length, len(blocks)
                blocks.append([document])
            insort(open_blocks, (room - len(document.ids), index))
    for block in blocks:
        rng.shuffle(block)
    rng.shuffle(blocks)
    return blocks


class PackedBlocks:
    """A map-style data set for `transformers.Trainer`: rows of {input_ids, labels}, each `length` long."""

    def __init__(self, blocks: Sequence[Sequence[Document]], length: int, pad: int) -> None:
        self.blocks, self.length, self.pad = blocks, length, pad

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        import torch

        ids = torch.full((self.length,), self.pad)
        labels = torch.full((self.length,), IGNORED)
        at = 0
        for document in self.blocks[index]:
            end = at + len(document.ids)
            ids[at:end] = torch.tensor(document.ids)
            labels[at:end] = torch.tensor(document.labels)
            labels[at] = IGNORED  # nothing predicts the first token of a document
            at = end
        return {"input_ids": ids, "labels": labels}
