"""When a row ends, and the text of what was generated: end tokens, stop strings, detokenising."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from stepviz.types import Completion, FinishReason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TAIL = 8  # prompt tokens decoded along, so that a leading space survives tokenizers that drop it at the start


class Endings:
    """Knows the end tokens and stop strings of one `generate` call. A stop string is left out of the text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int], stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.end_ids = frozenset(end_ids)
        self.stop = tuple(s for s in stop if s)
        self._may_stop: dict[int, bool] = {}

    def finish(self, prompt: Sequence[int], tokens: Sequence[int], room: int) -> FinishReason | None:
        """Why a row that has just got its last token is over, or None while it goes on."""
        if tokens[-1] in self.end_ids or self._stopped(prompt, tokens):
            return "stop"
        return "length" if len(tokens) >= room else None

    def completion(
        self, prompt: Sequence[int], tokens: Sequence[int], reason: FinishReason, ended: bool | None = None
    ) -> Completion:
        """`ended`: whether the last token is an end token, where who decoded knows better than our end ids."""
        if ended is None:
            ended = reason == "stop" and tokens[-1] in self.end_ids
        text = cut(self._text(prompt, tokens[:-1] if ended else tokens), self.stop, reason)
        return Completion(text, reason, len(tokens), tuple(tokens), len(prompt))

    def _stopped(self, prompt: Sequence[int], tokens: Sequence[int]) -> bool:
        if not self.stop or not self._may_end_a_stop(tokens[-1]):
            return False
        recent = 4 * max(len(s.encode()) for s in self.stop) + 4  # tokens; a character has at most four bytes
        before = tokens[:-recent] if len(tokens) > recent else ()
        text = self._text((*prompt[-TAIL:], *before[-TAIL:]), tokens[-recent:])
        return any(s in text for s in self.stop)

    def _may_end_a_stop(self, token: int) -> bool:
        """Whether the token holds a stop string's last character, or a part of a character: others need no look."""
        known = self._may_stop.get(token)
        if known is None:
            piece = self._decode((token,))
            known = self._may_stop[token] = "\ufffd" in piece or any(s[-1] in piece for s in self.stop)
        # a space may be dropped where a token is decoded alone
        return known or any(s[-1].isspace() for s in self.stop)

    def _text(self, prompt: Sequence[int], tokens: Sequence[int]) -> str:
        tail = tuple(prompt[-TAIL:])
        before, whole = self._decode(tail), self._decode((*tail, *tokens))
        return whole[len(before) :] if whole.startswith(before) else self._decode(tuple(tokens))

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def cut(text: str, stop: Sequence[str], reason: FinishReason) -> str:
    """Without the first stop string and what follows; without half a character where the limit cut one."""
    cuts = [at for at in (text.find(s) for s in stop if s) if at >= 0]
    if cuts:
        return text[: min(cuts)]
    return text.rstrip("\ufffd") if reason == "length" else text
