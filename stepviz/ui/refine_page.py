"""Refine: a draft beside its refinement, when, where and how, and the ledger of all refinements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from stepviz import jobs
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.refine_spec import NONE
from stepviz.reward.specs import plain
from stepviz.ui import render_head, render_ledger, render_many, render_refine, render_refine_bar
from stepviz.ui.page import Actions, Update, connect, number_in, reply, run_actions, widget
from stepviz.ui.refine_address import FORM, At, parse
from stepviz.ui.servers import reached
from stepviz.ui.status import head_of, stop
from stepviz.ui.view_ledger import Ledger
from stepviz.ui.view_many import many_of, spec_of
from stepviz.ui.view_refine import ROLES, Bar, RefinePage, job_of, page_of, run_of
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/threshold.js", "js/refine.js")


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = Refine(bench)
    nothing = RefinePage(At(), Bar(), Ledger())
    top = widget("top", render_head.waiting("refine"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="refine"):
        bar = widget("rform", '<form class="rbar"></form>', _SCRIPTS)
        view = widget("rview", '<div class="pair" aria-busy="true"></div>', _SCRIPTS)
        ledger = widget("ledger", render_ledger.ledger(nothing), _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "rform": bar, "rview": view, "ledger": ledger, "reply": answer}, page.act)


class Refine:
    """The page's actions. The form travels with them; nothing of a visitor is kept here."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        names = {
            **run_actions(self.bench, lambda at: self.open(at, {})),
            "cancel": self.cancel,
            "open": self.open,
            "look": self.open,
            "list": self.list,
            "refine": self.refine,
            "many": self.many,
            "refine_many": self.refine_many,
            "score": self.score,
            "poll": self.poll,
        }
        self.act = Actions(names, parse)

    def open(self, at: At, sent: Mapping[str, Any]) -> Update:
        """typed: whose model somebody has just named by hand; StepvizError where there is no such one."""
        if sent.get("typed") in ROLES:
            look(plain(getattr(at, str(sent["typed"]))))
        head = head_of(self.bench, "refine")  # before the page, as everywhere: see head_of
        page = page_of(self.bench, at)
        return Update(
            {
                "top": render_head.head(head),
                "rform": render_refine_bar.bar(page),
                "rview": render_refine.view(page),
                "ledger": render_ledger.ledger(page),
            }
        )

    def list(self, at: At, _sent: Mapping[str, Any]) -> Update:
        """The ledger alone: the reader's place in the tables stays."""
        return Update({"ledger": render_ledger.ledger(page_of(self.bench, at))})

    def refine(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Starts the run; what cannot work is said before that."""
        page = self._opened(self._with_form(at, sent))
        reached(getattr(page.bar, role) for role in ROLES)
        spec = job_of(self.bench, page.bar, [page.draft.page.chain], at=page.bar.step)
        return self._started(at, jobs.start(self.bench.store, "refine", spec))

    def many(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The dialog that chooses many drafts, with the estimate of what its form says."""
        page = page_of(self.bench, at)
        return Update(reply=reply("dialog", body=render_many.ask(many_of(self.bench, page, sent))))

    def refine_many(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Starts the run that the dialog describes."""
        chosen = many_of(self.bench, page_of(self.bench, at), sent)
        reached(getattr(chosen.bar, role) for role in ROLES)
        return self._started(at, jobs.start(self.bench.store, "refine", spec_of(self.bench, chosen)))

    def score(self, at: At, _sent: Mapping[str, Any]) -> Update:
        """The draft's steps by both scorers, so that the threshold has something to be drawn over."""
        page = self._opened(at)
        reached((page.bar.orm, page.bar.sorm))
        runs = [
            jobs.start(
                self.bench.store,
                "score",
                {"chains": [page.draft.page.chain], "model": spec, "device": self.bench.device},
            )
            for spec in dict.fromkeys((page.bar.orm, page.bar.sorm))
            if spec != NONE
        ]
        if not runs:
            raise StepvizError("no scorer is chosen: choose an ORM or a SORM in the bar above")
        return self._started(at, runs[-1])

    def cancel(self, at: At, sent: Mapping[str, Any]) -> Update:
        """Over the run that was started here Esc has power, too, over however many drafts it is."""
        run = number_in(sent, "run")
        stop(self.bench, run, by_key="key" in sent and run != at.number("run"))
        return self.open(at, {})

    def poll(self, at: At, sent: Mapping[str, Any]) -> Update:
        """While something runs: its bar; once the run of the address is through, all that it changed."""
        head = head_of(self.bench, "refine")
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        run = run_of(self.bench, at)
        update = self.open(at, sent)
        if run is not None and run.active and (run.total or 1) == 1:
            update.html.pop("ledger")  # of many drafts it grows meanwhile
        return update

    def _opened(self, at: At) -> RefinePage:
        page = page_of(self.bench, at)
        if page.draft is None:
            raise StepvizError("Open a chain first: press r on one in Explore.")
        return page

    def _with_form(self, at: At, sent: Mapping[str, Any]) -> At:
        """As an address that anyone may have written: what the form cannot say is left out."""
        return parse(replace(at, **{name: str(sent.get(name) or "")[:500] for name in FORM if name in sent}).query())

    def _started(self, at: At, run: int) -> Update:
        self.bench.dismissed.discard(run)
        update = self.open(replace(at, run=str(run)), {})
        update.reply = reply("run", str(run))
        return update
