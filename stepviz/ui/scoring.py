"""Score: which step reward models the app offers, and the run that a click starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from db.store import Store
from db.values import ChainRow, ProblemRow
from stepviz import embedded, jobs
from stepviz.engines import canonical
from stepviz.errors import StepvizError
from stepviz.reward.specs import KINDS, ROLES, SPECS, role_in
from stepviz.ui.rows import Scorer
from stepviz.ui.servers import reached
from stepviz.ui.workbench import Workbench

_PREFIXES = ("embedded", "hf", *KINDS, "vllm", "openai")


def offered(store: Store) -> tuple[Scorer, ...]:
    """Those that ship, then those that this store knows, the newest first; each spec once."""
    known = (
        Scorer(m.id, m.role, m.id.partition("@")[0], m.spec)
        for m in reversed(store.models())
        if m.role in ROLES and m.spec
    )
    found: dict[str, Scorer] = {}
    for scorer in (*shipped(), *known):
        found.setdefault(scorer.spec, scorer)
    return tuple(found.values())


def shipped() -> tuple[Scorer, ...]:
    """The embedded models that say they give a score after a step; first the one that says where a chain goes wrong."""
    found = []
    for name in embedded.names():
        config = json.loads((embedded.path(name) / "config.json").read_text(encoding="utf-8"))
        noted = config.get("step_scores")
        if noted and (role := role_in(noted)) in ROLES:
            found.append(Scorer("", role, f"embedded/{name}", f"embedded:{name}"))
    return tuple(sorted(found, key=lambda s: (s.role != "sorm", s.spec)))


def start(bench: Workbench, problem: ProblemRow | None, chain: ChainRow | None, sent: Mapping[str, Any]) -> str:
    """Queues a `score` run over this chain or all of the problem's; the scorer's spec as it is stored."""
    if problem is None or chain is None:
        raise StepvizError("Open a problem and a chain first.")
    other = str(sent.get("other") or "").strip()
    spec = other or str(sent.get("model") or "")
    if not spec:
        raise StepvizError(f"Choose a step reward model, or name one: a hub id, a folder, or {SPECS}.")
    if spec.partition(":")[0] not in _PREFIXES:
        spec = f"hf:{spec}"
    rows = [chain] if sent.get("of") == "this" else bench.store.chains(problem.id)
    ids = [row.chain.id for row in rows if row.chain.n]
    if not ids:
        raise StepvizError("Nothing here is cut into steps, so there is nothing to score: see Steps.")
    role = str(sent.get("role") or "") if other else ""
    reached([spec])
    jobs.start(bench.store, "score", {"chains": ids, "model": spec, "device": bench.device, "role": role or None})
    return canonical(spec)
