"""Whose draws: the model that samples a problem's chains, and the model that a chain is measured with.

V is of one model (design.md, section 1). A chain is measured with its own model, the one that drew it or what it grew
out of, unless another is chosen; a chain that no model of this store drew, with the model that samples.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from db.values import ChainRow, Measurement, ModelRow
from stepviz import model_choices
from stepviz.checkpoints import look
from stepviz.engines import SPECS, canonical
from stepviz.engines.server import served
from stepviz.errors import StepvizError
from stepviz.model_choices import ModelChoice
from stepviz.reward.specs import KINDS
from stepviz.ui.address import Address
from stepviz.ui.workbench import Workbench

_LOOKED_AT = 100  # latest runs, for a server's tokenizer
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can draw, as a dialog lists it. tokenizer: of a server's model, as far as one was given for it."""

    spec: str
    name: str  # "embedded/student", "my-student"
    about: str = ""
    tokenizer: str = ""


def offers(bench: Workbench, at: Address, measuring: bool = False) -> tuple[Offer, ...]:
    """The app's own model first, then those that ship or were trained here, then what an address names beside them."""
    known = model_choices.generators(bench.store)
    found = {bench.engine: Offer(bench.engine, name_of(bench.engine), "the app was started with it")}
    found |= {c.spec: Offer(c.spec, name_of(c.spec), _about(c, c.spec == bench.engine)) for c in known}
    for spec in (at.engine, at.by):
        if spec and spec not in found:
            found[spec] = Offer(spec, name_of(spec), "from the address, or typed in")
    samples, measures = (at.engine, at.tokenizer), (at.by, at.by_tokenizer)
    given = dict((samples, measures) if measuring else (measures, samples))  # of one spec this form's is the last
    return tuple(replace(o, tokenizer=given.get(o.spec) or tokenizer_of(bench, o.spec)) for o in found.values())


def _about(choice: ModelChoice, apps: bool) -> str:
    parts = (choice.about, model_choices.described(choice.spec), "the app’s own" if apps else "")
    return " · ".join(part for part in parts if part)


def settled(bench: Workbench, at: Address) -> Address:
    """An address written by anyone, with its models' specs as they are stored; the app's own engine needs no word."""
    engine, by = canonical(at.engine), canonical(at.by)
    tokenizer = at.tokenizer if is_served(engine or bench.engine) else ""
    if engine in ("", bench.engine) and tokenizer in ("", bench.tokenizer):
        engine, tokenizer = "", ""
    return replace(at, engine=engine, tokenizer=tokenizer, by=by, by_tokenizer=at.by_tokenizer if is_served(by) else "")


def is_served(spec: str) -> bool:
    return spec.startswith("openai:")


def tokenizer_of(bench: Workbench, spec: str, model: str = "") -> str:
    """What a server's model was last drawn with: the app's, or a run's; "" where none was given.

    model: an id, which says by its end whether there was one, and what it is called (engines.openai).
    """
    if not is_served(spec):
        return ""
    named = model.partition("+openai+")[2]
    if model and not named:
        return ""
    runs = (run.spec.get("tokenizer") for run in bench.store.runs(_LOOKED_AT) if run.spec.get("engine") == spec)
    given = (bench.tokenizer if spec == bench.engine else None, *runs)
    return next((str(t) for t in given if t and named in ("", Path(str(t)).name)), "")


def name_of(spec: str) -> str:
    """`embedded/student`, `my-student`, `Qwen/Qwen2.5-Math-7B`: what a spec is called for short."""
    kind, _, rest = spec.partition(":")
    if kind == "embedded":
        return f"embedded/{rest or 'student'}"
    if kind == "vllm":
        return f"{name_of(rest if rest.startswith('embedded') else f'hf:{rest}')} (vLLM)"
    if kind == "openai":
        with contextlib.suppress(StepvizError):
            asked = served(spec)
            return f"{asked.model.rstrip('/').rsplit('/', 1)[-1]} ({asked.host})"
    return rest.rstrip("/").rsplit("/", 1)[-1] if rest.startswith(("/", "~", ".")) else rest or spec


def asked(sent: Mapping[str, Any], name: str) -> str | None:
    """The spec that a dialog's form says, "" for the default; None where it says nothing. StepvizError: no such one."""
    other = str(sent.get("other") or "").strip()
    if other:
        return checked(other)
    if name not in sent:
        return None
    return checked(str(sent[name])) if sent[name] else ""


