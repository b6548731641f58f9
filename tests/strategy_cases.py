"""Chains for strategies to walk along, in a store, and what each asks for by the script alone."""

from __future__ import annotations

from db.store import Store
from db.values import ModelRow
from stepviz import pits
from stepviz.adaptive import Adaptive
from stepviz.measuring import Walking
from stepviz.strategies import STRATEGIES, Strategy, replay
from stepviz.types import Chain, Sampling, SourceItem, Verdict, continuation_seed, prefix_hash
from tests.job_cases import CHAIN, PROBLEM, WRONG, Bench
from tests.rollout_cases import chain_of

LONG = chain_of("Tom has 3 apples.\n3+12=16\n16 apples are in the box.\nSo it is 16.\n#### 16\n", "long")
RIGHT = chain_of("3+12=15\n#### 15\n", "right")
NAMES = (*(name for name in STRATEGIES if name != "exhaustive"), "adaptive")


def outcomes(store: Store, k: int) -> dict[str, dict[int, list[bool]]]:
    """Chain → step → whether its draws 0 … k-1 succeed, by the engine's script alone: even seeds are right."""
    return {
        chain.id: {
            i: [
                continuation_seed(PROBLEM.id, prefix_hash(chain.prefix(i)), "scripted@1", Sampling().hash, j) % 2 == 0
                for j in range(k)
            ]
            for i in range(chain.n)
        }
        for chain in (CHAIN, LONG, RIGHT)
    }


def strategy_of(name: str) -> Strategy:
    return Adaptive(pits.shipped()) if name == "adaptive" else STRATEGIES[name]


def wanted(bench: Bench, name: str, k: int = 8) -> set[tuple[str, int]]:
    keys = set()
    for chain, verdict in ((CHAIN, WRONG), (LONG, WRONG), (RIGHT, Verdict("correct", "", "", "15"))):
        walk = Walking(chain, PROBLEM, verdict, strategy_of(name), k, consistent_only=name == "backward").walk
        # the script's continuations say 3+12=15: by the rule of consistency they use what CHAIN and LONG have computed
        table = outcomes(bench.store, k)[chain.id]
        if name == "backward":
            table = {i: [x and _uses(chain.steps[:i]) for x in row] for i, row in table.items()}
        seen = replay(strategy_of(name), walk, table)
        keys |= {(prefix_hash(chain.prefix(i)), j) for i, at in seen.items() for j in range(at.n)}
    return keys


def _uses(steps: tuple[str, ...]) -> bool:
    """Whether "3+12=15, #### 15" uses the results of these steps, by hand: 3 yes; 16 is used in the chain but for the
    last step's, which only the continuation could use, and does not."""
    return "16" not in "".join(steps)


def new_bench(store: Store) -> Bench:
    made = Bench(store)
    right = Verdict("correct", "", "test", "15")
    store.add_items([SourceItem(PROBLEM, (LONG, RIGHT))], {LONG.id: WRONG, RIGHT.id: right})
    return made


def scored(bench: Bench, name: str, chain: Chain, *scores: float) -> None:
    bench.store.add_model(ModelRow(f"{name}@1", "sorm", f"hf:{name}"))
    bench.store.add_scores(chain.id, f"{name}@1", scores)
