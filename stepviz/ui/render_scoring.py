"""The dialog that asks which step reward model is to score which chains."""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.reward.specs import ROLES
from stepviz.ui.render import esc
from stepviz.ui.render_dialogs import dialog
from stepviz.ui.render_scores import estimates
from stepviz.ui.rows import ChainPage, Scorer

_NONE = (
    '<p class="dim">There is none here yet. Name one below, or <a class="link" href="/train">train one</a>: measure '
    "some chains, freeze a dataset of the recipe sorm, and train on it.</p>"
)
_GO = '<button type="submit" class="btn pri">Score</button>'


def ask(v: ChainPage, offered: Sequence[Scorer], chains: int) -> str:
    """Whom to score with, and what."""
    first = next((s for s in offered if v.drawn and s.spec == v.drawn.spec), next(iter(offered), None))
    known = "".join(_offer(s, s == first) for s in offered)
    none = "" if offered else _NONE
    roles = "".join(f'<option value="{role}">{role.upper()}: {esc(what)}</option>' for role, what in ROLES.items())
    scope = "".join(
        f'<label><input type="radio" name="of" value="{value}"{" checked" if value == "all" else ""}>{label}</label>'
        for value, label in (("all", f"All {chains} chains of this problem"), ("this", f"Chain {v.number} only"))
    )
    body = (
        f'<div><span class="lab">Step reward model</span><div class="offers">{known}</div>{none}</div>'
        '<label><span class="lab">Or another: a hub id or a folder, by itself or after hf:, qwen-prm:, '
        "math-shepherd:, lines: or vllm:; a server’s as openai:http://HOST:PORT/v1#MODEL</span>"
        '<input class="field" name="other" maxlength="500" spellcheck="false" '
        'placeholder="Qwen/Qwen2.5-Math-PRM-7B"></label>'
        '<label><span class="lab">What another one estimates</span><select class="field" name="role">'
        f'<option value="">what it says of itself, else whether the step is correct</option>{roles}</select></label>'
        f'<div><span class="lab">Score</span><div class="choice">{scope}</div></div>'
    )
    return dialog("scorers", "Score the steps", body, _GO, act="score")


def _offer(s: Scorer, on: bool) -> str:
    return (
        f'<label><input type="radio" name="model" value="{esc(s.spec)}"{" checked" if on else ""}>'
        f"<span><b>{s.label}</b> {esc(s.name)}<small>{esc(estimates(s))}</small></span></label>"
    )
