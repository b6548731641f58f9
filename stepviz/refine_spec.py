"""What a refinement job is told: its settings, checked before anything starts, and how to come by a model it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from stepviz import embedded
from stepviz.engines import canonical
from stepviz.errors import StepvizError
from stepviz.refinement import GREEDY, STYLE, THRESHOLD, Kind, NoFlag
from stepviz.reward.specs import place
from stepviz.types import Sampling

if TYPE_CHECKING:
    from db.store import Store

NONE = "none"  # in the place of a scorer
HOW: dict[str, tuple[Kind, ...]] = {"both": ("global", "local"), "global": ("global",), "local": ("local",)}
TARGETS = ("full", "suffix")
NO_FLAG: tuple[NoFlag, ...] = get_args(NoFlag)
MOST_SAMPLES = 1024
TEMPERATURE = 0.7  # of several samples; a single one is greedy
_BUILD = "python -m stepviz dataset build"
_TRAIN = {
    "refiner": f"`{_BUILD} refine-local` and `{_BUILD} refine-global`, then `python -m training refiner --dataset ID "
    "--dataset ID --base embedded:student --out models/refiner`, and give it as --refiner hf:models/refiner",
    "orm": f"`{_BUILD} orm`, then `python -m training orm --dataset ID --base embedded:student --out models/orm`, and "
    "give it as --orm hf:models/orm",
    "sorm": f"`{_BUILD} sorm`, then `python -m training sorm --dataset ID --base embedded:student --out models/sorm`, "
    "and give it as --sorm hf:models/sorm",
}


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """refiner: an engine's spec; orm, sorm: scorers' specs, or "none". The SORM's place may take any scorer.

    gate: drafts that the ORM scores above it are spared (None: none is). at: E by hand, for one chain. target: what
    the refiner was trained to write: the full solution, of which it is handed the steps before E, or the suffix; where
    a job's spec does not say, its record does.
    """

    refiner: str = "embedded:refiner"
    orm: str = "embedded:orm"
    sorm: str = "embedded:sorm"
    how: str = "both"
    gate: float | None = None
    threshold: float = THRESHOLD
    no_flag: NoFlag = "global"
    samples: int = 1
    at: int | None = None
    target: str = "full"

    @property
    def locates(self) -> bool:
        """Whether a scorer is needed to say where."""
        return "local" in HOW[self.how] and self.at is None


NAMES = tuple(field.name for field in fields(RefineSettings))


def settings_of(spec: Mapping[str, Any]) -> RefineSettings:
    """The settings in a job's spec; StepvizError for one that cannot be, or a model that is not there."""
    given = {name: spec[name] for name in NAMES if spec.get(name) is not None}
    for name in ("gate", "threshold"):
        if name in given:
            given[name] = _share(name, given[name])
    for name in ("samples", "at"):
        if name in given:
            given[name] = _count(name, given[name])
    for name in ("refiner", "orm", "sorm"):
        given[name] = canonical(str(given.get(name, f"embedded:{name}")))
    settings = RefineSettings(**given)
    for name, known in (("how", tuple(HOW)), ("no_flag", NO_FLAG), ("target", TARGETS)):
        value = getattr(settings, name)
        if value not in known:
            raise StepvizError(f"{name.replace('_', '-')} is one of {', '.join(known)}, not {value!r}")
    _check_models(settings)
    return settings


def written_out(named: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """A job's spec with every setting in it, so that a later default changes no run, and how much it may draw."""
    settings, chains = settings_of(named), list(named["chains"])
    if settings.at is not None and len(chains) != 1:
        raise StepvizError("a step to refine from is given for one draft, not for several")
    spec = {"chains": chains, "sampling": named.get("sampling") or sampling_for(settings.samples)}
    spec |= {"device": named["device"]} if named.get("device") else {}
    spec |= {name: value for name, value in asdict(settings).items() if value is not None}
    return spec, len(chains) * len(HOW[settings.how]) * settings.samples


def target_of(store: Store, refiner: str) -> str:
    """What a refiner was trained to write, as the datasets of its record say; "full" where they do not.

    In another precision than it was trained in it has a second record, which knows of no dataset.
    """
    kind, _, rest = refiner.partition(":")
    spec = f"hf:{Path(rest).absolute()}" if kind == "hf" and Path(rest).is_dir() else refiner
    records = [model for model in store.models() if model.spec in (refiner, spec) and model.meta.get("datasets")]
    made_of = {d.get("hash") for d in records[-1].meta["datasets"] if isinstance(d, Mapping)} if records else set()
    said = {d.config.get("target") for d in store.datasets() if d.hash in made_of} if made_of else set()
    return next((target for target in TARGETS if target in said), "full")


def sampling_for(
    samples: int, max_tokens: int = GREEDY.max_tokens, temperature: float | None = None, answer_rule: str = "auto"
) -> Sampling:
    """How a refiner draws: greedily, or at a temperature where several samples are asked for.

    The prompt and the step rule are the refiner's own, a line a step, as it was trained, whatever style the student is
    asked in. How answers are read is a matter of the problems: `answer_rule` is the style's.
    """
    warmth = temperature if temperature is not None else TEMPERATURE if samples > 1 else 0.0
    if samples > 1 and warmth == 0:
        raise StepvizError("temperature 0 gives the same text every time: ask for one sample, or raise the temperature")
    return Sampling(temperature=warmth, max_tokens=max_tokens, style=replace(STYLE, answer_rule=answer_rule))


def lacking(role: str, spec: str) -> str:
    """What to do where this model is none of the embedded ones; empty where there is nothing to do."""
    kind, _, name = spec.partition(":")
    if kind != "embedded" or (name or "student") in embedded.names():
        return ""
    return f"there is no model {spec} here yet: train one by {_TRAIN[role]}"


def _check_models(settings: RefineSettings) -> None:
    if settings.refiner == NONE:
        raise StepvizError("a refiner is needed: it writes the refinements")
    if settings.gate is not None and settings.orm == NONE:
        raise StepvizError("a gate needs an ORM that says when a draft is to be refined")
    if settings.locates and settings.sorm == NONE:
        raise StepvizError("a local refinement needs a SORM that says where, or a step to refine from (how: global?)")
    wanted = {"refiner": settings.refiner, "orm": settings.orm, "sorm": settings.sorm if settings.locates else NONE}
    for role, spec in wanted.items():
        if spec == NONE:
            continue
        if missing := lacking(role, spec):
            raise StepvizError(missing)
        if role != "refiner":
            place(spec)  # a spec that names no scorer is said now, not by the worker


def _share(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise StepvizError(f"{name} is a score between 0 and 1, not {str(value)[:40]!r}") from None
    if not 0 <= number <= 1:
        raise StepvizError(f"{name} is a score between 0 and 1, not {number:g}")
    return number


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SAMPLES:
        raise StepvizError(f"{name} is a whole number between 1 and {MOST_SAMPLES:,}, not {str(value)[:40]!r}")
    return value
