"""Prompt styles by name, or from a JSON file with the fields of stepviz.types.PromptStyle.

`plain` is the embedded student's: the question and a newline. `chat` is what instruction-tuned mathematics models
expect: their own chat template, the system prompt that Qwen2.5-Math's model card gives, steps apart by a blank line.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from stepviz.answers import extract
from stepviz.errors import StepvizError
from stepviz.steps import rule_id
from stepviz.types import PromptStyle

STYLES = {
    "plain": PromptStyle(),
    "chat": PromptStyle(
        name="chat",
        template="{question}",
        chat=True,
        system="Please reason step by step, and put your final answer within \\boxed{}.",
        separator="\n\n",
        step_rule="blank",
    ),
}
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("template", "separator", "step_rule", "answer_rule"), str),
    "chat": bool,
    "system": (str, type(None)),
    "few_shot": list,
    "stop": list,
}


def prompt_style(name: str) -> PromptStyle:
    """The style of a name or of a .json file; StepvizError for one there is not, or with a field it has not."""
    if name in STYLES:
        return STYLES[name]
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        raise StepvizError(f"no prompt style {name!r}; there are {', '.join(STYLES)}, or give a .json file")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StepvizError(f"{path} is not valid JSON: {error}") from None
    return styled(data, path.name, path.stem)


def styled(data: Any, path: str, name: str = "style") -> PromptStyle:
    """The style of these fields, called `name` where they do not say; StepvizError, naming `path`, for a bad one."""
    known = {f.name for f in fields(PromptStyle)}
    if not isinstance(data, dict) or not data.keys() <= known:
        raise StepvizError(f"{path} must be an object with fields out of: {', '.join(sorted(known))}")
    for field, kinds in _KINDS.items():
        if field in data and not isinstance(data[field], kinds):
            raise StepvizError(f"{path}: {field} must not be {json.dumps(data[field])[:60]}")
    try:
        few_shot = tuple((str(q), str(s)) for q, s in data.get("few_shot", ()))
    except (TypeError, ValueError):
        raise StepvizError(f"{path}: few_shot must be a list of pairs [question, solution]") from None
    stop = tuple(str(s) for s in data.get("stop", ()))
    style = PromptStyle(**{**data, "name": str(data.get("name", name)), "few_shot": few_shot, "stop": stop})
    rule_id(style.step_rule)  # refuses a rule there is not
    extract("", style.answer_rule)  # the same for answers
    if style.separator.strip() or not style.separator:
        raise StepvizError(f"{path}: the separator between steps must be white space")
    if "{question}" not in style.template:
        raise StepvizError(f"{path}: the template must contain {{question}}")
    return style
