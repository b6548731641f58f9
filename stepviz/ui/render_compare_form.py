"""The form of a comparison, what it will take, and the list of those made so far."""

from __future__ import annotations

from stepviz.model_choices import ModelChoice
from stepviz.reward.specs import ROLES
from stepviz.ui.compare_at import ANY
from stepviz.ui.render import attrs, esc
from stepviz.ui.render_chain import clock
from stepviz.ui.render_datasets import commands
from stepviz.ui.render_engines import FORMS
from stepviz.ui.render_train_form import short
from stepviz.ui.view_compare import ComparePage, ComparisonLine
from stepviz.ui.view_compare_form import OWN, CompareForm

_STATES = {"queued": "waiting", "cancelling": "stopping", "running": "drawing", "done": "compared"}
_FORMS = "\n".join(f"{form}: {what}" for form, what in FORMS)
_NUMBERS = (
    ("limit", "Problems", "The first of them, in the order they came in."),
    ("samples", "Samples", "1 is the greedy chain; more are drawn beside it, for pass@n."),
    ("k", "Continuations a step", "V along the greedy chain, and its first pit; 0 measures nothing."),
)


def form(f: CompareForm) -> str:
    """Every field is a part of the address: a change asks for the page at the new one."""
    judges = any(c.spec == f.at.before and c.role in ROLES for c in f.choices)  # they score the chains that are there
    numbers = "".join(_number(f, *n) for n in (_NUMBERS[:1] if judges else _NUMBERS))
    return (
        f'<form class="build" data-act="start" data-address="{esc(f.at.query())}" autocomplete="off">'
        '<div class="scroll"><section><h1>Compare two models</h1><p class="dim">The same problems before and after: '
        "accuracy, values along the chains, and which first pits vanished.</p></section>"
        f"<section><h3>1 · Before</h3>{_model(f, 'before')}</section>"
        f"<section><h3>2 · After</h3>{_model(f, 'after')}</section>"
        f'<section><h3>3 · Problems</h3><div class="two">{_source(f)}{_split(f)}</div></section>'
        f'<section><h3>4 · How much</h3><div class="opts">{numbers}</div></section></div>{_foot(f)}</form>'
    )


def _model(f: CompareForm, side: str) -> str:
    chosen = getattr(f.at, side)
    students = "".join(_option(c, chosen) for c in f.choices if c.role not in ROLES)
    judges = "".join(_option(c, chosen) for c in f.choices if c.role in ROLES)
    options = students + (f'<optgroup label="Judges of steps">{judges}</optgroup>' if judges else "")
    own = f'<option value="{OWN}">another: a folder, a hub id, vLLM, a server …</option>'
    return (
        f'<select class="field" name="{side}" aria-label="Model {side}">{options}{own}</select>'
        f'<input class="field" name="{side}_own" maxlength="400" aria-label="Engine of the model {side}" '
        f'title="{esc(_FORMS)}" placeholder="hf:…, vllm:… or openai:URL#MODEL" spellcheck="false" hidden>'
    )


def _option(c: ModelChoice, chosen: str) -> str:
    words = " · ".join(part for part in (c.label, c.role if c.role in ROLES else "", c.about) if part)
    return f'<option value="{esc(c.spec)}"{" selected" if c.spec == chosen else ""}>{esc(words)}</option>'


def _source(f: CompareForm) -> str:
    return _select("source", f.at.source, (ANY, "Any source"), dict(f.sources))


def _split(f: CompareForm) -> str:
    return _select("split", f.at.split, ("", "Any split"), dict(f.splits))


def _select(name: str, chosen: str, anything: tuple[str, str], known: dict[str, int]) -> str:
    """What the address names is among the choices, whether there is such a one or not."""
    named = known if chosen in (anything[0], *known) else {chosen: 0, **known}
    options = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(value)} ({n:,})</option>'
        for value, n in named.items()
    )
    first = f'<option value="{anything[0]}"{" selected" if chosen == anything[0] else ""}>{anything[1]}</option>'
    return f'<select class="field" name="{name}" aria-label="{name.capitalize()}">{first}{options}</select>'


def _number(f: CompareForm, name: str, label: str, about: str) -> str:
    return (
        f'<label class="number"><span>{label}<small>{about}</small></span>'
        f'<input class="field num" name="{name}" value="{esc(getattr(f.at, name))}" inputmode="numeric" maxlength="8">'
        "</label>"
    )


def _foot(f: CompareForm) -> str:
    said = f'<span class="why">{commands(f.lacks)}</span>' if f.lacks else ""
    notice = f'<div class="notice" role="status">{said}</div>' if said else '<div class="notice" hidden></div>'
    there = f.cost is not None and not f.cost.draws
    kind = "" if f.lacks or f.active or there else "pri"
    label = "Comparing …" if f.active else "Compare"
    off = attrs(disabled="disabled" if f.active or there else None)
    return (
        f'<div class="foot">{notice}<div class="go"><span class="dim num takes">{takes(f)}</span>'
        f'<span class="sp"></span><button type="submit" class="btn {kind}"{off}>{label}</button></div></div>'
    )


def takes(f: CompareForm) -> str:
    """`≈ 3,100 draws · ≈ 210 k tokens · ≈ 2:10`: what is still to be drawn."""
    if f.cost is None:
        return ""
    if not f.cost.draws:
        return "Everything is drawn." if f.cost.unit == "draws" else "Everything is scored."
    about = "" if f.cost.sure else "≈ "
    parts = [f"{about}{f.cost.draws:,} {f.cost.unit}"]
    if not f.cost.tokens:
        return parts[0]
    parts.append(f"≈ {short(f.cost.tokens)} tokens")
    parts.append(f"≈ {clock(f.cost.seconds)}" if f.cost.seconds is not None else "time known once it runs")
    return " · ".join(part.replace(" ", "\u00a0") for part in parts)


def comparisons(page: ComparePage) -> str:
    """Newest first."""
    count = f'<span class="dim num">{len(page.lines):,}</span>' if page.lines else ""
    lines = "".join(map(_line, page.lines))
    nothing = "" if page.lines else '<p class="pad dim">What you compare is listed here.</p>'
    return f'<div class="phead"><h2>Comparisons</h2>{count}</div><div class="dlist" role="list">{lines}{nothing}</div>'


def _line(c: ComparisonLine) -> str:
    run, share = c.run, round(100 * (c.run.share or 0))
    state = f"{share} %" if run.state == "running" else _STATES.get(run.state, run.state)
    css, current = f"drow{' on' if c.on else ''}", attrs(aria_current="true" if c.on else None)
    track = f'<i class="under" style="width:{share}%"></i>' if run.active else ""
    return (
        f'<a class="{css}" role="listitem"{current} href="{esc(c.link)}" data-go><span class="dname">'
        f'<b title="{esc(c.title)}">{esc(c.title)}</b></span><span class="drec">{esc(c.where)}</span>'
        f'<span class="drows state {esc(run.state)}"><i></i>{esc(state)}</span>'
        f'<span class="dhash"></span><span class="dage">{esc(c.age)}</span>{track}</a>'
    )
