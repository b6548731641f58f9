"""Public formats, one module each: `read` streams SourceItems and Refusals, `write` gives the rows back.

Index bases are converted here and in the exports, and nowhere else: inside, steps count from 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from stepviz.errors import StepvizError
from stepviz.sources import (
    aqua,
    gsm8k,
    gsm8k_solutions,
    math,
    math_shepherd,
    prm800k,
    processbench,
    rows,
    stepverify,
    stepviz,
    svamp,
    table,
    trl,
)
from stepviz.sources.files import Unreadable
from stepviz.types import Refusal, SourceItem

# ordered for `detect`: formats that share fields with others come before them
FORMATS: dict[str, Any] = {
    module.NAME: module
    for module in (
        *(stepviz, prm800k, processbench, stepverify, math_shepherd, gsm8k_solutions),
        *(aqua, svamp, math, trl, gsm8k, table),
    )
}
_SAME = {"jsonl": "table", "json": "table", "csv": "table", "tsv": "table", "parquet": "table"}

__all__ = ["FORMATS", "Unreadable", "detect", "named", "read"]


def named(name: str) -> Any:
    """The module of a format; "jsonl", "csv", … are a table. StepvizError for a format nobody knows."""
    name = name.lower().replace("_", "-")
    if module := FORMATS.get(_SAME.get(name, name)):
        return module
    near = difflib.get_close_matches(name, FORMATS, 1)
    raise StepvizError(
        f"There is no format {name!r}.{f' Did you mean {near[0]}?' if near else ''} The formats are "
        f"{', '.join(sorted(FORMATS))}; any JSONL, CSV or Parquet can be read as 'table'."
    )


def read(name: str, path: Path | str, **options: Any) -> Iterator[SourceItem | Refusal]:
    """`path` as the format `name`; options that are None are left to the format. StepvizError for one it has not."""
    module = named(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = module.read.__kwdefaults__ or {}
    for option in given.keys() - known.keys():
        raise StepvizError(
            f"The format {module.NAME} takes no option {option!r}; it takes {', '.join(known) or 'none'}."
        )
    return module.read(path, **given)


def detect(path: Path | str) -> str | None:
    """The format that nearly all first rows look like; "table" where they are rows; None: nothing can be read."""
    try:
        sample = [row.fields for row in islice((r for r in rows.rows(path) if isinstance(r, rows.Row)), 20)]
    except Unreadable:
        return None
    for name, module in FORMATS.items():
        alike = sum(module.looks(fields) for fields in sample) if name != table.NAME else 0
        if alike and 5 * alike >= 4 * len(sample):
            return name
    return table.NAME if sample else None
