"""A study as a file: PRM800K's rows, ProcessBench's, everything as JSONL, or the same flat as Parquet.

    prm800k        {labeler, timestamp, question, label, …}: a row for each submitted turn, and for what was settled
    processbench   {id, generator, problem, steps, final_answer_correct, label}: a row an item
    jsonl          a row a turn, whatever became of it: who, in which arm, for how long, by which guideline, with labels
    parquet        the same, a row a label; a turn without one has one row

Labels that were taken back are in none of them. `anonymous` puts numbers in the place of names; what people wrote in
their notes stays as it is. A file appears when it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.store import Store
from db.study_values import SlotRow, StudyRow
from db.values import AnnotationRow
from stepviz.errors import StepvizError
from stepviz.exporting import write_jsonl
from stepviz.recipes import Dropped
from stepviz.study_formats import prm800k_rows, processbench_row
from stepviz.study_turns import Item, People, items

if TYPE_CHECKING:
    import pyarrow

SUFFIX = {
    "prm800k": ".prm800k.jsonl",
    "processbench": ".processbench.jsonl",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
}
FORMATS = tuple(SUFFIX)
BATCH = 1000
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and half surrogate pairs, which files and databases refuse


@dataclass(frozen=True, slots=True)
class Exported:
    """left_out: what gave no row, by reason."""

    rows: int
    left_out: Mapping[str, int]


def export(store: Store, study: StudyRow, format: str, out: Path, *, anonymous: bool = False) -> Exported:
    """Writes the file `out`. StepvizError: no such format, nothing to write (saying why), a place that is taken."""
    if format not in SUFFIX:
        raise StepvizError(f"no format {format!r}; there are: {', '.join(FORMATS)}")
    if format in ("prm800k", "processbench") and "correct" not in study.config.get("questions", ()):
        raise StepvizError(
            f"{format} is about whether steps are correct, and {study.name} does not ask that: take jsonl or parquet"
        )
    if out.exists():
        raise StepvizError(f"{out} is there already; choose another place")
    left_out = Dropped()
    found = rows(store, study, format, left_out, anonymous=anonymous)
    first = list(islice(found, 1))
    if not first:
        told = "; ".join(f"{n} × {reason}" for reason, n in left_out.reasons.items())
        raise StepvizError(f"{study.name} gives no row: {told or 'nobody has labelled an item of it yet'}")
    every = (_clean(row) for some in (first, found) for row in some)
    n = _parquet(every, out) if format == "parquet" else write_jsonl(every, out)
    return Exported(n, left_out.reasons)


def rows(
    store: Store, study: StudyRow, format: str, left_out: Dropped, *, anonymous: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of one of FORMATS, an item at a time; left_out is filled as they are read."""
    people = People(study, store.slots(study.id), anonymous)
    makes: dict[str, Callable[[Item], Iterator[dict[str, Any]]]] = {
        "prm800k": lambda item: prm800k_rows(study, item, people, left_out),
        "processbench": lambda item: filter(None, [processbench_row(item, left_out)]),
        "jsonl": lambda item: everything(study, item),
        "parquet": lambda item: (label for turn in everything(study, item) for label in flat(turn)),
    }
    for item in items(store, study, people):
        yield from makes[format](item)


def everything(study: StudyRow, item: Item) -> Iterator[dict[str, Any]]:
    """A row a turn, and one for what was settled, whose state is "adjudicated"."""
    place, problem = item.problem.sources[0], item.problem
    about = {
        "study": study.name,
        "item": item.item.position + 1,
        "gold": item.item.gold,
        "chain": item.item.chain_id,
        "origin": item.row.chain.origin,
        "problem": problem.id,
        "source": place.source,
        "split": place.split or None,
        "problem_text": problem.question,
        "steps": list(item.row.chain.steps),
    }
    for turn in item.turns:
        yield about | _of_turn(turn.slot, turn.person) | {"labels": [_said(row) for row in turn.labels]}
    if item.settled:
        who = item.settled[-1].annotation.annotator
        yield about | _of_turn(None, who) | {"labels": [_said(row) for row in item.settled]}


def _of_turn(slot: SlotRow | None, person: str) -> dict[str, Any]:
    """Moments in UTC."""
    if slot is None:
        nothing = dict.fromkeys(("arm", "guideline", "opened_at", "ended_at", "seconds", "finish"))
        return {"person": person, "state": "adjudicated", **nothing, "flags": [], "note": ""}
    return {
        "person": person,
        "state": slot.state,
        "arm": slot.arm,
        "guideline": slot.guideline,
        "opened_at": slot.opened_at.isoformat(),
        "ended_at": slot.ended_at.isoformat() if slot.ended_at else None,
        "seconds": slot.seconds,
        "finish": slot.finish,
        "flags": list(slot.flags),
        "note": slot.note,
    }


def _said(row: AnnotationRow) -> dict[str, Any]:
    """As the store has it: "decides" names a step in its value, on step 0."""
    label = row.annotation
    at = row.created_at.isoformat()
    return {"question": label.question, "step": label.step, "value": label.value, "note": label.note, "at": at}


def flat(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row a label, with the text of the step that it judges or names."""
    about = {name: value for name, value in turn.items() if name not in ("labels", "steps", "flags")}
    about["flags"] = ", ".join(turn["flags"])
    for label in turn["labels"] or [dict.fromkeys(("question", "step", "value", "note", "at"))]:
        step = label["value"] if label["question"] in ("decides", "first_error") else label["step"]
        text = turn["steps"][step - 1] if step else None
        yield {
            **about,
            "question": label["question"],
            "step": label["step"],
            "step_text": text,
            "value": label["value"],
            "label_note": label["note"],
            "label_at": label["at"],
        }


def _parquet(found: Iterator[dict[str, Any]], out: Path) -> int:
    import pyarrow
    from pyarrow import parquet

    partial, n, schema = out.with_name(out.name + ".part"), 0, _schema()
    try:
        with parquet.ParquetWriter(partial, schema) as writer:
            while some := list(islice(found, BATCH)):
                writer.write_table(pyarrow.Table.from_pylist([_typed(row) for row in some], schema=schema))
                n += len(some)
        partial.replace(out)
    except OSError as error:
        raise StepvizError(f"{out} cannot be written ({error.strerror}): choose another place") from None
    return n


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    moment, number = pa.timestamp("us", tz="UTC"), pa.int64()
    kinds = {
        "gold": pa.bool_(), "item": number, "guideline": number, "step": number, "value": number,
        "seconds": pa.float64(), "opened_at": moment, "ended_at": moment, "label_at": moment,
    }  # fmt: skip
    names = (
        "study", "item", "gold", "chain", "origin", "problem", "source", "split", "problem_text", "person", "state",
        "arm", "guideline", "opened_at", "ended_at", "seconds", "finish", "note", "flags", "question", "step",
        "step_text", "value", "label_note", "label_at",
    )  # fmt: skip
    return pa.schema([(name, kinds.get(name, pa.string())) for name in names])


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    from datetime import datetime

    moments = ("opened_at", "ended_at", "label_at")
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in moments if row[name]}}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNREADABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {name: _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value
