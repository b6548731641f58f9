"""A batch of rows for any causal language model, through its own forward pass and cache.

Rows are padded on the left, so that all end at the same place. A prompt is computed once and its cache
repeated for its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel

PREFILL_TOKENS = {"cpu": 2048, "cuda": 16384}  # in one forward pass


class CausalBatch:
    """See decode.Batch. Refills where the cache keeps every position of every layer (no sliding windows, no states)."""

    def __init__(self, model: PreTrainedModel, context: int) -> None:
        import transformers

        self.model, self.context = model, context
        self.device = model.device
        layers = transformers.DynamicCache(config=model.config).layers
        self.refills = all(type(layer) is transformers.cache_utils.DynamicLayer for layer in layers)
        self.cache: Cache | None = None
        self.mask: torch.Tensor | None = None  # int64 [rows, length]
        self.positions: torch.Tensor | None = None  # int64 [rows], of the next token

    def add(self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], places: Sequence[int]) -> torch.Tensor:
        import torch

        assert self.refills or self.cache is None, "this model's cache cannot take rows in midway"
        rows, logits = (0 if self.cache is None else len(self.mask)), []
        for start, end in self._pieces(prompts):
            part, cache, mask = self._prefill(prompts[start:end])
            owner = torch.repeat_interleave(torch.tensor(counts[start:end])).to(self.device)
            cache.batch_select_indices(owner)
            self._append(cache, mask[owner])
            logits.append(part[owner])
        if list(places) != list(range(rows, rows + len(places))):
            order = list(range(max(rows, max(places) + 1)))
            for i, place in enumerate(places):
                order[place] = rows + i
            self.keep(order)
        return torch.cat(logits)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        import torch

        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        out = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            position_ids=self.positions.clamp(max=self.context - 1)[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.positions = self.positions + 1
        return out.logits[:, -1]

    def keep(self, rows: Sequence[int]) -> None:
        import torch

        index = torch.tensor(rows, device=self.device)
        self.cache.batch_select_indices(index)
        self.mask, self.positions = self.mask[index], self.positions[index]

    def _pieces(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
        """Borders of the forward passes over the prompts; a single one where rows cannot be appended."""
        if not self.refills:
            return [(0, len(prompts))]
        limit, pieces, start = PREFILL_TOKENS[self.device.type], [], 0
        for i in range(1, len(prompts) + 1):
            if i == len(prompts) or (i + 1 - start) * max(map(len, prompts[start : i + 1])) > limit:
                pieces.append((start, i))
                start = i
        return pieces

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, Cache, torch.Tensor]:
        import torch
        from transformers import DynamicCache

        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, prompt in enumerate(prompts):
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
            past_key_values=DynamicCache(config=self.model.config),
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1], out.past_key_values, mask

    def _append(self, cache: Cache, mask: torch.Tensor) -> None:
        import torch

        positions = mask.sum(dim=1)
        if self.cache is None:
            self.cache, self.mask, self.positions = cache, mask, positions
            return
        width = max(self.mask.shape[1], mask.shape[1])
        for old, new in zip(self.cache.layers, cache.layers, strict=True):
            old.keys = torch.cat([_left(old.keys, width, -2), _left(new.keys, width, -2)])
            old.values = torch.cat([_left(old.values, width, -2), _left(new.values, width, -2)])
        self.mask = torch.cat([_left(self.mask, width, -1), _left(mask, width, -1)])
        self.positions = torch.cat([self.positions, positions])


def _left(x: torch.Tensor, width: int, dim: int) -> torch.Tensor:
    """Pads with zeros on the left of `dim` up to `width`."""
    from torch.nn.functional import pad

    missing = width - x.shape[dim]
    return pad(x, (missing, 0) if dim == -1 else (0, 0, missing, 0)) if missing else x
