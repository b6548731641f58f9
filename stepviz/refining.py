"""What a refiner reads and writes: one template for both kinds, for training and for inference (GLoRe, papers.md 1.3).

`[BAD]` stands before the step E where the draft goes wrong (local), or before the draft's first step (global): its
place alone says which kind is asked for, so that one model learns both. A local refinement at E = 1 reads the same
as a global one. The paper shows no more than the mark; the words around the draft are ours.

The mark is an instruction and no part of a solution: where a refiner writes it out again, it is taken out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stepviz.errors import StepvizError

BAD = "[BAD]"  # one token of the embedded tokenizer
PROMPT = "{question}\nDraft:\n{draft}\nRefinement:\n"
_MARK = re.compile(re.escape(BAD) + r"[ \t]?")


def refine_prompt(question: str, steps: Sequence[str], bad: int | None = None) -> str:
    """The refiner's prompt for a draft; `bad` is the first bad step (1…n), or None for a global refinement.

    The mark in a question or a step, where a model or a file wrote it there, is put into small letters: it would
    say where the draft goes wrong. StepvizError for a draft without steps, or a step that it has not.
    """
    if not steps:
        raise StepvizError("the draft has no steps: there is nothing to refine")
    place = 1 if bad is None else bad
    if not 1 <= place <= len(steps):
        raise StepvizError(f"there is no step {bad} to refine from: the draft has steps 1 … {len(steps)}")
    clean = [step.replace(BAD, BAD.lower()) for step in steps]
    clean[place - 1] = f"{BAD} {clean[place - 1]}"
    return _filled(question.replace(BAD, BAD.lower()), "\n".join(clean))


def without_marks(text: str) -> tuple[str, int]:
    """What a refiner wrote without the mark, and how often it had repeated it."""
    return _MARK.subn("", text)


def require_mark(tokenizer: Any, name: str) -> None:
    """StepvizError, saying what to do, where the mark is no token of its own: the model was trained as no refiner."""
    ids = tokenizer.encode(BAD, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise StepvizError(
            f"{name} has no {BAD} token, by which a refiner is told where to begin, so it is no refiner: train one "
            "with `python -m training refiner` (--add-token gives a model the token)"
        )


def _filled(question: str, draft: str) -> str:
    """By cutting, not by replacing: a question may hold the words "{draft}"."""
    before, rest = PROMPT.split("{question}")
    between, after = rest.split("{draft}")
    return f"{before}{question}{between}{draft}{after}"
