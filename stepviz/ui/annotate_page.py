"""Annotate: an item of a study, step by step, for everybody who signed in.

The page asks nothing of Gradio: its shell is the same for everybody, and turns and labels go through the routes of
annotate_routes, by fetch. So neither the page nor an initial value has anything of a chain in it.
"""

from __future__ import annotations

from stepviz.ui import render_annotate, render_head
from stepviz.ui.page import widget

_SCRIPTS = (
    "js/annotate_outbox.js",
    "js/annotate_draft.js",
    "js/annotate_words.js",
    "js/annotate_item.js",
    "js/annotate.js",
)


def build() -> None:
    """The page, inside its route."""
    widget("top", render_head.annotate(), _SCRIPTS)
    widget("aview", render_annotate.shell(), _SCRIPTS)
