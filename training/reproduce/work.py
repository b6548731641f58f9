"""Results of stages that are kept, so that a comparison that was killed goes on, and the time they took: JSON files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.record import write_whole


class Work:
    """A folder of kept values; each says what it was made of, and is made anew where that has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def kept(self, name: str, made_of: str, make: Callable[[], Any]) -> Any:
        """The value, as JSON gives it back; written whole or not at all."""
        path = self.folder / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["made_of"] == made_of:
                return found["value"]
        text = json.dumps({"made_of": made_of, "value": make()})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
        return json.loads(text)["value"]


class Clock:
    """Seconds that each stage took, over all calls that worked in this folder.

    They are kept at every line that is logged: a kill loses what came since the last one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "seconds.json"
        self.spent: dict[str, float] = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        self.stage, self.at = "", time.monotonic()

    def start(self, stage: str) -> None:
        self.stage, self.at = stage, time.monotonic()

    def tick(self) -> None:
        """Adds what came since the last tick to the stage at hand."""
        now = time.monotonic()
        self.spent[self.stage] = self.spent.get(self.stage, 0.0) + now - self.at
        self.at = now
        write_whole(self.path, json.dumps(self.spent))
