"""A training that is watched: told about, stopped when somebody asks, and kept in checkpoints to go on from."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainerCallback

KEEP_EVERY_S = 60.0
SHARE = 0.05  # of the time that may go into checkpoints
STATE = "trainer_state.json"  # written last: a checkpoint that has it is whole


class Cancelled(Exception):
    """Somebody asked for the end; nothing of the training stays."""


class Watch:
    """A report (see training.language_model) that may also end the training, and says how often it is kept."""

    def __init__(
        self,
        tell: Callable[[dict[str, Any]], None],
        cancelled: Callable[[], bool] = lambda: False,
        keep_every_s: float | None = KEEP_EVERY_S,
    ) -> None:
        self.tell, self.cancelled, self.keep_every_s = tell, cancelled, keep_every_s

    def __call__(self, row: Mapping[str, Any]) -> None:
        self.tell(dict(row))

    def stop_if_asked(self) -> None:
        if self.cancelled():
            raise Cancelled

    def callback(self) -> TrainerCallback:
        from transformers import TrainerCallback

        watch = self

        class Control(TrainerCallback):
            """Between two steps: the end, or a checkpoint."""

            def __init__(self) -> None:
                self.kept, self.cost, self.asked = time.monotonic(), 0.0, 0.0

            def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                control.should_training_stop |= watch.cancelled()

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                control.should_training_stop |= watch.cancelled()
                if watch.keep_every_s is None or control.should_training_stop or state.global_step >= state.max_steps:
                    return
                if state.global_step % args.logging_steps:  # the stock loop forgets what it has summed since its last
                    return  # line, so that the next line of a resumed training would be a mean of fewer steps
                if time.monotonic() - self.kept >= max(watch.keep_every_s, self.cost / SHARE):
                    control.should_save = True
                    self.asked = time.monotonic()

            def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                self.kept = time.monotonic()
                self.cost = self.kept - self.asked

            def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                watch.stop_if_asked()

        return Control()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole one; what a kill left half written is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=_step, reverse=True)
    for checkpoint in found:
        if _step(checkpoint) > 0 and _readable(checkpoint / STATE):
            return checkpoint
        shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def losses_of(state: Any) -> list[tuple[int, float]]:
    """(step, loss) of all that a trainer's state has logged."""
    return [(row["step"], round(float(row["loss"]), 4)) for row in state.log_history if "loss" in row]


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _readable(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False
