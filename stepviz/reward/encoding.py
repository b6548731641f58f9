"""From a question and steps to token ids, and where in them each step's score is read.

Training and scoring call the same functions, so that a model is asked at the very tokens it learnt at. A step is
its text without white space at the end; what stands between two steps is the encoder's, not the source's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stepviz.engines.prompts import encode, render
from stepviz.errors import StepvizError
from stepviz.prompt_styles import STYLES
from stepviz.types import PromptStyle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE, SEPARATOR = "{question}\n", "\n"
QWEN_SEPARATOR = "<extra_0>"
SHEPHERD_TAG, SHEPHERD_LABELS = "ки", ("+", "-")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids, and for each step the index of the token after which its score is read."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]


class Encoder(Protocol):
    def __call__(self, question: str, steps: Sequence[str]) -> Encoded: ...


def encode_steps(
    tokenizer: PreTrainedTokenizerBase, prompt: str, steps: Sequence[str], separator: str = SEPARATOR
) -> Encoded:
    """encode(prompt) + encode(step + separator) + …: each part by itself, so that no token spans a border.

    `prompt` is rendered already. Special tokens once, at the start. A step ends with its separator's last token.
    """
    ids = list(encode(tokenizer, PromptStyle(template="{question}"), prompt, ""))
    ends = []
    for step in steps:
        ids += tokenizer.encode(step.rstrip() + separator, add_special_tokens=False)
        ends.append(len(ids) - 1)
    return Encoded(tuple(ids), tuple(ends))


@dataclass(frozen=True, slots=True)
class Lines:
    """Ours: the prompt's template, then each step and a newline."""

    tokenizer: PreTrainedTokenizerBase
    template: str = TEMPLATE
    separator: str = SEPARATOR

    def __call__(self, question: str, steps: Sequence[str]) -> Encoded:
        return encode_steps(self.tokenizer, self.template.replace("{question}", question), steps, self.separator)


class Separated:
    """Qwen2.5-Math-PRM: its chat, and in the assistant's turn the token `<extra_0>` after each step.

    The original goes on with the end of the turn, which no score can see. A separator that a step writes out
    itself is taken for a space: it would be read as the end of a step.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.id = tokenizer.get_vocab().get(QWEN_SEPARATOR)
        if self.id is None:
            raise StepvizError(
                f"this model's tokenizer has no separator token {QWEN_SEPARATOR}, which a Qwen2.5-Math-PRM reads its "
                "scores at: load it with the tokenizer that it was published with"
            )

    def __call__(self, question: str, steps: Sequence[str]) -> Encoded:
        ids: list[int] = []
        ends = []
        before = render(STYLES["chat"], question, self.tokenizer)
        for step in steps:
            text = before + step.rstrip().replace(QWEN_SEPARATOR, " ")
            ids += [*self.tokenizer.encode(text, add_special_tokens=False), self.id]
            ends.append(len(ids) - 1)
            before = ""
        return Encoded(tuple(ids), tuple(ends))


class Tagged:
    """Math-Shepherd: `QUESTION Step 1: … ки`, a newline, `Step 2: … ки`; the score is read at the tag.

    Steps that do not number themselves are numbered, since that is all the model has seen. Places are found by
    characters, not by the token's id: a step may hold the tag's letters.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.id = tokenizer.encode(f" {SHEPHERD_TAG}", add_special_tokens=False)[-1]
        if tokenizer.decode([self.id]).strip() != SHEPHERD_TAG:
            raise StepvizError(
                f"this model's tokenizer has no token for the step tag {SHEPHERD_TAG!r}, which a Math-Shepherd model "
                "reads its scores at: load it with the tokenizer that it was published with"
            )

    def labels(self) -> tuple[int, int]:
        """The ids of `+` and `-`: as SentencePiece has them after a space, where the tokenizer is of that kind.

        The published code asks for `encode("+ -")`. Whether a `+` by itself comes out as that token depends on whether
        the tokenizer puts a space before a text.
        """
        vocab = self.tokenizer.get_vocab()
        spaced = [vocab.get(f"▁{label}") for label in SHEPHERD_LABELS]
        if spaced[0] is not None and spaced[1] is not None:
            return spaced[0], spaced[1]
        ids = [self.tokenizer.encode(label, add_special_tokens=False) for label in SHEPHERD_LABELS]
        if any(len(i) != 1 for i in ids):
            raise StepvizError("this tokenizer does not write + and - as one token each: no Math-Shepherd model's")
        return ids[0][0], ids[1][0]

    def __call__(self, question: str, steps: Sequence[str]) -> Encoded:
        text, tags = question.rstrip(), []
        for i, step in enumerate(steps, start=1):
            said = step.strip()
            numbered = said if re.match(r"Step \d+:", said) else f"Step {i}: {said}"
            text += f"{' ' if i == 1 else chr(10)}{numbered} {SHEPHERD_TAG}"
            tags.append(len(text) - 1)  # the tag's last character
        found = self.tokenizer(text, return_offsets_mapping=True)
        at = {character: i for i, (start, end) in enumerate(found["offset_mapping"]) for character in range(start, end)}
        return Encoded(tuple(found["input_ids"]), tuple(at[tag] for tag in tags))
