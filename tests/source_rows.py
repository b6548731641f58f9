"""A good row of each public format, made up here, and the one way to ask which row was refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepviz import sources
from stepviz.types import Refusal, SourceItem

GOOD = {"question": "How much is 2 + 3?", "answer": "2 + 3 = 5\n#### 5"}
LABELLED = {
    "id": "q-0",
    "generator": "m",
    "problem": "How much is 2 + 3?",
    "steps": ["2 + 3 = 6", "The answer is 6."],
    "final_answer_correct": False,
    "label": 0,
}
TAUGHT = {
    "problem": "How much is 2 + 3?",
    "reference_solution": "2 + 3 = 5\n 5",
    "student_incorrect_solution": ["2 + 3 = 6", " 6"],
    "incorrect_index": 0,
    "incorrect_step": "2 + 3 = 6",
}
TREE = {
    "id": "t-0",
    "problem": "How much is 2 + 3?",
    "steps": [{"candidates": [{"text": "2 + 3 = 5", "rating": 1}], "chosen": 0, "human": None}],
}
SAMPLES = {
    "question": "How much is 2 + 3?",
    "ground_truth": "2 + 3 = 5\nA: 5",
    "6b_finetuning": {"is_correct": True, "solution": "2 + 3 = 5\nA: 5"},
}
CHOICE = {"question": "2 + 3?", "options": ["A)4", "B)5"], "rationale": "", "correct": "B"}
SHEPHERD = {"input": "Q? Step 1: a ки", "label": "Q? Step 1: a +", "task": "t"}
STEPWISE = {"prompt": "Q?", "completions": ["a"], "labels": [True]}
SUM = {"ID": "c", "Body": "Ann has 3 pens.", "Question": "How many?", "Answer": 3.0}
BOXED = {"problem": "2 + 3?", "solution": "\\boxed{5}", "answer": "5"}


def lines(path: Path, *raw: Any) -> Path:
    path.write_bytes(b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in raw))
    return path


def refused(name: str, path: Path) -> Refusal:
    """The only refusal; the good rows around it came in."""
    found = list(sources.read(name, path))
    (refusal,) = [entry for entry in found if isinstance(entry, Refusal)]
    assert sum(isinstance(entry, SourceItem) for entry in found) == len(found) - 1 >= 1
    assert refusal.file == str(path)
    return refusal
