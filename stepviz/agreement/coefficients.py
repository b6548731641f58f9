"""Agreement beyond chance: Cohen's kappa, Krippendorff's alpha (nominal), Gwet's AC1.

The libraries (scikit-learn, krippendorff) take labels and give one value; resampling needs thousands, so these take
whole stacks of tables at once, and say what makes a value undefined. Tests hold them to the libraries' values.

Sources: Cohen 1960; Krippendorff 2011, "Computing Krippendorff's alpha-reliability"; Gwet 2008, AC1.
"""

from __future__ import annotations

import numpy as np

from stepviz.agreement.tables import share

CONSTANT = "one of the two gave every label alike: kappa is then 0 whatever the other says"
ONE_CATEGORY = "only one label was ever given: agreement beyond chance is undefined"


def observed(tables: np.ndarray) -> np.ndarray:
    """Share of equal labels."""
    return share(_diagonal(tables), tables.sum((-2, -1)))


def kappa(tables: np.ndarray) -> np.ndarray:
    """Cohen's: chance from each judge's own shares of the labels. Undefined where a judge is constant."""
    n, a, b = tables.sum((-2, -1)), tables.sum(-1), tables.sum(-2)
    chance = share((a * b).sum(-1), n**2)
    constant = ((a > 0).sum(-1) < 2) | ((b > 0).sum(-1) < 2)
    return np.where(constant, np.nan, _beyond(observed(tables), chance))


def ac1(tables: np.ndarray) -> np.ndarray:
    """Gwet's: chance from the mean shares p of the q labels, Σ p (1 − p) / (q − 1). A constant judge is no trouble.

    Of more than two judges tables count each thing once (counted "things"); what only one judge labelled is left out.
    """
    mean = share((tables.sum(-1) + tables.sum(-2)) / 2, tables.sum((-2, -1))[..., None])
    chance = (mean * (1 - mean)).sum(-1) / (tables.shape[-1] - 1)
    return _beyond(observed(tables), chance)


def alpha(coincidences: np.ndarray) -> np.ndarray:
    """Krippendorff's, nominal, of symmetric tables in which each thing counts as often as it has labels."""
    n, each = coincidences.sum((-2, -1)), coincidences.sum(-1)
    differ = share(n - _diagonal(coincidences), n)
    by_chance = share(n**2 - (each**2).sum(-1), n * (n - 1))
    return np.where(by_chance > 0, 1 - differ / np.where(by_chance > 0, by_chance, 1), np.nan)


def why_no_kappa(table: np.ndarray) -> str:
    return why_no_alpha(table) or CONSTANT


def why_no_alpha(table: np.ndarray) -> str:
    return ONE_CATEGORY if ((table.sum(0) + table.sum(1)) > 0).sum() < 2 else ""


def _diagonal(tables: np.ndarray) -> np.ndarray:
    return np.einsum("...ii->...", tables)


def _beyond(found: np.ndarray, chance: np.ndarray) -> np.ndarray:
    sure = ~(chance < 1 - 1e-12)
    return np.where(sure, np.nan, (found - chance) / np.where(sure, 1, 1 - chance))
