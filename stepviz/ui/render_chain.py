"""One chain: head, run bar, the step table with its curve. Row 0 is the question and carries V[0]."""

from __future__ import annotations

from stepviz.ui.address import Address
from stepviz.ui.render import ANY_TIME, WILSON, answer, attrs, button, esc, icon, k_of_n, prose, said
from stepviz.ui.render_curve import LINE, NO_LINE, axis, curve, pit_tag
from stepviz.ui.render_inspector import inspector
from stepviz.ui.render_likely import likely_tag
from stepviz.ui.render_scores import cells, estimates, heads
from stepviz.ui.render_voices import heads as voice_heads
from stepviz.ui.render_voices import marks, said_first, widths
from stepviz.ui.rows import ChainPage, ExactMark, Label, RunLine, StepRow

_HINTS = (
    '<div class="hints"><span><kbd>j</kbd><kbd>k</kbd>step</span><span><kbd>J</kbd><kbd>K</kbd>chain</span>'
    "<span><kbd>/</kbd>search</span><span><kbd>[</kbd>problems</span><span><kbd>?</kbd>all keys</span>"
    '<span class="sp"></span>{predicted}'
    '<span class="leg scale"><b>0</b><i class="v0"></i><i class="v2"></i><i class="v4"></i>'
    '<i class="v6"></i><i class="v8"></i><b>1</b></span></div>'
)
DOING = {
    "measure": "Measuring",
    "sample": "Sampling",
    "import": "Importing",
    "continue": "Continuing",
    "branch": "Branching",
    "score": "Scoring",
    "refine": "Refining",
    "compare": "Comparing",
    "dataset": "Building",
    "train": "Training",
}


def view(v: ChainPage | None) -> str:
    """The right pane: a chain, a problem without chains, a wrong address, or nothing yet."""
    if v is None:
        return (
            '<div class="vhead"><h2>Problem</h2></div><div class="empty"><b>Nothing is open</b>'
            "<p>Choose a problem on the left, or bring your own.</p>"
            '<a class="btn" href="/import">Import your own file</a></div>'
        )
    if v.missing:
        return (
            f'<div class="vhead"><h2>Not here</h2></div><div class="empty"><b>{esc(v.missing)}</b>'
            "<p>The address may come from another database, or the problem was never imported here.</p>"
            '<button type="button" class="btn" data-act="home">Show the first problem</button></div>'
        )
    if not v.chain:
        question = prose(v.rows[0].text, v.tex)
        gold = f'<p class="under">Gold answer: {answer(v.gold, v.tex)}</p>' if v.gold is not None else ""
        return (
            f'<div class="vhead" data-problem="{esc(v.problem)}"><h2>Problem</h2></div>{run_bar(v.run)}'
            f'<div class="lone"><div class="body">{question}</div></div>{gold}'
        )
    css = (
        "s" if v.columns else "",
        "p" if any(r.labels for r in v.rows) else "",
        "x" if any(r.exact for r in v.rows) else "",
    )
    rows = "".join(step_row(v, i) for i in range(len(v.rows)))
    notes = "".join(f'<div class="notice"><span>{esc(n)}</span></div>' for n in v.notes)
    whose = f" with {esc(v.measured_by)}" if v.measured_by else ""
    any_time = any(r.sequential and r.value and r.value.n for r in v.rows)
    why, kind = (ANY_TIME, " at any time") if any_time else (WILSON, "")
    by = f'<span class="leg" title="{esc(why)}"><i class="l-val"></i>measured{whose}, 95 %{kind}</span>'
    hints = _HINTS.replace("{predicted}", by + _predicted(v))
    scored = f"--n:{len(v.columns)};--t:{v.threshold:g};" if v.columns else ""
    longest = max(len(f"{r.value.k}/{r.value.n}") if r.value else 0 for r in v.rows)  # of k/n: it sets the column
    sizes = attrs(style=f"{scored}--kn:{longest}{widths(v.voices)}", data_scorer=v.drawn.spec if v.drawn else None)
    return (
        f'{_head(v)}{run_bar(v.run)}{_grown(v)}{_foreign(v)}<div class="work">'
        f'<div class="tab {" ".join(css).strip()}"{sizes} role="grid" aria-label="Steps">{columns(v)}{rows}{notes}'
        f'</div><div class="side" aria-label="Step in focus">{inspector(v, v.rows[v.selected])}</div></div>{hints}'
    )


