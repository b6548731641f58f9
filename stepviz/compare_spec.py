"""What a comparison is told: two models, which problems, how much is drawn. Checked before anything starts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stepviz.checkpoints import Checkpoint, look
from stepviz.errors import StepvizError
from stepviz.reward.specs import ROLES, plain, role_in
from stepviz.types import Sampling

LIMIT, K = 40, 8
_SIZES = {"limit": (1, 100_000), "samples": (1, 1024), "k": (0, 1024)}
_CALLED = {"limit": "number of problems", "samples": "number of samples", "k": "number of continuations a step"}


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """before, after: specs. samples: 1 is the greedy chain alone; more are drawn beside it. k: continuations of each
    prefix of the greedy chain; 0: V and the pits are not measured.
    """

    before: str
    after: str
    source: str = ""
    split: str = ""
    limit: int = LIMIT
    samples: int = 1
    k: int = K

    @property
    def scorers(self) -> bool:
        """Whether these are judges of steps, and not students."""
        return role_of(self.before) in ROLES


NAMES = tuple(field.name for field in fields(CompareSettings))


def settings_of(spec: Mapping[str, Any]) -> CompareSettings:
    """StepvizError for a setting that cannot be, a model that is not there, or two that cannot be compared."""
    for side in ("before", "after"):
        if not str(spec.get(side) or "").strip():
            raise StepvizError(f"choose the model {side}: embedded:NAME, hf:ID_OR_PATH, a folder or a hub id")
    given: dict[str, Any] = {side: checked(str(spec[side])) for side in ("before", "after")}
    given |= {name: str(spec.get(name) or "") for name in ("source", "split")}
    given |= {name: _size(name, spec[name]) for name in _SIZES if spec.get(name) not in (None, "")}
    settings = CompareSettings(**given)
    if settings.before == settings.after:
        raise StepvizError("before and after are the same model: choose two")
    roles = role_of(settings.before), role_of(settings.after)
    if (roles[0] in ROLES) != (roles[1] in ROLES):
        raise StepvizError(
            f"one of them writes chains and the other scores steps ({', '.join(roles)}): choose two alike"
        )
    return settings


def written_out(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A job's spec with every setting in it."""
    return {**spec, **asdict(settings_of(spec))}


def greedy_of(sampling: Sampling) -> Sampling:
    """The sampling of the first chain: the same prompt and limit, without chance."""
    return Sampling(temperature=0.0, max_tokens=sampling.max_tokens, style=sampling.style)


def checked(given: str) -> str:
    """The canonical spec of a model that can be loaded as far as its files say; StepvizError, saying what to do."""
    if plain(given.strip()) != given.strip():
        look(plain(given.strip()))
        return given.strip()
    found = look(given)
    if found.causal is False and not _scores(found):
        named = ", ".join(map(str, found.config.get("architectures", ())))
        raise StepvizError(f"{found.name} writes no text and scores no steps ({named}): choose another model")
    return found.spec


def role_of(spec: str) -> str:
    """ "generator", or what a score of it estimates."""
    if plain(spec) != spec:
        return "prm"
    found = look(spec)
    if spec.startswith("openai:"):  # a server does not say what it serves; the files do, where they are here
        with contextlib.suppress(StepvizError):
            found = look(found.name)
    return _scores(found) or "generator"


def _scores(found: Checkpoint) -> str:
    """The role of a checkpoint that gives a score after a step, as its config says."""
    noted = found.config.get("step_scores")
    if isinstance(noted, Mapping):
        return role_in(noted)
    named = " ".join(map(str, found.config.get("architectures") or ()))
    return "prm" if "TokenClassification" in named or "RewardModel" in named else ""


def _size(name: str, value: Any) -> int:
    (low, high), text = _SIZES[name], str(value).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high):
        raise StepvizError(f"the {_CALLED[name]} is a whole number from {low} to {high:,}, not {text[:40]!r}")
    return int(text)
