"""A row's own wording of its question, kept as the difference from the folded question.

All sources share a problem whose question is the same up to NFC and white space (types.problem_id), and
the store keeps the first wording it met. To write a row out again unchanged, its chain keeps the few
runs of white space in which it differs; only a question that is not in NFC is kept whole.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_SPACE = re.compile(r"\s+")


def fold(question: str) -> str:
    """NFC, white space folded: what types.problem_id hashes."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", question)).strip()


def difference(question: str) -> dict[str, Any] | None:
    """What `restore` needs besides any wording of the same problem; None where the folded question is it."""
    if question == fold(question):
        return None
    if unicodedata.normalize("NFC", question) != question:
        return {"question": question}
    body = question.strip()
    start = question.index(body) if body else 0
    gaps = [[i, gap] for i, gap in enumerate(_SPACE.findall(body)) if gap != " "]
    return {"lead": question[:start], "gaps": gaps, "tail": question[start + len(body) :]}


def restore(question: str, kept: dict[str, Any] | None) -> str:
    """The row's own wording, from any wording of the same problem and what `difference` kept."""
    if kept and "question" in kept:
        return kept["question"]
    folded = fold(question)
    if not kept:
        return folded
    words = folded.split(" ")
    gaps = dict(kept["gaps"])
    body = "".join(word + (gaps.get(i, " ") if i < len(words) - 1 else "") for i, word in enumerate(words))
    return kept["lead"] + body + kept["tail"]
