"""From a question and a prefix to text and token ids, the same for every engine.

ids = encode(rendered prompt + prefix), with the tokenizer's special tokens once, at the start; a chat
template brings its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepviz.errors import StepvizError
from stepviz.types import PromptStyle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def render(style: PromptStyle, question: str, tokenizer: PreTrainedTokenizerBase | None = None) -> str:
    """The text before the solution. A chat style needs the model's tokenizer, which holds the chat template."""
    if style.chat:
        return _render_chat(style, question, tokenizer)
    shots = (style.template.replace("{question}", q) + solution.rstrip() + "\n\n" for q, solution in style.few_shot)
    return "".join(shots) + style.template.replace("{question}", question)


def _render_chat(style: PromptStyle, question: str, tokenizer: PreTrainedTokenizerBase | None) -> str:
    """The chat so far, up to where the assistant's turn begins; a prefix continues that turn."""
    if tokenizer is None or not tokenizer.chat_template:
        raise StepvizError("this model's tokenizer has no chat template: use a prompt style with chat off")
    messages = [{"role": "system", "content": style.system}] if style.system else []
    for shot, solution in style.few_shot:
        messages += [{"role": "user", "content": style.template.replace("{question}", shot).rstrip()}]
        messages += [{"role": "assistant", "content": solution}]
    messages += [{"role": "user", "content": style.template.replace("{question}", question).rstrip()}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def encode(tokenizer: PreTrainedTokenizerBase, style: PromptStyle, question: str, prefix: str) -> tuple[int, ...]:
    """Token ids of prompt and prefix; special tokens once, and no end token, which some tokenizers add."""
    text = render(style, question, tokenizer) + prefix
    if style.chat:
        return tuple(tokenizer.encode(text, add_special_tokens=False))
    ids = tokenizer.encode(text, add_special_tokens=True)
    eos = tokenizer.eos_token_id
    if eos is not None and ids and ids[-1] == eos and not text.endswith(tokenizer.eos_token):
        ids = ids[:-1]
    # a tokenizer without BOS has nothing to condition an empty prompt on: EOS stands for "a text begins"
    return tuple(ids) or ((tokenizer.bos_token_id or eos or 0),)
