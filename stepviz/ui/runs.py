"""Runs: the list of jobs, polled while one is active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from stepviz import jobs
from stepviz.ui import render_head, render_runs
from stepviz.ui.page import Update, connect, reply, widget
from stepviz.ui.status import head_of, run_line
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/pages.js",)
LISTED = 200


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    runs = Runs(bench)
    top = widget("top", render_head.head(head_of(bench, "runs")), _SCRIPTS, hub=True)
    page = widget("page", '<div class="pagehead"><h1>Runs</h1></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(top, {"top": top, "page": page, "reply": answer}, runs.act)


class Runs:
    """The page's actions."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def act(self, sent: Mapping[str, Any], _who: str) -> Update:
        name, store = sent.get("act"), self.bench.store
        if name == "cancel":
            jobs.cancel(store, int(sent["run"]))
        elif name == "resume":
            jobs.resume(store, int(sent["run"]))
        head = head_of(self.bench, "runs")
        if name == "poll" and head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        return Update({"top": render_head.head(head), "page": self.page(str(sent.get("at", "")))})

    def page(self, query: str) -> str:
        asked = parse_qs(query.removeprefix("?")).get("run", [""])[0]
        opened = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else None
        lines, samplings = [], self.bench.store.samplings()
        for row in self.bench.store.runs(LISTED):
            log = tuple(line for _, line in self.bench.store.log_lines(row.id)) if row.id == opened else ()
            lines.append(run_line(row, log, samplings))
        return render_runs.runs(tuple(lines), opened)
