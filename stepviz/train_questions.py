"""What expert iteration reads: questions of the store to sample, and problems that judge its rounds. Checked here.

The rounds are judged by another split, or, where a source has only one to train on, by the last problems of that one,
which are then neither sampled nor learnt. A test problem is never read: choosing a round by it would be tuning on it.
Problems of the embedded world are made where they are not there yet, so its splits need no import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.store import Store
from db.values import ProblemFilter, ProblemRow
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.recipes import is_test
from stepviz.types import Problem

ANY = "any"  # split: whatever it is, where it is no test split
WORLD, WORLD_SPLITS = "embedded", ("train", "dev")
UNLIMITED = 12_000  # embedded problems that are made where nobody says how many
LOOKED_AT = 200  # questions of which one must have an answer


@dataclass(frozen=True, slots=True)
class Counts:
    """Problems of a plan. usable: of the split, those held out not counted; references: of them, for their solutions.

    made: embedded problems that the split shall have.
    """

    usable: int
    sampled: int
    references: int
    dev: int
    held_out: bool
    made: int = 0


def counted(store: Store, plan: Mapping[str, Any]) -> Counts:
    """plan: source, split, questions, supervised (0 or None: all), dev_split, dev. StepvizError where none are left."""
    source, split, dev_split = plan["source"], plan["split"], plan["dev_split"]
    for name in (split, dev_split):
        if is_test(name):
            raise StepvizError(
                f"expert iteration never reads the test problems of {source}/{name}: learning from them, or choosing "
                "a round by them, would spoil the test; choose another split"
            )
    held_out = split == dev_split
    if ANY in (split, dev_split) and not held_out:
        raise StepvizError(f"with the split {ANY}, the rounds are judged by its last problems: --dev-split {ANY}")
    wanted = max(plan[name] or UNLIMITED for name in ("questions", "supervised")) + (plan["dev"] if held_out else 0)
    usable = _total(store, source, split, wanted) - (plan["dev"] if held_out else 0)
    if usable < 1:
        raise StepvizError(
            f"the last {plan['dev']} problems of {source}/{split} judge the rounds, and there are only "
            f"{usable + plan['dev']}: judge by fewer (--dev), or by another split (--dev-split)"
        )
    dev = plan["dev"] if held_out else min(plan["dev"], _total(store, source, dev_split, plan["dev"]))
    sampled, references = (min(plan[name] or usable, usable) for name in ("questions", "supervised"))
    return Counts(usable, sampled, references, dev, held_out, wanted if is_made(source, split) else 0)


def check(store: Store, plan: Mapping[str, Any]) -> None:
    """StepvizError where this plan could not work: its problems, their answers, its student."""
    counts = counted(store, plan)
    rows = store.problems(_filter(plan["source"], plan["split"]), min(LOOKED_AT, counts.sampled))
    if rows and not any(_usable(row) for row in rows):
        raise StepvizError(
            f"none of the first {len(rows)} questions of {plan['source']}/{plan['split']} can be used: without a gold "
            "answer nobody knows which samples are right, and test problems are never learnt"
        )
    student = look(plan["student"])
    if student.causal is False:
        kind = ", ".join(map(str, student.config.get("architectures", ())))
        raise StepvizError(f"{student.name} is no language model ({kind}): it cannot sample (--student)")


def selected(store: Store, plan: Mapping[str, Any]) -> tuple[list[Problem], list[Problem]]:
    """(questions to sample, problems that judge the rounds), all with an answer and none of a test split."""
    counts = counted(store, plan)
    rows = store.problems(_filter(plan["source"], plan["split"]), counts.sampled)
    offset = counts.usable if counts.held_out else 0
    judging = store.problems(_filter(plan["source"], plan["dev_split"]), counts.dev, offset)
    questions, dev = ([row.problem for row in found if _usable(row)] for found in (rows, judging))
    for found, split in ((questions, plan["split"]), (dev, plan["dev_split"])):
        if not found:
            raise StepvizError(f"no problem of {plan['source']}/{split} has a gold answer and is in no test split")
    return questions, dev


def is_made(source: str, split: str) -> bool:
    """Whether problems of the split are made where they are lacking."""
    return source == WORLD and split in WORLD_SPLITS


def _total(store: Store, source: str, split: str, wanted: int) -> int:
    found = store.count_problems(_filter(source, split))
    if is_made(source, split):
        return max(found, wanted)
    if found == 0:
        splits = [f"{name} ({n:,})" for name, n in store.splits(source) if not is_test(name)]
        there = f"; its splits are: {', '.join(splits)}" if splits else ""
        raise StepvizError(f"there is no problem of {source}/{split} in this store: import some first{there}")
    return found


def _filter(source: str, split: str) -> ProblemFilter:
    return ProblemFilter(source=source, split=None if split == ANY else split)


def _usable(row: ProblemRow) -> bool:
    return row.answer is not None and not any(is_test(place.split) for place in row.sources)
