"""Which column of somebody's table is what: a guess from names and values, which the user corrects.

A column is named by a dotted path ("item.question", "choices.0.text"); a column whose own name has the dots
comes first. A column of chat messages stands for what is asked of it: the question is the last message of the
user before the last of the assistant, the response the last of the assistant.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Columns
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from stepviz.answers import RULES as ANSWER_RULES
from stepviz.errors import StepvizError
from stepviz.steps import RULES, rule_id, segment

LabelKind = Literal["per_step", "right_wrong", "first_error_0", "first_error_1"]

_MOST = 2 / 3  # of a column's values must fit a role; the others are malformed rows, refused one by one

ROLES = ("question", "answer", "solution", "response", "steps", "labels", "pred", "flag", "key", "split", "origin")
_NAMES: dict[str, tuple[str, ...]] = {
    "question": (
        *("question", "problem", "prompt", "query", "instruction", "input", "messages", "conversations"),
        *("question_text", "problem_text", "problem_statement"),
    ),
    "answer": (
        "answer",
        "gold",
        "gt",
        "ground_truth",
        "target",
        "gold_answer",
        "expected_answer",
        "final_answer",
        "label",
    ),
    "solution": ("solution", "gt_cot", "reference_solution", "ground_truth_solution", "rationale", "reference"),
    "response": (
        *("response", "responses", "completion", "completions", "generation", "generations", "output", "outputs"),
        *(
            "reasoning",
            "model_output",
            "prediction",
            "trace",
            "chain",
            "chain_of_thought",
            "cot",
            "samples",
            "messages",
        ),
        *("conversations", "solutions", "model_solution", "text"),
    ),
    "steps": ("steps", "completions", "step_list", "reasoning_steps"),
    "labels": ("labels", "label", "step_labels", "ratings", "first_error", "error_step"),
    "pred": ("pred", "preds", "predicted_answer", "extracted_answer", "model_answer", "prediction"),
    "flag": ("correct", "is_correct", "correctness", "previous_score", "final_answer_correct", "passed"),
    "key": ("id", "key", "idx", "index", "unique_id", "uid", "problem_id", "question_id", "task_id", "doc_id"),
    "split": ("split", "subset", "partition"),
    "origin": ("origin", "model", "generator", "model_name", "model_id", "source_model"),
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """A column's path for each role (None: there is none), and how texts are read.

    response: a text, or a list of texts (one chain each); steps: a list of texts, or a list of such lists.
    labels: a list with a label a step (`per_step`: true/false, PRM800K's 1/0/-1, null; `right_wrong`: 1/0), or
    the index of the first wrong step counted from 0 or from 1 (-1 or null: none). pred: the answer that the file
    read out of the response, for responses that do not state one. flag: whether the file calls it correct.
    """

    question: str | None = None
    answer: str | None = None
    solution: str | None = None
    response: str | None = None
    steps: str | None = None
    labels: str | None = None
    pred: str | None = None
    flag: str | None = None
    key: str | None = None
    split: str | None = None
    origin: str | None = None
    label_kind: LabelKind = "per_step"
    rule: str = "line"
    answer_rule: str = "auto"

    def corrected(self, changes: Columns[str, str | None], columns: Iterable[str] | None = None) -> Mapping:
        """The mapping with the user's changes; "" or None takes a role away. StepvizError for what is not there."""
        known = [field.name for field in fields(self)]
        for name, value in changes.items():
            if name not in known:
                raise StepvizError(f"There is no role {name!r}; the roles are {', '.join(known)}.{_near(name, known)}")
            if columns is not None and name in ROLES and value:
                _check_column(value, list(columns))
        cleaned = {name: value or None for name, value in changes.items() if name in ROLES}
        new = replace(self, **cleaned, **{n: v for n, v in changes.items() if n not in ROLES and v})  # type: ignore[arg-type]
        rule_id(new.rule)
        if new.answer_rule not in ANSWER_RULES:
            raise StepvizError(f"Unknown answer rule {new.answer_rule!r}: choose one of {', '.join(ANSWER_RULES)}.")
        if new.label_kind not in get_args(LabelKind):
            raise StepvizError(
                f"Unknown kind of labels {new.label_kind!r}: choose one of {', '.join(get_args(LabelKind))}."
            )
        return new


def _check_column(path: str, columns: Sequence[str]) -> None:
    if path not in columns and path.split(".")[0] not in columns:
        raise StepvizError(f"There is no column {path!r}; the columns are {', '.join(columns)}.{_near(path, columns)}")


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def value_at(row: Columns[str, Any], path: str) -> Any:
    """The value a dotted path leads to; None where it leads nowhere. JSON text in a cell is looked into."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, str) and value[:1] in ("{", "["):
            value = parsed(value)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def parsed(cell: Any) -> Any:
    """What a CSV's cell holds: a JSON list or object if it is one, else the cell."""
    if isinstance(cell, str) and cell.strip()[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def is_chat(value: Any) -> bool:
    """Whether it is a list of messages, {"role", "content"} or ShareGPT's {"from", "value"}."""
    value = parsed(value)
    return isinstance(value, list) and bool(value) and all(isinstance(m, dict) and _role(m) for m in value)


def _role(message: Columns[str, Any]) -> str | None:
    role = message.get("role", message.get("from"))
    return {"human": "user", "gpt": "assistant"}.get(role, role) if isinstance(role, str) else None


def said(messages: Any, role: str) -> str | None:
    """The last message of the assistant, or the last of the user before it."""
    messages = parsed(messages)
    last = max((i for i, m in enumerate(messages) if _role(m) == "assistant"), default=len(messages))
    among = messages[last : last + 1] if role == "assistant" else messages[:last]
    found = [m.get("content", m.get("value")) for m in among if _role(m) == role]
    return found[-1] if found and isinstance(found[-1], str) else None


def guess_mapping(columns: Sequence[str], sample_rows: Sequence[Columns[str, Any]]) -> Mapping:
    """A mapping from the columns' names and a few rows' values; what it cannot guess stays None."""
    paths = [*columns, *inner_paths(columns, sample_rows)]
    cells = {path: [v for row in sample_rows if not _nothing(v := value_at(row, path))] for path in paths}
    values = {path: [parsed(cell) for cell in found] for path, found in cells.items()}
    found: dict[str, str | None] = {}
    first = ("question", "steps", "response", "labels")  # "label" is a gold answer only where it is no step's label
    for role in (*first, *(role for role in ROLES if role not in first)):
        taken = {path for r, path in found.items() if path and not (r == "question" and role == "response")}
        texts = role in ("answer", "solution", "key", "split", "origin")  # "[3, 4]" in a cell is a text
        found[role] = _best(role, paths, cells if texts else values, taken)
    if found["steps"]:
        found["response"] = None  # the file's own steps are better than steps cut from the text again
    elif found["question"] and found["response"] == found["question"] and not _most(values[found["question"]], is_chat):
        found["response"] = None
    if found["response"] is None and found["steps"] is None:
        found["answer"] = found["answer"] or found["labels"]
        found["labels"] = found["pred"] = found["flag"] = None
    if found["answer"] and not found["solution"] and any("####" in str(v) for v in values[found["answer"]]):
        found["solution"] = found["answer"]  # GSM8K's style: the solution ends with the gold answer
    label_kind = _label_kind(values.get(found["labels"] or "", []))
    return Mapping(**found, label_kind=label_kind, rule=_guess_rule(values.get(found["response"] or "", [])))


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def inner_paths(columns: Sequence[str], rows: Sequence[Columns[str, Any]]) -> list[str]:
    """Paths into columns that hold objects in most rows, one level down."""
    inner: dict[str, None] = {}
    for name in columns:
        values = [value for row in rows if not _nothing(value := parsed(row.get(name)))]
        if _most(values, lambda value: isinstance(value, dict)):
            inner |= {f"{name}.{key}": None for value in values if isinstance(value, dict) for key in value}
    return list(inner)


def _best(role: str, paths: Sequence[str], values: Columns[str, list[Any]], taken: set[str]) -> str | None:
    """The path with the role's best name whose values can play it, but for a few malformed rows."""
    named = [p for name in _NAMES[role] for p in paths if _folded(p) == name and p not in taken and values[p]]
    fitting = {path: sum(_fits(role, v) for v in values[path]) / len(values[path]) for path in named}
    best = next((path for path in named if fitting[path] >= _MOST), None)
    if best is None and role == "question":  # without it nothing comes in, and its name says much
        best = next((path for path in named if fitting[path] > 0), None)
    return best


def _folded(path: str) -> str:
    """A column's own name as `_NAMES` writes it: "item.Gold Answer" → "gold_answer"."""
    return re.sub(r"[\W_]+", "_", path.rsplit(".", 1)[-1]).strip("_").lower()


def _most(values: Sequence[Any], holds: Callable[[Any], bool]) -> bool:
    """Whether it holds for most of the values, of which there is one."""
    return bool(values) and sum(map(holds, values)) >= _MOST * len(values)


def _fits(role: str, value: Any) -> bool:
    """Whether a value can play the role."""
    texts = isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
    if role == "question":
        return isinstance(value, str) or is_chat(value)
    if role == "response":
        return isinstance(value, str) or texts or is_chat(value)
    if role == "steps":
        return texts or (isinstance(value, list) and bool(value) and all(_fits("steps", v) for v in value))
    if role == "labels":
        return (
            type(value) is int or (isinstance(value, str) and value.strip().lstrip("-").isdigit()) or _is_labels(value)
        )
    if role == "flag":
        return (
            isinstance(value, bool)
            or str(value).lower() in ("true", "false")
            or (isinstance(value, list) and all(isinstance(v, bool) for v in value))
        )
    if role == "pred" and isinstance(value, list):
        return all(isinstance(v, str | int | float) for v in value)
    if role in ("answer", "pred"):
        return isinstance(value, str | int | float) and not isinstance(value, bool)
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_labels(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(v is None or isinstance(v, int | float) for v in _flat(value))
    )


def _flat(value: Any) -> list[Any]:
    return [inner for v in value for inner in _flat(v)] if isinstance(value, list) else [value]


def _label_kind(values: Sequence[Any]) -> LabelKind:
    lists = [v for v in values if isinstance(v, list)]
    if 2 * len(lists) >= len(values):
        labels = [label for v in lists for label in _flat(v) if label is None or label in (-1, 0, 1)]
        return "right_wrong" if labels and all(type(label) is int and label >= 0 for label in labels) else "per_step"
    return "first_error_0" if any(str(v).strip() in ("0", "-1") for v in values) else "first_error_1"


def _guess_rule(values: Sequence[Any]) -> str:
    """Blank lines where most responses have them, else numbered steps, else lines; one long line: sentences."""
    texts = [t for v in values for t in _response_texts(v)][:50]
    if not texts:
        return "line"
    for rule in ("blank", "line", "numbered"):
        if sum(len(segment(t, rule, answer_kind=False)) >= 3 for t in texts) * 2 > len(texts):
            return rule
    lines = sum(len(segment(t, "line", answer_kind=False)) >= 2 for t in texts)
    return "line" if lines * 2 > len(texts) or "line" not in RULES else "sentence"


def _response_texts(value: Any) -> list[str]:
    if is_chat(value):
        return [t for t in [said(value, "assistant")] if t]
    return [value] if isinstance(value, str) else [v for v in value if isinstance(v, str)]
