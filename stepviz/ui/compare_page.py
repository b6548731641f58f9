"""Compare: two models on the same problems, before and after; a training links here with its parent and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from stepviz import jobs
from stepviz.compare_draws import embedded_for
from stepviz.compare_spec import settings_of
from stepviz.errors import StepvizError
from stepviz.ui import render_compare, render_compare_form, render_head
from stepviz.ui.compare_at import SETTINGS, At, parse
from stepviz.ui.page import Actions, Update, connect, reply, run_actions, widget
from stepviz.ui.rows import Head
from stepviz.ui.servers import reached
from stepviz.ui.status import head_of
from stepviz.ui.view_compare import KIND, ComparePage, Comparisons
from stepviz.ui.view_compare_form import CompareForm, filled, sampling_of
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/threshold.js", "js/compare.js")


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page, nothing = Compare(bench), ComparePage(CompareForm(At()))
    top = widget("top", render_head.waiting("compare"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="compare"):
        form = widget("cform", '<form class="build"></form>', _SCRIPTS)
        listed = widget("clist", render_compare_form.comparisons(nothing), _SCRIPTS)
        opened = widget("copen", '<div class="phead"></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "cform": form, "clist": listed, "copen": opened, "reply": answer}, page.act)


class Compare:
    """The page's actions. What is compared and how it is looked at is in the address; nothing of a visitor is kept."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.read = bench, Comparisons(bench)
        names = {
            **run_actions(self.bench, lambda at: self.open(at, {})),
            "open": self.open,
            "look": self.open,
            "start": self.start,
            "world": self.world,
            "poll": self.poll,
        }
        self.act = Actions(names, parse)

    def open(self, at: At, _sent: Mapping[str, Any]) -> Update:
        head, page = head_of(self.bench, "compare"), self.read.page(at)
        return Update({"cform": render_compare_form.form(page.form)} | self._rest(head, page))

    def start(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Starts a run; what cannot work is said before that."""
        typed = {name: str(sent[name])[:500] for name in SETTINGS if name in sent}
        typed |= {side: str(sent[f"{side}_own"])[:500] for side in ("before", "after") if sent.get(f"{side}_own")}
        at = filled(self.bench.store, replace(at, **typed))
        sampling = sampling_of(self.bench, at)
        reached([at.before, at.after], sampling.style, field=False)
        run = jobs.start(self.bench.store, KIND, {**at.asked, "sampling": sampling, "device": self.bench.device})
        update = self.open(at, {})
        update.reply = reply("run", str(run))
        return update

    def world(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The problems of the embedded world that the address asks for, where they are not there yet."""
        settings = settings_of(filled(self.bench.store, at).asked)
        if settings.source != "embedded":
            raise StepvizError("Only the embedded problems can be made here: import the others.")
        embedded_for(self.bench.store, settings)
        return self.open(at, sent)

    def poll(self, at: At, sent: Mapping[str, Any]) -> Update:
        """While something runs: the header, the list, and how far this one is; the form stays as somebody left it."""
        head = head_of(self.bench, "compare")
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        page = self.read.page(at)
        update = Update(self._rest(head, page))
        if not page.form.active:
            update.html["cform"] = render_compare_form.form(page.form)
        return update

    def _rest(self, head: Head, page: ComparePage) -> dict[str, str]:
        """head: read before the page, see head_of."""
        return {
            "top": render_head.head(head),
            "clist": render_compare_form.comparisons(page),
            "copen": render_compare.opened(page),
        }
