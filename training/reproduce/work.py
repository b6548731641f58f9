"""Results of stages that are kept, so that a comparison that was killed goes on: JSON files in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
        unfinished = path.with_suffix(".partial")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(path)
        return json.loads(text)["value"]
