"""The dialogs that ask which model samples a problem's chains, and which one measures a chain, by which strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepviz.ui.engine_choice import Offer, is_served
from stepviz.ui.render import attrs, esc
from stepviz.ui.render_chain import takes
from stepviz.ui.render_dialogs import dialog
from stepviz.ui.rows import ChainPage
from stepviz.ui.view_measure import SIZES, HowToMeasure, StrategyOffer
from stepviz.ui.views import rounded

_COUNTS = (1, 4, 8, 16, 32, 64)


FORMS = (  # how an engine is named, and what draws then
    ("hf:Qwen/Qwen2.5-Math-1.5B", "a hub id or a folder of safetensors, by transformers"),
    ("vllm:Qwen/Qwen2.5-Math-7B-Instruct", "the same by vLLM, on a GPU"),
    ("openai:http://127.0.0.1:8000/v1#MODEL", "a server, and which of its models"),
)


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the fields of a dialog that is asked again; tokenizer None: what is known of the chosen model."""

    other: str = ""
    tokenizer: str | None = None


def forms() -> str:
    """Every way to name an engine, for a field that takes any."""
    rows = "".join(f"<dt><code>{esc(form)}</code></dt><dd>{what}</dd>" for form, what in FORMS)
    return f'<dl class="forms">{rows}</dl>'


def _other(offers: Sequence[Offer], chosen: str, typed: Typed) -> str:
    """Any engine, and the tokenizer of a server's model: the browser shows that field where such a one is chosen."""
    served = is_served(typed.other or chosen)
    known = next((o.tokenizer for o in offers if o.spec == chosen and not typed.other), "")
    tokenizer = known if typed.tokenizer is None else typed.tokenizer
    return (
        '<div class="other"><label><span class="lab">Or another engine</span><input class="field" '
        f'name="other" value="{esc(typed.other)}" maxlength="500" spellcheck="false" autocomplete="off" '
        f'placeholder="hf:…, vllm:… or openai:…"></label>{forms()}'
        f'<label class="tokenizer"{"" if served else " hidden"}><span class="lab">Tokenizer of the served model: a hub '
        "id or a folder. A chat style needs it; without it prompts go out as text</span>"
        f'<input class="field" name="tokenizer" value="{esc(tokenizer)}" maxlength="500" spellcheck="false" '
        'autocomplete="off" placeholder="Qwen/Qwen2.5-Math-7B-Instruct"></label></div>'
    )


def _how(sampling: str) -> str:
    loaded = "The worker process loads it for the run; a large one before it is freed first."
    return f'<p class="dim">{esc(sampling)}, as the app was started. {loaded}</p>'


def sampler(offers: Sequence[Offer], chosen: str, n: int, sampling: str) -> str:
    """Who samples from now on, and how many chains now. chosen: a spec; sampling: how all draws are made, in words."""
    known = "".join(_offer("engine", o.spec, o.name, o.about, o.spec == chosen, o.tokenizer) for o in offers)
    counts = "".join(
        f'<label><input type="radio" name="n" value="{c}"{" checked" if c == n else ""}>{c}</label>' for c in _COUNTS
    )
    body = (
        f'<div><span class="lab">Model</span><div class="offers">{known}</div></div>{_other(offers, chosen, Typed())}'
        f'<div><span class="lab">New chains</span><div class="choice">{counts}</div></div>{_how(sampling)}'
    )
    return dialog("sampler", "Sample with", body, _feet("Choose only", "Sample"), act="sample")


def measurer(
    v: ChainPage,
    offers: Sequence[Offer],
    chosen: str,
    own: str,
    sampling: str,
    how: HowToMeasure,
    typed: Typed | None = None,
) -> str:
    """By which strategy, and whose rollouts. chosen: a spec, empty for the chain's own model, whose name is `own`.

    Every change asks the server again, so that what each will take is of what the form says.
    """
    first = (
        _offer("by", "", own, "the chain’s own model: it drew the chain, or the one that this grew out of", not chosen)
        if own
        else _offer("by", "", v.measurer, "no model of this store drew this chain; this one samples", not chosen)
    )
    others = [o for o in offers if o.spec == chosen or o.name != (own or v.measurer)]
    known = "".join(_offer("by", o.spec, o.name, o.about, o.spec == chosen, o.tokenizer) for o in others)
    sizes = "".join(
        f'<label><input type="radio" name="n" value="{n}"{" checked" if n == how.n else ""}>{n}</label>' for n in SIZES
    )
    hidden = f'<input type="hidden" name="was" value="{esc(chosen)}">'
    hidden += f'<input type="hidden" name="scorer" value="{esc(how.scorer)}">' if how.scorer else ""
    strategies = "".join(_strategy(o, o.name == how.strategy) for o in how.offers)
    idle = any(o.why and o.name == how.strategy for o in how.offers) and not (typed and typed.other)
    body = (
        f'<div><span class="lab">By</span><div class="offers">{strategies}</div></div>{hidden}'
        '<div><span class="lab">Continuations of a prefix: exhaustive draws so many, the others at most</span>'
        f'<div class="choice">{sizes}</div></div>'
        f'<div><span class="lab">Rollouts of</span><div class="offers">{first}{known}</div></div>'
        f"{_other(offers, chosen, typed or Typed())}"
        '<p class="dim">A value is one model’s chance to get from here to the right answer. Values of two models are '
        f"kept apart, and shown one at a time.</p>{_how(sampling)}"
    )
    title = f"Measure chain {v.number}"
    return dialog("measurer", title, body, _feet("Show its values", "Measure", idle), act="measure")


def _strategy(o: StrategyOffer, on: bool) -> str:
    draws, about = o.expected.continuations, "" if o.expected.exact else "≈ "
    why = f'<small class="why">{esc(o.why)}</small>' if o.why else ""
    spend = "nothing to draw"
    if not o.why:
        time = "" if o.seconds is None else f" · {takes(o.seconds)}"
        spend = f"{about}{draws:,.0f} draws<small>≈ {rounded(o.expected.tokens)} tokens{time}</small>"
    idle = " data-nothing" if o.why else ""  # the browser holds Measure back while such a one is chosen
    return (
        f'<label><input type="radio" name="strategy" value="{esc(o.name)}"{" checked" if on else ""}{idle}>'
        f'<span class="plain"><b>{esc(o.name)}</b><small>{esc(o.gives)}</small>{why}</span>'
        f'<span class="takes num">{spend}</span></label>'
    )


def _offer(field: str, spec: str, name: str, about: str, on: bool, tokenizer: str = "") -> str:
    served = attrs(data_served=tokenizer if is_served(spec) else None)
    return (
        f'<label><input type="radio" name="{field}" value="{esc(spec)}"{" checked" if on else ""}{served}>'
        f'<span class="plain"><b>{esc(name)}</b><small>{esc(about)}</small></span></label>'
    )


def _feet(choose: str, go: str, idle: bool = False) -> str:
    return (
        f'<button type="submit" class="btn" name="only" value="yes">{choose}</button>'
        f'<button type="submit" class="btn pri"{" disabled" if idle else ""}>{go}</button>'
    )
