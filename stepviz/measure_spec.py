"""The settings of a measurement by a strategy, as a run's row keeps them. Light: forms and commands read it.

| key          | what                                                                              | default    |
|--------------|-----------------------------------------------------------------------------------|------------|
| `strategy`   | exhaustive, backward, forward, bisect, adaptive (stepviz.strategies)              | exhaustive |
| `results`    | backward: which of a prefix's results a success has to use, every or last         | every      |
| `scorer`     | adaptive: a SORM that says where to begin; chains without its scores are scored   | none       |
| `pits`       | adaptive: a pit model's file (`python -m stepviz pits`)                           | embedded   |
| `confidence` | adaptive: of a pit that is certain                                                | 0.95       |
| `budget`     | adaptive: a chain costs at most this share of its exhaustive measurement          | 0.25       |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepviz import engines
from stepviz.errors import StepvizError
from stepviz.reward.specs import place
from stepviz.strategies import NAMES as STRATEGIES

ONLY = {"results": "backward", "scorer": "adaptive", "pits": "adaptive", "confidence": "adaptive", "budget": "adaptive"}
NAMES = ("strategy", *ONLY)


def written_out(named: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in one spelling; StepvizError for one that there is not, or that does not go with another."""
    spec = dict(named)
    strategy = spec.get("strategy", "exhaustive")
    if strategy not in STRATEGIES:
        raise StepvizError(f"there is no strategy {strategy!r}; there are: {', '.join(STRATEGIES)}")
    for name, belongs in ONLY.items():
        if name in spec and strategy != belongs:
            raise StepvizError(f"{name} is a setting of the {belongs} strategy, not of {strategy}: leave it out")
    if strategy == "exhaustive":
        spec.pop("strategy", None)  # a run that was asked for before there were strategies is the same run
        return spec
    if "n" not in spec or "steps" in spec:
        raise StepvizError(f"the {strategy} strategy chooses its steps itself: give n, the most draws of a prefix")
    if spec.get("results", "every") not in ("every", "last"):
        raise StepvizError("results is every or last")
    if "confidence" in spec and not 0 < float(spec["confidence"]) < 1:
        raise StepvizError("confidence is a share above 0 and below 1, such as 0.95")
    if "budget" in spec and not 0 < float(spec["budget"]) <= 1:
        raise StepvizError("budget is a share above 0 and at most 1, such as 0.25")
    if "scorer" in spec:
        spec["scorer"] = engines.canonical(str(spec["scorer"]))
        place(spec["scorer"])
    if "pits" in spec:
        spec["pits"] = str(Path(str(spec["pits"])).absolute())
    return spec
