"""The sheet of `?`: every mark that Explore draws stands there, drawn by the same rules of the same style sheet."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from stepviz.types import Continuation, StepValue
from stepviz.ui import render_chain, render_chains, render_head, render_inspector, render_legend
from stepviz.ui.page import STATIC
from stepviz.ui.rows import (
    AnswerShare,
    Cell,
    ChainLine,
    ChainList,
    ChainPage,
    EquationMark,
    ExactMark,
    Head,
    Label,
    Likely,
    Mark,
    Parent,
    Predicted,
    RunLine,
    Scorer,
    StepRow,
)

SORM, ORM = Scorer("s", "sorm", "a"), Scorer("o", "orm", "b")
FURNITURE = {"ic menu", "ic up", "ic down", "ic x"}  # of buttons, which say what they do


class Drawn(HTMLParser):
    """What a piece of HTML draws: the shape and the colour of each mark, by their classes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.marks: set[str] = set()
        self.feed(html)
        self.marks -= FURNITURE | {"", "row", "crow"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        css = (of.get("class") or "").split()
        graphic = tag in ("i", "path") or set(css) & {"tag", "row", "crow", "hand", "pbar", "ann", "hn", "end-word"}
        if not graphic or "hidden" in of or "hd" in css or set(css) & {"l-val", "l-prd"}:
            return
        css = [c for c in css if c not in ("on", "q")] if tag != "i" else css
        if "row" in css:  # one row may be a measured pit and a predicted one
            self.marks |= {" ".join(c for c in css if c != "ppit"), "row ppit" if "ppit" in css else ""}
        else:
            colours = {c for c in css if tag == "i" and re.fullmatch(r"v[0-8]|u|pit", c)}
            self.marks |= colours | {" ".join(c for c in css if c not in colours)}


def everything() -> str:
    """A chain, its inspector, lines of chains and a header that show all there is to show."""
    pit = (Mark("first pit", "Self-Explore 0/8"),)
    weak = (Mark("first pit", "exact", weak=True),)
    labels = tuple(Label("ana", v, "correct") for v in (1, 0, -1, None))
    predicted = tuple(Predicted(s, 0.4) for s in (SORM, ORM))
    draw = Continuation("p", "x", "m", "s", 0, 0, "and so", "length", 5, None, "unknown")
    ends = (
        AnswerShare("5", "correct", 6),
        AnswerShare("6", "wrong", 2),
        AnswerShare(None, "unknown", 1, unfinished=True),
    )
    equations = (EquationMark(5, True), EquationMark(11, False, "no"))
    rows = [
        StepRow(0, "How many?", value=StepValue(0, 4, 8)),
        StepRow(1, "1+1=2 1+1=3 <<1+1=2>>", value=StepValue(1, 7, 8), score=0.9, equations=equations, gain=0.375),
        StepRow(2, "b", value=StepValue(2, 0, 8), score=0.4, pits=pit, exact=ExactMark(False), labels=labels[:1]),
        StepRow(
            3, "c", value=StepValue(3, 1, 8), score=0.3, pits=weak, exact=ExactMark(False, True), labels=labels[1:3]
        ),
        StepRow(4, "d", value=StepValue(4, 1, 8), score=0.2, exact=ExactMark(True), labels=labels),
        StepRow(5, "e", value=StepValue(5, 2, 8), exact=ExactMark(False, readable=False), labels=labels[3:]),
        StepRow(6, "5", "answer", StepValue(6, 0, 0, terminal="wrong"), endings=ends, continuations=(draw,)),
    ]
    for i, sure in enumerate(("certain", "possible", "needs more"), start=1):
        rows[i] = replace(rows[i], likely=Likely(i, sure, 0.5, 0.9, 0.9, i))
    rows = tuple(replace(r, predicted=predicted) if r.score is not None else r for r in rows)
    page = ChainPage(
        "p", rows, "c", 1, "wrong", columns=(SORM, ORM), scorers=(SORM, ORM), drawn=SORM, predicted_pit=2, selected=6
    )
    alone = replace(page, predicted_pit=4, verdict="correct")
    cells = (*(Cell(k / 8) for k in range(9)), Cell(None), Cell(0.0, True))
    verdicts = ("correct", "wrong", "unknown")
    grown = (None, Parent("0", 1, 2), Parent("0", 1, 2, "local"))
    lines = tuple(ChainLine(str(i), i, v, None, cells, parent=grown[i % 3]) for i, v in enumerate(verdicts))
    heads = (
        Head("explore", "e", state, runs=(RunLine(1, "score", "running", 3, 8),)) for state in ("idle", "on", "bad")
    )
    return "".join(
        (
            render_chain.view(page),
            render_chain.view(alone),
            render_inspector.inspector(page, rows[6]),
            render_chains.chains(ChainList("p", "x", lines, 3, ends, 1)),
            *map(render_head.head, heads),
        )
    )


def test_every_mark_that_explore_draws_stands_in_the_legend():
    drawn, told = Drawn(everything()).marks, Drawn(render_legend.help_sheet()).marks
    assert {"row fault", "row fault weak", "row ppit", "dot end", "ic no inh", "calc", "calc no", "u", "pit"} <= drawn
    assert {
        "tag crit",
        "tag pit",
        "tag pred",
        "crow br",
        "crow rf",
        "hl hz",
        "thr",
        "hand",
        "prd",
        "v0",
        "ring",
    } <= drawn
    assert drawn - told == set()


def test_the_sheet_names_every_key_and_only_those():
    """The browser's table of keys and the sheet's."""
    script = (STATIC / "js" / "explore.js").read_text(encoding="utf-8")
    table = script.split("const KEYS = {")[1].split("\n  };")[0]
    keys = re.compile(r"(?:^|[\s,{])\"?([A-Za-z/\[?,.]+?)\"?: (?:\(\)|press|rail)")
    bound = set(keys.findall(table)) - {"ArrowDown", "ArrowUp"}
    said = {key for names, _ in render_legend.KEYS for key in names.split()}
    assert said == {"Esc" if key == "Escape" else key for key in bound}


def test_one_rule_draws_a_mark_in_the_table_and_in_the_legend():
    """The rules of the marks are for both: no other sheet of Explore gives one of them its look."""
    names = ("marks.css", "chain.css", "explore.css", "shell.css")
    sheets = {name: (STATIC / "css" / name).read_text(encoding="utf-8") for name in names}
    shared = sheets.pop("marks.css").split("/* The legend")[0]
    looks = re.compile(
        r"\.(dot|thr|hl|calc|ppit|fault|weak|strip|ring)(\.\w+)?(::\w+)? \{[^}]*(background|border-top|border):"
    )
    assert {m[1] for m in looks.finditer(shared)} >= {"dot", "hl", "calc", "ppit", "ring"}
    assert [(name, m[0]) for name, rules in sheets.items() for m in looks.finditer(rules)] == []
