"""The sample solutions of GSM8K's authors: four chains a problem, of GPT-3 6B and 175B.

    {"question": …, "ground_truth": "…\\nA: 18", "6b_finetuning": {"is_correct": false, "solution": "…\\nA: 26"}, …}

Each chain's origin is "gsm8k/6b_finetuning" and so on; chains with the same text stay chains. What the
file says of a chain's correctness is kept in meta["flag"]; the verdict is our own grader's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepviz.sources import fields, rows
from stepviz.steps import rule_id, segment
from stepviz.types import Chain, Problem, Refusal, SourceItem

NAME = "gsm8k-solutions"
_PARTS = {"solution", "is_correct"}  # of a sample


def looks(row: Mapping[str, Any]) -> bool:
    samples = _samples(row)
    if row.keys() - samples.keys() - {"question", "ground_truth", "id", "idx"}:
        return False  # more than these files have: somebody's traces, with their columns among them
    whole = all(sample.keys() >= _PARTS for sample in samples.values())
    return isinstance(row.get("ground_truth"), str) and bool(samples) and whole


def read(path: Path | str, *, split: str | None = None, rule: str | None = None) -> Iterator[SourceItem | Refusal]:
    """Problems with their chains, segmented by `rule` (default: line). The questions are GSM8K's test split."""
    repeats = fields.Occurrences()

    def build(row: rows.Row) -> SourceItem:
        solution = fields.text(row.fields, "ground_truth")
        _, mark, gold = solution.rpartition("A:")
        if not mark or not gold.strip():
            raise fields.BadRow("'ground_truth' has no last line 'A: N'")
        question = fields.text(row.fields, "question")
        problem = Problem(question, gold.strip(), solution, NAME, str(row.index), split or row.split or "test")
        samples = _samples(row.fields)
        if not samples:
            raise fields.BadRow("no samples: fields such as '6b_finetuning': {'is_correct', 'solution'} are missing")
        number = repeats.number(problem.id)
        chains = tuple(_chain(problem, name, samples[name], number, rule or "line") for name in samples)
        return SourceItem(problem, chains, line=row.line)

    return rows.items(path, build)


def _samples(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is meant as a sample: one that lacks a part is refused by name, not passed over."""
    return {name: value for name, value in row.items() if isinstance(value, dict) and value.keys() & _PARTS}


def _chain(problem: Problem, name: str, sample: dict[str, Any], number: int, rule: str) -> Chain:
    try:
        text = fields.text(sample, "solution")
        flag = fields.need(sample, "is_correct", bool)
    except fields.BadRow as reason:
        raise fields.BadRow(f"{name!r}: {reason}") from None
    spans = segment(text, rule)
    return Chain(problem.id, f"gsm8k/{name}", str(number), text, spans, rule_id(rule), {"flag": flag})
