"""A batch of rows for small Llamas: the same numbers as `transformers`' forward, several times as fast on a CPU.

A model of a million parameters spends its time in copying caches and in calls, not in products. So
(1) prompts that are prefixes of one another (a chain's) share one *trunk*, computed once, whose keys are
read once for all rows of the trunk in every step; (2) a row's own keys are written in place; (3) q, k, v
and gate, up are one product each. Weights are read from the model once; nothing here trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from stepviz.engines.decode import share

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS_A_TRUNK = 16  # a trunk with more rows is held more than once: padding all to the largest would cost more
GROW = 64  # positions by which the rows' own cache grows
PREFILL_TOKENS = 4096


def fits(model: torch.nn.Module) -> bool:
    """Whether LlamaBatch computes this model: a plain Llama in float32 with a position table that never changes."""
    config = model.config
    return (
        config.model_type == "llama"
        and model.dtype == torch.float32
        and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
        and config.hidden_act == "silu"
    )


class LlamaWeights:
    """The model's matrices, fused, and its table of positions; `head` in the place of the model's own."""

    def __init__(self, model: PreTrainedModel, context: int, head: torch.nn.Linear | None = None) -> None:
        config = model.config
        self.eps = config.rms_norm_eps
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.dim = model.model.layers[0].self_attn.head_dim
        self.embed, self.norm, self.head = (
            model.model.embed_tokens.weight,
            model.model.norm.weight,
            (model.lm_head if head is None else head).weight,
        )
        self.layers = [LayerWeights(layer) for layer in model.model.layers]
        with torch.inference_mode():
            cos, sin = model.model.rotary_emb(self.embed[:1], torch.arange(context, device=self.embed.device)[None])
            half = self.dim // 2
            # rotate_half's sign goes into the table, so that rotating is two products and a roll
            self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)


class LayerWeights:
    def __init__(self, layer: torch.nn.Module) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv, self.qkv_bias = _fuse(attention.q_proj, attention.k_proj, attention.v_proj)
        self.o, self.o_bias = _fuse(attention.o_proj)
        self.gate_up, self.gate_up_bias = _fuse(mlp.gate_proj, mlp.up_proj)
        self.down, self.down_bias = _fuse(mlp.down_proj)
        self.before, self.after = layer.input_layernorm.weight, layer.post_attention_layernorm.weight


def _fuse(*linears: torch.nn.Linear) -> tuple[torch.Tensor, torch.Tensor | None]:
    weight = torch.cat([x.weight.detach() for x in linears]).contiguous()
    return weight, None if linears[0].bias is None else torch.cat([x.bias.detach() for x in linears])


class LlamaBatch:
    """See decode.Batch. Shapes: R rows, T trunks, M rows a trunk at most, K key heads, G queries a key head, D head.

    The rows' own keys lie in one buffer, allocated once: memory that is new to a process is slow at first touch.
    """

    refills = True

    def __init__(self, weights: LlamaWeights, context: int) -> None:
        self.w, self.context = weights, context
        self.trunk_keys: list[torch.Tensor] = []  # a layer: [T, K, longest trunk, D]
        self.trunk_values: list[torch.Tensor] = []
        self.keys: list[torch.Tensor] = []  # a layer: [R, K, room, D], what a row generated itself
        self.values: list[torch.Tensor] = []
        self.trunk = torch.zeros(0, dtype=torch.long)  # [R], which trunk
        self.shared = torch.zeros(0, dtype=torch.long)  # [R], how much of the trunk is the row's prompt
        self.own = torch.zeros(0, dtype=torch.long)  # [R], how many tokens it was fed since

    # ---- rows come and go

    def add(self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], places: Sequence[int]) -> torch.Tensor:
        trunks, begins = share(prompts)
        begin, lengths = torch.tensor(begins), torch.tensor([len(p) for p in prompts])
        logits, keys, values = self._prefill(trunks, begin, lengths)
        owner, place = torch.repeat_interleave(torch.tensor(counts)), torch.tensor(places)
        rows = max(len(self.trunk), max(places) + 1)
        self.trunk, self.shared, self.own = (_lengthen(x, rows) for x in (self.trunk, self.shared, self.own))
        # a trunk with many rows is held several times over; copies are numbered trunk by trunk
        part = begin[owner] * rows + _rank(begin[owner]) // ROWS_A_TRUNK
        copies, trunk = torch.unique(part, return_inverse=True)
        self.trunk[place] = trunk + (self.trunk_keys[0].shape[0] if self.trunk_keys else 0)
        self.shared[place], self.own[place] = lengths[owner], 0
        self.trunk_keys = _stack(self.trunk_keys, [x.index_select(0, copies // rows) for x in keys])
        self.trunk_values = _stack(self.trunk_values, [x.index_select(0, copies // rows) for x in values])
        self._make_room(rows, GROW)
        self._arrange()
        return logits[owner]

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows)
        self.trunk, self.shared, self.own = self.trunk[index], self.shared[index], self.own[index]
        self.keys = [x.index_select(0, index) for x in self.keys]
        self.values = [x.index_select(0, index) for x in self.values]
        self._arrange()

    def _make_room(self, rows: int, fed: int) -> None:
        """Buffers for so many rows and positions; zeros at first, since a NaN would survive its weight of 0."""
        had = (0, 0) if not self.keys else (self.keys[0].shape[0], self.keys[0].shape[2])
        if had[0] >= rows and had[1] >= fed:
            return
        room = max(had[1], -(-fed // GROW) * GROW)
        for name in ("keys", "values"):
            new = [torch.zeros(rows, self.w.kv_heads, room, self.w.dim) for _ in self.w.layers]
            for old, buffer in zip(getattr(self, name), new, strict=False):
                buffer[: had[0], :, : had[1]] = old
            setattr(self, name, new)

    def _drop_unused_trunks(self) -> None:
        used, self.trunk = torch.unique(self.trunk, return_inverse=True)
        if len(used) < self.trunk_keys[0].shape[0]:
            longest = int(self.shared.max())
            self.trunk_keys = [x[:, :, :longest].index_select(0, used) for x in self.trunk_keys]
            self.trunk_values = [x[:, :, :longest].index_select(0, used) for x in self.trunk_values]

    def _arrange(self) -> None:
        """Where each row's query goes among its trunk's (`slot`), which row each such place takes (`source`), masks."""
        self._drop_unused_trunks()
        trunks, _, longest, _ = self.trunk_keys[0].shape
        rank = _rank(self.trunk)
        self.width = int(rank.max()) + 1
        self.slot = self.trunk * self.width + rank
        self.source = torch.zeros(trunks * self.width, dtype=torch.long)
        self.source[self.slot] = torch.arange(len(rank))
        beyond = torch.arange(longest)[None] >= self.shared[:, None]
        self.trunk_bias = torch.zeros(beyond.shape).masked_fill_(beyond, float("-inf"))[:, None, None]

    # ---- numbers

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        w, rows = self.w, torch.arange(len(tokens))
        fed = int(self.own.max()) + 1
        self._make_room(len(tokens), fed)
        at = (self.shared + self.own).clamp(max=self.context - 1)
        cos, sin = w.cos[at][:, None], w.sin[at][:, None]
        beyond = torch.arange(fed)[None] > self.own[:, None]
        own_bias = torch.zeros(beyond.shape).masked_fill_(beyond, float("-inf"))[:, None, None]
        bias = torch.cat([self.trunk_bias.expand(len(tokens), 1, 1, -1), own_bias], dim=-1)
        x = w.embed[tokens]
        for i, layer in enumerate(w.layers):
            q, k, v = self._qkv(layer, x, cos, sin)
            self.keys[i][rows, :, self.own] = k
            self.values[i][rows, :, self.own] = v
            mixed = self._attend(i, q.view(len(tokens), w.kv_heads, -1, w.dim), fed, bias)
            x = self._finish(layer, x, mixed.reshape(len(tokens), -1))
        self.own = self.own + 1
        return F.linear(F.rms_norm(x, x.shape[-1:], w.norm, w.eps), w.head)

    def _attend(self, i: int, q: torch.Tensor, fed: int, bias: torch.Tensor) -> torch.Tensor:
        """Softmax over the trunk's keys and the row's own at once; q [R, K, G, D] -> [R, K, G, D]."""
        _, kv, group, dim = q.shape
        trunk_keys, trunk_values = self.trunk_keys[i], self.trunk_values[i]
        trunks, longest = trunk_keys.shape[0], trunk_keys.shape[2]
        q = q * dim**-0.5
        packed = q[self.source].view(trunks, self.width, kv, group, dim).transpose(1, 2)
        far = packed.reshape(trunks, kv, -1, dim) @ trunk_keys.transpose(2, 3)
        far = far.view(trunks, kv, self.width, group, longest).transpose(1, 2).reshape(-1, kv, group, longest)
        near = q @ self.keys[i][:, :, :fed].transpose(2, 3)
        weights = (torch.cat([far[self.slot], near], dim=-1) + bias).softmax(dim=-1)
        far = weights[..., :longest][self.source].view(trunks, self.width, kv, group, longest).transpose(1, 2)
        far = far.reshape(trunks, kv, -1, longest) @ trunk_values
        far = far.view(trunks, kv, self.width, group, dim).transpose(1, 2).reshape(-1, kv, group, dim)
        return far[self.slot] + weights[..., longest:] @ self.values[i][:, :, :fed]

    def _prefill(
        self, trunks: Sequence[tuple[int, ...]], place: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Logits after each prompt, which is the first `lengths[j]` tokens of trunk `place[j]`; keys and values."""
        logits = torch.empty(len(lengths), self.w.head.shape[0])
        keys: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        piece = max(1, PREFILL_TOKENS // max(map(len, trunks)))
        for start in range(0, len(trunks), piece):
            some = trunks[start : start + piece]
            ids = torch.zeros(len(some), max(map(len, some)), dtype=torch.long)
            for i, trunk in enumerate(some):
                ids[i, : len(trunk)] = torch.tensor(trunk)
            hidden, k, v = self._forward(ids)
            keys, values = _stack(keys, k), _stack(values, v)
            here = ((place >= start) & (place < start + piece)).nonzero()[:, 0]
            last = hidden[place[here] - start, lengths[here] - 1]
            logits[here] = F.linear(F.rms_norm(last, last.shape[-1:], self.w.norm, self.w.eps), self.w.head)
        return logits, keys, values

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """[N, T] padded on the right -> [N, T, E] as the head takes it; nothing is kept."""
        x, _, _ = self._forward(ids)
        return F.rms_norm(x, x.shape[-1:], self.w.norm, self.w.eps)

    def _forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """A causal pass over trunks [N, T] padded on the right, where padding comes too late to be seen."""
        w, (n, longest) = self.w, ids.shape
        x = w.embed[ids].view(n * longest, -1)
        cos, sin = (table[:longest].repeat(n, 1)[:, None] for table in (w.cos, w.sin))
        keys, values = [], []
        for layer in w.layers:
            q, k, v = (t.view(n, longest, -1, w.dim).transpose(1, 2) for t in self._qkv(layer, x, cos, sin))
            keys.append(k.contiguous())
            values.append(v.contiguous())
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=w.heads != w.kv_heads)
            x = self._finish(layer, x, mixed.transpose(1, 2).reshape(n * longest, -1))
        return x.view(n, longest, -1), keys, values

    def _qkv(
        self, layer: LayerWeights, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x [N, E], cos and sin [N, 1, D] -> q [N, heads, D], k and v [N, K, D], q and k rotated."""
        w = self.w
        normed = F.rms_norm(x, x.shape[-1:], layer.before, w.eps)
        fused = F.linear(normed, layer.qkv, layer.qkv_bias).view(len(x), -1, w.dim)
        turn = fused[:, : w.heads + w.kv_heads]
        turn = turn * cos + turn.roll(w.dim // 2, dims=-1) * sin
        return turn[:, : w.heads], turn[:, w.heads :], fused[:, w.heads + w.kv_heads :]

    def _finish(self, layer: LayerWeights, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """The rest of a layer, after attention."""
        x = x + F.linear(mixed, layer.o, layer.o_bias)
        normed = F.rms_norm(x, x.shape[-1:], layer.after, self.w.eps)
        gate, up = F.linear(normed, layer.gate_up, layer.gate_up_bias).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, layer.down, layer.down_bias)


def _rank(group: torch.Tensor) -> torch.Tensor:
    """For each entry of group, int64 [N], how many entries before it are of the same group."""
    order = torch.argsort(group, stable=True)
    counts = torch.bincount(group)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[group[order]]
    return rank


def _lengthen(x: torch.Tensor, rows: int) -> torch.Tensor:
    return F.pad(x, (0, rows - len(x)))


def _stack(old: Sequence[torch.Tensor], new: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Rows of both, layer by layer, [rows, K, positions, D], the shorter padded on the right."""
    if not old:
        return list(new)
    longest = max(old[0].shape[2], new[0].shape[2])
    padded = ([F.pad(x, (0, 0, 0, longest - x.shape[2])) for x in side] for side in (old, new))
    return [torch.cat(pair) for pair in zip(*padded, strict=True)]
