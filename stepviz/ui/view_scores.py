"""Whose scores Explore shows, and what each is to be held against (design.md, section 1). No HTML, no gradio.

An ORM is held against V, a SORM against S_8 and what is solvable, a process reward model against what is correct.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from db.store import Store
from db.values import ChainRow, ModelRow
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.glore import Counting, K, chance_of_positive
from stepviz.reward.specs import ROLES
from stepviz.types import StepScore, StepValue
from stepviz.ui.render import number
from stepviz.ui.rows import ExactMark, Predicted, Scorer
from stepviz.ui.workbench import Workbench

_FIRST = ("sorm", "orm", "prm")  # from left to right; the first that is there is drawn
_SAID = {True: "yes", False: "no"}
_S_K = "S" + "".join(chr(0x2080 + int(digit)) for digit in str(K))  # S₈


def scorers(store: Store, scored: Collection[str]) -> tuple[Scorer, ...]:
    """Of the store's models those that scored: by role, the newest first."""
    found = [m for m in reversed(store.models()) if m.role in ROLES and m.id in scored]
    names = Counter(m.id.partition("@")[0] for m in found)
    made = [Scorer(m.id, m.role, _name(m.id, names), m.spec, counting(store, m)) for m in found]
    return tuple(sorted(made, key=lambda s: _FIRST.index(s.role)))


def counting(store: Store, model: ModelRow) -> Counting | None:
    """The rule by which a scorer's labels were counted: its record's, its dataset's, or that in its training.json.

    A SORM of which none of them tells has learnt by the paper's, as far as anybody knows; an ORM's labels count all.
    """
    said = model.meta.get("counts") or _of_dataset(store, model) or _of_folder(model.spec)
    if isinstance(said, Mapping) and set(Counting._fields) <= said.keys():
        return Counting(**{name: said[name] for name in Counting._fields})
    return Counting() if model.role == "sorm" else None


def _of_dataset(store: Store, model: ModelRow) -> Mapping[str, Any] | None:
    hashes = {made.get("hash") for made in model.meta.get("datasets") or () if isinstance(made, Mapping)}
    if model.role not in ("sorm", "orm") or not hashes:
        return None
    return next((d.config for d in store.datasets() if d.hash in hashes and d.recipe == "sorm"), None)


def _of_folder(spec: str) -> Mapping[str, Any] | None:
    """As training.json beside the weights says it."""
    with contextlib.suppress(StepvizError, OSError, ValueError):
        folder = look(spec).folder
        if folder is not None:
            said = json.loads((folder / "training.json").read_text(encoding="utf-8"))
            return said.get("counts") if isinstance(said, dict) else None
    return None


def _name(id_: str, names: Counter[str]) -> str:
    """Without its hash, where nobody else has the name."""
    name, _, weights = id_.partition("@")
    return name if names[name] == 1 or not weights else f"{name}@{weights[:6]}"


def columns(found: Sequence[Scorer], asked: str) -> tuple[tuple[Scorer, ...], Scorer | None]:
    """One scorer a role, and the one that is drawn: the one asked for by id or spec, else the first role's newest."""
    wanted = next((s for s in found if asked and asked in (s.id, s.spec)), None)
    shown = {s.role: s for s in reversed(found)}  # the first of each role wins
    if wanted:
        shown[wanted.role] = wanted
    ordered = tuple(shown[role] for role in _FIRST if role in shown)
    return ordered, wanted or next(iter(ordered), None)


def by_model(scores: Sequence[StepScore]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for s in scores:
        found.setdefault(s.model_id, {})[s.step] = s.score
    return found


def last_scores(bench: Workbench, rows: Sequence[ChainRow], asked: str) -> tuple[Scorer | None, Mapping[str, float]]:
    """The scorer that a problem's list shows, and by chain what it says after the last step."""
    scored = bench.store.scores_for(rows[0].chain.problem_id) if rows else {}
    ids = {s.model_id for scores in scored.values() for s in scores}
    _, drawn = columns(scorers(bench.store, ids), asked) if ids else ((), None)
    if drawn is None:
        return None, {}
    ours = {id_: by_model(scores).get(drawn.id) for id_, scores in scored.items()}
    return drawn, {id_: found[max(found)] for id_, found in ours.items() if found}


def predicted(
    shown: Sequence[Scorer],
    scores: Mapping[str, Mapping[int, float]],
    step: int,
    values: Mapping[Counting | None, StepValue],
    exact: ExactMark | None,
) -> tuple[Predicted, ...]:
    """Each scorer's score after a step, with its own target beside it; nothing is predicted of the bare question.

    values: the step's, counted by each scorer's rule.
    """
    return tuple(
        Predicted(s, scores[s.id].get(step), _beside(s.role, values[s.counting], exact) if step else ()) for s in shown
    )


def _beside(role: str, value: StepValue, exact: ExactMark | None) -> tuple[str, ...]:
    judged = exact if exact and exact.readable else None
    drawn = value.k if value.consistent is None else value.consistent
    counted = "" if drawn == value.k else f" ({drawn} of {value.k} successes consistent)"
    if role == "orm":
        v = value.value if drawn == value.k else drawn / value.n
        return () if v is None else (f"measured V {number(v)}{counted}",)
    if role == "sorm":
        chance = chance_of_positive(drawn, value.n) if value.terminal is None else None
        said = () if chance is None else (f"measured {_S_K} {number(chance)}{counted}",)
        return said if judged is None or judged.solvable is None else (*said, f"exact judge: {_SAID[judged.solvable]}")
    return () if judged is None else (f"exact judge: {_SAID[judged.correct]}",)
