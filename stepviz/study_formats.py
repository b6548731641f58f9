"""An item of a study as rows of PRM800K and of ProcessBench, which stepviz.sources reads again.

PRM800K: a row for each turn that was submitted, and one for what was settled. The chain is the solution that was there
before the labelling, and its steps stand up to the last one that was rated (phase 2). Rating null: unsure where it is
flagged, else unrated. Chains of PRM800K keep their question's fields.

ProcessBench: a row an item, with the first wrong step that was settled, else the one that all people see who say where
it is. Chains of ProcessBench keep their fields, and their own word on the answer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from db.study_values import StudyRow
from db.values import AnnotationRow
from stepviz.agreement.opinions import BAD, of_ratings
from stepviz.recipes import MASK, Dropped
from stepviz.recipes.people import counted, votes
from stepviz.sources import prm800k, processbench, wording
from stepviz.study_labels import BAD_PROBLEM, NOT_DONE, called_bad
from stepviz.study_turns import Item, People, Turn, uuid_of
from stepviz.types import Annotation

CONFLICT = "an item on which people disagree where it goes wrong first"
UNDECIDED = "an item of which nobody rated every step up to the first wrong one"
_RIGHT = {"correct": True, "wrong": False, "unknown": None}


def prm800k_rows(study: StudyRow, item: Item, people: People, left_out: Dropped) -> Iterator[dict[str, Any]]:
    """A row a turn; with the `id` of the turn, which OpenAI's rows do not have."""
    for turn in item.turns:
        slot = turn.slot
        if slot.state != "submitted":
            left_out.add(NOT_DONE)
            continue
        label = _label(item, _rated(turn.labels), _finish(turn), slot.seconds)
        who, id_ = people.labeler(slot.annotator), uuid_of(study, "slot", str(slot.id))
        yield _prm800k(item, id_, who, slot.ended_at, label)
    if rated := _ratings_in(item.settled):
        label = _label(item, rated, "found_error" if BAD in rated.values() else "solution", None)
        last, who = max(row.created_at for row in item.settled), item.settled[-1].annotation.annotator
        yield _prm800k(item, uuid_of(study, "settled", item.item.chain_id), who, last, label)


def processbench_row(item: Item, left_out: Dropped) -> dict[str, Any] | None:
    """None, counted, where there is no one first wrong step; gold items say so in a column of their own."""
    first = _settled_first(item, left_out) if _ratings_in(item.settled) else _unanimous_first(item, left_out)
    if first is None:
        return None
    chain = item.row.chain
    own = chain.origin.startswith(f"{processbench.NAME}/")
    right = chain.meta.get("flag") if own else _RIGHT[item.row.verdict.value]
    row = processbench.row_of(item.problem.question, chain, first or None, right)
    return row | ({"gold": True} if item.item.gold else {})


def _settled_first(item: Item, left_out: Dropped) -> int | None:
    """What was settled, and where that leaves a step open what everybody says of it; 0: no step is wrong."""
    said = [row.annotation for row in item.settled]
    said += [x for turn in _counting(item) for x in _annotations(turn.labels)]
    rated, meant = counted(votes(said, "correct", item.row.chain.n, "correct")), {1: 1, 0: BAD, MASK: None}
    first = of_ratings("", "", "", [meant[step.label] for step in rated]).first
    if first is None:
        left_out.add(UNDECIDED)
    return first


def _unanimous_first(item: Item, left_out: Dropped) -> int | None:
    submitted = [turn for turn in item.turns if turn.slot.state == "submitted"]
    if not submitted:
        left_out.add(NOT_DONE, len(item.turns))
        return None
    counting = _counting(item)
    if not counting:
        left_out.add(BAD_PROBLEM, len(submitted))
        return None
    n, said = item.row.chain.n, [_rated(turn.labels) for turn in counting]
    found = {of_ratings("", "", "", [own.get(i) for i in range(1, n + 1)]).first for own in said} - {None}
    if len(found) != 1:
        left_out.add(CONFLICT if found else UNDECIDED)
        return None
    return found.pop()


def _counting(item: Item) -> list[Turn]:
    return [turn for turn in item.turns if turn.slot.state == "submitted" and not called_bad(turn.slot)]


def _annotations(labels: Sequence[AnnotationRow]) -> list[Annotation]:
    return [row.annotation for row in labels]


def _rated(labels: Sequence[AnnotationRow]) -> dict[int, int | None]:
    """Step → whether it is correct; None: unsure."""
    return {x.step: x.value for x in _annotations(labels) if x.question == "correct" and x.step}


def _ratings_in(settled: Sequence[AnnotationRow]) -> dict[int, int | None]:
    """Of what was settled the steps that are rated."""
    return {step: value for step, value in _rated(settled).items() if value is not None}


def _finish(turn: Turn) -> str | None:
    """PRM800K has one word; the flag of a bad problem, and giving up, are said by it, too."""
    return next((flag for flag in ("bad_problem", "give_up") if flag in turn.slot.flags), turn.slot.finish)


def _label(item: Item, rated: Mapping[int, int | None], finish: str | None, seconds: float | None) -> dict[str, Any]:
    """total_time in milliseconds. Where the last rated step is wrong nothing was chosen there."""
    last = max(rated, default=0)
    steps = [
        {
            "completions": [{"text": text, "rating": rated.get(k), "flagged": k in rated and rated[k] is None}],
            "human_completion": None,
            "chosen_completion": None if k == last and rated[k] == BAD else 0,
        }
        for k, text in enumerate(item.row.chain.steps[:last], 1)
    ]
    total = None if seconds is None else round(1000 * seconds)
    return {"steps": steps, "total_time": total, "finish_reason": finish}


def _prm800k(item: Item, id_: str, who: str, at: datetime | None, label: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id_,
        "labeler": who,
        "timestamp": at.astimezone(UTC).replace(tzinfo=None).isoformat() if at else None,
        "generation": None,
        "is_quality_control_question": item.item.gold,
        "is_initial_screening_question": False,
        "question": _question(item),
        "label": label,
    }


def _question(item: Item) -> dict[str, Any]:
    """What the row that the chain came from says of its question, with the steps that were labelled now."""
    chain, problem = item.row.chain, item.problem.problem
    rows = (at.chain.meta.get("row") for at in (item.row, item.trunk) if at and at.chain.origin in prm800k.ORIGINS)
    raw = next((row for row in rows if row), {})
    asked = copy.deepcopy(raw.get("question", {}))
    given = asked if asked else raw
    text = wording.restore(problem.question, given["problem"]) if "problem" in given else problem.question
    answer = None if item.row.verdict.answer is None else str(item.row.verdict.answer)
    known = {
        "problem": text,
        "ground_truth_solution": problem.solution,
        "ground_truth_answer": problem.answer,
        "pre_generated_steps": list(chain.steps),
        "pre_generated_answer": chain.meta.get("answer", answer),
        "pre_generated_verifier_score": None,
    }
    changed = {"problem": text, "pre_generated_steps": list(chain.steps)}
    return known | asked | changed if asked else known
