"""The Refine page's bar: when, where, how, by whom, and what is seldom changed."""

from __future__ import annotations

from stepviz.model_choices import ModelChoice
from stepviz.refine_spec import HOW, NONE
from stepviz.reward.specs import ROLES
from stepviz.ui.address import Address
from stepviz.ui.render import esc, number
from stepviz.ui.view_compare_form import OWN
from stepviz.ui.view_refine import Bar, RefinePage

_HOW = {"both": "Both", "global": "Global", "local": "Local"}
_HOW_TITLES = {
    "both": "A global and a local refinement",
    "global": "The whole draft anew: [BAD] before its first step",
    "local": "From the flagged step on: [BAD] before it",
}
_NO_FLAG = {"global": "globally instead", "argmin": "from the lowest step", "skip": "skipped if none is flagged"}
_TARGETS = {"": "as its record says", "full": "the full solution", "suffix": "the rest alone"}
_PARTS = {"refiner": "Refiner", "orm": "ORM", "sorm": "SORM"}


def bar(p: RefinePage) -> str:
    """The form above; the browser keeps what is typed in the address."""
    b, chain = p.bar, p.draft.page if p.draft else None
    at = Address(problem=chain.problem, chain=chain.chain).query() if chain else "/"
    title = (
        f'<a class="back" href="/{esc(at)}" title="Show it in Explore"><b>Chain {chain.number}</b>'
        f'<span class="dim">{esc(p.place)}</span></a>'
        if chain
        else "<b>Refine</b>"
    )
    off = bool(b.lacks) or chain is None or b.busy
    go = f'<button type="submit" class="btn pri"{" disabled" if off else ""}>Refine <kbd>r</kbd></button>'
    how = f"{b.lacks.partition(', and give it')[0]}, or on the Train page; then choose it under Models"
    notice = f'<div class="notice"><span>{_commands(_sentence(how))}</span></div>' if b.lacks and chain else ""
    step = f'<input type="hidden" name="step" value="{b.step or 0}">'
    return (
        f'<form class="rbar" data-act="refine" autocomplete="off"><div class="what">{title}</div>'
        f'<div class="parts">{_when(b)}{_where(b)}{_how(b)}{_who(b)}{step}</div>{go}</form>{notice}'
    )


def _when(b: Bar) -> str:
    """The gate, and what it would decide."""
    gates = sorted({0.3, 0.5, 0.7} | ({b.gate} if b.gate is not None else set()))
    options = "".join(
        f'<option value="{value}"{" selected" if on else ""}>{label}</option>'
        for value, label, on in (
            ("always", "always", b.gate is None),
            *((f"{g:g}", f"ORM ≤ {number(g)}", b.gate == g) for g in gates),
        )
    )
    if b.orm == NONE:
        word = "no ORM"
    elif b.when is None:
        word = ""
    else:
        spared = b.gate is not None and b.when > b.gate
        word = f'ORM <b class="prd">{number(b.when)}</b>{" spared" if spared else ""}'
    return (
        '<label class="part"><span class="lab">When</span><select class="field" name="gate" '
        f'title="Refine always, or only what the ORM doubts">{options}</select><span class="say">{word}</span></label>'
    )


def _where(b: Bar) -> str:
    if b.step:
        word = f'step {b.step} by hand <button type="button" class="link" data-act="unstep">undo</button>'
    elif b.sorm == NONE:
        word = "no SORM"
    elif not b.scored:
        word = "not scored yet"
    else:
        word = f"step {b.flagged}" if b.flagged else "no step"
    return (
        '<label class="part"><span class="lab">Where</span><input class="field num" name="t" type="number" min="0" '
        f'max="1" step="0.01" value="{b.threshold:.2f}" title="The first step that the SORM scores at or below this">'
        f'<span class="say where">{word}</span></label>'
    )


def _how(b: Bar) -> str:
    choices = "".join(
        f'<label title="{_HOW_TITLES[how]}"><input type="radio" name="how" value="{how}"'
        f"{' checked' if how == b.how else ''}>{_HOW[how]}</label>"
        for how in HOW
    )
    return f'<div class="part"><span class="lab">How</span><div class="seg" role="radiogroup">{choices}</div></div>'


def _who(b: Bar) -> str:
    fields = "".join(_model(b, role) for role in _PARTS)
    return (
        f'<details class="part who"><summary>Models</summary><div class="pop">{fields}</div></details>'
        f'<details class="part who"><summary>{_summary(b)}</summary><div class="pop">{_more(b)}</div></details>'
    )


def _summary(b: Bar) -> str:
    """What the folded settings say, where it is not the usual."""
    said = [f"{b.samples} samples"] if b.samples > 1 else []
    said += [_NO_FLAG[b.no_flag]] if b.no_flag != "global" else []
    return ", ".join([*said, f"writes {b.target}"] if b.target else said) or "More"


def _more(b: Bar) -> str:
    counts = sorted({1, 2, 4, 8, 16, b.samples})
    return "".join(
        f'<label><span><b>{label}</b><small>{what}</small></span><select class="field" name="{name}">'
        + "".join(f'<option value="{v}"{" selected" if v == on else ""}>{word}</option>' for v, word in options)
        + "</select></label>"
        for label, what, name, on, options in (
            ("Samples", "of each kind: one is greedy, more are drawn at 0.7", "samples", b.samples,
             [(n, n) for n in counts]),
            ("No step flagged", "what is refined locally then", "no_flag", b.no_flag, list(_NO_FLAG.items())),
            ("It writes", "what the refiner was trained to write", "target", b.target, list(_TARGETS.items())),
        )
    )  # fmt: skip


def _model(b: Bar, role: str) -> str:
    chosen = getattr(b, role)
    known = b.choices.get(role, ())
    options = "".join(_option(choice, role, chosen) for choice in known)
    if chosen not in {choice.spec for choice in known} and chosen != NONE:
        options = f'<option value="{esc(chosen)}" selected>{esc(chosen)}</option>{options}'
    if role != "refiner":
        options += f'<option value="{NONE}"{" selected" if chosen == NONE else ""}>none</option>'
    options += f'<option value="{OWN}">another: a folder, a hub id, vLLM, a server …</option>'
    what = "writes the refinements" if role == "refiner" else ROLES[role]
    return (
        f'<label><span><b>{_PARTS[role]}</b><small>{esc(what)}</small></span><select class="field" name="{role}">'
        f'{options}</select><input class="field" name="{role}_own" maxlength="400" aria-label="Spec of the '
        f'{_PARTS[role]}" placeholder="hf:…, vllm:… or openai:URL#MODEL" spellcheck="false" autocomplete="off" hidden>'
        "</label>"
    )


def _option(choice: ModelChoice, role: str, chosen: str) -> str:
    other = f" ({choice.role})" if choice.role != role else ""
    about = f" · {choice.about}" if choice.about else ""
    on = " selected" if choice.spec == chosen else ""
    return f'<option value="{esc(choice.spec)}"{on}>{esc(choice.label)}{esc(other)}{esc(about)}</option>'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def _commands(text: str) -> str:
    """`…` as code."""
    return "".join(f"<code>{esc(part)}</code>" if i % 2 else esc(part) for i, part in enumerate(text.split("`")))
