"""A dataset of the store as files: JSONL, Parquet, or a `datasets` folder, each with a card.

Each loads with `datasets.load_dataset(PATH)`; the folder also with `datasets.load_from_disk(PATH)`. Columns are
design.md's "Formats", and `origin`. Everything is written beside the goal first and moved there when it is whole.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.store import Store
from db.values import DatasetRow
from stepviz.dataset_card import card
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    import pyarrow

FORMATS = ("jsonl", "parquet", "hf")
DATA = {"jsonl": "train.jsonl", "parquet": "train.parquet", "hf": "train/*.arrow"}
SUFFIXES = {"jsonl": (".jsonl", ".json"), "parquet": (".parquet",), "hf": ()}
BATCH = 1000
_HALF_PAIR = re.compile("[\ud800-\udfff]")  # UTF-8, and so Arrow, holds none


def write(store: Store, id: int, format: str, out: Path) -> Path:
    """Writes the dataset to a new folder `out`, or to a file where `out` ends in .jsonl, .json or .parquet (the card
    then lies beside it, named like it with .md). Gives the path of the data.

    StepvizError for an unknown format or dataset, a place that is taken, or that cannot be written.
    """
    if format not in FORMATS:
        raise StepvizError(f"no format {format!r}; there are: {', '.join(FORMATS)}")
    dataset = store.dataset(id)
    single = out.suffix.lower() in SUFFIXES[format]
    goals = [out, out.with_suffix(".md")] if single else [out]
    for goal in goals:
        if goal.exists() and not (goal.is_dir() and not any(goal.iterdir())):
            raise StepvizError(f"{goal} is there already; choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
            made = Path(folder) / "dataset"
            made.mkdir()
            _write(store, dataset, format, made, out.name if single else DATA[format])
            if single:
                (made / DATA[format]).rename(out)
                (made / "README.md").rename(goals[1])
            else:
                if out.exists():
                    out.rmdir()
                made.rename(out)
    except OSError as error:
        raise StepvizError(f"{out} cannot be written: {error.strerror or error}") from None
    return out


def rows(store: Store, id: int) -> Iterator[dict[str, Any]]:
    """The rows as files hold them: no half surrogate pairs."""
    return (_clean(row) for row in store.dataset_rows(id))


def _write(store: Store, dataset: DatasetRow, format: str, folder: Path, files: str) -> None:
    schema = _schema(store, dataset)
    if format == "jsonl":
        with (folder / DATA[format]).open("w", encoding="utf-8", newline="\n") as file:
            for row in rows(store, dataset.id):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif format == "parquet":
        _parquet(rows(store, dataset.id), schema, folder / DATA[format])
    else:
        _folder(rows(store, dataset.id), schema, folder)
    (folder / "README.md").write_text(card(dataset, files, dict.fromkeys(schema.names)), encoding="utf-8")


def _parquet(found: Iterator[dict[str, Any]], schema: pyarrow.Schema, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(found, BATCH)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))


def _folder(found: Iterator[dict[str, Any]], schema: pyarrow.Schema, folder: Path) -> None:
    """A DatasetDict with the split "train", as `save_to_disk` writes it."""
    from datasets import Dataset, DatasetDict, disable_progress_bars, enable_progress_bars
    from datasets.utils import is_progress_bar_enabled

    shown = is_progress_bar_enabled()
    disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as cache:
            _parquet(found, schema, Path(cache) / "rows.parquet")
            made = Dataset.from_parquet(str(Path(cache) / "rows.parquet"), cache_dir=f"{cache}/cache")
            DatasetDict({"train": made}).save_to_disk(str(folder))
            del made
    finally:
        if shown:
            enable_progress_bars()


def _schema(store: Store, dataset: DatasetRow) -> pyarrow.Schema:
    """Column types from what the columns mean, not from the values: a column may hold nothing but nulls."""
    import pyarrow

    first = next(store.dataset_rows(dataset.id, 0, 1), None)
    if first is None:
        raise StepvizError(f"dataset {dataset.id} has no rows: there is nothing to export")
    numbers = pyarrow.list_(pyarrow.int64())
    known = {"completions": pyarrow.list_(pyarrow.string()), "labels": numbers, "k": numbers, "n": numbers}
    kinds = {"step": pyarrow.int64(), "seed": pyarrow.int64()}
    origin = pyarrow.struct([(name, kinds.get(name, pyarrow.string())) for name in first.get("origin", {})])
    types = {name: origin if name == "origin" else known.get(name, pyarrow.string()) for name in first}
    return pyarrow.schema(list(types.items()))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {name: _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value
