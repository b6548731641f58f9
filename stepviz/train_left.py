"""What a training that stopped has left: its checkpoints, a model without a record, and whose they are.

A training works in a hidden folder beside its model's, with its spec in it; the last checkpoint there is what it goes
on from. Nothing that could be gone on from is removed unless somebody says so: a cancel does, and so does discard.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import RunRow

SPEC = "spec.json"  # in the folder of a training at work: what it trains
LOOKED_AT = 500  # runs among which the one is looked for that has left something


def partial(out: Path) -> Path:
    """Where a training works until its model is whole."""
    return out.with_name(f".{out.name}.partial")


def keeps(folder: Path) -> bool:
    """Whether a training could go on from what is in the folder: a whole checkpoint, of a round too."""
    return any(folder.rglob("checkpoint-*/trainer_state.json"))


def spec_in(folder: Path) -> dict[str, Any] | None:
    """What is trained there; None where that cannot be told."""
    try:
        spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return spec if isinstance(spec, dict) else None


def finished_by(out: Path, run_id: int | None) -> bool:
    """Whether the folder is what this run itself has made: it ended after that and before its record."""
    try:
        return run_id is not None and json.loads((out / "training.json").read_text()).get("run") == run_id
    except (OSError, ValueError, AttributeError):
        return False


def can_go_on(run: RunRow) -> bool:
    """Whether this run's last checkpoint is there, or its model without a record."""
    out = Path(str(run.spec.get("out", "")))
    work = partial(out)
    return finished_by(out, run.id) or (keeps(work) and spec_in(work) == run.spec)


def stopped(store: Store, kind: str, spec: Mapping[str, Any]) -> RunRow | None:
    """The newest run of this spec that failed and can go on."""
    runs = (run for run in store.runs(LOOKED_AT, kind) if run.state == "failed" and run.spec == spec)
    return next((run for run in runs if can_go_on(run)), None)


def owner(store: Store, kind: str, out: Path) -> RunRow | None:
    """The newest run that worked on what is left under this name."""
    spec = spec_in(partial(out))
    return next((run for run in store.runs(LOOKED_AT, kind) if run.spec == spec), None) if spec else None


def clear(spec: Mapping[str, Any]) -> None:
    """Removes what this training has left, and nothing of another one."""
    work = partial(Path(spec["out"]))
    if spec_in(work) in (None, dict(spec)):
        shutil.rmtree(work, ignore_errors=True)
