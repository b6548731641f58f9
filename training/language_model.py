"""One loop for every model that learns to write: base, students, refiners. `transformers.Trainer` on packed blocks.

What made a million parameters trainable on two idle cores, each measured on its own (docs/results.md):
static packed shapes with `torch.compile`; a vocabulary of 1,024; blocks that never cut a document; products in
bfloat16 where the processor has them.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz.errors import StepvizError
from training import room
from training.adapters import merged
from training.large import in_parts
from training.packing import Document, PackedBlocks, pack
from training.watching import Watch, last_checkpoint, losses_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_utils import TrainOutput


@dataclass(frozen=True, slots=True)
class Settings:
    epochs: float = 1.0
    learning_rate: float = 3e-3  # peak; cosine to a tenth after a linear warm-up
    batch: int = 24  # blocks a step
    length: int = 384  # tokens a block
    warmup: float = 0.03  # share of the steps
    weight_decay: float = 0.05
    seed: int = 0
    compile: bool = True
    bf16: bool | None = None  # products in bfloat16; None: where the processor multiplies in it (a third faster)
    max_steps: int = -1


Report = Callable[[dict[str, Any]], None]


def new_student(tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> PreTrainedModel:
    """A Llama of 1.3 million parameters (5 MB in float32), with heads of 32 that every engine knows."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,  # blocks are shorter; a refiner reads a question, a draft and writes anew
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    assert len(tokenizer) <= config.vocab_size, len(tokenizer)
    return LlamaForCausalLM(config)


def bfloat16_products() -> bool:
    """Whether this machine has instructions for bfloat16 products; weights and sums stay in float32 on a CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: list[Document],
    out: Path,
    settings: Settings,
    report: Report | None = None,
) -> dict[str, Any]:
    """Trains `model` on `documents`, writes the checkpoint to `out`, returns what it cost."""
    from transformers import Trainer, default_data_collator

    check_memory(model)
    blocks = pack(documents, settings.length, settings.seed)
    log = LossLog(report, settings.batch * settings.length)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id  # never learnt

    def made(parts: room.Parts) -> Trainer:
        return Trainer(
            model=model,
            args=arguments(out, settings, len(blocks), parts),
            train_dataset=PackedBlocks(blocks, settings.length, pad),
            data_collator=default_data_collator,
            callbacks=log.callbacks(),
        )

    result = run(made, model, out, settings, log)
    save(merged(model), tokenizer, out)
    too_long = sum(len(d.ids) > settings.length for d in documents)
    return {
        "documents": len(documents),
        "left_out_too_long": too_long,
        **cost(blocks, settings, log, result.global_step),
    }


def run(
    made: Callable[[room.Parts], Trainer], model: PreTrainedModel, out: Path, settings: Settings, log: LossLog
) -> TrainOutput:
    """Trains, from the checkpoint in `out` where there is one. Only our log speaks: the stock printer's lines are no
    JSON, and say the same."""
    from transformers import PrinterCallback

    def quiet(parts: room.Parts) -> Trainer:
        trainer = made(parts)
        trainer.remove_callback(PrinterCallback)
        return trainer

    parts = in_parts(model, settings.batch)
    done = room.train(quiet, model, parts, lambda: resumable(out), lambda text: log.report({"warning": text}))
    require_finite(done.training_loss, done.global_step, done.global_step)  # some steps come after the last line
    return done


def require_finite(loss: float, step: int, of: int) -> None:
    """StepvizError for a loss that is no number: from then on the weights are none either."""
    if not math.isfinite(loss):
        raise StepvizError(
            f"the training diverged: its loss is {loss} at step {step} of {of}. Take a lower learning rate, or a "
            "larger batch"
        )


def check_memory(model: PreTrainedModel) -> None:
    """StepvizError where weights, gradients and Adam's two moments cannot fit; batches come on top of that."""
    import torch

    sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
    weights = sum(size for size, _ in sizes)
    need = weights + 3 * sum(size for size, learns in sizes if learns)
    if torch.cuda.is_available():
        free, where = torch.cuda.mem_get_info()[0], "the GPU"
    else:
        free, where = _free_memory(), "this machine"
        need -= weights  # they are there already
    if need > free:
        raise StepvizError(
            f"this training needs at least {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free on {where}: "
            "take a smaller base model"
        )


