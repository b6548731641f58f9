"""Which prefixes a strategy has drawn from: how often it did hangs on what came, so that k of n says no V there.

A prefix at which a strategy stopped at its first success has fewer draws than one that failed to the end. So of what it
has walked along, the prefixes with all their draws are nearly all failures, and to keep those alone would teach that
little can be solved. The runs of the store say which chains were measured by a strategy, and which as a whole.

A run notes the ids of the models that it opened (stepviz.job): one model has many addresses, and under one address come
many models. Runs from before that name an engine only: a whole measurement by it counts where the model was first met
under this name, and a strategy's walk whatever the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.store import Store
from db.values import ChainRow, RunRow
from stepviz.datasets_config import Selection
from stepviz.rollouts import prefix_of, terminal
from stepviz.types import Chain, prefix_hash

PAGE = 500  # runs


@dataclass(frozen=True, slots=True)
class Walked:
    """Chains whose prefixes a model drew from by a strategy, and those that it measured with K draws everywhere."""

    by_strategy: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def of(self, rows: Iterable[ChainRow], separator: str) -> frozenset[str]:
        """Of all chains of a problem, those with a prefix that a strategy has drawn from, and no whole measurement:
        also where another chain begins alike."""
        if not self.by_strategy:
            return frozenset()
        hashes = {row.chain.id: frozenset(_prefixes(row.chain, separator)) for row in rows}
        partly, whole = (
            frozenset().union(*(found for id, found in hashes.items() if id in ids))
            for ids in (self.by_strategy, self.whole)
        )
        return frozenset(id for id, found in hashes.items() if found & (partly - whole))


def walked(store: Store, selection: Selection, k: int) -> Walked:
    """What the runs say of the selection's rollouts. One that was stopped has walked, and measured nothing whole."""
    by_strategy: set[str] = set()
    whole: set[str] = set()
    model, met = selection.rollout_model, {m.spec for m in store.models() if m.id == selection.rollout_model}
    for run in _measurements(store):
        spec, ids, by = run.spec, run.spec.get("chains", ()), _models(run)
        if spec.get("sampling") != selection.rollout_sampling:
            continue
        if "strategy" in spec:
            if not by or model in by:
                by_strategy.update(ids)
        elif run.state == "done" and "steps" not in spec and _draws(spec) >= k:
            its = by[-1] == model if by else spec.get("engine") in met
            whole.update(ids if its else ())
    return Walked(frozenset(by_strategy), frozenset(whole))


def _models(run: RunRow) -> Sequence[str]:
    """Ids of those that its lives drew with, the latest life's last: what it lacked, that one has drawn."""
    return run.progress.get("plan", {}).get("engines", ())


def _measurements(store: Store) -> Iterator[RunRow]:
    start = 0
    while page := store.runs(PAGE, kind="measure", offset=start):
        yield from page
        start += len(page)


def _draws(spec: Mapping[str, Any]) -> int:
    """That the run saw to, of each prefix."""
    return int(spec.get("n") or spec.get("add") or 0)


def _prefixes(chain: Chain, separator: str) -> Iterator[str]:
    """Hashes of those that a strategy may draw from."""
    for i in range(1, chain.n + 1):
        if not terminal(chain, i):
            yield prefix_hash(prefix_of(chain, i, separator))
