"""The card of an exported dataset: README.md with a YAML header, for people and for the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from db.values import DatasetRow

OWN = "embedded"  # problems of this source are the project's, under its licence
COLUMNS = {
    "prompt-completion": {"prompt": "what the model reads", "completion": "what it learns to write"},
    "stepwise": {
        "prompt": "the question, rendered by the prompt style",
        "completions": "the steps; a separator (the configuration's) stands between them, outside",
        "labels": "a label a step: 1, 0, or -100 for a step that only gives context",
        "k": "soft labels: right (consistent) continuations of the prefix up to this step, or people who call it right",
        "n": "soft labels: continuations or people in all; 0 where there are none: of the last step the label holds",
    },
    "preference": {
        "prompt": "the question, with the steps before the pit, or before the first step that people call wrong",
        "chosen": "a right continuation, or a step that people call right",
        "rejected": "the step at the pit, or the wrong one, without an end token",
    },
}
KINDS = {"prompt-completion": ["text-generation"], "stepwise": ["text-classification"], "preference": []}


def card(dataset: DatasetRow, files: str, columns: Mapping[str, Any]) -> str:
    """README.md. `files` is the data files' pattern relative to the card, `columns` those that the rows have."""
    header = {
        "license": "apache-2.0" if set(dataset.counts.get("sources", {})) <= {OWN} else "other",
        "pretty_name": f"{dataset.name} v{dataset.version}",
        "task_categories": KINDS.get(dataset.format, []),
        "tags": ["stepviz", dataset.recipe, *(["oracle"] if dataset.config.get("oracle") else [])],
        "size_categories": [_size(dataset.n_rows)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": files}]}],
    }
    about = {
        "rows": dataset.n_rows,
        "recipe": dataset.recipe,
        "format": dataset.format,
        "version": dataset.version,
        "hash": dataset.hash,
        "built": dataset.created_at.isoformat(timespec="seconds"),
    }
    yaml = "\n".join(f"{key}: {_scalar(value)}" for key, value in header.items())
    return "\n".join(
        [
            f"---\n{yaml}\n---\n",
            f"# {_plain(dataset.name)}, version {dataset.version}\n",
            *([ORACLE] if dataset.config.get("oracle") else []),
            _table("", about),
            *_columns(dataset.format, columns),
            *_counts(dataset.counts),
            *([_table("Dropped, by reason", dataset.dropped)] if dataset.dropped else []),
            f"## Configuration\n\n```json\n{json.dumps(dataset.config, indent=1, sort_keys=True)}\n```\n",
            _licence(dataset),
        ]
    )


ORACLE = (
    "**An oracle arm**: the labels are the exact judge's. They are a ceiling to compare with, "
    "and nothing else may be trained on them.\n"
)


def _scalar(value: Any) -> str:
    """JSON is YAML; and no text of the store can break out of it."""
    return json.dumps(value)


def _plain(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _table(title: str, rows: Mapping[str, Any]) -> str:
    head = f"## {title}\n\n" if title else ""
    return head + "| | |\n|---|---|\n" + "".join(f"| {_plain(k)} | {_plain(v)} |\n" for k, v in rows.items())


def _columns(format: str, columns: Mapping[str, Any]) -> list[str]:
    known = {name: said for name, said in COLUMNS.get(format, {}).items() if name in columns}
    return [_table("Columns", {**known, "origin": "where the row comes from: problem, chain, step, model, seed"})]


def _counts(counts: Mapping[str, Any]) -> list[str]:
    flat = {key: value for key, value in counts.items() if not isinstance(value, Mapping)}
    groups = [(key, value) for key, value in counts.items() if isinstance(value, Mapping)]
    return [
        _table("Counts", flat),
        *(_table(f"Rows by {key}" if key != "labels" else "Labels", v) for key, v in groups),
    ]


def _licence(dataset: DatasetRow) -> str:
    others = sorted(set(dataset.counts.get("sources", {})) - {OWN})
    if not others:
        return "## Licence\n\nApache-2.0. The problems are of stepviz's embedded world.\n"
    return f"## Licence\n\nThe questions come from {_plain(', '.join(others))}: their licences apply.\n"


def _size(n: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if n < limit:
            return name
    return "n>1M"
