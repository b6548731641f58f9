"""SVAMP (arkilpatel/SVAMP): {"ID", "Body", "Question", "Equation": "( 76.0 - 25.0 )", "Answer": 51.0, "Type"}.

The question is body and question with a space between, as the public copies join them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows
from stepviz.types import Problem, Refusal, SourceItem

NAME = "svamp"


def looks(row: Mapping[str, Any]) -> bool:
    return {"Body", "Question", "Answer"} <= row.keys()


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """Problems; equation and type are kept in meta."""
    guessed = split or fields.split_of(path)

    def build(row: rows.Row) -> SourceItem:
        body, asked = fields.text(row.fields, "Body").strip(), fields.text(row.fields, "Question").strip()
        answer = fields.need(row.fields, "Answer", int, float, str)
        gold = answer.strip() if isinstance(answer, str) else fields.number_text(answer)
        if not gold:
            raise fields.BadRow("'Answer' is empty")
        key = fields.maybe_text(row.fields, "ID") or str(row.index)
        meta = {name: row.fields[name] for name in ("Equation", "Type") if name in row.fields}
        problem = Problem(f"{body} {asked}", gold, None, NAME, key, split or row.split or guessed, meta)
        return SourceItem(problem, line=row.line)

    return rows.items(path, build)
