"""Runs: the list of jobs, chosen by kind and state, one of them opened; polled while one is active."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

from db.values import RunRow, RunState
from stepviz import jobs, run_report
from stepviz.errors import StepvizError
from stepviz.types import Sampling
from stepviz.ui import render_head, render_runs
from stepviz.ui.page import Update, connect, number_in, reply, widget
from stepviz.ui.rows import RunLine, RunList
from stepviz.ui.status import head_of, run_line
from stepviz.ui.views import place
from stepviz.ui.workbench import Workbench

_SCRIPTS = ("js/pages.js",)
LISTED = 100
CALLED = 10_000  # names that are remembered
_DRAWING = ("sample", "measure", "continue", "branch", "refine")


@dataclass(frozen=True, slots=True)
class At:
    """What the address says: which runs, and which one is opened."""

    run: int | None = None
    kind: str = ""
    state: str = ""
    skip: int = 0

    def query(self) -> str:
        pairs = {"kind": self.kind, "state": self.state, "skip": self.skip or "", "run": self.run or ""}
        kept = {name: value for name, value in pairs.items() if value}
        return "?" + urlencode(kept) if kept else ""


def at_of(query: str) -> At:
    """Written by anyone: what cannot be used is left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:2000]))
    numbers = {
        name: int(text)
        for name in ("run", "skip")
        if (text := given.get(name, "")).isascii() and text.isdigit() and len(text) < 12
    }
    state = given.get("state", "")
    return At(kind=given.get("kind", "")[:40], state=state if state in get_args(RunState) else "", **numbers)


def build(bench: Workbench) -> None:
    """The page, inside its route."""
    runs = Runs(bench)
    top = widget("top", render_head.waiting("runs"), _SCRIPTS, hub=True)
    page = widget("page", '<div class="pagehead"><h1>Runs</h1></div>', _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(bench.store, top, {"top": top, "page": page, "reply": answer}, runs.act)


class Runs:
    """The page's actions."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.called: dict[str, str] = {}  # chains and problems by id, whose names do not change

    def act(self, sent: Mapping[str, Any], _who: str) -> Update:
        name, store = sent.get("act"), self.bench.store
        if name == "cancel":
            jobs.cancel(store, number_in(sent, "run"))
        elif name == "resume":
            jobs.resume(store, number_in(sent, "run"))
        head = head_of(self.bench, "runs")
        if name == "poll" and head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        return Update({"top": render_head.head(head), "page": self.page(str(sent.get("at", "")))})

    def page(self, query: str) -> str:
        store, at = self.bench.store, at_of(query)
        kinds, samplings = store.run_kinds(), store.samplings()
        chosen: dict[str, Any] = {"kind": at.kind or None, "state": at.state or None}
        rows = store.runs(LISTED, offset=at.skip, **chosen)
        opened = self._opened(at.run, samplings)
        listed = tuple(run_line(row, samplings=samplings, about=self._about(row)) for row in rows)
        found = RunList(listed, store.count_runs(**chosen), at.skip, LISTED, tuple(kinds), at.kind, at.state, opened)
        return render_runs.runs(found, lambda **changed: "/runs" + replace(at, **changed).query())

    def _opened(self, id: int | None, samplings: Mapping[str, Sampling]) -> RunLine | None:
        """With its log, its cost and where its results are; None for one that is not there."""
        store = self.bench.store
        try:
            row = store.run(id) if id is not None else None
        except StepvizError:
            return None
        if row is None:
            return None
        log = tuple(run_report.printable(text) for _, text in store.log_lines(row.id))
        line = run_line(row, log, samplings, self._about(row))
        results, more = run_report.results_of(store, row)
        return replace(line, facts=facts(row), results=tuple((r.label, r.address) for r in results), more=more)

    def _about(self, row: RunRow) -> tuple[str, str]:
        """What the one chain or problem is called, and its address; ("", "") where there are several, or none."""
        name, ids = run_report.scope_of(row.spec)
        if len(ids) != 1:
            return "", ""
        called = self.called.get(ids[0]) or self._name(name, ids[0])
        if not called:
            return "", ""
        if len(self.called) >= CALLED:
            self.called.clear()
        self.called[ids[0]] = called
        return called, "/?" + urlencode({name: ids[0]})

    def _name(self, name: str, id: str) -> str:
        """`chain 3 of gsm8k test/12`; empty for one that is not in this store."""
        store = self.bench.store
        chain = store.chain(id) if name == "chain" else None
        problem = store.problem(chain.chain.problem_id if chain else id)
        if problem is None:
            return ""
        return f"chain {chain.number} of {place(problem)}" if chain else place(problem)


def facts(row: RunRow) -> tuple[tuple[str, str], ...]:
    """Its cost and its times, as far as they are known."""
    cost = run_report.cost_of(row)
    tokens = (("tokens sampled", cost.sampled), ("tokens read", cost.read), ("tokens trained on", cost.trained))
    drew = row.kind.removesuffix(" many") in _DRAWING  # of these 0 is an answer: everything was there
    found = [(f"{n:,}", name) for name, n in tokens if n or (drew and n is not None)]
    if cost.per_second:
        found.append((f"{cost.per_second:,.0f}", "tokens a second"))
    if cost.seconds is not None:
        found.append((run_report.lasting(cost.seconds), "at work"))
    found.append((_clock(row.created_at), "asked for"))
    if row.finished_at:
        found.append((_clock(row.finished_at), "ended"))
    return tuple(found)


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%d %b %H:%M:%S")
