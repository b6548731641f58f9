"""ProcessBench (Qwen/ProcessBench): where does a solution go wrong first, labelled by people.

    {"id", "generator", "problem", "steps": […], "final_answer_correct": false, "label": 1}

`label` counts from 0 and -1 means that no step is wrong; here a first_error annotation counts from 1 and
None means that no step is wrong. Steps keep their borders, so that rows are written out again unchanged. Rows that we
wrote may have null for `final_answer_correct`: the answer could not be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows, wording
from stepviz.steps import join
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem

NAME = "processbench"
ANNOTATOR = "processbench"
COLUMNS = ("id", "generator", "problem", "steps", "final_answer_correct", "label")


def looks(row: Mapping[str, Any]) -> bool:
    return {"problem", "steps", "label", "final_answer_correct"} <= row.keys()


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """A chain and its first_error a row. Split "test" unless given: the set is made to evaluate on."""
    lines: dict[str, int] = {}

    def build(row: rows.Row) -> SourceItem:
        item = _item(row, split or "test")
        first = lines.setdefault(item.problem.key, row.line)
        if first != row.line:
            raise fields.BadRow(f"the id {item.problem.key!r} stands already on line {first}")
        return item

    return rows.items(path, build)


def _item(row: rows.Row, split: str) -> SourceItem:
    steps = fields.texts(row.fields, "steps")
    label = fields.whole(row.fields, "label", -1, len(steps) - 1)
    key, generator = fields.text(row.fields, "id"), fields.text(row.fields, "generator")
    problem = Problem(fields.text(row.fields, "problem"), source=NAME, key=key, split=split)
    meta = {"flag": _flag(row.fields)}
    if (kept := wording.difference(problem.question)) is not None:
        meta["wording"] = kept
    if more := {name: value for name, value in row.fields.items() if name not in COLUMNS}:
        meta["more"] = more
    text, spans = join(steps, "\n\n")
    chain = Chain(problem.id, f"{NAME}/{generator}", key, text, spans, "given/1", meta)
    first_error = None if label == -1 else label + 1
    label_key = f"{key}={label}"  # a corrected label is a new annotation, and the newer one counts
    annotation = Annotation(chain.id, ANNOTATOR, "first_error", 0, first_error, key=label_key)
    return SourceItem(problem, (chain,), (annotation,), row.line)


def _flag(row: Mapping[str, Any]) -> bool | None:
    unknown = "final_answer_correct" in row and row["final_answer_correct"] is None
    return None if unknown else fields.need(row, "final_answer_correct", bool)


def write(items: Iterable[SourceItem], annotator: str = ANNOTATOR) -> Iterator[dict[str, Any]]:
    """A row a chain that `annotator` labelled; of items that `read` made, the rows they came from."""
    for item in items:
        said = [a for a in item.annotations if a.annotator == annotator and a.question == "first_error"]
        labels = {a.chain_id: a.value for a in said if not a.undone}
        for chain in item.chains:
            if chain.id in labels:
                yield row_of(item.problem.question, chain, labels[chain.id], chain.meta.get("flag"))


def row_of(question: str, chain: Chain, first_error: int | None, right: bool | None) -> dict[str, Any]:
    """Any chain as a row; first_error counts from 1, None: no step is wrong; right None: nobody knows."""
    came_from_here = chain.origin.startswith(f"{NAME}/")
    return {
        "id": chain.key if came_from_here else chain.id,
        "generator": chain.origin.removeprefix(f"{NAME}/"),
        "problem": wording.restore(question, chain.meta.get("wording")) if came_from_here else question,
        "steps": list(chain.steps),
        "final_answer_correct": right,
        "label": -1 if first_error is None else first_error - 1,
        **chain.meta.get("more", {}),
    }
