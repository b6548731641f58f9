"""Anybody's JSONL, JSON array, CSV, TSV or Parquet, by a mapping of its columns: my traces in a minute.

Each row is a problem with the chains of its responses. Keys come from the texts, so that rows may be added
anywhere in the file before it is imported again, and two equal samples stay two chains. What no role takes is
kept in the chain's meta (of a list as long as the responses, the chain's own element).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from stepviz.errors import StepvizError
from stepviz.sources import fields, rows
from stepviz.sources.files import Unreadable, not_utf8, stem
from stepviz.sources.mapping import ROLES, Mapping, guess_mapping, is_chat, parsed, said, value_at
from stepviz.steps import join, rule_id, segment
from stepviz.types import Annotation, Chain, Problem, Refusal, SourceItem, Span

NAME = "table"
SAMPLE = 50  # rows that a guess looks at
KEPT = 2_000  # characters of a column without a role that are kept with a chain

__all__ = ["Mapping", "columns", "guess", "guess_mapping", "preview", "read"]


def sample(path: Path | str, n: int = SAMPLE) -> list[dict[str, Any]]:
    """The first n rows that can be read."""
    return [row.fields for row in islice((r for r in rows.rows(path) if isinstance(r, rows.Row)), n)]


def columns(sample_rows: list[dict[str, Any]]) -> list[str]:
    """All columns' names, in the order they are met."""
    return list(dict.fromkeys(name for row in sample_rows for name in row))


def guess(path: Path | str) -> Mapping:
    """The guessed mapping of a file; StepvizError where not one row can be read."""
    sample_rows = sample(path)
    if not sample_rows:
        if line := not_utf8(Path(path)):
            raise Unreadable(f"{path}: not UTF-8 at line {line}; save the file as UTF-8")
        raise Unreadable(f"{path}: no row of it can be read; is it JSONL, a JSON array, CSV, TSV or Parquet?")
    return guess_mapping(columns(sample_rows), sample_rows)


def preview(path: Path | str, mapping: Mapping | None = None, n: int = 5) -> list[SourceItem | Refusal]:
    """What the first n rows would become."""
    return list(islice(read(path, mapping=mapping), n))


def read(
    path: Path | str, *, mapping: Mapping | None = None, split: str | None = None, rule: str | None = None
) -> Iterator[SourceItem | Refusal]:
    """Items by `mapping` (default: the guess); `rule` cuts the responses into steps instead of the mapping's."""
    mapping = mapping or guess(path)
    if mapping.question is None:
        names = ", ".join(columns(sample(path)))
        raise StepvizError(f"{path}: no column was taken for the question; say which of {names} it is.")
    if rule is not None:
        mapping = mapping.corrected({"rule": rule})
    reader = _Reader(mapping, stem(path), split, fields.split_of(path))
    yield from rows.items(path, reader.item)


