"""A scorer's numbers on the Agreement page: ranks, calibration before and after, the bins, and the plots' data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradio.components.plot import PlotData

from stepviz.agreement.recalibration import KINDS
from stepviz.agreement.tables import Number
from stepviz.ui import agreement_plots
from stepviz.ui.agreement_plots import CAPTIONS
from stepviz.ui.render import esc
from stepviz.ui.render_agreement_form import short
from stepviz.ui.render_agreement_numbers import NAMES, door, reasons_of, value, written
from stepviz.ui.view_agreement import AgreementPage, Told

_KINDS = {"isotonic": "isotonic: any shape", "temperature": "temperature: one number, for few labels"}
_AT = ("accuracy", "balanced", "precision", "recall", "f1", "kappa", "flagged")
_OF = {"precision": ("hits", "flagged"), "recall": ("hits", "errors"), "flagged": ("flagged", "")}
_WORDS = {
    "accuracy": "equal labels", "f1": "F1 of errors", "flagged": "at or below the threshold", "kappa": "Cohen’s κ",
    "balanced": "balanced accuracy", "precision": "precision", "recall": "recall",
}  # fmt: skip


def scores(page: AgreementPage) -> str:
    """Beneath the report, above the plots; its head says whether there are plots at all."""
    told = page.told
    if not isinstance(told, Told) or not told.compared.scores:
        return '<section class="facts scored" hidden></section>'
    name, known = scorer_of(told)
    n, halves = f"{known['n']:,}", f"<div>{_ranks(page, known)}</div>{_threshold(page, told, known)}"
    return (
        f'<div class="facts scored" data-plots><section><h3>The scores of {esc(short(name))} as chances</h3>'
        f'<p class="dim fine">Of {door(page, "scored", n)} steps that the other side speaks of; an error '
        f'is what is to be found.</p><div class="halves">{halves}</div>{_learn(page, name, known)}</section></div>'
    )


def scorer_of(told: Told) -> tuple[str, Mapping[str, Any]]:
    """The second side where it is a scorer, else the first."""
    scored = told.compared.scores
    name = told.compared.settings.b if told.compared.settings.b in scored else next(iter(scored))
    return name, scored[name]


def _ranks(page: AgreementPage, known: Mapping[str, Any]) -> str:
    again, n = known.get("recalibrated"), _all(page, known["n"])
    numbers = {name: known["intervals"][name] for name in ("roc_auc", "pr_auc", "brier", "ece")}
    rows = [_row(name, number, n) for name, number in numbers.items()]
    if again:
        rows += [_row(name, again["intervals"][name], n, ", recalibrated") for name in ("brier", "ece")]
    return f'<div class="nrows">{"".join(rows)}</div>{reasons_of(numbers.values())}'


def _all(page: AgreementPage, n: int) -> str:
    """Of all steps that the scorer is held against."""
    return f'<span class="cnt"><small>n =</small> {door(page, "scored", f"{n:,}")}</span>'


def _row(name: str, number: Number, n: str, more: str = "") -> str:
    label, title = NAMES[name]
    key = f"scores.{name}{'.again' if more else ''}"
    named = f'<span class="nm" title="{esc(title)}">{esc(label + more)}</span>'
    return f'<div class="nrow" data-number="{key}">{named}{value(number)}{n}</div>'


def _threshold(page: AgreementPage, told: Told, known: Mapping[str, Any]) -> str:
    """What comes of the threshold, of every labelled step; of the other question the steps above are the same ones."""
    if page.at.question == "solvable":
        return ""
    numbers: Mapping[str, Number] = known["at_threshold"]
    rows = "".join(
        f'<div class="nrow" data-number="at.{name}"><span class="nm">{_WORDS[name]}</span>{value(numbers[name])}'
        f"{_counted(page, told, name)}</div>"
        for name in _AT
        if name in numbers
    )
    head = (
        '<p class="dim fine">At the threshold, of every step that the other side speaks of, not only to the first one '
        "that is flagged:</p>"
    )
    return f'<div>{head}<div class="nrows">{rows}</div>{reasons_of(numbers.values())}</div>'


def _counted(page: AgreementPage, told: Told, name: str) -> str:
    if "scored" not in told.counts:
        return '<span class="cnt"></span>'
    if name not in _OF:
        return _all(page, told.counts["scored"].pairs)
    hits, base = _OF[name]

    def of(part: str) -> str:
        n = told.counts[f"scored@{part}" if part else "scored"].pairs
        return door(page, "scored", f"{n:,}", part=part)

    return f'<span class="cnt">{of(hits)} <small>of</small> {of(base)}</span>'


def _learn(page: AgreementPage, name: str, known: Mapping[str, Any]) -> str:
    """How the scores can be read as chances: what is saved with the model, and a form that learns it anew."""
    again = known.get("recalibrated")
    said = "Nothing is saved with the model yet: its numbers are read as they are."
    if again:
        said = (
            f"Saved with the model: {again['kind']}, learnt {again['date']} from {again['steps']:,} steps of "
            f"{again['split']} against {again['against']}."
        )
        said += " They are among the steps here: look at another split." if again["in_sample"] else ""
    splits = [split for split, _ in page.form.splits if split != page.at.split]
    if not splits:
        why = "To learn how to read them there must be another split than the one that is looked at."
        return f'<div class="learn"><p>{esc(said)}</p><p class="dim fine">{why}</p></div>'
    same = "" if page.at.split else '<p class="dim fine">All splits are looked at, the one that is learnt on, too.</p>'
    chosen = page.at.tune_split if page.at.tune_split in splits else "dev" if "dev" in splits else splits[0]
    on = "".join(f"<option{' selected' if split == chosen else ''}>{esc(split)}</option>" for split in splits)
    kinds = "".join(f'<option value="{kind}">{_KINDS[kind]}</option>' for kind in KINDS)
    return (
        f'<form class="learn" data-act="calibrate" data-model="{esc(name)}"><p>{esc(said)}</p><span class="line">'
        f'<label class="lab">learn on <select class="field" name="on">{on}</select></label>'
        f'<label class="lab">how <select class="field" name="kind">{kinds}</select></label>'
        '<button type="submit" class="btn">Save recalibration with the model</button></span>'
        f"{same}</form>"
    )


def bins(page: AgreementPage) -> str:
    """What the reliability diagram shows, as a table with doors."""
    told = page.told
    if not isinstance(told, Told) or not told.compared.scores:
        return ""
    _, known = scorer_of(told)
    rows = "".join(
        f'<tr><td class="num">{place / 10:.1f} – {(place + 1) / 10:.1f}</td>'
        f'<td class="num">{_bin(page, place, b["n"])}</td>'
        f'<td class="num">{written(b["score"])}</td><td class="num">{written(b["share"])}</td></tr>'
        for b in known["reliability"]
        if (place := round(10 * b["low"])) >= 0
    )
    return (
        '<details class="bins"><summary>The reliability diagram as a table</summary><table class="plain"><thead><tr>'
        f"<th>score</th><th>steps</th><th>mean score</th><th>share that is well</th></tr></thead><tbody>{rows}</tbody>"
        "</table></details>"
    )


def _bin(page: AgreementPage, place: int, n: int) -> str:
    return door(page, "scored", f"{n:,}", part=f"bin:{place}")


def caption(name: str) -> str:
    """A plot's title and the key to its lines."""
    title, lines = CAPTIONS[name]
    keys = "".join(f'<span class="key {css}"><i></i>{esc(label)}</span>' for css, label in lines)
    return f'<div class="acap"><h3>{title}</h3>{keys}</div>'


def figures(page: AgreementPage) -> dict[str, PlotData]:
    """By name; {} where no scorer is compared."""
    told = page.told
    if not isinstance(told, Told) or not told.compared.scores:
        return {}
    name, known = scorer_of(told)
    swept = told.compared.sweeps.get(name, ())
    by_threshold = [(p.threshold, p.error_acc, p.correct_acc, p.f1) for p in swept]
    found = {
        "sweep": agreement_plots.sweep(by_threshold, told.threshold),
        "reliability": agreement_plots.reliability(
            known["reliability"], (known.get("recalibrated") or {}).get("reliability", ())
        ),
    }
    if known["roc"] and known["pr"]:
        found["roc"] = agreement_plots.roc(_points(known["roc"]))
        found["pr"] = agreement_plots.pr(_points(known["pr"]), _base(told))
    return found


def _points(curve: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    return list(zip(curve["x"], curve["y"], strict=True))


def _base(told: Told) -> float:
    """The share of errors: a scorer that knows nothing is as precise."""
    whole = told.counts["scored"].pairs
    return told.counts["scored@errors"].pairs / whole if whole else 0.0
