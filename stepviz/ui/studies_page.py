"""Studies: make one, see how far its people are, settle what they disagree about. For admins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from db.study_values import StudyRow
from stepviz.adjudication import settled
from stepviz.errors import StepvizError
from stepviz.studies import stored
from stepviz.study_make import checked_guideline, checked_name
from stepviz.study_read import Summaries
from stepviz.ui import render_head, render_studies, render_studies_form, render_studies_item
from stepviz.ui.page import Actions, Update, connect, number_in, reply, run_actions, widget
from stepviz.ui.status import head_of
from stepviz.ui.view_studies import At, StudiesPage, StudyList, left_open, next_conflict, open_study, page_of, parse
from stepviz.ui.view_study_form import StudyForm, form_of, values_of
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/form.js", "js/studies.js")
Write = Callable[[At, Mapping[str, Any], str], Update]  # (address, what the browser sent, who signed in)


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = Studies(bench)
    top = widget("top", render_head.waiting("studies"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="studies"):
        form = widget("sform", '<form class="build"></form>', _SCRIPTS)
        listed = widget("slist", render_studies.studies(StudyList(())), _SCRIPTS)
        opened = widget("sopen", '<div class="phead"></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "sform": form, "slist": listed, "sopen": opened, "reply": answer}, page.act)


class Studies:
    """The page's actions. The form travels with each of them; nothing of a visitor is kept here."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.known = bench, Summaries(bench.store)
        self.writes: dict[str, Write] = {
            "create": self.create,
            "close_study": self.close,
            "open_study": self.reopen,
            "revise": self.revise,
            "settle": self.settle,
            "unsettle": self.unsettle,
        }
        self.reads = Actions(
            {
                **run_actions(bench, lambda at: Update(self._rest(at))),
                "open": self.open,
                "look": self.look,
                "form": self.form,
                "guideline": self.guideline,
                "poll": self.poll,
            },
            parse,
        )

    def act(self, sent: Mapping[str, Any], who: str) -> Update:
        """who: as the server knows it; what the browser says of that is not looked at."""
        write = self.writes.get(str(sent.get("act", "")))
        return write(parse(str(sent.get("at", ""))), sent, who) if write else self.reads(sent, who)

    def open(self, at: At, sent: Mapping[str, Any]) -> Update:
        """The whole page; the form with the filter that the address carries."""
        return Update({"sform": self._form(form_of(self.bench.store, {**dict(at.filter), **sent}))} | self._rest(at))

    def look(self, at: At, _sent: Mapping[str, Any]) -> Update:
        """List and study; the form stays as somebody left it."""
        return Update(self._rest(at))

    def form(self, _at: At, sent: Mapping[str, Any]) -> Update:
        return Update({"sform": self._form(form_of(self.bench.store, sent))})

    def create(self, at: At, sent: Mapping[str, Any], who: str) -> Update:
        """Makes it, or says at each field what is wrong with it; what was typed stays."""
        store = self.bench.store
        form = form_of(store, sent, whole=True)
        plan = form.plan
        if form.errors or plan is None:
            n = len(form.errors)
            where = "one field" if n == 1 else f"{n} fields"
            return Update({"sform": self._form(form)}).error(f"No study was made. What is wrong stands at {where}.")
        config = {**plan.config.told(), "gold_by": plan.gold_by}
        id_ = store.add_study(checked_name(plan.name), config, plan.guideline, plan.items, who)
        update = Update(self._rest(At(study=id_)), reply("run", str(id_)))
        kept = {**values_of(sent), "name": "", "serial": form.serial}
        update.html["sform"] = self._form(form_of(store, kept))
        return update

    def close(self, at: At, sent: Mapping[str, Any], _who: str) -> Update:
        return self._turned(at, sent, False)

    def reopen(self, at: At, sent: Mapping[str, Any], _who: str) -> Update:
        return self._turned(at, sent, True)

    def _turned(self, at: At, sent: Mapping[str, Any], is_open: bool) -> Update:
        row = self._study(sent)
        self.bench.store.open_study(row.id, is_open)
        said = f"{row.name} is open: its items are offered again." if is_open else f"{row.name} is closed; labels stay."
        return Update(self._rest(at), reply("toast", said))

    def guideline(self, _at: At, sent: Mapping[str, Any]) -> Update:
        body = render_studies_item.revise(open_study(self.known, self._study(sent)))
        return Update(reply=reply("dialog", body=body))

    def revise(self, at: At, sent: Mapping[str, Any], who: str) -> Update:
        row = self._study(sent)
        text = checked_guideline(str(sent.get("text") or "").replace("\r\n", "\n"))
        version = self.bench.store.revise_guideline(row.id, text, who)
        return Update(self._rest(at), reply("done", f"{row.name} has guideline {version}."))

    def settle(self, _at: At, sent: Mapping[str, Any], who: str) -> Update:
        """Rows of the study's own annotator beside the people's; then the next conflict that is open."""
        store, row, item = self.bench.store, self._study(sent), number_in(sent, "item")
        found = next((x for x in store.items(row.id) if x.id == item), None)
        if found is None:
            raise StepvizError("This item is not of this study.")
        note = str(sent.get("note") or "").replace("\r\n", "\n")
        labels = settled(sent, stored(row.config).questions, found.n, note)
        left = left_open(self.known, row, item, labels)
        store.settle(row.id, found.chain_id, labels, who)
        on = next_conflict(self.known, row, item)
        at, said = (item, "Settled: it was the last one.") if on is None else (on, "Settled.")
        said += f" Item {found.position + 1} is left open at {left}." if left else ""
        return Update(reply=reply("done", said, go=f"?study={row.id}&item={at}"))

    def unsettle(self, _at: At, sent: Mapping[str, Any], who: str) -> Update:
        store, row, item = self.bench.store, self._study(sent), number_in(sent, "item")
        found = next((x for x in store.items(row.id) if x.id == item), None)
        if found is None:
            raise StepvizError("This item is not of this study.")
        store.unsettle(row.id, found.chain_id, who)
        return Update(self._rest(At(row.id, item)), reply("toast", "Taken back."))

    def poll(self, _at: At, sent: Mapping[str, Any]) -> Update:
        """The header while something runs; how far people are, the browser asks for by itself."""
        head = head_of(self.bench, "studies")
        return Update(reply=reply("poll")) if head.seen == sent.get("seen") else Update({"top": render_head.head(head)})

    def _study(self, sent: Mapping[str, Any]) -> StudyRow:
        row = next(iter(self.bench.store.studies(number_in(sent, "study"))), None)
        if row is None:
            raise StepvizError("This study is not here: reload the page.")
        return row

    def _form(self, form: StudyForm) -> str:
        return render_studies_form.form(form)

    def _rest(self, at: At) -> dict[str, str]:
        head, page = head_of(self.bench, "studies"), page_of(self.known, at)
        return {
            "top": render_head.head(head),
            "slist": render_studies.studies(page.list),
            "sopen": self._opened(page),
        }

    def _opened(self, page: StudiesPage) -> str:
        return render_studies_item.item(page.item) if page.item else render_studies.opened(page)