def _free_memory() -> float:
    """Bytes, caches that would be given up included; endless where the system does not say."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("MemAvailable:")).split()[1])
    return float("inf")


def resumable(out: Path) -> str | None:
    """The checkpoint in `out` to go on from, where a training that was kept has left one."""
    found = last_checkpoint(out / "trainer")
    return str(found) if found else None


class LossLog:
    """The losses of a training as they come, told to `report` with tokens a second and the time left.

    a_step: tokens. The first step does not count for the rate: in it a compiled model is made.
    """

    def __init__(self, report: Report | None, a_step: int = 0) -> None:
        self.report: Report = report or print
        self.a_step = a_step
        self.losses: list[tuple[int, float]] = []
        self.started, self.cpu = time.monotonic(), time.process_time()
        self.resumed = 0  # the step of the checkpoint it went on from
        self.first: tuple[int, float] | None = None  # the first step done here, and when

    def callbacks(self) -> list[TrainerCallback]:
        """Of the log, and of a report that is a Watch."""
        from transformers import TrainerCallback

        log = self

        class Progress(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                log.resumed, log.losses, log.first = state.global_step, losses_of(state), None

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                log.first = log.first or (state.global_step, time.monotonic())

            def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if isinstance(log.report, Watch):  # of the steps since the last loss, too
                    log.report({"trained": (state.global_step - log.resumed) * log.a_step})

            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
                if logs and "loss" in logs:
                    log.add(state.global_step, state.max_steps, float(logs["loss"]))

        watched = [self.report.callback()] if isinstance(self.report, Watch) else []
        return [Progress(), *watched]

    def add(self, step: int, of: int, loss: float) -> None:
        require_finite(loss, step, of)
        self.losses.append((step, round(loss, 4)))
        row = {"step": step, "of": of, "loss": self.losses[-1][1], "tokens": step * self.a_step}
        row["trained"] = (step - self.resumed) * self.a_step  # by this process
        if (each := self.seconds_a_step(step)) is not None:
            row |= {"tokens_per_s": round(self.a_step / each), "eta_s": round(each * (of - step), 1)}
        self.report(row)

    def seconds_a_step(self, step: int) -> float | None:
        """Of the steps done here; None before there are two."""
        if self.first is None or step <= self.first[0]:
            return None
        return max(1e-9, time.monotonic() - self.first[1]) / (step - self.first[0])


def arguments(out: Path, settings: Settings, blocks: int, parts: room.Parts, **more: Any) -> TrainingArguments:
    """What all our trainings share: the schedule, bfloat16 products, static shapes; a Watch keeps a checkpoint."""
    import torch
    from transformers import TrainingArguments

    steps = settings.max_steps if settings.max_steps > 0 else settings.epochs * max(1, blocks // settings.batch)
    return TrainingArguments(
        output_dir=str(out / "trainer"),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.05},
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        adam_beta2=0.98,
        seed=settings.seed,
        torch_compile=settings.compile,
        bf16=bfloat16_products() if settings.bf16 is None else settings.bf16,
        save_strategy="no",
        save_total_limit=1,
        logging_steps=min(25, max(1, int(steps) // 100)),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would show 0 where the loss is no number any more
        report_to=[],
        disable_tqdm=True,
        dataloader_drop_last=blocks >= settings.batch,
        dataloader_num_workers=0,
        use_cpu=not torch.cuda.is_available(),
        **parts,
        **more,
    )


def cost(blocks: list[list[Document]], settings: Settings, log: LossLog, steps: int) -> dict[str, Any]:
    """What a training took, for its training.json."""
    used = sum(len(d.ids) for b in blocks for d in b)
    return {
        "blocks": len(blocks),
        "fill": round(used / (len(blocks) * settings.length), 4),
        "steps": steps,
        "tokens": steps * settings.batch * settings.length,
        "seconds": round(time.monotonic() - log.started, 1),
        "cpu_seconds": round(time.process_time() - log.cpu, 1),
        "loss_first": log.losses[0][1] if log.losses else None,
        "loss_last": log.losses[-1][1] if log.losses else None,
        "losses": log.losses,
        "settings": asdict(settings),
        **({"resumed_at_step": log.resumed} if log.resumed else {}),
        **({"tokens_per_s": round(log.a_step / each)} if (each := log.seconds_a_step(steps)) else {}),
    }


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """An ordinary checkpoint: config.json, model.safetensors, tokenizer.json."""
    import shutil

    model.generation_config.update(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    shutil.rmtree(out / "trainer", ignore_errors=True)  # last: a kill before this can still go on from a checkpoint
