"""A batch that the memory has no room for is learnt in smaller parts, by the same updates.

Gradients are added up over the whole batch (training.large). That there is no room shows at the first step, all blocks
being of one length, so nothing is lost. Where weights have moved since, the training goes on from its last checkpoint,
and ends where it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stepviz.engines import memory
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer, TrainerCallback
    from transformers.trainer_utils import TrainOutput

Parts = Mapping[str, Any]  # TrainingArguments: how a batch comes to the device
BLOCKS, TIMES = "per_device_train_batch_size", "gradient_accumulation_steps"


def train(
    made: Callable[[Parts], Trainer],
    model: PreTrainedModel,
    parts: Parts,
    checkpoint: Callable[[], str | None],
    warn: Callable[[str], None],
) -> TrainOutput:
    """made: a trainer of the model for these parts. checkpoint: where to go on from. StepvizError where one block of
    a batch does not fit."""
    while True:
        trainer, moved = made(parts), _Moved()
        trainer.add_callback(moved.callback())
        try:
            return trainer.train(resume_from_checkpoint=checkpoint())
        except Exception as error:
            if not memory.is_full(error) or (moved.yes and checkpoint() is None):
                raise
            fewer = smaller(parts)
            if fewer is None:
                said = f"out of memory with one block at a time ({(str(error).splitlines() or [''])[0][:200]})"
                raise StepvizError(
                    f"{said}: take shorter blocks, adapters (--lora) where the training has them, or a smaller base"
                ) from error
            device = str(model.device).partition(":")[0]
            warn(memory.halved(device, parts[BLOCKS], fewer[BLOCKS], "blocks of a batch"))
        parts = fewer  # out here, where no traceback holds what the step had computed
        del trainer
        model.zero_grad(set_to_none=True)
        memory.release()


def smaller(parts: Parts) -> Parts | None:
    """At most half as many blocks at once, so often that it is the same batch; None for one block."""
    blocks, times = parts[BLOCKS], parts.get(TIMES, 1)
    fewer = next((n for n in range(blocks // 2, 0, -1) if blocks % n == 0), None)
    return None if fewer is None else {**parts, BLOCKS: fewer, TIMES: times * (blocks // fewer)}


class _Moved:
    """Whether an update has begun."""

    def __init__(self) -> None:
        self.yes = False

    def callback(self) -> TrainerCallback:
        from transformers import TrainerCallback

        moved = self

        class Watching(TrainerCallback):
            def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                moved.yes = True

        return Watching()
