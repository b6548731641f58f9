"""How a scorer is named, and what it may estimate. Light: commands and forms read this without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stepviz.errors import StepvizError

KINDS = ("lines", "qwen-prm", "math-shepherd")
SPECS = "embedded:NAME, hf:ID_OR_PATH, " + ", ".join(f"{kind}:ID_OR_PATH" for kind in KINDS)
ROLES = {
    "orm": "the student's chance to reach the right answer from here (V)",
    "sorm": "whether the right answer can still be reached from here",
    "prm": "whether the step is correct",
}


ESTIMATES = {"orm": "V", "sorm": "S_K", "prm": "correct"}  # as our trainer notes it


def role_in(noted: Mapping[str, object]) -> str:
    """The role that a checkpoint of ours notes. What estimates V is an ORM, whatever it was trained as."""
    return "orm" if noted.get("estimates") == ESTIMATES["orm"] else str(noted.get("role", "prm"))


class Place(NamedTuple):
    """Where a spec's checkpoint lies, what it is called, and its kind where the spec says so."""

    source: str
    name: str
    kind: str | None


def place(spec: str) -> Place:
    """StepvizError for a spec that names no checkpoint."""
    kind, _, rest = spec.partition(":")
    if kind == "embedded" and rest:
        from stepviz.embedded import path

        return Place(str(path(rest)), f"embedded/{rest}", None)
    if kind in ("hf", *KINDS) and rest:
        name = Path(rest).resolve().name if Path(rest).is_dir() else rest
        return Place(rest, name, kind if kind in KINDS else None)
    if spec == "embedded":
        raise StepvizError("embedded:student is a language model, which scores no steps: take embedded:sorm")
    raise StepvizError(f"unknown scorer {spec!r}; supported: {SPECS}")
