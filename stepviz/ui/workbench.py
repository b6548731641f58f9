"""What the pages of one running app share: the store, the engine's spec, and the sizes of its actions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from db.store import Store
from stepviz.engines import canonical
from stepviz.types import Sampling

SAMPLE_N = 8  # chains a click on Sample draws
MEASURE_N = 8  # continuations a step that Measure brings each prefix to (GLoRe's K)
MORE_N = 32  # continuations that "32 more here" adds
PAGE = 50  # problems in the list at once


@dataclass(slots=True)
class Workbench:
    """Ids and settings only: what is shown is read from the store each time."""

    store: Store
    engine: str = "embedded"
    device: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    tokenizer: str | None = None  # of `engine`, where that does not bring its own
    dismissed: set[int] = field(default_factory=set)  # stopped runs whose notice was closed

    def __post_init__(self) -> None:
        self.engine = canonical(self.engine)  # models and runs are stored under this spelling

    def drawn_by(self, engine: str, tokenizer: str = "") -> Workbench:
        """The same with another engine, or with its tokenizer; empty: this one. What was dismissed stays one set."""
        if engine in ("", self.engine) and tokenizer in ("", self.tokenizer):
            return self
        return replace(self, engine=engine or self.engine, tokenizer=tokenizer or None)

    def drawing(self) -> dict[str, Any]:
        """What every run that draws is told: whose continuations, and how."""
        own = {"tokenizer": self.tokenizer} if self.tokenizer else {}
        return {"engine": self.engine, "device": self.device, "sampling": self.sampling, **own}

    @property
    def warm(self) -> tuple[str, str | None, str | None]:
        """The engine that a new worker loads at once."""
        return self.engine, self.device, self.tokenizer

    @property
    def embedded(self) -> bool:
        return self.engine.partition(":")[0] == "embedded"
