"""The models that ship with the project, and what a new user sees first.

They are ordinary checkpoints in the folders beside this file, each with a model card; `python -m training
embedded` makes them again (see the cards for time and seeds). What they show are signs and mechanisms, not
the size of effects on large models.
"""

from __future__ import annotations

from pathlib import Path

from stepviz.errors import StepvizError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The models at hand: base, student, …"""
    return sorted(f.parent.name for f in FOLDER.glob("*/model.safetensors"))


def path(name: str = "student") -> Path:
    """The checkpoint's folder; StepvizError for a model that does not ship."""
    if name not in names():
        raise StepvizError(f"no embedded model {name!r}; there are: {', '.join(names()) or 'none'}")
    return FOLDER / name
