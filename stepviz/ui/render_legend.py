"""What `?` opens: the keys, and every mark that Explore draws, drawn by the same functions and the same style sheet."""

from __future__ import annotations

from stepviz.types import StepValue
from stepviz.ui.render import answer, icon, k_of_n, shares
from stepviz.ui.render_chain import exact_mark, label_mark
from stepviz.ui.render_chains import cell
from stepviz.ui.render_curve import LINE, axis, curve
from stepviz.ui.render_dialogs import dialog
from stepviz.ui.render_likely import filled
from stepviz.ui.rows import AnswerShare, Cell, ExactMark, Label, Scorer, StepRow

KEYS = (
    ("j k", "next, previous step"),
    ("J K", "next, previous chain, at the same step"),
    ("N P", "next, previous problem"),
    ("/", "search problems"),
    ("[", "show or hide problems"),
    ("s", "sample more chains"),
    ("M", "measure this chain, or measure on"),
    ("w", "measure by a strategy, or with another model"),
    ("r", "refine this chain"),
    ("m", "32 more from this step"),
    ("c", "continue from this step"),
    ("e", "edit this step and branch"),
    ("S", "score with a step reward model"),
    (", .", "lower, raise the threshold"),
    ("Esc", "close, or cancel what you began here"),
    ("?", "this sheet"),
)
_SORM = Scorer("", "sorm", "a SORM")
Marks = tuple[tuple[str, str], ...]


def help_sheet() -> str:
    keys = "".join(
        f"<div><span>{what}</span><span>{' '.join(f'<kbd>{k}</kbd>' for k in names.split())}</span></div>"
        for names, what in KEYS
    )
    sections = (
        ("The curve", _curve()),
        ("Above a step", _lines()),
        ("Columns", _columns()),
        ("Steps and answers", _texts()),
        ("Strips of chains", _strips()),
        ("Header", _header()),
    )
    legend = "".join(_section(name, marks) for name, marks in sections)
    rule = "<p>Blue is good, vermilion bad, violet predicted. Who speaks is said by shape, not by colour.</p>"
    return dialog("help", "Keys and marks", f'<div class="keys">{keys}</div>{rule}<div id="legend">{legend}</div>')


def _section(name: str, marks: Marks) -> str:
    rows = "".join(f"<dt>{mark}</dt><dd>{what}</dd>" for mark, what in marks)
    return f"<section><h3>{name}</h3><dl>{rows}</dl></section>"


def _track(now: StepRow, before: StepRow | None = None, line: str = "") -> str:
    return f'<div class="trk" style="--t:.5"><div>{curve(now, before, line)}</div></div>'


def _step(k: int, n: int = 8) -> StepRow:
    return StepRow(1, "", value=StepValue(1, k, n))


def _curve() -> Marks:
    end = _track(StepRow(1, "", value=StepValue(1, 0, 0, terminal="wrong")))
    right = _track(StepRow(1, "", value=StepValue(1, 0, 0, terminal="correct")))
    predicted = _track(StepRow(2, "", score=0.3), StepRow(1, "", score=0.8))
    return (
        (
            _track(_step(5)),
            "filled dot, solid line: the value measured after this step; the band: its 95 % interval",
        ),
        (_track(_step(5), _step(4)), "the value moved by less than .25"),
        (_track(_step(7), _step(3)), "it rose by .25 or more"),
        (_track(_step(2), _step(6)), "it fell by .25 or more"),
        (right, "square: the answer is stated here and right (wrong: at 0), so nothing is sampled"),
        (end, "the same of a wrong answer"),
        (predicted, "dashed: what a reward model predicts; its column says what that estimates"),
        (_track(StepRow(1, ""), None, LINE), "the threshold: drag it, or press , and ."),
        (axis(_SORM, 0.5).partition("</div>")[2], "its value: the first score at or below it is the predicted pit"),
        (_track(StepRow(1, "")), "grey lines: 0, .5 and 1"),
    )