def checked(given: str) -> str:
    """A spec as it is stored. StepvizError where it can be no model that writes: said now, not by the worker."""
    kind = given.partition(":")[0] if ":" in given else ""
    if kind in KINDS:
        raise StepvizError(f"{given} gives scores, it does not write solutions: choose it under Score.")
    if kind not in ("", "hf", "embedded", "vllm", "openai") and not given.startswith(("/", "~", ".")):
        raise StepvizError(f"There is no engine {given!r}: give {SPECS}, a folder or a hub id.")
    found = look("embedded" if given == "embedded" else given)
    if found.config.get("step_scores") or found.causal is False:
        raise StepvizError(f"{found.name} gives scores, it does not write solutions: choose it under Score.")
    return canonical(found.spec)


def asked_tokenizer(sent: Mapping[str, Any], spec: str) -> str:
    """What the form's field says, for a server's model: other engines bring their own. StepvizError: no such one."""
    given = str(sent.get("tokenizer") or "").strip()
    if not given or not is_served(spec):
        return ""
    folder = Path(given).expanduser()
    try:
        if folder.is_dir() and any((folder / name).is_file() for name in _TOKENIZER_FILES):
            return str(folder.absolute())
        if not folder.is_dir() and ":" not in given and look(given).of_hub:
            return given
    except (StepvizError, OSError, ValueError):
        pass
    raise StepvizError(f"There is no tokenizer {given[:80]!r}: give a hub id (OWNER/NAME), or a folder that holds one.")


# ---- whose rollouts


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose rollouts measure a problem's chains, and whose are shown of each; read once, asked for every chain."""

    bench: Workbench
    by: str  # the spec that was chosen; empty: each chain's own model
    models: Mapping[str, ModelRow]  # in the order of arrival
    found: Sequence[Measurement]  # most draws first
    parent: Callable[[str], ChainRow | None]
    specs: dict[str, str] = field(default_factory=dict)  # by model id: how to load it, as far as that was asked

    def own(self, chain: ChainRow | None) -> ModelRow | None:
        """Who drew the chain, or what it grew out of: an edit and a refinement are measured with the draft's model."""
        while chain is not None:
            model = self.models.get(chain.model_id or chain.chain.origin)
            if model is not None and model.role == "generator":
                return model
            chain = self.parent(chain.chain.parent) if chain.chain.parent else None
        return None

    def spec(self, chain: ChainRow | None) -> str:
        """The model that measures this chain: the chosen one, else its own, else the one that samples."""
        return self.by or self._loaded(self.own(chain)) or self.bench.engine

    def tokenizer(self, chain: ChainRow | None) -> str:
        """Of the chain's own model, where a server has it: what drew the chain is to measure it."""
        own = None if self.by else self.own(chain)
        loaded = self._loaded(own)
        return tokenizer_of(self.bench, loaded, own.id) if own and loaded else ""

    def at_work(self, chain: ChainRow | None) -> str:
        """Id of the model that measures this chain, as far as it drew before: of a spec the latest to arrive."""
        return next(iter(self._of(self.spec(chain))[-1:]), "")

    def shown(self, chain: ChainRow | None) -> Measurement | None:
        """Which continuations: those that Measure draws, else its engine's, else the app's, else whichever are most.

        Where a model was chosen, no other's are shown in its place.
        """
        ours, engines = self._of(self.spec(chain)), self._of(self.bench.engine)

        def rank(m: Measurement) -> tuple[bool, ...]:
            places = (m.model_id not in ours, m.model_id not in ours[-1:], m.model_id not in engines)
            return *places, m.model_id not in engines[-1:], m.sampling_id != self.bench.sampling.hash

        # they come with most draws first, and of equals min takes the first
        return min((m for m in self.found if not self.by or m.model_id in ours), key=rank, default=None)

    def _of(self, spec: str) -> list[str]:
        """Ids of a spec's models in the order of arrival: the last one is at work, an earlier had other weights."""
        return [model.id for model in self.models.values() if model.spec == spec]

    def _loaded(self, model: ModelRow | None) -> str:
        """How to load it; empty where its files are gone."""
        if model is None or not model.spec:
            return ""
        if model.id not in self.specs:
            try:
                self.specs[model.id] = canonical(look(model.spec).spec)
            except StepvizError:
                self.specs[model.id] = ""
        return self.specs[model.id]


def whose(bench: Workbench, problem_id: str, by: str = "", rows: Iterable[ChainRow] = ()) -> Whose:
    """rows: the problem's chains where they are at hand; others are looked up."""
    here = {row.chain.id: row for row in rows}
    models = {model.id: model for model in bench.store.models()}
    return Whose(
        bench, by, models, bench.store.measurements(problem_id), lambda id: here.get(id) or bench.store.chain(id)
    )
