"""Whose labels a build reads: one annotator's as they stand, or what the people of a study said in their turns.

Of a study count the turns that were submitted, and what was adjudicated. A turn that called the problem bad says
nothing of its steps. Gold items have labels that were known before and test the people, not a model: they count where
they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from db.store import Store
from db.study_values import SlotRow
from stepviz.recipes import Dropped, is_of
from stepviz.study_read import study_named
from stepviz.types import Annotation

NOT_DONE = "a turn that is not submitted"
GOLD = "a turn at a gold item, whose labels were known before"
BAD_PROBLEM = "a turn that called the problem bad"
SHOWN = "a turn in which a model's opinion was shown"


class Labels(Protocol):
    def of(self, problem_id: str, chains: Sequence[str], dropped: Dropped) -> Mapping[str, Sequence[Annotation]]:
        """Chain id → labels; what is left out is counted."""
        ...


def labels_for(store: Store, options: Any) -> Labels:
    """Of a recipe's options. StepvizError for a study there is not."""
    if name := getattr(options, "study", None):
        return OfStudy(store, name, gold=options.gold, blind=options.blind)
    return OfAnnotator(store, getattr(options, "annotator", None))


class OfAnnotator:
    """annotator: a name, or a data set's; None: nobody's."""

    def __init__(self, store: Store, annotator: str | None) -> None:
        self.store, self.annotator = store, annotator

    def of(self, problem_id: str, chains: Sequence[str], dropped: Dropped) -> Mapping[str, Sequence[Annotation]]:
        if not self.annotator:
            return {}
        return {
            chain: [row.annotation for row in rows if is_of(row.annotation.annotator, self.annotator)]
            for chain, rows in self.store.annotations_for(problem_id).items()
        }


class OfStudy:
    """Every label says in its meta by which version of the guideline it was given."""

    def __init__(self, store: Store, name: str, *, gold: bool = False, blind: bool = False) -> None:
        study = study_named(store, name)
        self.gold, self.blind = gold, blind
        self.turns: dict[str, list[SlotRow]] = {}
        for slot in store.slots(study.id):
            self.turns.setdefault(slot.chain_id, []).append(slot)
        self.labels = store.labels_of_study(study.id)
        self.settled = store.settlements(study.id)

    def of(self, problem_id: str, chains: Sequence[str], dropped: Dropped) -> Mapping[str, Sequence[Annotation]]:
        return {chain: found for chain in chains if (found := self._chain(chain, dropped))}

    def _chain(self, chain: str, dropped: Dropped) -> list[Annotation]:
        found = [row.annotation for row in self.settled.get(chain, ())]
        for slot in (turn for turn in self.turns.get(chain, ()) if turn.id in self.labels):
            if (reason := self._left_out(slot)) is not None:
                dropped.add(reason)
                continue
            version = {"guideline": slot.guideline}
            found += [replace(label, meta={**label.meta, **version}) for label in self.labels.get(slot.id, ())]
        return found

    def _left_out(self, slot: SlotRow) -> str | None:
        if slot.state != "submitted":
            return NOT_DONE
        if called_bad(slot):
            return BAD_PROBLEM
        if slot.gold and not self.gold:
            return GOLD
        return SHOWN if self.blind and slot.arm != "blind" else None


def called_bad(slot: SlotRow) -> bool:
    return slot.finish == "bad_problem" or "bad_problem" in slot.flags
