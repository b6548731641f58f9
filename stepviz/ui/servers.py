"""Whether a served model answers, asked for a moment where somebody waits for a form.

The worker would ask for longer, and it does one run at a time: an address with a slip in it would hold up everybody's.
Whether vLLM is installed is said here, too: the worker is a process of the same environment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from importlib.util import find_spec

from stepviz.engines.openai_calls import Card, card_of
from stepviz.engines.openai_client import library
from stepviz.engines.server import Served, served
from stepviz.engines.vllm_here import INSTALL
from stepviz.errors import StepvizError
from stepviz.reward.specs import plain
from stepviz.types import PromptStyle

WAIT_S = 4.0


def reached(
    specs: Iterable[str], style: PromptStyle | None = None, tokenizer: str | None = None, *, field: bool = True
) -> None:
    """StepvizError where one of these specs has a server that does not answer in WAIT_S, or does not serve the model,
    or runs on vLLM and there is none. Other specs are not looked at.

    style: how prompts are written, where the model writes; a chat's template is the tokenizer's, so one is needed.
    field: whether the form has a field to name it.
    """
    named = dict.fromkeys(map(plain, specs))
    if any(spec.startswith("vllm:") for spec in named) and find_spec("vllm") is None:
        raise StepvizError(INSTALL)
    for spec in named:
        if not spec.startswith("openai:"):
            continue
        asked = served(spec)
        card = _card(asked)
        if style is not None and style.chat and not tokenizer and not (asked.here and card.root):
            do = f"name the tokenizer of {asked.model}, a hub id or a folder."
            raise StepvizError(
                f"The app’s prompt style {style.name} is a chat’s, whose template {asked.host} does not send: "
                + (do if field else "take a model whose files are on this machine, or a style that is no chat’s.")
            )


def _card(asked: Served) -> Card:
    """The client tries a second time, and waits longer than a person does: its thread is left to end by itself."""
    library()  # slow the first time, and not the server's fault
    found: list[Card | StepvizError] = []

    def ask() -> None:
        try:
            found.append(card_of(asked))
        except StepvizError as error:
            found.append(error)

    asking = threading.Thread(target=ask, daemon=True, name=f"asks {asked.host}")
    asking.start()
    asking.join(WAIT_S)
    if not found:
        raise StepvizError(f"{asked.url} has not answered in {WAIT_S:g} s: is the server running, and is this its URL?")
    if isinstance(found[0], StepvizError):
        raise found[0]
    return found[0]
