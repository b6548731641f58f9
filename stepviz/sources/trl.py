"""The stepwise columns of TRL (removed from TRL in September 2026; several data sets of the hub use them).

    {"prompt": …, "completions": [step, …], "labels": [true, false, …]}

Labels are true/false, 1/0, or a share of rollouts in [0, 1]; -100 masks a step and is no label. A share
is kept exactly in the annotation's meta, and its value is whether it reaches one half. The columns do not
say what was asked; it is taken for correctness, `asked="solvable"` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.errors import StepvizError
from stepviz.sources import fields, rows, wording
from stepviz.steps import join
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem

NAME = "trl"
ANNOTATOR = "trl"
MASK = -100
COLUMNS = ("prompt", "completions", "labels")


def looks(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("completions"), list) and isinstance(row.get("labels"), list)


def read(
    path: Path | str, *, split: str | None = None, asked: str = "correct", origin: str | None = None
) -> Iterator[SourceItem | Refusal]:
    """A chain and a label a step. The origin is the file's name unless given."""
    if asked not in ("correct", "solvable"):
        raise StepvizError(f"The labels answer 'correct' or 'solvable', not {asked!r}.")
    guessed = split or fields.split_of(path)
    repeats = fields.Occurrences()
    where = origin or f"{NAME}/{Path(path).stem}"

    def build(row: rows.Row) -> SourceItem:
        steps = fields.texts(row.fields, "completions")
        labels = _labels(row.fields, len(steps))
        question = fields.text(row.fields, "prompt")
        key = repeats.key(question, *steps)
        problem = Problem(question, source=NAME, key=key, split=split or row.split or guessed)
        text, spans = join(steps, "\n")
        chain = Chain(problem.id, where, key, text, spans, "given/1", _meta(question, labels, row.fields))
        annotations = tuple(_annotation(chain, i, label, asked) for i, label in enumerate(labels, 1) if label != MASK)
        return SourceItem(problem, (chain,), annotations, row.line)

    return rows.items(path, build)


def _labels(row: Mapping[str, Any], n: int) -> list[bool | int | float]:
    labels = fields.need(row, "labels", list)
    if len(labels) != n:
        raise fields.BadRow(f"{len(labels)} labels for {n} completions")
    for i, label in enumerate(labels):
        if type(label) not in (bool, int, float):
            raise fields.BadRow(f"labels[{i}] must be true, false or a number, this is {fields.kind_of(label)}")
        if label != MASK and not 0 <= label <= 1:
            raise fields.BadRow(f"labels[{i}] is {label}, out of range: it must lie in 0…1, or be {MASK}")
    return labels


def _meta(question: str, labels: list[bool | int | float], row: Mapping[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = {"labels": [type(label).__name__ for label in labels]}
    if len(set(meta["labels"])) == 1:
        meta["labels"] = meta["labels"][0]
    if (kept := wording.difference(question)) is not None:
        meta["wording"] = kept
    if more := {name: value for name, value in row.items() if name not in COLUMNS}:
        meta["more"] = more
    return meta


def _annotation(chain: Chain, step: int, label: bool | int | float, asked: str) -> Annotation:
    value = 1 if label >= 0.5 else -1
    meta = {"share": label} if type(label) is float else {}
    who = f"{ANNOTATOR}/{chain.origin.removeprefix(NAME + '/')}"
    key = f"{chain.key}/{asked}/{step}={label}"
    return Annotation(chain.id, who, asked, step, value, meta=meta, key=key)  # type: ignore[arg-type]


def write(items: Iterable[SourceItem]) -> Iterator[dict[str, Any]]:
    """The rows of items that `read` made: labels of the type they had."""
    for item in items:
        said = [a for a in item.annotations if a.annotator.startswith(f"{ANNOTATOR}/") and not a.undone]
        for chain in item.chains:
            given = {a.step: a for a in said if a.chain_id == chain.id}
            kinds = chain.meta.get("labels", "int")
            kinds = [kinds] * chain.n if isinstance(kinds, str) else kinds
            labels = [_label(given.get(i), kind) for i, kind in enumerate(kinds, 1)]
            question = wording.restore(item.problem.question, chain.meta.get("wording"))
            more = chain.meta.get("more", {})
            yield {"prompt": question, "completions": list(chain.steps), "labels": labels, **more}


def _label(annotation: Annotation | None, kind: str) -> bool | int | float:
    if annotation is None or annotation.value is None:
        return MASK
    if kind == "float":
        return float(annotation.meta.get("share", annotation.value == 1))
    return annotation.value == 1 if kind == "bool" else int(annotation.value == 1)
