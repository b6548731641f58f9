"""Export: the store's chains and labels as rows of public formats.

What came in from ProcessBench or PRM800K comes out equal, field by field; anything else can be written in their
formats too, with the labels of one annotator. stepviz's own format keeps problems, chains, spans and labels as
they are, and the ledger of refinements. Index bases are converted in `sources`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ChainFilter, ChainRow, ModelRow, ProblemFilter, ProblemRow, RefinementRow
from stepviz.errors import StepvizError
from stepviz.sources import math_shepherd, prm800k, processbench, stepviz, trl
from stepviz.types import Annotation, Chain, Sampling, SourceItem, Span

_CHAINS = ChainFilter()
_PROBLEMS = ProblemFilter()
PAGE = 200


def export_processbench(
    store: Store, filter: ChainFilter = _CHAINS, annotator: str = processbench.ANNOTATOR
) -> Iterator[dict[str, Any]]:
    """A row a chain of which `annotator` said where it goes wrong first, in the order the chains came in.

    Where the annotator labelled the steps one by one, the first -1 is the first error; a chain with unlabelled
    or unsure steps before it is left out. `final_answer_correct` is the source's for ProcessBench's own chains,
    else the verdict's (null: unknown).
    """
    for problem, row, labels in _labelled(store, filter):
        chain, own = row.chain, row.chain.origin.startswith("processbench/")
        if own and annotator == processbench.ANNOTATOR:
            chain, labels = _as_given(store, chain, labels)
        said = [a for a in labels if a.annotator == annotator]
        decided, first_error = _first_error(said, chain.n)
        if decided:
            known = {"correct": True, "wrong": False, "unknown": None}[row.verdict.value]
            yield processbench.row_of(problem.question, chain, first_error, chain.meta.get("flag") if own else known)


def _first_error(said: list[Annotation], n: int) -> tuple[bool, int | None]:
    """(whether the labels decide it, the first wrong step or None)."""
    for annotation in said:
        if annotation.question == "first_error":
            return True, annotation.value
    by_step = {a.step: a.value for a in said if a.question == "correct"}
    for step in range(1, n + 1):
        if by_step.get(step) is None:
            return False, None
        if by_step[step] == -1:
            return True, step
    return True, None


def export_prm800k(
    store: Store, filter: ChainFilter = _CHAINS, annotator: str | None = None
) -> Iterator[dict[str, Any]]:
    """PRM800K's rows as they came in; with an `annotator`, a row a chain whose steps that person rated.

    The filter's source, split and problem count; rows keep their order.
    """
    if annotator is not None:
        for problem, row, labels in _labelled(store, filter):
            ratings = {a.step: a.value for a in labels if a.annotator == annotator and a.question == "correct"}
            if ratings:
                yield prm800k.row_of(problem.problem, row.chain, ratings, annotator, row.verdict.value)
        return
    own = ((p, row, ls) for p, row, ls in _labelled(store, filter) if row.chain.origin in prm800k.ORIGINS)
    for _, found in groupby(own, key=lambda entry: prm800k.row_key(entry[1].chain)):
        entries = list(found)
        given = [_as_given(store, row.chain, labels) for _, row, labels in entries]
        labels = tuple(label for _, labels in given for label in labels)
        yield from prm800k.write([SourceItem(entries[0][0].problem, tuple(chain for chain, _ in given), labels)])


def _as_given(store: Store, chain: Chain, labels: list[Annotation]) -> tuple[Chain, list[Annotation]]:
    """The chain in the steps that its source gave, with the source's labels of them, whatever it was cut into since.

    Labels that moved with their steps are appended (Store.set_spans): those that came with the file are still there.
    """
    given = chain.meta.get("given")
    if given is None:
        return chain, labels
    history = (row.annotation for row in store.annotations(chain.id, history=True))
    brought = {(a.annotator, a.question, a.step): a for a in history if a.key}  # a corrected label is the later one
    return replace(chain, spans=tuple(Span(*span) for span in given)), list(brought.values())


def export_math_shepherd(store: Store, filter: ChainFilter = _CHAINS) -> Iterator[dict[str, Any]]:
    """Math-Shepherd's rows as they came in."""
    for problem, row, labels in _labelled(store, filter):
        if row.chain.origin.startswith(math_shepherd.ORIGIN):
            chain, labels = _as_given(store, row.chain, labels)
            yield from math_shepherd.write([SourceItem(problem.problem, (chain,), tuple(labels))])


