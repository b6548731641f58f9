"""stepviz: a workbench for step-level supervision of mathematical reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepviz.notebook import Notebook

__version__ = "0.1.0"


def open(url: str | None = None) -> Notebook:
    """The store behind `url` (default: STEPVIZ_DB, else sqlite:///stepviz.db) as pandas frames; it must be there."""
    from stepviz.notebook import Notebook  # imported late: `import stepviz` stays instant

    return Notebook(url)
