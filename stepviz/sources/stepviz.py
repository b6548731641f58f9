"""stepviz's own file: a line a problem with its chains, spans and annotations; nothing is lost.

    {"stepviz": 1, "problem": {…}, "chains": [{…, "spans": [[start, end, kind], …]}], "annotations": [{…}]}

The fields are those of stepviz.types. Offsets count the characters of `text`; steps count from 1. Where drafts were
refined, the ledger's lines stand beside them (sources.ledger).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from stepviz.errors import StepvizError
from stepviz.label_rules import check_label
from stepviz.sources import fields, ledger, rows
from stepviz.types import Annotation, Chain, Problem, Question, Refusal, SourceItem, Span, Verdict

NAME = "stepviz"
VERSION = 1


def looks(row: Mapping[str, Any]) -> bool:
    return "stepviz" in row and isinstance(row.get("problem"), dict)


def read(path: Path | str) -> Iterator[SourceItem | Refusal]:
    """Items as they were written."""

    def build(row: rows.Row) -> SourceItem:
        version = fields.need(row.fields, "stepviz", int)
        if version != VERSION:
            raise fields.BadRow(f"written by another version of the format ({version}; this one reads {VERSION})")
        problem = _problem(fields.need(row.fields, "problem", dict))
        chains = [_chain(raw, problem.id) for raw in fields.need(row.fields, "chains", list)]
        lengths = {chain.id: chain.n for chain in chains}
        for chain in chains:
            if chain.parent is not None and chain.parent not in lengths:
                raise fields.BadRow(f"a chain branches from {chain.parent!r}, which the row does not bring")
        annotations = [_annotation(raw, lengths) for raw in fields.need(row.fields, "annotations", list)]
        refined = ledger.read(row.fields, lengths)
        return SourceItem(problem, tuple(chains), tuple(annotations), row.line, refined)

    return rows.items(path, build)


def write(items: Iterable[SourceItem], verdicts: Mapping[str, Verdict] | None = None) -> Iterator[dict[str, Any]]:
    """A row an item. Verdicts (chain id → verdict) are for those who read the file: reading it grades anew."""
    for item in items:
        yield {
            "stepviz": VERSION,
            "problem": asdict(item.problem),
            "chains": [_chain_row(chain) for chain in item.chains],
            "annotations": [asdict(annotation) for annotation in item.annotations],
            **item.ledger,
            **({"verdicts": {c.id: asdict(verdicts[c.id]) for c in item.chains}} if verdicts else {}),
        }


def _chain_row(chain: Chain) -> dict[str, Any]:
    return {**asdict(chain), "id": chain.id, "spans": [[s.start, s.end, s.kind] for s in chain.spans]}


def _problem(raw: Mapping[str, Any]) -> Problem:
    return Problem(
        fields.text(raw, "question"),
        fields.maybe_text(raw, "answer"),
        fields.maybe_text(raw, "solution"),
        fields.text(raw, "source"),
        fields.need(raw, "key", str),
        fields.maybe_text(raw, "split"),
        fields.need(raw, "meta", dict),
    )


def _chain(raw: Any, problem_id: str) -> Chain:
    if not isinstance(raw, dict):
        raise fields.BadRow(f"a chain must be an object, this is {fields.kind_of(raw)}")
    if fields.need(raw, "problem_id", str) != problem_id:
        raise fields.BadRow("a chain's 'problem_id' is not the id of the row's question")
    text = fields.need(raw, "text", str)
    return Chain(
        problem_id,
        fields.text(raw, "origin"),
        fields.need(raw, "key", str),
        text,
        tuple(_spans(fields.need(raw, "spans", list), text)),
        fields.text(raw, "rule"),
        fields.need(raw, "meta", dict),
        fields.maybe_text(raw, "parent"),
        fields.need(raw, "branch_step", int, type(None)),
    )


def _spans(raw: list[Any], text: str) -> Iterator[Span]:
    """Spans in order, inside the text, with nothing but white space between them."""
    at = 0
    for i, span in enumerate(raw, 1):
        match span:
            case [int(start), int(end), ("step" | "answer") as kind] if at <= start <= end <= len(text):
                if text[at:start].strip():
                    raise fields.BadRow(f"step {i} leaves out text before it")
                yield Span(start, end, kind)
                at = end
            case _:
                raise fields.BadRow(f"step {i} is not [start, end, 'step' or 'answer'] inside the text: {span!r:.80}")
    if text[at:].strip():
        raise fields.BadRow("text is left over behind the last step")


def _annotation(raw: Any, lengths: Mapping[str, int]) -> Annotation:
    if not isinstance(raw, dict):
        raise fields.BadRow(f"an annotation must be an object, this is {fields.kind_of(raw)}")
    chain_id, question = fields.need(raw, "chain_id", str), cast(Question, fields.need(raw, "question", str))
    if chain_id not in lengths:
        raise fields.BadRow(f"an annotation speaks of the chain {chain_id!r}, which the row does not bring")
    if fields.need(raw, "undone", bool):
        raise fields.BadRow("an annotation takes a label back: a file brings labels that stand")
    step, value = fields.need(raw, "step", int), fields.need(raw, "value", int, type(None))
    key, note, meta = fields.need(raw, "key", str), fields.need(raw, "note", str), fields.need(raw, "meta", dict)
    label = Annotation(chain_id, fields.text(raw, "annotator"), question, step, value, note, meta, key)
    try:
        check_label(label, lengths[chain_id])
    except StepvizError as reason:
        raise fields.BadRow(str(reason)) from None
    return label
