"""What Import shows of a file before it comes in, and of what came in. No HTML, no gradio."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from db.values import RunRow
from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.import_report import counted, source_of, told
from stepviz.sources import rows, table
from stepviz.sources.mapping import ROLES, inner_paths, value_at
from stepviz.sources.mapping import Mapping as ColumnMapping
from stepviz.types import Refusal, SourceItem

PREVIEWED = 6
SEARCHED = 500  # rows in which a preview looks for one that comes in, where none of the first does
MEASURED = 64 << 20  # bytes; a larger file's rows are not counted beforehand

FORMAT_NOTES = {
    "table": "any JSONL, JSON, CSV, TSV or Parquet",
    "gsm8k": "questions with solutions",
    "gsm8k-solutions": "GSM8K's GPT-3 chains",
    "math": "MATH, MATH-500",
    "prm800k": "steps rated by people",
    "processbench": "first errors marked by people",
    "stepverify": "first errors, by several people",
    "aqua": "multiple choice",
    "svamp": "short word problems",
    "math-shepherd": "steps with + and −",
    "trl": "stepwise and preference rows",
    "stepviz": "written by stepviz",
}


@dataclass(frozen=True, slots=True)
class ImportForm:
    """The left side: which file, read how. Everything in it travels with each request."""

    path: str = ""
    uploaded: bool = False  # the path is the app's own copy, and says nothing to the reader
    format: str = ""  # as chosen; "" is "what it looks like"
    detected: str = ""
    columns: tuple[str, ...] = ()
    samples: Mapping[str, str] | None = None  # column → a value of it
    mapping: ColumnMapping | None = None
    rows: int | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """The format the file is read as."""
        return self.format or self.detected


@dataclass(frozen=True, slots=True)
class ImportPreview:
    entries: tuple[SourceItem | Refusal, ...] = ()
    further: tuple[SourceItem, ...] = ()  # the first that come in, where none of `entries` does
    error: str = ""


def form_of(
    path: str, format: str = "", changes: Mapping[str, str] | None = None, uploaded: bool = False
) -> ImportForm:
    """Look into a file and guess what it does not say; `changes` are the user's corrections by role."""
    if not path.strip():
        return ImportForm()
    empty = ImportForm(path.strip(), uploaded, format)
    try:
        return _looked_into(empty, changes or {})
    except StepvizError as error:
        return replace(empty, error=_shown(str(error), empty))


def _shown(message: str, form: ImportForm) -> str:
    """A message without the place of the app's own copy, which says nothing to the reader."""
    return message.replace(form.path, Path(form.path).name) if form.uploaded else message


def _looked_into(form: ImportForm, changes: Mapping[str, str]) -> ImportForm:
    form = replace(form, detected=sources.detect(form.path) or "")
    if not form.name:
        raise StepvizError(_why(form.path))
    form = replace(form, rows=_count(form.path))
    if form.name != table.NAME:
        return form
    sample = table.sample(form.path)
    columns = tuple(table.columns(sample))
    mapping = corrected(table.guess(form.path), changes, columns)
    paths = (*columns, *inner_paths(columns, sample))
    return replace(form, columns=_paths(paths, mapping), samples=_samples(sample, paths), mapping=mapping)


def corrected(guess: ColumnMapping, changes: Mapping[str, str], columns: tuple[str, ...]) -> ColumnMapping:
    """The guess with what the form says; the form always says every role it showed."""
    known = {f.name for f in fields(guess)}
    return guess.corrected({name: value for name, value in changes.items() if name in known}, columns)


