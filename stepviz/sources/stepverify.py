"""The verifiers' data of Daheim et al. (eth-lre/verify-then-generate): a teacher's first wrong step.

    {"problem", "topic", "reference_solution", "student_incorrect_solution": […], "incorrect_index": 0,
     "incorrect_step", "error_category", "error_description": … or null, "dialog_history": […],
     "student_correct_response"}

`incorrect_index` counts from 0. The same student's solution was shown to several teachers: it is one chain
with one annotator a row, "stepverify/17" for the row with index 17, because the teachers are not named. The
description is the annotation's note; category, dialogue and corrected solution are in its meta.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows
from stepviz.steps import join
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem, digest

NAME = "stepverify"
ORIGIN = "stepverify/student"


def looks(row: Mapping[str, Any]) -> bool:
    return {"student_incorrect_solution", "incorrect_index"} <= row.keys()


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """A chain and a teacher's label a row. Some problems are GSM8K's test problems: split by problem."""
    guessed = split or fields.split_of(path)

    def build(row: rows.Row) -> SourceItem:
        steps = fields.texts(row.fields, "student_incorrect_solution")
        index = fields.whole(row.fields, "incorrect_index", 0, len(steps) - 1)
        said = fields.maybe_text(row.fields, "incorrect_step")
        if said is not None and said.strip() != steps[index].strip():
            raise fields.BadRow(f"'incorrect_step' is not the text of step {index} (counted from 0)")
        problem = _problem(row.fields, split or row.split or guessed)
        text, spans = join(steps, "\n")
        chain = Chain(problem.id, ORIGIN, digest(*steps)[:12], text, spans, "given/1")
        return SourceItem(problem, (chain,), (_annotation(row, chain.id, index + 1),), row.line)

    return rows.items(path, build)


def _problem(row: Mapping[str, Any], split: str | None) -> Problem:
    question, solution = fields.text(row, "problem"), fields.text(row, "reference_solution")
    gold = solution.strip().splitlines()[-1].strip()  # its last line is the bare answer
    key = digest(question)[:12]
    topic = fields.maybe_text(row, "topic")
    return Problem(question, gold, solution, NAME, key, split, {} if topic is None else {"topic": topic})


def _annotation(row: rows.Row, chain_id: str, step: int) -> Annotation:
    note = fields.maybe_text(row.fields, "error_description") or ""
    meta = {
        name: row.fields[field]
        for name, field in (
            ("category", "error_category"),
            ("dialogue", "dialog_history"),
            ("corrected", "student_correct_response"),
        )
        if field in row.fields
    }
    who = f"{NAME}/{row.index}"
    return Annotation(chain_id, who, "first_error", 0, step, note, meta, key=f"{chain_id}={step}")
