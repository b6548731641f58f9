"""The dialog that refines many drafts: which, by whom, and what it will cost before it starts."""

from __future__ import annotations

from stepviz.refine_spec import HOW, NONE
from stepviz.ui.engine_choice import name_of
from stepviz.ui.render import esc, number
from stepviz.ui.render_chain import clock
from stepviz.ui.render_dialogs import dialog
from stepviz.ui.view_many import DOUBT, LIMITS, Many, gate_of
from stepviz.ui.views import rounded


def ask(m: Many) -> str:
    """Every change asks the server again, so that the estimate is of what the form says."""
    n = len(m.drafts)
    body = (
        f'<div><span class="lab">Chains</span><div class="choice">{_scope(m)}</div></div>{_where_from(m)}'
        f'<div><span class="lab">Of these</span><div class="choice">{_which(m)}</div></div>'
        f'<div><span class="lab">How, as the bar says</span><p>{_how(m)}</p></div>'
        f'<div class="estimate" role="status">{_estimate(m)}</div>'
    )
    off = " disabled" if m.bar.lacks or not n else ""
    go = f'<button type="submit" class="btn pri"{off}>Refine {n:,} chain{"" if n == 1 else "s"}</button>'
    return dialog("many", "Refine many chains", body, go, act="refine_many")


def _scope(m: Many) -> str:
    options = [("filter", "All problems, or a source")]
    if m.place:
        options.insert(0, ("problem", f"This problem: {m.place}"))
    return _radios("scope", options, m.choice.scope)


def _which(m: Many) -> str:
    gate = number(m.bar.gate if m.bar.gate is not None else DOUBT)
    options = [("wrong", "judged wrong")]
    if m.bar.orm != NONE:
        options.append(("doubted", f"doubted by the ORM (≤ {gate})"))
    return _radios("which", [*options, ("all", "all")], m.choice.which)


def _radios(name: str, options: list[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<label><input type="radio" name="{name}" value="{value}"{" checked" if value == chosen else ""}>'
        f"{esc(label)}</label>"
        for value, label in options
    )


def _where_from(m: Many) -> str:
    c = m.choice
    if c.scope == "problem":
        listed = " and ".join(x for x in (c.answer and f"answer {c.answer}", c.origin and f"origin {c.origin}") if x)
        on = " checked" if c.listed else ""
        return (
            f'<label class="listed"><input type="checkbox" name="listed" value="yes"{on}> Only those that Explore '
            f"listed: {esc(listed)}</label>"
            if listed
            else '<input type="hidden" name="listed" value="yes">'
        )
    sources = _options([("", "Any source"), *((s, f"{s} ({n:,} problems)") for s, n in m.sources)], c.source)
    splits = _options([("", "Any split"), *((s, f"{s} ({n:,})") for s, n in m.splits)], c.split)
    limits = _options([(str(x), f"at most {x:,}") for x in LIMITS], str(c.limit))
    none = "" if m.splits else " disabled"
    return (
        f'<div class="three"><label><span class="lab">Source</span><select class="field" name="source">{sources}'
        f'</select></label><label><span class="lab">Split</span><select class="field" name="split"{none}>{splits}'
        f'</select></label><label><span class="lab">Limit</span><select class="field" name="limit">{limits}</select>'
        "</label></div>"
    )


def _options(options: list[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(label)}</option>'
        for value, label in options
    )


def _how(m: Many) -> str:
    b = m.bar
    ways = {"both": "globally and locally", "global": "globally", "local": "locally"}[b.how]
    each = f" ({b.samples} samples of each)" if b.samples > 1 else ""
    where = (
        f", from the first step that {esc(name_of(b.sorm))} scores at or below {number(b.threshold)}"
        if "local" in HOW[b.how]
        else ""
    )
    gate, ranked = gate_of(m), f"{esc(name_of(b.orm))} keeps the best" if b.orm != NONE else "no ORM ranks them"
    when = f"; what {esc(name_of(b.orm))} scores above {number(gate)} is spared" if gate is not None else ""
    return f"<b>{esc(name_of(b.refiner))}</b> writes each anew {ways}{each}{where}{when}; {ranked}."


def _estimate(m: Many) -> str:
    if m.bar.lacks:
        return f'<p class="bad">{esc(m.bar.lacks)}</p>'
    if not m.drafts:
        return "<p><b>No chain fits.</b> Choose others, or sample some first.</p>"
    cut = " (there are more: raise the limit)" if m.more else ""
    most = "at most " if gate_of(m) is not None else ""
    took = (
        f", about <b>{clock(m.seconds)}</b> at the {m.speed:,.0f} tokens/s of the last one here"
        if m.seconds is not None and m.speed
        else "; how long that takes is told once it runs: nothing was refined with it here yet"
    )
    return (
        f"<p><b>{len(m.drafts):,} draft{'' if len(m.drafts) == 1 else 's'}</b>{cut}, {most}{m.draws:,} refinements, "
        f"≈ {rounded(m.tokens)} tokens{took}.</p>"
        '<p class="dim">What stands in the ledger under the same settings is not done again. You can cancel; what was '
        "finished is kept, and the same click goes on.</p>"
    )
