"""What the browser gets of one's turn at an item, and what it may say about it.

In a blind arm nothing of a model's opinion is in it: not the scores, not the pit, not which arm this is; and in no arm
whether the item is gold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from db.store import Store
from db.study_values import SlotRow, StudyRow
from stepviz.errors import StepvizError
from stepviz.refinement import locate
from stepviz.studies import FINISHES, FLAGS, RATINGS, StudyConfig
from stepviz.types import Annotation

LONGEST_NOTE = 10_000  # characters
MOST_SECONDS = 24 * 3600.0
LONGEST_KEY = 64


def turn(store: Store, study: StudyRow, config: StudyConfig, slot: SlotRow, done: int) -> dict[str, Any]:
    """As JSON. done: items that this person has submitted."""
    row = store.chain(slot.chain_id)
    problem = store.problem(row.chain.problem_id) if row else None
    assert row is not None and problem is not None, slot.chain_id
    shown: dict[str, Any] = {}
    if slot.arm != "blind":
        scores = _scores(store, slot.chain_id, row.chain.n, config.scorer)
        if slot.arm == "scores":
            shown = {"scores": [round(s, 2) for s in scores]}
        elif scores:
            shown = {"pit": locate(scores, config.threshold)}
    return {
        "slot": slot.id,
        "questions": list(config.questions),
        "question": problem.question,
        "steps": [
            {"text": text, "kind": span.kind} for text, span in zip(row.chain.steps, row.chain.spans, strict=True)
        ],
        **said(store, slot),
        "guideline": {
            "text": _guideline(store, study, slot),
            "version": slot.guideline,
            "newest": study.version,
        },
        "lease_s": config.lease_s,
        "done": done,
        **shown,
    }


def said(store: Store, slot: SlotRow) -> dict[str, dict[str, dict[int, Any]]]:
    """What this person says now, in this turn: labels and notes, each question → step → the value, the text."""
    labels: dict[str, dict[int, int | None]] = {}
    notes: dict[str, dict[int, str]] = {}
    for label in store.labels_of_slot(slot.id):
        labels.setdefault(label.question, {})[label.step] = label.value
        if label.note:
            notes.setdefault(label.question, {})[label.step] = label.note
    return {"labels": labels, "notes": notes}


def standing(store: Store, slot: SlotRow) -> dict[str, dict[int, int | None]]:
    """question → step → what this person says now, in this turn."""
    return said(store, slot)["labels"]


def key_in(sent: Mapping[str, Any]) -> str:
    """The browser's own name of a stroke, by which the store knows that it was sent twice; "" without one."""
    key = sent.get("key", "")
    if not isinstance(key, str) or len(key) > LONGEST_KEY:
        raise StepvizError(f"a key has at most {LONGEST_KEY} characters")
    return key


def labels(
    slot: SlotRow, config: StudyConfig, sent: Mapping[str, Any], n: int, known: Mapping[int, int | None]
) -> list[Annotation]:
    """What one stroke says: a rating of a step, "first error here", or the step that decides. n: steps of the chain.

    known: this person's ratings of the steps so far: "first error here" makes the steps before it good that are not
    rated, or unsure, or were wrong; correct and no help (0) is no error.
    StepvizError: the study does not ask this, or it cannot be said.
    """
    question, step, value = str(sent.get("question")), sent.get("step"), sent.get("value")
    note = sent.get("note", "")
    if question not in config.questions:
        raise StepvizError(f"this study does not ask {question[:40]!r}; it asks: {', '.join(config.questions)}")
    if not isinstance(step, int) or isinstance(step, bool) or not 1 <= step <= n:
        raise StepvizError(f"there is no step {str(step)[:20]} here: 1 to {n}")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise StepvizError(f"a note has at most {LONGEST_NOTE:,} characters")

    def one(at: int, rating: int | None, text: str = "") -> Annotation:
        return Annotation(slot.chain_id, slot.annotator, question, at, rating, text)  # type: ignore[arg-type]

    if question == "decides":
        return [Annotation(slot.chain_id, slot.annotator, "decides", 0, step, note)]
    if sent.get("first_error"):
        return [*(one(i, 1) for i in range(1, step) if known.get(i) in (None, -1)), one(step, -1, note)]
    allowed = RATINGS[question]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value not in allowed):
        numbers = ", ".join(str(rating) for rating in allowed if rating is not None)
        raise StepvizError(f"a rating is {numbers}, or none for unsure, not {str(value)[:20]}")
    return [one(step, value, note)]


def ending(sent: Mapping[str, Any]) -> dict[str, Any]:
    """How an item ended, as Store.end_slot takes it. StepvizError for words that PRM800K does not have."""
    finish, seconds, flags = sent.get("finish"), sent.get("seconds"), sent.get("flags", [])
    note = sent.get("note", "")
    if finish not in FINISHES:
        raise StepvizError(f"an item ends as {', '.join(FINISHES)}, not {str(finish)[:40]!r}")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= MOST_SECONDS:
        raise StepvizError("seconds is a number from 0 to a day")
    if not isinstance(flags, Sequence) or isinstance(flags, str) or not set(map(str, flags)) <= set(FLAGS):
        raise StepvizError(f"flags are {', '.join(FLAGS)}")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise StepvizError(f"a note has at most {LONGEST_NOTE:,} characters")
    return {"finish": finish, "seconds": float(seconds), "flags": sorted(set(map(str, flags))), "note": note}


def _scores(store: Store, chain_id: str, n: int, scorer: str) -> tuple[float, ...]:
    found = sorted((s for s in store.scores(chain_id) if s.model_id == scorer), key=lambda s: s.step)
    return tuple(s.score for s in found) if len(found) == n else ()


def _guideline(store: Store, study: StudyRow, slot: SlotRow) -> str:
    """The version that the turn began with."""
    return study.guideline if slot.guideline == study.version else store.guideline(study.id, slot.guideline)
