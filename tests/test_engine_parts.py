"""Draws, prompts, endings, shared trunks, retreat from memory: each by hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepviz.engines.decode import Decoder, Row, by_trunk, share
from stepviz.engines.draws import pick, uniforms
from stepviz.engines.endings import Endings
from stepviz.engines.prompts import encode, render
from stepviz.errors import StepvizError
from stepviz.types import PromptStyle, Sampling
from tests.tiny import byte_tokenizer


def test_uniforms_are_splitmix64() -> None:
    """The published first outputs of SplitMix64 for the seed 1234567, as 53-bit fractions."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    got = uniforms(np.full(4, 1234567, np.uint64), np.arange(4, dtype=np.uint64))
    assert got.tolist() == [(x >> 11) / 2**53 for x in published]


def test_a_seed_of_63_bits_makes_no_trouble() -> None:
    got = uniforms(np.array([2**63 - 1], np.uint64), np.array([10**6], np.uint64))
    assert 0 <= got[0] < 1


@pytest.mark.parametrize(
    ("uniform", "token"), [(0.0, 0), (0.0999, 0), (0.1001, 2), (0.3999, 2), (0.4001, 3), (0.99999999, 3)]
)
def test_pick_inverts_the_cumulated_probabilities(uniform: float, token: int) -> None:
    """Probabilities .1, 0, .3, .6: borders at .1 and .4; the token of probability 0 is never drawn."""
    logits = torch.tensor([[0.1, 0.0, 0.3, 0.6]]).log()
    assert pick(logits, np.array([uniform]), Sampling(temperature=1.0)).item() == token


def test_pick_top_k_and_top_p_keep_the_likeliest() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    grid = np.linspace(0, 0.999, 50)

    def drawn(**options: float) -> set[int]:
        return set(pick(logits.expand(50, -1), grid, Sampling(temperature=1.0, **options)).tolist())

    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {2, 3}
    assert drawn(top_p=0.65) == {2, 3}  # .4 + .3 >= .65
    assert drawn(top_p=0.75) == {1, 2, 3}  # .4 + .3 < .75
    assert drawn(top_p=0.01) == {3}
    # after top_k=2 the nucleus is taken of 3/7 and 4/7
    assert drawn(top_k=2, top_p=0.5) == {3}


def test_pick_temperature_sharpens_and_zero_is_the_first_maximum() -> None:
    logits = torch.tensor([[0.0, 1.0, 1.0]])
    assert pick(logits, np.array([0.9]), Sampling(temperature=0)).item() == 1
    # at temperature 1/2 the weights are 1, e², e²: the first border lies at 1/(1 + 2e²) = 0.0634
    assert pick(logits, np.array([0.063]), Sampling(temperature=0.5)).item() == 0
    assert pick(logits, np.array([0.064]), Sampling(temperature=0.5)).item() == 1


def test_trunks_are_the_prompts_that_no_other_begins_with() -> None:
    prompts = [(1,), (1, 2), (1, 2, 3), (1, 3), (2,), (1, 2, 3)]
    trunks, place = share(prompts)
    assert sorted(trunks) == [(1, 2, 3), (1, 3), (2,)]
    for prompt, at in zip(prompts, place, strict=True):
        assert trunks[at][: len(prompt)] == prompt


def test_rows_of_one_chain_stay_together() -> None:
    prompts = [(9,), (9, 8, 7), (5, 5), (9, 8), (5, 5)]
    rows = by_trunk([Row(i, 0, p, 1) for i, p in enumerate(prompts)])
    assert [r.request for r in rows] == [1, 3, 0, 2, 4]


def test_template_is_replaced_not_formatted() -> None:
    style = PromptStyle(template="Q: {question} {x}\nA:")
    assert render(style, "a {question} {0} {y}") == "Q: a {question} {0} {y} {x}\nA:"


def test_few_shot_examples_come_first() -> None:
    style = PromptStyle(template="Q: {question}\n", few_shot=(("one?", "1\n"), ("two?", "2")))
    assert render(style, "three?") == "Q: one?\n1\n\nQ: two?\n2\n\nQ: three?\n"


CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def test_chat_prefix_continues_the_assistants_turn() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT
    style = PromptStyle(chat=True, system="Be brief.", few_shot=(("one?", "1"),))
    expected = "<s><system>Be brief.\n<user>one?\n<assistant>1\n<user>two?\n<assistant>"
    assert render(style, "two?", tokenizer) == expected
    ids = encode(tokenizer, style, "two?", "so far\n")
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(ids) == expected + "so far\n"


def test_chat_without_a_template_is_a_users_error() -> None:
    with pytest.raises(StepvizError, match="chat template"):
        encode(byte_tokenizer(), PromptStyle(chat=True), "one?", "")


def test_special_tokens_come_once_and_no_end_token() -> None:
    from tokenizers import processors

    tokenizer = byte_tokenizer()
    assert encode(tokenizer, PromptStyle(), "one?", "1\n")[0] == 0
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    ids = encode(tokenizer, PromptStyle(), "one?", "1\n")
    assert (ids[0], ids.count(0), ids.count(1)) == (0, 1, 0)
    assert tokenizer.decode(ids[1:]) == "one?\n1\n"


def test_a_stop_string_may_span_tokens_and_characters_may_too() -> None:
    tokenizer = byte_tokenizer()
    prompt = tuple(tokenizer.encode("Tom", add_special_tokens=False))
    tokens = tokenizer.encode("é has → apples and", add_special_tokens=False)
    endings = Endings(tokenizer, {1}, ("→ app",))
    over = [n for n in range(1, len(tokens) + 1) if endings.finish(prompt, tokens[:n], 99)]
    first = min(n for n in range(1, len(tokens) + 1) if "→ app" in tokenizer.decode(tokens[:n]))
    assert over[0] == first
    assert endings.completion(prompt, tokens[:first], "stop").text == "é has "


def test_half_a_character_at_the_limit_is_dropped() -> None:
    tokenizer = byte_tokenizer()
    tokens = tokenizer.encode("ab→", add_special_tokens=False)[:-1]
    endings = Endings(tokenizer, {1}, ())
    assert endings.finish((), tokens, len(tokens)) == "length"
    assert endings.completion((), tokens, "length").text == "ab"


class CountingBatch:
    """Stands where a model stands: the next token is one more than the last; memory for `limit` rows."""

    refills = True
    limit = 3

    def add(self, prompts: list[tuple[int, ...]], counts: list[int], places: list[int]) -> torch.Tensor:
        self.last = getattr(self, "last", [])
        self.last += [0] * (max(places) + 1 - len(self.last))
        starts = [p[-1] for p, n in zip(prompts, counts, strict=True) for _ in range(n)]
        for place, start in zip(places, starts, strict=True):
            self.last[place] = start
        return self._logits(starts)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        if len(tokens) > self.limit:
            raise torch.OutOfMemoryError("no memory")
        return self._logits(tokens.tolist())

    def keep(self, rows: list[int]) -> None:
        self.last = [self.last[i] for i in rows]

    def _logits(self, tokens: list[int]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(tokens) + 1, 100).float()


def count_up(limit: int, rows: int = 11) -> tuple[list[Row], Decoder]:
    class Batch(CountingBatch):
        pass

    Batch.limit = limit
    ended: list[Row] = []
    decoder = Decoder(
        new_batch=Batch,
        sampling=Sampling(temperature=0),
        over=lambda r: "length" if len(r.tokens) == r.room else None,
        ended=ended.append,
        capacity=8,
    )
    decoder.run([Row(i, 0, (10 * i % 70,), 2 + i) for i in range(rows)])
    return sorted(ended, key=lambda r: r.request), decoder


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_out_of_memory_halves_the_batch_and_loses_nothing(limit: int) -> None:
    rows, decoder = count_up(limit)
    assert [r.tokens for r in rows] == [[10 * i % 70 + 1 + t for t in range(2 + i)] for i in range(11)]
    assert decoder.capacity <= max(limit, 1)
    assert decoder.tokens == sum(2 + i for i in range(11))
    assert decoder.done == 11


def test_out_of_memory_with_one_row_is_that_rows_error() -> None:
    rows, _ = count_up(limit=0)
    assert all(r.reason == "error" and "out of memory" in r.error for r in rows)
    assert len(rows) == 11