def preview_of(form: ImportForm) -> ImportPreview:
    """What the first rows would become."""
    if not form.path or form.error:
        return ImportPreview()
    try:
        found = sources.read(form.name, form.path, mapping=form.mapping)
        entries = tuple(islice(found, PREVIEWED))
        if any(isinstance(entry, SourceItem) for entry in entries):
            return ImportPreview(entries)
        further = (entry for entry in islice(found, SEARCHED) if isinstance(entry, SourceItem))
        return ImportPreview(entries, tuple(islice(further, PREVIEWED // 2)))
    except StepvizError as error:
        return ImportPreview(error=_shown(str(error), form))


def _why(path: str) -> str:
    """Why not one row can be read: the first reason the reader gives."""
    try:
        first = next(iter(rows.rows(path)), None)
    except StepvizError as error:
        return str(error)
    if isinstance(first, Refusal):
        return f"{path}: no row can be read; line {first.line}: {first.reason}"
    return f"{path}: there is no row in it"


def _count(path: str) -> int | None:
    file = Path(path)
    return rows.count(path) if file.is_file() and file.stat().st_size <= MEASURED else None


def _paths(columns: tuple[str, ...], mapping: ColumnMapping) -> tuple[str, ...]:
    """The columns, and paths into them that the mapping uses."""
    used = [getattr(mapping, role) for role in ROLES]
    return tuple(dict.fromkeys([*columns, *(path for path in used if path)]))


def _samples(sample: list[dict[str, object]], columns: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in columns:
        value = next((value for row in sample if (value := value_at(row, name)) not in (None, "")), None)
        if value is not None:
            found[name] = " ".join(str(value).split())[:90]
    return found


def run_in(query: str) -> int | None:
    """The import run that an address names."""
    given = parse_qs(query.removeprefix("?")).get("run", [""])[0]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 12 else None


def import_spec(form: ImportForm) -> dict[str, Any]:
    """The run's settings; the mapping only where the file is a table."""
    mapping = {f.name: getattr(form.mapping, f.name) for f in fields(form.mapping)} if form.mapping else None
    return {"format": form.name, "path": form.path, "mapping": mapping}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came in, in numbers and in words, and line by line what did not."""

    counts: tuple[tuple[str, str], ...]
    said: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]  # lines, and why
    more: int  # refused rows that the log does not list
    source: str  # the filter of Explore that shows it
    error: str  # why nothing came in


_LISTED = 8  # lines refused for one reason that are named one by one; the run's log names all
_ROW = re.compile(r":\d+: ")
_COUNTED = {
    "rows": "row",
    "problems_new": "new problem",
    "chains_new": "new chain",
    "annotations_new": "new label",
    "refinements_new": "refined draft",
    "refused": "refused row",
}


def import_result(row: RunRow, log: list[tuple[int, str]]) -> ImportResult:
    """From the run's progress and log; of that the refused rows, `FILE:12: why`: it tells of cancels, too."""
    log = [(id, line) for id, line in log if _ROW.search(line)]
    report, path, format = row.progress.get("report") or {}, str(row.spec.get("path", "")), str(row.spec["format"])
    counts = tuple(
        (f"{report[name]:,}", counted(report[name], what).partition(" ")[2])
        for name, what in _COUNTED.items()
        if name in report and (report[name] or name in ("rows", "problems_new"))
    )
    said = tuple(told(format, report)) if "chains" in report else ()  # a run of an older version has not all numbers
    more = max(0, int(report.get("refused", 0)) - len(log))
    error = (row.error or "").replace(path, Path(path).name) if path else row.error or ""
    return ImportResult(counts, said, _refused(log, path), more, source_of(format, path) or "", error)


def _refused(log: list[tuple[int, str]], path: str) -> tuple[tuple[str, str], ...]:
    """The refused rows' lines by their reason: of many the first few and how many more."""
    by_reason: dict[str, list[str]] = {}
    for _, line in log:
        number, reason = _refusal(line, path)
        by_reason.setdefault(reason, []).append(number)
    return tuple((_lines(numbers), reason) for reason, numbers in by_reason.items())


def _lines(numbers: list[str]) -> str:
    shown = numbers if len(numbers) <= _LISTED else numbers[:3]
    more = len(numbers) - len(shown)
    return ", ".join(filter(None, shown)) + (f" and {more:,} more" if more else "")


def _refusal(line: str, path: str) -> tuple[str, str]:
    """`FILE:12: why` to its line and its reason."""
    number, _, reason = line.removeprefix(f"{path}:").partition(": ")
    return (number, reason) if number.isdigit() else ("", line)
