"""Figures: every command that makes one writes docs/results/NAME.json; `render` makes docs/results.md of them all.

A result is {"title", "command", "date", "note", "tables": {caption: rows}}, rows being a list of flat objects.
A test holds the two together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path("docs/results")
PAGE = Path("docs/results.md")
Rows = Sequence[Mapping[str, Any]]


def write(
    name: str, title: str, command: str, tables: Mapping[str, Rows], note: str = "", folder: Path = FOLDER
) -> Path:
    """Stores a result; the date is today's."""
    folder.mkdir(parents=True, exist_ok=True)
    value = {"title": title, "command": command, "date": time.strftime("%Y-%m-%d"), "note": note, "tables": tables}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def render(folder: Path = FOLDER) -> str:
    """The page, from all results in the order of their names."""
    parts = [
        "# Results",
        "Rendered by `python -m stepviz results` from the JSON files in `results/`; each table stands under the "
        "command that made it. Numbers on the embedded world show signs and mechanisms, not the size of effects on "
        "large models.",
    ]
    for path in sorted(folder.glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        parts += [f"## {value['title']}", f"`{value['command']}` · {value['date']}"]
        if value["note"]:
            parts.append(value["note"])
        for caption, rows in value["tables"].items():
            parts += [f"**{caption}**", table(rows)]
    return "\n\n".join(parts) + "\n"


def table(rows: Rows) -> str:
    """A Markdown table; columns in the order in which they first appear."""
    if not rows:
        return "(no rows)"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = ["| " + " | ".join(_cell(row.get(c)) for c in columns) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
