"""What the form of a build keeps of a dataset that is used again: settings that it has no field or entry for.

Several models, a sampling that is not listed, a prompt style. No HTML, no gradio.
"""

from __future__ import annotations

import contextlib
import json

from stepviz.errors import StepvizError
from stepviz.prompt_styles import styled
from stepviz.types import PromptStyle
from stepviz.ui.recipe_words import SELECTION

Choices = tuple[tuple[str, str], ...]  # (value, label)


def kept(name: str, value: str, listed: Choices) -> Choices:
    """One more choice for a value that the list does not have."""
    if not value or value in {v for v, _ in listed}:
        return ()
    if name == "model":
        names = ", ".join(model.partition("@")[0] for model in several(value))
        return ((value, names),)
    if name == "sampling":
        return ((value, value[:8]),)
    if name == "style":
        style = style_in(value)
        return ("", "plain: the question and a newline"), (value, f"{style.name}: {' '.join(style.template.split())}")
    return ()


def several(text: str) -> tuple[str, ...]:
    """One model by its name; several are a JSON list."""
    with contextlib.suppress(ValueError):
        if isinstance(found := json.loads(text), list):
            return tuple(map(str, found))
    return (text,) if text else ()


def style_in(text: str) -> PromptStyle:
    """The style of a JSON text; StepvizError for what is none."""
    try:
        return styled(json.loads(text), "the prompt style")
    except ValueError:
        raise StepvizError(f"“{SELECTION['style'][0]}” is a prompt style's JSON, not {text[:40]!r}.") from None
