"""Chains, measurements and annotations → rows of a training set. Pure: values in, rows out, one problem at a time.

    prompt-completion  {prompt, completion}                     sft, rft, refine-global, refine-local
    stepwise           {prompt, completions, labels[, k, n]}    orm, balanced-orm, sorm, stepwise
    preference         {prompt, chosen, rejected}               self-explore, human-pairs

Labels are 1, 0, or −100 for a step without one. Every row says in `origin` where it came from: problem, chain, step,
model, seed. A problem of a test split is refused, never skipped in silence. stepviz.datasets feeds the recipes from
the store and freezes what they give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from stepviz.errors import StepvizError
from stepviz.recipes.balance import PrefixBalance
from stepviz.recipes.case import MASK, Attempt, Case, Dropped, Row, is_test, origin, refuse_test
from stepviz.recipes.human_pairs import HumanPairs, human_pairs
from stepviz.recipes.outcome import BalancedOrm, Orm, balanced_orm, orm
from stepviz.recipes.pit_pairs import SelfExplore, self_explore
from stepviz.recipes.refinement import RefineGlobal, RefineLocal, refine_global, refine_local
from stepviz.recipes.step_labels import Stepwise, is_of, stepwise
from stepviz.recipes.stepwise_outcome import Sorm, sorm
from stepviz.recipes.supervised import Rft, Sft, reference_solution, rft, sft

Format = Literal["prompt-completion", "stepwise", "preference"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to make a training set. `options` is its dataclass, whose defaults are the paper's."""

    name: str
    about: str
    format: Format
    options: type
    rows: Callable[[Case, Any, Dropped], Iterator[Row]]
    chains: bool = True  # reads chains, and not only the problem
    rollouts: bool = False  # reads continuations of prefixes
    branches: bool = False  # reads chains that branch from another, whatever is selected


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("sft", "reference solutions", "prompt-completion", Sft, reference_solution, chains=False),
        Recipe("rft", "right samples, de-duplicated", "prompt-completion", Rft, rft),
        Recipe("orm", "every step labelled with its chain's outcome", "stepwise", Orm, orm),
        Recipe("balanced-orm", "as many right as wrong chains a question", "stepwise", BalancedOrm, balanced_orm),
        Recipe("sorm", "can this prefix still be solved? K rollouts a step", "stepwise", Sorm, sorm, rollouts=True),
        Recipe("stepwise", "labels of steps by a person or a data set", "stepwise", Stepwise, stepwise),
        Recipe("refine-global", "wrong draft → right solution", "prompt-completion", RefineGlobal, refine_global),
        Recipe(
            "refine-local",
            "wrong draft, marked at its first negative step → right trace",
            "prompt-completion",
            RefineLocal,
            refine_local,
            rollouts=True,
        ),
        Recipe("self-explore", "preferences at the first pit", "preference", SelfExplore, self_explore, rollouts=True),
        Recipe(
            "human-pairs",
            "preferences at the first step that people call wrong",
            "preference",
            HumanPairs,
            human_pairs,
            branches=True,
        ),
    )
}


def named(name: str) -> Recipe:
    """StepvizError for a recipe there is not."""
    if name not in RECIPES:
        raise StepvizError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]


__all__ = [
    "MASK",
    "RECIPES",
    "Attempt",
    "BalancedOrm",
    "Case",
    "Dropped",
    "Format",
    "HumanPairs",
    "Orm",
    "PrefixBalance",
    "Recipe",
    "RefineGlobal",
    "RefineLocal",
    "Rft",
    "Row",
    "SelfExplore",
    "Sft",
    "Sorm",
    "Stepwise",
    "balanced_orm",
    "human_pairs",
    "is_of",
    "is_test",
    "named",
    "origin",
    "orm",
    "refine_global",
    "refine_local",
    "refuse_test",
    "rft",
    "self_explore",
    "sft",
    "sorm",
    "stepwise",
]
