"""MATH (hendrycks/math) and MATH-500: {"problem", "solution", "answer"?, "subject" or "type", "level", "unique_id"?}.

Where there is no `answer`, it is the last \\boxed{…} of the solution, as the data set means it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz import final_answer
from stepviz.sources import fields, rows
from stepviz.types import Problem, Refusal, SourceItem

NAME = "math"


def looks(row: Mapping[str, Any]) -> bool:
    if row.keys() - {"problem", "solution", "answer", "subject", "type", "level", "unique_id", "id", "idx"}:
        return False  # more than MATH has: somebody's traces, with MATH's columns among them
    return isinstance(row.get("problem"), str) and isinstance(row.get("solution"), str)


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """Problems; subject and level are kept in meta."""
    guessed = split or fields.split_of(path)

    def build(row: rows.Row) -> SourceItem:
        question, solution = fields.text(row.fields, "problem"), fields.text(row.fields, "solution")
        gold = fields.maybe_text(row.fields, "answer") or _boxed(solution)
        key = fields.maybe_text(row.fields, "unique_id") or str(row.index)
        meta = {name: row.fields[name] for name in ("subject", "type", "level") if name in row.fields}
        problem = Problem(question, gold, solution, NAME, key, split or row.split or guessed, meta)
        return SourceItem(problem, line=row.line)

    return rows.items(path, build)


def _boxed(solution: str) -> str:
    found = final_answer.find(solution)
    if found is None or found.how != "boxed":
        raise fields.BadRow("there is no 'answer', and 'solution' has no \\boxed{…}")
    return found.text
