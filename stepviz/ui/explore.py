"""Explore: problems → chains → one chain. Layout, and which action changes which pane."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from db.values import ChainRow, ProblemRow
from stepviz.errors import StepvizError
from stepviz.run_report import spelled
from stepviz.ui import (
    actions,
    render_chain,
    render_chains,
    render_dialogs,
    render_doors,
    render_engines,
    render_head,
    render_legend,
    render_scoring,
    scoring,
)
from stepviz.ui.address import Address, parse
from stepviz.ui.engine_choice import asked, asked_tokenizer, name_of, offers, settled, whose
from stepviz.ui.opening import opening_chain, opening_problem
from stepviz.ui.page import Update, connect, no_action, reply, widget
from stepviz.ui.render_engines import Typed
from stepviz.ui.rows import ChainPage, Head, RunLine
from stepviz.ui.servers import reached
from stepviz.ui.status import head_of, run_here
from stepviz.ui.view_chain import chain_page, missing_page, problem_page
from stepviz.ui.view_doors import door_list, door_of, opening
from stepviz.ui.view_measure import SIZES, how_to_measure, next_size
from stepviz.ui.view_studies import study_link
from stepviz.ui.views import chain_list, problem_list
from stepviz.ui.workbench import SAMPLE_N, Workbench

_SCRIPTS = ("js/threshold.js", "js/explore.js")
_WIDGETS = ("top", "find", "problems", "chains", "view", "reply")


def build(bench: Workbench) -> None:
    """The page, inside a Blocks context."""
    explore = Explore(bench)
    top = widget("top", render_head.waiting("explore"), _SCRIPTS, hub=True)
    with gr.Row(elem_id="shell"):
        with gr.Column(elem_id="rail"):
            find = widget("find", render_head.find((), Address(), 0), _SCRIPTS)
            problems = widget("problems", render_head.problems_loading(), _SCRIPTS)
        chains = widget("chains", render_chains.chains_loading(), _SCRIPTS)
        view = widget("view", render_chain.view_loading(), _SCRIPTS)
    answer = widget("reply", "", _SCRIPTS)
    connect(
        bench.store, top, dict(zip(_WIDGETS, (top, find, problems, chains, view, answer), strict=True)), explore.act
    )


@dataclass(frozen=True, slots=True)
class Here:
    """What an address stands for, read once a request."""

    at: Address
    problem: ProblemRow | None
    chain: ChainRow | None
    run: RunLine | None
    bench: Workbench  # with the engine of the address
    missing: str = ""

    @property
    def measuring(self) -> Workbench:
        """With the engine whose rollouts measure the open chain."""
        if self.problem is None:
            return self.bench
        theirs = whose(self.bench, self.problem.id, self.at.by)
        return self.bench.drawn_by(theirs.spec(self.chain), self.at.by_tokenizer or theirs.tokenizer(self.chain))


class Explore:
    """The page's actions. Each takes what the browser sent and says which panes change."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.reads: dict[str, Callable[[Here, Mapping[str, Any]], Update]] = {
            "open": self.open,
            "problem": self.both,
            "chain": self.view,
            "chains": self.chains,
            "find": self.find,
            "poll": self.poll,
            "sampler": self.sampler,
            "measurer": self.measurer,
            "scorers": self.scorers,
            "help": lambda _here, _sent: Update(reply=reply("dialog", body=render_legend.help_sheet())),
        }

    def act(self, sent: Mapping[str, Any], who: str) -> Update:
        name, at = str(sent.get("act", "")), settled(self.bench, parse(str(sent.get("at", ""))))
        if name == "find":
            return self.find(Here(at, None, None, None, self.bench), sent)
        chosen = self.chosen(name, at, sent)
        if chosen != at or sent.get("only"):  # another model: the address says so, and the page is read anew
            if sent.get("only"):
                self.reached(name, self.here(chosen))
            else:
                self.write(name, self.here(chosen), sent, who)
            return Update(reply=reply("done", go=chosen.query()))
        here = self.here(at)
        if name in self.reads:
            return self.reads[name](here, sent)
        if name == "score":
            scorer = scoring.start(here.bench, here.problem, here.chain, sent)
            return Update(reply=reply("done", go=replace(here.at, scorer=scorer).query()))
        if name in actions.DIALOGS:
            return self.dialog(here, actions.DIALOGS[name], sent)
        if name in actions.WRITES:
            return self.after(at, self.write(name, here, sent, who))
        return no_action(name)

    def chosen(self, name: str, at: Address, sent: Mapping[str, Any]) -> Address:
        """The address with the model that a dialog's form names for sampling, or for measuring."""
        if name == "sample" and (spec := asked(sent, "engine")) is not None:
            spec = spec or self.bench.engine
            return settled(self.bench, replace(at, engine=spec, tokenizer=asked_tokenizer(sent, spec)))
        if name == "measure" and (spec := asked(sent, "by")) is not None:
            return replace(at, by=spec, by_tokenizer=asked_tokenizer(sent, spec))
        return at

    def reached(self, name: str, here: Here) -> None:
        """StepvizError where this would draw with a server that does not answer: said now, not by the worker."""
        if name == "sample" or name in actions.MEASURING:
            bench = here.bench if name == "sample" else here.measuring
            reached([bench.engine], bench.sampling.style, bench.tokenizer)

    def write(self, name: str, here: Here, sent: Mapping[str, Any], who: str) -> actions.Done:
        """A run, or a person's decision; whatever continues a chain does so with the model that measures it."""
        self.reached(name, here)
        bench = here.measuring if name in actions.MEASURING else here.bench
        return actions.WRITES[name](bench, here.problem, here.chain, sent, who)

    def here(self, at: Address) -> Here:
        """The address with its defaults: the first problem, its first chain."""
        store, bench = self.bench.store, self.bench.drawn_by(at.engine, at.tokenizer)
        problem = store.problem(at.problem) if at.problem else None
        chain = store.chain(at.chain) if at.chain else None
        if at.problem and problem is None:
            return Here(at, None, None, None, bench, "This problem is not here")
        if at.chain and (chain is None or (problem and chain.chain.problem_id != problem.id)):
            return Here(at, problem, None, None, bench, "This chain is not here")
        of = door_of(at)
        if of is not None and problem is None and chain is None:  # the first chain behind the number, once it is known
            first = opening(bench, of, at)
            if first is None or (chain := store.chain(first.chain)) is None:
                return Here(at, None, None, None, bench)
        if problem is None:
            problem = store.problem(chain.chain.problem_id) if chain else opening_problem(bench, at)
        if problem and chain is None:
            chain = opening_chain(bench, problem.id, at.source)
        at = replace(at, problem=problem.id if problem else "", chain=chain.chain.id if chain else "")
        return Here(at, problem, chain, run_here(bench, problem, chain), bench)

    def open(self, here: Here, _sent: Mapping[str, Any]) -> Update:
        head, here = self.fresh(here)
        update = self.both(here, _sent)
        store = here.bench.store
        update.html |= {
            "top": render_head.head(head),
            "find": render_head.find(tuple(store.sources()), here.at, store.count_problems()),
            "problems": self.problems(here),
        }
        return update

    def fresh(self, here: Here) -> tuple[Head, Here]:
        """The header, and the run that is shown below it read anew, after the header: see head_of."""
        head = head_of(here.bench, "explore")
        return head, replace(here, run=run_here(here.bench, here.problem, here.chain))

    def both(self, here: Here, sent: Mapping[str, Any]) -> Update:
        return Update(self.chains(here, sent).html | self.view(here, sent).html)

    def find(self, here: Here, _sent: Mapping[str, Any]) -> Update:
        return Update({"problems": self.problems(here)})

    def problems(self, here: Here) -> str:
        study = study_link(q=here.at.q, source=here.at.source, result=here.at.result)
        return render_head.problems(problem_list(here.bench, here.at), study)

    def chains(self, here: Here, _sent: Mapping[str, Any]) -> Update:
        if (of := door_of(here.at)) is not None:
            return Update({"chains": render_doors.listed(door_list(here.bench, of, here.at))})
        if here.problem is None:
            return Update({"chains": render_chains.chains(None)})
        busy = bool(here.run and here.run.active and here.run.kind == "sample")
        return Update({"chains": render_chains.chains(chain_list(here.bench, here.at, here.problem, busy))})

    def view(self, here: Here, _sent: Mapping[str, Any]) -> Update:
        if here.problem is None and not here.missing and door_of(here.at) is not None:
            return Update({"view": render_doors.nothing_open()})
        return Update({"view": render_chain.view(self.page(here))})

    def page(self, here: Here, listed: int | None = None) -> ChainPage | None:
        if here.missing:
            return missing_page(here.missing)
        if here.problem is None:
            return None
        if here.chain is None:
            return problem_page(here.bench, here.problem, here.run)
        more = {} if listed is None else {"listed": listed}
        return chain_page(here.bench, here.at, here.problem, here.chain, here.run, **more)

    def poll(self, here: Here, sent: Mapping[str, Any]) -> Update:
        """Only what moved since the browser's last look, so that a quiet poll costs nothing."""
        head, here = self.fresh(here)
        if head.seen == sent.get("seen"):
            return Update(reply=reply("poll"))
        return Update({"top": render_head.head(head)} | self.moved(here, sent).html)

    def moved(self, here: Here, sent: Mapping[str, Any]) -> Update:
        """What a run or a decision changes here. The chains behind a number stay as they were counted until they are
        asked for again: every draw that comes in would have them read anew."""
        return self.view(here, sent) if door_of(here.at) else self.both(here, sent)

    def dialog(self, here: Here, show: actions.Dialog, sent: Mapping[str, Any]) -> Update:
        page = self.page(here, listed=10_000)
        if page is None or not page.chain or here.chain is None:
            return Update().error("Open a chain first.")
        return Update(reply=reply("dialog", body=show(page, here.chain, sent)))

    def sampler(self, here: Here, sent: Mapping[str, Any]) -> Update:
        """Which model to sample with."""
        n = int(text) if (text := str(sent.get("n"))) in ("1", "4", "8", "16", "32", "64") else SAMPLE_N
        how = spelled(here.bench.sampling).capitalize()
        body = render_engines.sampler(offers(self.bench, here.at), here.bench.engine, n, how)
        return Update(reply=reply("dialog", body=body))

    def measurer(self, here: Here, sent: Mapping[str, Any]) -> Update:
        """By which strategy and with whose rollouts to measure; asked again when the form changes."""
        by = here.at.by
        with contextlib.suppress(StepvizError):  # half a name stands in the form: Measure says what is wrong with it
            by = found if (found := asked(sent, "by")) is not None else by
        other_model = by != here.at.by
        here = replace(here, at=replace(here.at, by=by, by_tokenizer="" if other_model else here.at.by_tokenizer))
        page = self.page(here)
        if page is None or not page.chain or here.problem is None or here.chain is None:
            return Update().error("Open a chain first.")
        own = whose(here.bench, here.problem.id).own(here.chain)
        known, drawn = offers(self.bench, here.at, measuring=True), spelled(here.bench.sampling).capitalize()
        same = sent.get("was", by) == by
        size = str(sent.get("n")) if same else ""  # of another model other draws are there
        n = int(size) if size in map(str, SIZES) else next_size([r.value for r in page.rows])
        strategy = str(sent.get("strategy") or "")
        how = how_to_measure(here.measuring, here.problem, here.chain, strategy, n, page.columns)
        typed = Typed(str(sent.get("other") or "")[:500])
        if "tokenizer" in sent and (same or typed.other):
            typed = replace(typed, tokenizer=str(sent["tokenizer"])[:500])
        body = render_engines.measurer(page, known, by, name_of(own.spec) if own else "", drawn, how, typed)
        return Update(reply=reply("dialog", body=body))

    def scorers(self, here: Here, _sent: Mapping[str, Any]) -> Update:
        """Which model to score with."""
        page = self.page(here)
        if page is None or not page.chain or here.problem is None:
            return Update().error("Open a chain first.")
        found = scoring.offered(here.bench.store)
        return Update(reply=reply("dialog", body=render_scoring.ask(page, found, here.problem.n_chains)))

    def after(self, at: Address, done: actions.Done) -> Update:
        """The page as it is after an action: header, panes, and the dialog again where it stays open."""
        here = self.here(replace(at, chain=done.chain) if done.chain else at)
        head, here = self.fresh(here)
        update = self.moved(here, {})
        update.html["top"] = render_head.head(head)
        if done.again and here.chain:
            body = render_dialogs.steps(
                here.chain.chain.text, here.chain.chain.spans, here.chain.chain.rule, here.chain.number
            )
            update.reply = reply("dialog", done.said, body=body)
        else:
            update.reply = reply("done", done.said, go=here.at.query() if done.chain else "")
        return update
