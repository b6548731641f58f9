"""AQuA-RAT: {"question", "options": ["A)5", …], "rationale", "correct": "A"}.

The question carries its options, one a line; the gold answer is the letter; the rationale is the
problem's reference solution, not a chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows
from stepviz.types import Problem, Refusal, SourceItem

NAME = "aqua"


def looks(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("options"), list) and "correct" in row


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """Problems of choice; meta["choices"] is how many options there are."""
    guessed = split or fields.split_of(path)

    def build(row: rows.Row) -> SourceItem:
        options = fields.texts(row.fields, "options")
        gold = fields.text(row.fields, "correct").strip()
        letters = [option.strip()[:1] for option in options]
        if gold not in letters:
            raise fields.BadRow(f"'correct' is {gold!r}, but the options are {', '.join(letters)}")
        question = "\n".join([fields.text(row.fields, "question"), *options])
        solution = fields.maybe_text(row.fields, "rationale")
        meta = {"choices": len(options)}
        problem = Problem(question, gold, solution, NAME, str(row.index), split or row.split or guessed, meta)
        return SourceItem(problem, line=row.line)

    return rows.items(path, build)