def _predicted(v: ChainPage) -> str:
    if v.drawn is None:
        return ""
    title = f"{v.drawn.name} {estimates(v.drawn)}"
    return f'<span class="leg" title="{esc(title)}"><i class="l-prd"></i>predicted: {v.drawn.label}</span>'


def _head(v: ChainPage) -> str:
    css = {"correct": "ok", "wrong": "no", "unknown": ""}[v.verdict]
    why = f"{said(v.verdict)}: {v.verdict_reason}" if v.verdict_reason else said(v.verdict)
    verdict = (
        f'<button type="button" class="verdict {css}" data-act="verdict" title="{esc(why)}'
        f'">{icon(v.verdict)}<span class="ans">{answer(v.answer, v.tex)}</span></button>'
    )
    gold = (
        f'<span class="gold">gold {answer(v.gold, v.tex)}</span>'
        if v.gold is not None and v.verdict != "correct"
        else '<span class="gold" hidden></span>'
    )
    facts = (*v.meta, "overridden") if v.overridden else v.meta
    meta = "".join(f"<span>{esc(fact)}</span>" for fact in facts)
    return (
        f'<div class="vhead" data-problem="{esc(v.problem)}" data-chain="{esc(v.chain)}" '
        f'data-selected="{v.selected}"><h2>Chain {v.number}</h2>{verdict}{gold}'
        f'<div class="meta" title="{esc(" · ".join(facts))}">{meta}</div><span class="sp"></span>{_measure(v)}</div>'
    )


def _grown(v: ChainPage) -> str:
    """What the chain grew out of, as a link; of a refinement also its line of the ledger."""
    p = v.parent
    if p is None:
        return '<div class="notice grown" hidden></div>'
    link, (before, after) = Address(problem=v.problem, chain=p.chain).query(), p.said
    of = f'{before.capitalize()} <a href="{esc(link)}" data-chain="{esc(p.chain)}">chain {p.number}</a>'
    title = "When, where and how; the draft beside it"
    ledger = f'<a class="link" href="/refine?refinement={p.line}" title="{title}">In the ledger</a>' if p.line else ""
    return f'<div class="notice grown"><span>{of}{"" if after.startswith(",") else " "}{after}</span>{ledger}</div>'


def _foreign(v: ChainPage) -> str:
    """Said plainly where another model's rollouts measure a chain: V is of one model."""
    if not v.own:
        return '<div class="notice whose" hidden></div>'
    what = (
        f"These values are of <b>{esc(v.measured_by)}</b>, not of the chain’s own model <b>{esc(v.own)}</b>."
        if v.measured_by
        else f"<b>{esc(v.measurer)}</b> has measured nothing here yet. The chain’s own model is <b>{esc(v.own)}</b>."
    )
    own = button("Show its own", "own", kind="sm") if v.by else ""
    return f'<div class="notice whose"><span>{what}</span>{own}</div>'


def _measure(v: ChainPage) -> str:
    steps = button("Steps", "spans", kind="", title="Cut the chain into steps another way")
    steps += button("Score", "scorers", "S", title="A step reward model's score after each step")
    title = "From where it goes wrong, or as a whole; the ORM chooses"
    steps += f'<a class="btn" href="/refine?chain={esc(v.chain)}" title="{title}" data-refine>Refine <kbd>r</kbd></a>'
    if v.blocked:
        return f'{steps}<span class="cost" title="{esc(v.blocked)}">cannot be measured</span>'
    time = "" if v.seconds is None else takes(v.seconds)
    spent, also = esc(v.cost.rpartition(", ")[2]), f'<span class="also"> · {esc(time)}</span>' if time else ""
    whole = ", ".join(part for part in (v.cost, time) if part)
    label, adds, again, kind = "Measure", "", None, "pri"
    title = f"Brings each step to {v.measure_n} continuations of {v.measurer}: {whole}"
    if v.measured:
        label, adds, again, kind = f"Measure {v.measure_n} more", '<span class="also">adds </span>', "yes", ""
        title = f"Adds {v.measure_n} continuations of {v.measurer} to each step: {whole}"
    measure = button(label, "measure", "M", kind, title, **({"again": again} if again else {}))
    other = (
        f'<button type="button" class="btn {kind} caret" data-act="measurer" aria-label="By which strategy, and whose '
        f'rollouts" title="By which strategy, what each will cost, and whose rollouts: {esc(v.measurer)} (w)"></button>'
    )
    return f'<span class="cost num">{adds}{spent}{also}</span>{steps}<span class="split">{measure}{other}</span>'


