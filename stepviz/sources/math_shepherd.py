"""Math-Shepherd (peiyi9979/Math-Shepherd): steps labelled by rollouts.

    {"input": "QUESTION Step 1: … ки\\nStep 2: … The answer is: 18 ки", "label": "QUESTION Step 1: … +\\nStep 2: … -",
     "task": "GSM8K"}

`label` is `input` with each "ки" replaced by + or -: whether any of eight continuations from there reached the
answer. That is solvability, not correctness, and comes in as annotations of the question "solvable".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows, wording
from stepviz.steps import join
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem

NAME = "math-shepherd"
ANNOTATOR = "math-shepherd"
ORIGIN = "math-shepherd"
TAG = "ки"
_FIRST = re.compile(r"\s*Step 1:")
_SIGNS = {"+": 1, "-": -1}


def looks(row: Mapping[str, Any]) -> bool:
    given = row.get("input")
    return isinstance(given, str) and TAG in given and isinstance(row.get("label"), str)


def read(path: Path | str, *, split: str | None = None) -> Iterator[SourceItem | Refusal]:
    """A chain and a label a step, row by row."""
    guessed = split or fields.split_of(path)
    repeats = fields.Occurrences()

    def build(row: rows.Row) -> SourceItem:
        given, labelled = fields.text(row.fields, "input"), fields.text(row.fields, "label")
        pieces, signs = _pieces(given, labelled)
        question, pieces[0] = _question(pieces[0])
        task = fields.maybe_text(row.fields, "task")
        problem = Problem(question, source=NAME, key=repeats.key(given), split=split or row.split or guessed)
        chain = _chain(problem, pieces, task, {k: v for k, v in row.fields.items() if k not in ("input", "label")})
        annotations = tuple(
            Annotation(chain.id, ANNOTATOR, "solvable", i, _SIGNS[sign], key=f"{chain.key}/{i}={sign}")
            for i, sign in enumerate(signs, 1)
        )
        return SourceItem(problem, (chain,), annotations, row.line)

    return rows.items(path, build)


def _pieces(given: str, labelled: str) -> tuple[list[str], list[str]]:
    """What stands before each tag, and after the last one; and the sign of each tag."""
    pieces = given.split(TAG)
    if len(pieces) == 1:
        raise fields.BadRow(f"'input' has no step tag {TAG!r}")
    signs, at = [], 0
    for i, piece in enumerate(pieces):
        if labelled[at : at + len(piece)] != piece:
            raise fields.BadRow(f"'label' does not repeat the text of 'input' before tag {i + 1}")
        at += len(piece)
        if i < len(pieces) - 1:
            sign = labelled[at : at + 1]
            if sign not in _SIGNS:
                raise fields.BadRow(f"'label' has {sign!r} in the place of tag {i + 1}: it must be + or -")
            signs.append(sign)
            at += 1
    if at != len(labelled):
        raise fields.BadRow("'label' goes on behind the end of 'input'")
    return pieces, signs


def _question(piece: str) -> tuple[str, str]:
    found = _FIRST.search(piece)
    if found is None or not piece[: found.start()].strip():
        raise fields.BadRow("'input' has no question before 'Step 1:'")
    return piece[: found.start()], piece[found.start() :]


def _chain(problem: Problem, pieces: list[str], task: str | None, more: dict[str, Any]) -> Chain:
    steps = [piece.strip() for piece in pieces[:-1]]
    if "" in steps:
        raise fields.BadRow(f"step {steps.index('') + 1} is empty")
    gaps = [[p[: len(p) - len(p.lstrip())], p[len(p.rstrip()) :]] for p in pieces[:-1]]
    meta: dict[str, Any] = {}
    if (kept := wording.difference(problem.question)) is not None:
        meta["wording"] = kept
    if gaps != _usual_gaps(len(steps)):
        meta["gaps"] = gaps
    if pieces[-1]:
        meta["tail"] = pieces[-1]
    if more:
        meta["more"] = more
    origin = ORIGIN if task is None else f"{ORIGIN}/{task}"
    text, spans = join(steps, "\n")
    return Chain(problem.id, origin, problem.key, text, spans, "given/1", meta)


def _usual_gaps(n: int) -> list[list[str]]:
    """The white space around steps as nearly all rows have it."""
    return [[" " if i == 0 else "\n", " "] for i in range(n)]


def write(items: Iterable[SourceItem]) -> Iterator[dict[str, Any]]:
    """The rows of items that `read` made."""
    for item in items:
        said = [a for a in item.annotations if a.annotator == ANNOTATOR and not a.undone]
        for chain in item.chains:
            values = {a.step: a.value for a in said if a.chain_id == chain.id}
            yield row_of(item.problem.question, chain, [values.get(i) for i in range(1, chain.n + 1)])


def row_of(question: str, chain: Chain, values: list[int | None]) -> dict[str, Any]:
    """Any chain as a row; values 1 or -1 a step. A step without a value counts as -: the format has no third sign."""
    gaps = chain.meta.get("gaps") or _usual_gaps(chain.n)
    given = labelled = wording.restore(question, chain.meta.get("wording"))
    for step, value, (before, after) in zip(chain.steps, values, gaps, strict=True):
        given += f"{before}{step}{after}{TAG}"
        labelled += f"{before}{step}{after}{'+' if value == 1 else '-'}"
    tail = chain.meta.get("tail", "")
    return {"input": given + tail, "label": labelled + tail, **chain.meta.get("more", {})}
