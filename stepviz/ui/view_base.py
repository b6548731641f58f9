"""The part of the form of a training that says from which base it starts, and what is known of that one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.store import Store
from stepviz.checkpoints import Checkpoint, look
from stepviz.errors import StepvizError
from stepviz.model_choices import bases, described

FIRST_BASE = "embedded:base"
OWN = "own"  # the choice that opens a field for a folder or a hub id


def base_in(sent: Mapping[str, Any]) -> tuple[str, str | None]:
    """(the base, what stands in the field of one's own where that is chosen)."""
    base = str(sent.get("base", FIRST_BASE))[:500]
    own = str(sent.get("own", "")).strip()[:500]
    return (own, own) if base == OWN else (base, None)


def base_choices(store: Store) -> tuple[tuple[str, str], ...]:
    listed = []
    for c in bases(store):
        size = described(c.spec)
        listed.append((c.spec, " · ".join(part for part in (c.label, size, c.about) if part)))
    return (*listed, (OWN, "a folder, or a model of the hub …"))


def looked(base: str) -> tuple[Checkpoint | None, str]:
    try:
        return look(base), ""
    except StepvizError as error:
        return None, str(error)


def about(found: Checkpoint | None) -> str:
    if found is None:
        return ""
    if found.folder is None:
        return "It is not on this machine yet: it is fetched when the training starts."
    kind = ", ".join(map(str, found.config.get("architectures") or ()))
    return " · ".join(part for part in (kind, described(found.spec)) if part)