def run_bar(run: RunLine | None) -> str:
    if run is None:
        return '<div class="run" hidden></div>'
    if not run.active:
        return _ended(run)
    width = round(100 * (run.share or 0))
    stopping = run.state == "cancelling"
    words, key = (f"Cancel all {run.over}", "") if run.over else ("Cancel", "Esc")
    cancel = '<em class="dim">stopping</em>' if stopping else button(words, "cancel", key, kind="sm", run=run.id)
    return (
        f'<div class="run" role="status"><div class="runbar"><i style="width:{width}%"></i></div>'
        f"<span>{progress(run)}</span>{cancel}</div>"
    )


def _ended(run: RunLine) -> str:
    """What the last run here left to say; it can be resumed unless it is done."""
    doing = f"{DOING.get(run.kind, run.kind)} {run.what or 'this'}"
    far = f" after {run.done:,} of {run.total:,} {run.unit}" if run.total else ""
    said = {
        "done": f"{doing} is done, but {run.note}",
        "failed": f"{doing} failed: {run.error}",
        "cancelled": f"{doing} was cancelled{far}. What was finished is kept.",
        "interrupted": f"{doing} was interrupted{far}. What was finished is kept.",
    }[run.state]
    resume = button("Go on", "resume", kind="sm", run=run.id) if run.state != "done" else ""
    return (
        f'<div class="notice{" bad" if run.state == "failed" else ""}" role="status"><span>{esc(said)}</span>{resume}'
        f'<a class="link" href="/runs?run={run.id}">Details</a>'
        f"{button('Dismiss', 'dismiss', kind='sm ghost', run=run.id)}</div>"
    )


def progress(run: RunLine) -> str:
    """`Measuring · 24 of 64 continuations · 2,100 tokens/s · 0:03 left`."""
    doing = DOING.get(run.kind, run.kind)
    if run.state == "queued":
        return f"{esc(doing)}{f' {esc(run.over)}' if run.over else ''} · waiting for the engine"
    parts = [esc(doing)]
    if run.total:
        parts.append(f"<b>{run.done:,} of {run.total:,}</b> {esc(run.unit)}")
    if run.tokens_per_s:
        parts.append(f"{run.tokens_per_s:,.0f} tokens/s")
    if run.eta_s is not None and run.share and run.share < 1:
        parts.append(f"{clock(run.eta_s)} left")
    if run.note:
        parts.append(esc(run.note))
    return " · ".join(parts)


