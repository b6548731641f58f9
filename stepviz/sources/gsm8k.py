"""GSM8K (openai/grade-school-math): {"question": …, "answer": "… <<16-3-4=9>>9 …\\n#### 18"}.

The answer's last line holds the gold answer; the whole of it, marks included, is the reference solution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows
from stepviz.types import Problem, Refusal, SourceItem

NAME = "gsm8k"


def looks(row: Mapping[str, Any]) -> bool:
    answer = row.get("answer")
    if row.keys() - {"question", "answer", "id", "idx"}:
        return False  # more than GSM8K has: somebody's traces, with GSM8K's columns among them
    return isinstance(answer, str) and "####" in answer and isinstance(row.get("question"), str)


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """Problems; the split is the file's name unless given."""
    guessed = split or fields.split_of(path)

    def build(row: rows.Row) -> SourceItem:
        solution = fields.text(row.fields, "answer")
        _, mark, gold = solution.rpartition("####")
        if not mark or not gold.strip():
            raise fields.BadRow("'answer' has no last line '#### N'")
        question = fields.text(row.fields, "question")
        problem = Problem(question, gold.strip(), solution, NAME, str(row.index), split or row.split or guessed)
        return SourceItem(problem, line=row.line)

    return rows.items(path, build)
