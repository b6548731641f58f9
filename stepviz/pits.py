"""The pit model that a measurement reads its draws by: the shipped one, or one that was fitted to another student.

The shipped one was fitted to the embedded student's wrong chains of development problems, measured with 16
continuations a prefix, and the embedded SORM's scores: stepviz/embedded/pits.json says how. For another student it is
a start; `python -m stepviz pits` fits one to the chains that were measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

from stepviz import embedded
from stepviz.errors import StepvizError
from stepviz.posterior import PitModel

SHIPPED = Path(embedded.__file__).parent / "pits.json"


@cache
def shipped() -> PitModel:
    return load(SHIPPED)


def load(path: Path) -> PitModel:
    """StepvizError for a file that is none."""
    try:
        return of(json.loads(path.read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise StepvizError(f"{path} is no pit model ({error}): make one with `python -m stepviz pits`") from error


def of(numbers: Mapping[str, Any]) -> PitModel:
    """From the numbers of each of its fields, as JSON has them. KeyError, TypeError, ValueError where they are none."""
    return PitModel(**{f.name: tuple(float(x) for x in numbers[f.name]) for f in fields(PitModel)})


def save(model: PitModel, path: Path, made: Mapping[str, Any]) -> None:
    """made: from what and how, kept beside the numbers."""
    numbers = {name: [round(float(x), 4) for x in values] for name, values in asdict(model).items()}
    path.write_text(json.dumps({"model": numbers, "made": dict(made)}, indent=1) + "\n", encoding="utf-8")