def _lines() -> Marks:
    def line(css: str, number: str = "") -> str:
        return f'<span class="row {css}"><span class="no">{number}</span></span>'

    return (
        (line("fault"), "first pit by Self-Explore: from here on no continuation was right"),
        (line("fault weak"), "first pit by GLoRe, by the exact judge or, where it is certain, by the posterior alone"),
        (line("ppit"), "predicted pit: the first score at or below the threshold"),
        (line("fault", "3"), "a red number: the step is somebody's first pit; violet: it is a predicted one"),
        (line("ppit", "3"), "the same, predicted"),
        ('<span class="tag pit"><b>first pit</b>0/8</span>', "whose first pit, with its evidence"),
        ('<span class="tag pred"><b>predicted pit</b></span>', "the predicted pit, with score and threshold"),
        (
            filled("certain", 0.99),
            "where the posterior puts this student’s first pit, filled as far as that is probable; certain: both sides "
            "of the claim are",
        ),
        (filled("possible", 0.7), "not certain, but likelier here than anywhere else together"),
        (filled("needs more", 0.4), "the likeliest place, at less than half; the button draws where it says most"),
        ('<span class="tag crit"><b>critical</b></span>', "◆ GPO's critical step: the largest gain of value"),
    )


def _columns() -> Marks:
    def label(value: int | None) -> str:
        return label_mark(Label("", value, "correct"))

    def exact(correct: bool, inherited: bool = False, readable: bool = True) -> str:
        return exact_mark(ExactMark(correct, inherited, readable))

    return (
        (k_of_n(StepValue(1, 3, 8)), "k right of n continuations, and Wilson’s 95 % interval"),
        (
            k_of_n(StepValue(1, 3, 8), True),
            "dotted: steps differ in n, so it is one that holds however draws were stopped",
        ),
        ('<span class="end-word">wrong</span>', "the answer stands here already"),
        ('<b class="by">.31</b>', "a score; bold: the one whose curve is drawn"),
        (label(1) + label(0) + label(-1) + label(None), "ringed: a person says right, neutral, wrong, unsure"),
        ('<span class="hn">+2</span>', "two more labels: see the step's details"),
        (exact(True) + exact(False), "bare: the exact judge says right, wrong"),
        (exact(False, inherited=True), "faded: follows correctly from an earlier error"),
        (exact(False, readable=False), "the exact judge cannot read the step"),
        ('<span class="none">·</span>', "nothing is known here"),
    )


def _texts() -> Marks:
    share = AnswerShare("", "correct", 1)
    other = AnswerShare("", "wrong", 1)
    cut = AnswerShare(None, "unknown", 1, unfinished=True)
    return (
        ('<i class="calc" role="img" aria-label="a grey tick"></i>', "grey tick: the equation before it holds"),
        ('<i class="calc no" role="img" aria-label="a red cross"></i>', "the equation before it does not hold"),
        ('<span class="ann">&lt;&lt;3*4=12&gt;&gt;</span>', "a calculator note of the text's author"),
        (icon("correct") + icon("wrong") + icon("unknown"), "the answer is right, is wrong, cannot be judged"),
        (shares((share,)), "how many end in the right answer"),
        (shares((other,)), "how many end in another one"),
        (shares((cut,)), "cut off by the token limit before an answer"),
        (answer(None), "no answer was found"),
    )


def _strips() -> Marks:
    def strip(*cells: Cell) -> str:
        return f'<span class="strip">{"".join(map(cell, cells))}</span>'

    scale = "".join(f'<i class="v{i}"></i>' for i in range(9))
    return (
        (f'<span class="scale">{scale}</span>', "colours of values, from none right to all"),
        (strip(*(Cell(k / 8) for k in range(1, 9))), "a cell a step, filled up to its value"),
        (strip(Cell(0.0)), "− value 0: none was right"),
        (strip(Cell(None)), "dashed outline: not measured"),
        (strip(Cell(0.5), Cell(0.0, pit=True)), "▲ first pit by Self-Explore"),
        ('<span class="crow br"><span class="cid">9</span></span>', "↳ branches from another chain"),
        ('<span class="crow rf"><span class="cid">9</span></span>', "↻ refines another chain"),
        ('<span class="pbar"><i style="width:60%"></i></span>', "of a problem: the share of right chains"),
    )


def _header() -> Marks:
    dots = "".join(f'<span class="status"><i class="{state}"></i></span>' for state in ("", "on", "bad"))
    return (
        (dots, "the engine's process: not started, ready or at work, does not start"),
        ('<span class="status"><i class="ring" style="--p:37"></i></span>', "a run, and how much of it is done"),
    )