def export_trl(store: Store, filter: ChainFilter = _CHAINS) -> Iterator[dict[str, Any]]:
    """Stepwise rows as they came in."""
    for problem, row, labels in _labelled(store, filter):
        if any(label.annotator.startswith(f"{trl.ANNOTATOR}/") for label in labels):
            chain, labels = _as_given(store, row.chain, labels)
            yield from trl.write([SourceItem(problem.problem, (chain,), tuple(labels))])


def export_stepviz(store: Store, filter: ProblemFilter = _PROBLEMS) -> Iterator[dict[str, Any]]:
    """A row a problem with everything that hangs on it: chains, spans, labels that stand, verdicts, refinements.

    A problem of several sources has a row for each, with what that source says of it; the chains are in the
    first. Importing the rows into another store gives the same problems, chains, labels and ledger; verdicts are
    graded anew, people's stand.
    """
    models, samplings = {model.id: model for model in store.models()}, store.samplings()
    for problem, lines in _problems(store, filter):
        rows = store.chains(problem.id)
        chains = tuple(row.chain for row in rows)
        labels = store.annotations_for(problem.id)
        annotations = tuple(row.annotation for chain in chains for row in labels.get(chain.id, []))
        verdicts = {row.chain.id: row.verdict for row in rows}
        first, *others = store.readings(problem.id)
        ledger = _ledger(lines, models, samplings)
        yield from stepviz.write([SourceItem(first, chains, annotations, ledger=ledger)], verdicts)
        yield from stepviz.write(SourceItem(reading) for reading in others)


def _problems(store: Store, filter: ProblemFilter) -> Iterator[tuple[ProblemRow, list[RefinementRow]]]:
    """Problems, each with its lines of the ledger."""
    offset = 0
    while page := store.problems(filter, limit=PAGE, offset=offset):
        lines = store.refinements_of([problem.id for problem in page])
        yield from ((problem, lines.get(problem.id, [])) for problem in page)
        offset += len(page)


def _ledger(
    lines: list[RefinementRow], models: Mapping[str, ModelRow], samplings: Mapping[str, Sampling]
) -> dict[str, Any]:
    """The lines as sources.ledger reads them, with what they name; a model's run stays in this store."""
    if not lines:
        return {}
    named = dict.fromkeys(id_ for line in lines for id_ in (line.refiner, line.orm, line.locator) if id_)
    return {
        "refinements": [_line(line) for line in lines],
        "models": [
            {"id": m.id, "role": m.role, "spec": m.spec, "parents": list(m.parents), "meta": dict(m.meta)}
            for m in (models[id_] for id_ in named)
        ],
        "samplings": [asdict(samplings[id_]) for id_ in dict.fromkeys(line.sampling_id for line in lines)],
    }


def _line(line: RefinementRow) -> dict[str, Any]:
    assert line.created_at is not None, "a stored line has its moment"
    row = {name: value for name, value in asdict(line).items() if name not in ("id", "problem_id")}
    candidates = [{"name": c.name, "chain": c.chain, "score": c.score} for c in line.candidates]
    return row | {"candidates": candidates, "created_at": line.created_at.isoformat()}


def _labelled(store: Store, filter: ChainFilter) -> Iterator[tuple[ProblemRow, ChainRow, list[Annotation]]]:
    """Chains in order with their problem and the labels that stand; a problem is read once for neighbours."""
    problem: ProblemRow | None = None
    labels: dict[str, list[Annotation]] = {}
    for row in store.chains_of(filter):
        if problem is None or problem.id != row.chain.problem_id:
            problem = store.problem(row.chain.problem_id)
            assert problem is not None, "a chain without its problem"
            found = store.annotations_for(problem.id)
            labels = {id_: [r.annotation for r in rows] for id_, rows in found.items()}
        yield problem, row, labels.get(row.chain.id, [])


EXPORTS = {
    "processbench": export_processbench,
    "prm800k": export_prm800k,
    "math-shepherd": export_math_shepherd,
    "trl": export_trl,
    "stepviz": export_stepviz,
}


def write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Write the rows, one a line, and say how many; the file appears when it is whole."""
    partial = path.with_name(path.name + ".part")
    n = 0
    try:
        with partial.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                n += 1
        partial.replace(path)
    except OSError as error:
        raise StepvizError(f"{path} cannot be written ({error.strerror}): choose another place") from None
    return n
