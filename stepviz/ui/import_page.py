"""Import: choose a file, correct the guess, see what its rows would become, bring them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.ui import render_head, render_import
from stepviz.ui.page import Update, connect, reply, widget
from stepviz.ui.status import head_of, run_line
from stepviz.ui.view_import import ImportForm, form_of, import_result, import_spec, preview_of, run_in
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/pages.js",)
_FIRST = ImportForm()


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    page = ImportPage(bench)
    top = widget("top", render_head.waiting("import"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="importing"):
        form = widget("form", render_import.form(_FIRST), _SCRIPTS)
        preview = widget("preview", render_import.preview(_FIRST, preview_of(_FIRST)), _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "form": form, "preview": preview, "reply": answer}, page.act)


class ImportPage:
    """The page's actions. What the form says travels with each of them; nothing is kept here."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def act(self, sent: Mapping[str, Any], _who: str) -> Update:
        name, store, run = sent.get("act"), self.bench.store, run_in(str(sent.get("at", "")))
        if name == "look":
            return self.look(sent)
        if name == "import":
            form = self.form(sent)
            if not form.name or form.error:
                raise StepvizError(form.error or "Choose a file first.")
            run = jobs.start(store, "import", import_spec(form))
            return self.report(run, {"kind": "run", "text": str(run)})
        if name in ("cancel", "resume"):
            run = int(sent["run"])
            jobs.cancel(store, run) if name == "cancel" else jobs.resume(store, run)
        head = head_of(self.bench, "import")
        if name == "poll" and head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        if run is not None and store.run(run).kind == "import":
            return self.report(run)
        return Update({"top": render_head.head(head)})

    def form(self, sent: Mapping[str, Any]) -> ImportForm:
        """Roles count only while the file and the format are the ones they were guessed for."""
        fresh = sent.get("changed") == "format" or "question" not in sent
        changes = {} if fresh else {name: str(value) for name, value in sent.items()}
        typed, uploaded = str(sent.get("typed", "")), sent.get("uploaded") == "yes"
        path = typed or str(sent.get("file", ""))
        return form_of(path, str(sent.get("format", "")), changes, uploaded and not typed)

    def look(self, sent: Mapping[str, Any]) -> Update:
        form = self.form(sent)
        return Update({"form": render_import.form(form), "preview": render_import.preview(form, preview_of(form))})

    def report(self, run: int, say: Mapping[str, str] | None = None) -> Update:
        head = render_head.head(head_of(self.bench, "import"))
        row = self.bench.store.run(run)
        html = render_import.report(run_line(row), import_result(row, self.bench.store.log_lines(run)))
        return Update({"preview": html, "top": head}, reply(**say) if say else "")