class _Reader:
    """Rows to items by one mapping; counts equal samples."""

    def __init__(self, mapping: Mapping, stem: str, split: str | None, guessed: str | None) -> None:
        self.mapping, self.stem, self.split, self.guessed = mapping, stem, split, guessed
        self.repeats = fields.Occurrences()

    def item(self, row: rows.Row) -> SourceItem:
        problem = self._problem(row)
        origin = self._value(row, "origin")
        origin = str(origin).strip() if origin not in (None, "") else self.stem
        texts = self._responses(row)
        extra = self._extra(row.fields)
        chains = [
            self._chain(problem, origin, text, spans, self._meta(row, extra, j, len(texts)))
            for j, (text, spans) in enumerate(texts)
        ]
        annotations = [a for j, chain in enumerate(chains) for a in self._labels(row, chain, j, len(chains))]
        return SourceItem(problem, tuple(chains), tuple(annotations), row.line)

    def _value(self, row: rows.Row, role: str) -> Any:
        path = getattr(self.mapping, role)
        return None if path is None else parsed(value_at(row.fields, path))

    def _text(self, row: rows.Row, role: str, who: str = "user") -> str | None:
        """A role's text; of messages, what `who` said; numbers as written; None where there is nothing."""
        value = self._value(row, role)
        if is_chat(value):
            value = said(value, who)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = fields.number_text(value)
        if isinstance(value, list | dict):
            raw = value_at(row.fields, getattr(self.mapping, role))
            value = raw if isinstance(raw, str) else value  # "[3, 4]" in a cell is an answer, not a list
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str):
            column = getattr(self.mapping, role)
            raise fields.BadRow(f"{column!r} ({role}) must be a text, this is {fields.kind_of(value)}")
        return value

    def _problem(self, row: rows.Row) -> Problem:
        question = self._text(row, "question")
        if question is None:
            raise fields.BadRow(f"{self.mapping.question!r} (question) is missing or empty")
        answer, solution = self._text(row, "answer"), self._text(row, "solution")
        if answer is not None and "####" in answer:
            answer = answer.rpartition("####")[2].strip() or None
        key = self._value(row, "key")
        key = str(key) if key not in (None, "") else fields.digest(question)[:12]
        split = self.split or self._text(row, "split") or row.split or self.guessed
        return Problem(question, answer, solution, f"mine/{self.stem}", key, split)

    def _responses(self, row: rows.Row) -> list[tuple[str, tuple[Span, ...]]]:
        """Each response with its steps: the file's own, or cut by the rule."""
        steps = self._value(row, "steps")
        if steps is not None:
            nested = isinstance(steps, list) and bool(steps) and all(isinstance(s, list) for s in steps)
            name = self.mapping.steps or ""
            return [join(fields.texts({name: part}, name), "\n") for part in (steps if nested else [steps])]
        value = self._value(row, "response")
        if value is None:
            return []
        name = self.mapping.response or ""
        many = isinstance(value, list) and not is_chat(value)
        given = fields.texts({name: value}, name) if many else [self._text(row, "response", "assistant")]
        return [(text, segment(text, self.mapping.rule)) for text in given if text is not None]

    def _chain(self, problem: Problem, origin: str, text: str, spans: tuple[Span, ...], meta: dict[str, Any]) -> Chain:
        rule = "given/1" if self.mapping.steps else rule_id(self.mapping.rule)
        key = f"{self.stem}/{self.repeats.key(problem.id, origin, text)}"
        return Chain(problem.id, origin, key, text, spans, rule, meta)

    def _extra(self, row: dict[str, Any]) -> dict[str, Any]:
        used = {(getattr(self.mapping, role) or "").split(".")[0] for role in ROLES}
        used |= {getattr(self.mapping, role) for role in ROLES}
        return {name: value for name, value in row.items() if name not in used and value is not None}

    def _meta(self, row: rows.Row, extra: dict[str, Any], j: int, n: int) -> dict[str, Any]:
        own = {name: v[j] if isinstance(v, list) and len(v) == n and n > 1 else v for name, v in extra.items()}
        kept = {name: v for name, v in own.items() if len(json.dumps(v)) <= KEPT}
        flag, pred = self._one(row, "flag", j, n), self._one(row, "pred", j, n)
        if isinstance(flag, str):
            flag = {"true": True, "false": False}.get(flag.strip().lower())
        meta: dict[str, Any] = {"columns": kept} if kept else {}
        if self.mapping.answer_rule != "auto":
            meta["answer_rule"] = self.mapping.answer_rule  # for whoever grades it again
        if isinstance(flag, bool):
            meta["flag"] = flag
        if type(pred) in (str, int, float) and str(pred).strip():
            meta["pred"] = pred if isinstance(pred, str) else fields.number_text(pred)
        return meta

    def _one(self, row: rows.Row, role: str, j: int, n: int) -> Any:
        """What a role says of response j of n: its own element of a list."""
        value = self._value(row, role)
        if isinstance(value, list):
            return value[j] if len(value) == n else None
        return value

    def _labels(self, row: rows.Row, chain: Chain, j: int, n: int) -> Iterator[Annotation]:
        """The labels of chain j of n: rows with several responses bring a list a response."""
        value = self._value(row, "labels")
        if value is None or value == "":
            return
        if n > 1:
            if not isinstance(value, list) or len(value) != n:
                raise fields.BadRow(f"{self.mapping.labels!r} (labels) must have a list for each of {n} responses")
            value = value[j]
        if self.mapping.label_kind in ("per_step", "right_wrong"):
            yield from self._per_step(chain, value)
        else:
            yield self._first_error(chain, value)

    def _per_step(self, chain: Chain, value: Any) -> Iterator[Annotation]:
        if not isinstance(value, list) or len(value) != chain.n:
            found = f"{len(value)} labels" if isinstance(value, list) else fields.kind_of(value)
            raise fields.BadRow(f"{self.mapping.labels!r} (labels) must be a list of {chain.n}, one a step: {found}")
        for i, label in enumerate(value, 1):
            if isinstance(label, bool):
                label = 1 if label else -1
            if label is not None and label not in (1, 0, -1):
                raise fields.BadRow(
                    f"{self.mapping.labels!r}: the label of step {i} is {label!r}: not 1, 0, -1 or null"
                )
            if label == 0 and self.mapping.label_kind == "right_wrong":
                label = -1
            yield self._annotation(chain, "correct", i, None if label is None else int(label))

    def _first_error(self, chain: Chain, value: Any) -> Annotation:
        """The file's index to 1…n: here, at the border, and nowhere else."""
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value.strip()):
            value = int(value)
        base = 0 if self.mapping.label_kind == "first_error_0" else 1
        name = self.mapping.labels or ""
        if value is None or value == -1:
            return self._annotation(chain, "first_error", 0, None)
        index = fields.whole({name: value}, name, base, chain.n - 1 + base)
        return self._annotation(chain, "first_error", 0, index - base + 1)

    def _annotation(self, chain: Chain, question: Any, step: int, value: int | None) -> Annotation:
        key = f"{chain.id}/{question}/{step}={value}"
        return Annotation(chain.id, f"mine/{self.stem}", question, step, value, key=key)
