"""Agreement: two judges of steps held against each other, and from every number a door to its chains in Explore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from stepviz.ui import (
    render_agreement,
    render_agreement_form,
    render_agreement_parts,
    render_agreement_scores,
    render_head,
)
from stepviz.ui.agreement_at import At, parse
from stepviz.ui.agreement_plots import PLOTS
from stepviz.ui.hearing import STOPPED
from stepviz.ui.page import Actions, Update, connect, reply, widget
from stepviz.ui.render import attrs
from stepviz.ui.rows import Head
from stepviz.ui.status import head_of
from stepviz.ui.view_agreement import AgreementPage, Agreements
from stepviz.ui.view_agreement_form import Form, form_of
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/agreement.js",)
FORMS = 20  # that are kept, of pages that wait


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = Agreement(bench)
    top = widget("top", render_head.waiting("agreement"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="agreement"):
        form = widget("aform", render_agreement_form.form(Form(At())), _SCRIPTS)
        with gr.Column(elem_id="apane"):
            report = widget("areport", render_agreement.loading(), _SCRIPTS)
            plots = {}
            with gr.Row(elem_id="aplots"):
                for name in PLOTS:
                    with gr.Column(elem_classes=["aplot"]):
                        widget(f"acap-{name}", render_agreement_scores.caption(name), _SCRIPTS)
                        plots[name] = gr.Plot(show_label=False, container=False, elem_id=f"aplot-{name}")
            more = widget("amore", "", _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(
        bench.store,
        top,
        {"top": top, "aform": form, "areport": report, **plots, "amore": more, "reply": answer},
        page.act,
    )


class Agreement:
    """The page's actions. Who is compared is in the address; what is computed is shared by all who ask the same."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.read = bench, Agreements(bench.store)
        self.forms: dict[At, Form] = {}
        names = {
            "open": self.open,
            "look": self.open,
            "watch": self.watch,
            "stop": self.stop,
            "calibrate": self.calibrate,
            "poll": self.poll,
        }
        self.act = Actions(names, parse)

    def open(self, at: At, sent: Mapping[str, Any]) -> Update:
        head, page = head_of(self.bench, "agreement"), self.read.page(at)
        while len(self.forms) >= FORMS:
            self.forms.pop(next(iter(self.forms)))
        self.forms[page.at] = page.form
        return Update(
            self._head(head) | {"aform": _of(sent) + render_agreement_form.form(page.form)} | self._rest(page, sent)
        )

    def watch(self, at: At, sent: Mapping[str, Any]) -> Update:
        """While something is computed: how far it is, or what came of it; the form stays as somebody left it."""
        form = self.forms.get(at)  # it counts all labels and scores, and this is asked twice a second
        return Update(self._rest(self.read.page(at, form=form), sent))

    def stop(self, at: At, sent: Mapping[str, Any]) -> Update:
        self.read.hearing.stop(str(sent.get("job", ""))[:1000])
        form = form_of(self.bench.store, at)
        return Update(self._rest(AgreementPage(form, STOPPED), sent))

    def calibrate(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Learns how a scorer's numbers are to be read as chances, and saves it with the model."""
        at = form_of(self.bench.store, at).at
        words = (str(sent.get(name, ""))[:500] for name in ("model", "on", "kind"))
        said = self.read.calibrate(at, *words)
        update = self.open(at, sent)
        update.reply = reply("toast", said)
        return update

    def poll(self, _at: At, sent: Mapping[str, Any]) -> Update:
        """The header alone: numbers stay as they were asked for while runs go on."""
        head = head_of(self.bench, "agreement")
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        return Update(self._head(head), reply("poll"))

    def _head(self, head: Head) -> dict[str, Any]:
        return {"top": render_head.head(head)}

    def _rest(self, page: AgreementPage, sent: Mapping[str, Any]) -> dict[str, Any]:
        figures = render_agreement_scores.figures(page)
        return {
            "areport": _of(sent) + render_agreement.report(page) + render_agreement_scores.scores(page),
            **{name: figures.get(name) for name in PLOTS},
            "amore": render_agreement_parts.more(page),
        }


def _of(sent: Mapping[str, Any]) -> str:
    """Which address this answers: answers may overtake each other, and the browser asks again where one is late."""
    return f"<i hidden{attrs(data_asked=str(sent.get('at', ''))[:4000])}></i>"
