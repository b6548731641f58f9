"""A build's configuration: which problems and chains, and the recipe's own options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from stepviz.errors import StepvizError
from stepviz.prompt_styles import prompt_style
from stepviz.recipes import Recipe
from stepviz.types import PromptStyle, Sampling

PLAIN = PromptStyle()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which problems and chains a build reads; None and () do not filter."""

    source: str | None = None
    split: str | None = "train"  # None: every problem (a test problem among them stops the build)
    model: tuple[str, ...] = ()  # models that sampled the chains, or origins of imported ones
    sampling: str | None = None  # id of the sampling the chains were drawn with, or its beginning
    rollout_model: str | None = None  # whose continuations; None: the only one there is
    rollout_sampling: str | None = None
    rollout_separator: str = "\n"  # follows from rollout_sampling
    branches: bool = False  # chains that branch from another, by hand or continued, too
    limit: int | None = None  # problems that are read
    max_chains: int | None = None  # of each problem, model and sampling: the first draws, whatever was drawn later
    max_per_problem: int | None = None  # rows
    part: Literal["all", "train", "held-out"] = "all"
    held_out: float = 0.1  # share of the problems that part "held-out" has, by their id
    test_overlap: Literal["refuse", "drop"] = "refuse"  # a problem that any source has in a test split
    style: PromptStyle = PLAIN

    def __post_init__(self) -> None:
        for name in ("limit", "max_chains", "max_per_problem"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise StepvizError(f"{name} must be at least 1, not {value}")
        if not 0 < self.held_out < 1:
            raise StepvizError(f"held_out is a share between 0 and 1, not {self.held_out}")
        if self.style.chat:
            raise StepvizError(
                f"the prompt style {self.style.name!r} needs a model's chat template, and rows must not depend on a "
                "model: give a style with chat off, such as plain"
            )


def configured(recipe: Recipe, config: Mapping[str, Any]) -> tuple[Selection, Any]:
    """(selection, the recipe's options); StepvizError for an option that is not there, or of a wrong kind."""
    ours, theirs = ({f.name for f in fields(kind)} for kind in (Selection, recipe.options))
    unknown = sorted(set(config) - ours - theirs)
    if unknown:
        raise StepvizError(
            f"{recipe.name} has no option {unknown[0]!r}; it has: {', '.join([*sorted(theirs), *sorted(ours)])}"
        )
    selection = Selection(**_read(Selection, {k: v for k, v in config.items() if k in ours}))
    return selection, recipe.options(**_read(recipe.options, {k: v for k, v in config.items() if k in theirs}))


def options_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own options with their defaults."""
    return {f.name: None if f.default is MISSING else f.default for f in fields(recipe.options)}


def _read(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: _value(name, value, hints[name]) for name, value in given.items()}


def _value(name: str, value: Any, hint: Any) -> Any:
    """The value as its field wants it, also after JSON has made lists of tuples and dicts of styles."""
    if hint is PromptStyle:
        return _style(value)
    if get_origin(hint) is tuple:
        return (value,) if isinstance(value, str) else tuple(value or ())
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise StepvizError(f"{name} is one of {', '.join(map(str, get_args(hint)))}, not {value!r}")
        return value
    allowed = get_args(hint) or (hint,)
    if float in allowed and type(value) is int:
        return float(value)
    if type(value) not in allowed:
        kinds = " or ".join("none" if kind is type(None) else kind.__name__ for kind in allowed)
        raise StepvizError(f"{name} must be {kinds}, not {value!r}")
    return value


def _style(value: Any) -> PromptStyle:
    if isinstance(value, str):
        return prompt_style(value)
    if isinstance(value, Mapping):
        return Sampling.from_dict({"style": value}).style
    if not isinstance(value, PromptStyle):
        raise StepvizError(f"style is the name of a prompt style, or one, not {value!r}")
    return value
