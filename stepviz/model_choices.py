"""Which models can be chosen for what: those that ship, and those of the store whose files are still there.

For lists in forms: who samples (`generators`), who scores (`scorers`), who refines (`refiners`), what a training may
start from (`bases`). A choice's `spec` is what engines.load, reward.load_scorer and jobs take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from db.store import Store
from db.values import ModelRow
from stepviz import embedded
from stepviz.checkpoints import look
from stepviz.engines import canonical
from stepviz.errors import StepvizError
from stepviz.reward import ROLES
from stepviz.reward.specs import role_in

LISTED = 60


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """`model_id` is empty for one that ships and has done nothing in this store yet."""

    spec: str
    label: str  # "student", "my-sorm"
    role: str  # "generator", "orm", "sorm", "prm", "refiner"
    about: str = ""  # "ships with stepviz", "trained on steps v2 from base"
    model_id: str = ""


def generators(store: Store) -> list[ModelChoice]:
    return [c for c in _all(store) if c.role == "generator"]


def scorers(store: Store, role: str | None = None) -> list[ModelChoice]:
    """Of one role (what a score estimates), or of all."""
    return [c for c in _all(store) if c.role in ROLES and role in (None, c.role)]


def refiners(store: Store) -> list[ModelChoice]:
    return [c for c in _all(store) if c.role == "refiner"]


def bases(store: Store) -> list[ModelChoice]:
    """Language models: a training puts its own head on one. Where they run makes no difference to it."""
    trained = ("embedded", "hf")
    return [c for c in _all(store) if c.role in ("generator", "refiner") and c.spec.partition(":")[0] in trained]


def _all(store: Store) -> list[ModelChoice]:
    """The shipped ones, the student first; then the store's, newest first."""
    shipped = sorted(embedded.names(), key=lambda name: (name != "student", name))
    found = [_shipped(name) for name in shipped]
    known = {c.spec for c in found}
    for model in reversed(store.models()):
        choice = _stored(model)
        if choice is not None and choice.spec not in known:
            known.add(choice.spec)
            found.append(choice)
    return found[:LISTED]


def _shipped(name: str) -> ModelChoice:
    said = look(f"embedded:{name}").config.get("step_scores")
    scores = role_in(said) if isinstance(said, dict) else None
    role = str(scores or ("refiner" if name.startswith("refiner") else "generator"))
    return ModelChoice(canonical(f"embedded:{name}"), name, role, "ships with stepviz")


def _stored(model: ModelRow) -> ModelChoice | None:
    """None where its files are gone, or where it was never a folder of this machine."""
    kind, _, source = model.spec.partition(":")
    if kind == "embedded" or not source:  # one that ships stands in the list
        return None
    folder = Path(source)
    if folder.is_absolute() and not (folder / "config.json").is_file():
        return None
    parts = [f"trained on {d['name']}" for d in _datasets(model)]
    parts += [f"from {parent.partition('@')[0]}" for parent in model.parents]
    runs = {"vllm": " (vLLM)", "openai": " (a server’s)"}.get(kind, "")
    name = model.id.partition("+openai")[0].partition("@")[0]  # behind it the tokenizer that was given
    return ModelChoice(model.spec, name + runs, model.role, " ".join(parts), model.id)


def _datasets(model: ModelRow) -> Iterator[dict[str, str]]:
    for made_of in model.meta.get("datasets") or ():
        if isinstance(made_of, dict) and made_of.get("name"):
            yield made_of


def described(spec: str) -> str:
    """ "1.3 M parameters", for a list; nothing where the files do not say."""
    try:
        n = look(spec).parameters
    except StepvizError:
        return ""
    if not n:
        return ""
    return (
        f"{n / 1e9:.1f} B parameters"
        if n >= 1e9
        else f"{n / 1e6:.1f} M parameters"
        if n >= 1e5
        else f"{n:,} parameters"
    )
