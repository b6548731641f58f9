"""What can be trained: each trainer with its role, the datasets it learns from, and its settings' defaults. Light.

The app reads this and never the trainers themselves (it may not import them); a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stepviz.errors import StepvizError

BAD = "[BAD]"
LARGE = 100_000_000  # parameters from which on a model is trained as published ones are
LARGE_RATE = 1e-5
LORA_RATE = 2e-4  # of adapters (Hu et al., 2106.09685)
Option = bool | int | float | str
COLUMNS = {"prompt-completion": ("prompt", "completion"), "stepwise": ("prompt", "completions", "labels")}


@dataclass(frozen=True, slots=True)
class Defaults:
    """For the embedded base. `length` is tokens a block, `batch` blocks a step."""

    epochs: float
    learning_rate: float
    batch: int
    length: int
    seed: int = 0
    compile: bool = True


@dataclass(frozen=True, slots=True)
class Training:
    """`python -m training NAME`. datasets: recipes it learns from; mixed: of several datasets at once.

    Without any it reads questions of the store, which its options name, and freezes datasets of its own.
    """

    name: str
    role: str
    format: str
    datasets: tuple[str, ...]
    defaults: Defaults
    options: dict[str, Option] = field(default_factory=dict)
    mixed: bool = False

    def makes(self, options: Mapping[str, Option]) -> str:
        """The role of the model: what learns shares of rollouts estimates V, as an ORM does, whatever the dataset's
        recipe; what learns shares of people stays a step reward model."""
        return "orm" if options.get("soft") and self.role != "prm" else self.role

    @property
    def asks(self) -> bool:
        """Whether it reads questions, and no dataset."""
        return not self.datasets


_SCORER = Defaults(epochs=4, learning_rate=1e-3, batch=16, length=384)
_SCORED: dict[str, Option] = {"soft": False, "held_out": 0.1}
_WRITER: dict[str, Option] = {"lora": 0}
# Expert iteration, with the paper's 96 samples. 0: all of the split.
_ITERATED: dict[str, Option] = {
    "student": "embedded",
    "source": "embedded",
    "split": "train",
    "samples": 96,
    "questions": 0,
    "rounds": 5,
    "dev_split": "dev",
    "dev": 800,
    "supervised": 0,
    "full_epochs": False,
}
# What two idle cores can do on the embedded world.
PRESETS: dict[str, dict[str, Option]] = {
    "embedded": {"samples": 16, "questions": 1_500, "rounds": 3, "supervised": 12_000}
}

TRAININGS: dict[str, Training] = {
    t.name: t
    for t in (
        Training("sft", "generator", "prompt-completion", ("sft", "rft"), Defaults(5, 1.5e-3, 16, 384), _WRITER),
        Training("orm", "orm", "stepwise", ("orm",), _SCORER, _SCORED),
        Training("balanced-orm", "orm", "stepwise", ("balanced-orm",), _SCORER, _SCORED),
        Training("sorm", "sorm", "stepwise", ("sorm",), _SCORER, _SCORED),
        Training("prm", "prm", "stepwise", ("stepwise",), _SCORER, _SCORED),
        Training(
            "refiner",
            "refiner",
            "prompt-completion",
            ("refine-local", "refine-global"),
            Defaults(4, 1.5e-3, 8, 768),
            {"add_token": False, **_WRITER},
            mixed=True,
        ),
        Training("expert-iteration", "generator", "", (), Defaults(5, 1.5e-3, 16, 384), _ITERATED),
    )
}


def named(name: str) -> Training:
    """StepvizError for a training there is not."""
    if name not in TRAININGS:
        raise StepvizError(f"no training {name!r}; there are: {', '.join(TRAININGS)}")
    return TRAININGS[name]


def learns_from(recipe: str) -> tuple[str, ...]:
    """The trainings that take datasets of this recipe."""
    return tuple(t.name for t in TRAININGS.values() if recipe in t.datasets)


def is_large(parameters: int | None) -> bool:
    """Whether a model is trained as published ones are. None or 0, an unknown size: yes; only hub ids have it."""
    return not parameters or parameters >= LARGE


def defaults_for(training: Training, parameters: int | None, lora: int = 0) -> Defaults:
    """The training's own, for the embedded models; the rates of published models for large ones."""
    if not is_large(parameters):
        return training.defaults
    rate = LORA_RATE if lora else LARGE_RATE
    return replace(training.defaults, epochs=2, learning_rate=rate, batch=8, length=1024, compile=False)