def clock(seconds: float) -> str:
    """0:03, 12:40, 1:02:03."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def takes(seconds: float) -> str:
    """Of what has not begun: "under 1 s", "about 4 s", "about 1:20"."""
    return "under 1 s" if seconds < 1 else f"about {f'{seconds:.0f} s' if seconds < 59.5 else clock(seconds)}"


def columns(v: ChainPage | None) -> str:
    scores = heads(v) if v else ""
    return (
        '<div class="row hd" role="row"><span class="no"></span><span class="tx">step</span>'
        f'<div class="trk">{axis(v.drawn if v else None, v.threshold if v else 0)}</div>'
        f'<span class="mv">measured</span><span class="sc">{scores}</span><span class="hu">people</span>'
        f'<span class="xx">exact</span><span class="ag">{voice_heads(v.voices) if v else ""}</span></div>'
    )


def step_row(v: ChainPage, i: int, text: str = "", kept: bool = False) -> str:
    """`text`: the step as HTML with its differences marked, `kept`: it has none; then there is no inspector."""
    row, before = v.rows[i], v.rows[i - 1] if i else None
    certain = row.likely is not None and row.likely.sure == "certain"
    weak = all(p.weak for p in row.pits)
    fault = "" if not row.pits and not certain else " fault weak" if weak else " fault"
    predicted = " ppit" if i and i == v.predicted_pit else ""
    css = f"row{' q' if i == 0 else ''}{fault}{predicted}{' on' if i == v.selected else ''}{' kept' if kept else ''}"
    body = text or prose(row.text, v.tex, row.equations)
    inspected = "" if text else inspector(v, row)
    exact = exact_mark(row.exact) if i else '<span class="none">·</span>'
    line = LINE if v.drawn else NO_LINE
    return (
        f'<div class="{css}" role="row" data-i="{i}"{attrs(data_score=row.score)} '
        f'aria-selected="{"true" if i == v.selected else "false"}">'
        f'<span class="no">{"Q" if i == 0 else i}</span>'
        f'<div class="tx"><span class="body">{body}</span> {_tags(v, row)}</div>'
        f'<div class="trk"><div>{curve(row, before, line)}</div></div>'
        f'<span class="mv">{k_of_n(row.value, row.sequential)}</span>'
        f'<span class="sc">{cells(row, v.drawn)}</span><span class="hu">{_people(row.labels)}</span>'
        f'<span class="xx">{exact}</span><span class="ag">{marks(v.voices, i)}</span>'
        f'<div class="insp">{inspected}</div></div>'
    )


def _tags(v: ChainPage, row: StepRow) -> str:
    tags = []
    if row.pits:  # one tag where several rules put it here
        who, why = " · ".join(p.evidence for p in row.pits), "\n".join(p.title for p in row.pits)
        tags.append(f'<span class="tag pit" title="{esc(why)}"><b>{esc(row.pits[0].text)}</b>{esc(who)}</span>')
    if row.likely:
        tags.append(likely_tag(row.likely, v))
    if row.gain is not None:
        gain = f"{row.gain:+.2f}".replace("0.", ".", 1)
        tags.append(
            f'<span class="tag crit" title="The largest gain of value: V[i] − V[i−1]"><b>critical</b>GPO {gain}</span>'
        )
    if v.drawn and row.score is not None:
        tags.append(pit_tag(row, v.drawn, v.threshold))
    tags.append(said_first(v.voices, row.number))
    return f'<span class="tags">{"".join(tags)}</span>'


def _people(labels: tuple[Label, ...]) -> str:
    if not labels:
        return '<span class="none">·</span>'
    shown = labels if len(labels) <= 2 else labels[:1]
    rest = f'<span class="hn"> +{len(labels) - len(shown)}</span>' if len(labels) > len(shown) else ""
    return "".join(label_mark(label) for label in shown) + rest


def label_mark(label: Label) -> str:
    css, sign = {1: ("hp", "+"), 0: ("hz", "0"), -1: ("hm", "−")}.get(label.value, ("hz", "?"))
    return f'<i class="hl {css}" title="{esc(label.who)}: {esc(label.question)}">{sign}</i>'


def exact_mark(mark: ExactMark | None) -> str:
    if mark is None:
        return '<span class="none">·</span>'
    if not mark.readable:
        return '<i class="ic unk" role="img" aria-label="unreadable" title="unreadable"></i>'
    faded = "inh" if mark.inherited else ""
    return icon("correct" if mark.correct else "wrong", faded)


def view_loading() -> str:
    widths = (86, 68, 75, 60, 80, 52)
    rows = "".join(
        '<div class="row"><span class="no"><i class="skel" style="--w:10px"></i></span><div class="tx">'
        f'<i class="skel" style="--w:{w}%"></i></div>'
        f'<div class="trk"><div>{curve(StepRow(0, ""), None)}</div></div><span class="mv">'
        '<i class="skel" style="--w:82px"></i></span></div>'
        for w in widths
    )
    return (
        '<div class="vhead"><i class="skel" style="--w:376px"></i></div><div class="work">'
        f'<div class="tab sk x" aria-busy="true">{columns(None)}{rows}</div></div>'
    )
