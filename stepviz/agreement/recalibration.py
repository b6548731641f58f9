"""A scorer's numbers turned into chances that hold, learnt from labels on a development split.

Two ways, both monotone, so that ranks stay: isotonic regression (Zadrozny and Elkan, 2002), which takes any shape and
needs many labels, and a temperature (Guo et al., 2017), one number t: sigmoid(logit(p) / t). By scikit-learn and scipy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["isotonic", "temperature"]
KINDS: tuple[Kind, ...] = ("isotonic", "temperature")
EDGE = 1e-6  # a score of 0 or 1 has no logit
LOG_T = (-5.0, 5.0)  # bounds of log t: at their ends every chance is 0, 1 or nearly 1/2


@dataclass(frozen=True, slots=True)
class Recalibration:
    """kind "isotonic": straight lines through (x, y), constant beyond; "temperature": t."""

    kind: Kind
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    t: float = 1.0

    def __call__(self, scores: Sequence[float]) -> list[float]:
        """Chances, of scores in [0, 1]."""
        p = np.asarray(scores, float)
        if self.kind == "isotonic":
            return [float(v) for v in np.interp(p, self.x, self.y)]
        return [float(v) for v in _tempered(p, self.t)]

    def told(self) -> dict[str, Any]:
        """As JSON; `read` takes it back."""
        return {"kind": "temperature", "t": self.t} if self.kind == "temperature" else {
            "kind": "isotonic", "x": list(self.x), "y": list(self.y)
        }  # fmt: skip


def read(told: Mapping[str, Any]) -> Recalibration:
    return Recalibration(told["kind"], tuple(told.get("x", ())), tuple(told.get("y", ())), told.get("t", 1.0))


def fit(kind: Kind, labels: Sequence[int], scores: Sequence[float]) -> Recalibration:
    """labels: 1 well, 0 an error, of each score. ValueError where all are alike: nothing can be learnt from them."""
    if len(set(labels)) < 2:
        raise ValueError("all labels are alike")
    y, p = np.asarray(labels, float), np.asarray(scores, float)
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
        points = zip(fitted.X_thresholds_, fitted.y_thresholds_, strict=True)
        xs, ys = zip(*((round(float(a), 6), round(float(b), 6)) for a, b in points), strict=True)
        return Recalibration("isotonic", xs, ys)
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        q = np.clip(_tempered(p, np.exp(log_t)), EDGE, 1 - EDGE)
        return float(-(y * np.log(q) + (1 - y) * np.log(1 - q)).mean())

    return Recalibration("temperature", t=round(float(np.exp(minimize_scalar(loss, bounds=LOG_T).x)), 6))


def _tempered(p: np.ndarray, t: float) -> np.ndarray:
    from scipy.special import expit, logit

    return expit(logit(np.clip(p, EDGE, 1 - EDGE)) / t)
