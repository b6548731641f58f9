"""Numbers of agreement as rows and tables: each with its interval, how many things, and a door to the chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stepviz.agreement.cells import DETECTED, behind
from stepviz.agreement.tables import Number
from stepviz.ui.render import attrs, esc
from stepviz.ui.view_agreement import AgreementPage, Count, Told

NAMES = {
    "agreement": ("equal labels", "Share of equal labels; what chance alone would give is not taken off"),
    "kappa": ("Cohen’s κ", "Agreement beyond chance, chance from each judge’s own shares"),
    "alpha": ("Krippendorff’s α", "Nominal; agreement beyond chance, chance from the labels of both together"),
    "ac1": ("Gwet’s AC1", "Agreement beyond chance that does not fall where nearly all labels are alike"),
    "exact": ("same step", "Both name the same first error"),
    "within_one": ("at most one step apart", "The two first errors are the same step or neighbours"),
    "same": ("same answer", "The same first error, or none for both"),
    "error_acc": ("erroneous chains", "Where the reference sees an error: the same step is named"),
    "correct_acc": ("correct chains", "Where the reference sees none: none is seen"),
    "f1": ("F1", "Harmonic mean of the two"),
    "processbench_f1": ("ProcessBench F1", "Harmonic mean of the accuracies on erroneous and on correct chains"),
    "precision": ("precision", "Of the steps that the second calls errors, those that the reference does"),
    "recall": ("recall", "Of the steps that the reference calls errors, those that the second does"),
    "balanced": ("balanced accuracy", "Mean of the shares of errors and of fine steps that the second names"),
    "errors": ("errors", "Share of labels that say error"),
    "errors_a": ("errors, reference", "Share of the steps that the reference calls errors"),
    "errors_b": ("errors, second", "Share of the steps that the second calls errors"),
    "roc_auc": (
        "area under ROC",
        "An error is what is to be found: 1 where every error is scored below every fine step",
    ),
    "pr_auc": ("average precision", "Area under precision and recall of errors; chance is their share"),
    "brier": ("Brier score", "Mean squared distance of score and label; 0 is perfect"),
    "ece": ("calibration error", "ECE: mean gap of score and share in ten bins; 0 is perfect"),
}


def written(x: float | None, digits: int = 3) -> str:
    """`.601`, `1`, `−.012`: as the command writes it, without the zero."""
    if x is None:
        return "–"
    text = f"{abs(x):.{digits}f}"
    if float(text) in (0, 1) and float(text) == abs(x):
        text = text[0]
    text = text.removeprefix("0") if text.startswith("0.") else text
    return f"−{text}" if x < 0 and text.strip(".0") else text


def interval(number: Number) -> str:
    if number.low is None or number.high is None:
        return ""
    return f"{written(number.low)} – {written(number.high)}"


def no_interval(number: Number) -> str:
    """In an interval's place, as wide as one: the reason is a sentence, and it is the same in most rows of a table."""
    return f'<span class="iv no" title="{esc(number.why)}">no interval</span>'


def reasons_of(numbers: Iterable[Number]) -> str:
    """Beneath a table, each once: a phone shows no titles."""
    said = dict.fromkeys(number.why for number in numbers if number.value is not None and number.low is None)
    return "".join(f'<p class="dim fine">No interval: {esc(why)}.</p>' for why in said if why)


def bar(number: Number) -> str:
    """The interval as a ribbon, the value as a dot, on a track from 0 to 1."""
    if number.value is None:
        return '<i class="ibar none"></i>'
    inside = [min(1.0, max(0.0, v)) for v in (number.low or 0.0, number.high or 0.0, number.value)]
    ribbon = "" if number.low is None else f'<b style="left:{inside[0]:.1%};right:{1 - inside[1]:.1%}"></b>'
    return f'<i class="ibar">{ribbon}<s style="left:{inside[2]:.1%}"></s></i>'


def door(page: AgreementPage, cell: str, text: str, title: str = "", part: str = "", css: str = "") -> str:
    """A link to the chains of a cell; plain text where there are none."""
    if text == "0":
        return f'<span class="num zero {css}">0</span>'
    link = esc(page.door(cell, part).query)
    return (
        f'<a class="door num {css}" href="{link}"{attrs(title=title or None)} data-cell="{esc(cell)}">{esc(text)}</a>'
    )


def size(count: Count, cell: str) -> int:
    """What a number's n counts: pairs of labels where both name a step, else things."""
    return count.pairs if cell == "both" else count.things


def rows(
    page: AgreementPage, told: Told, part: str, numbers: Mapping[str, Number], left_out: Sequence[str] = ()
) -> str:
    """A row a number. part: of the report, which says what each number is a share of."""
    shown = "".join(_row(page, told, part, name, of) for name, of in numbers.items() if name not in left_out)
    reasons = reasons_of([of for name, of in numbers.items() if name not in left_out])
    return f'<div class="nrows">{shown}</div>{reasons}'


def _row(page: AgreementPage, told: Told, part: str, name: str, number: Number) -> str:
    hits, base = behind(part, name)
    label, title = NAMES.get(name, (name, ""))
    if (part, name) == ("by_step", "f1"):
        label, title = "F1 of errors", "Harmonic mean of precision and recall"
    if (part, name) == ("localisation", "alpha"):
        label, title = "Krippendorff’s α", "Of first errors, “none” among them"
    return (
        f'<div class="nrow" data-number="{esc(part)}.{esc(name)}">'
        f'<span class="nm" title="{esc(title)}">{esc(label)}</span>'
        f"{value(number)}{_counted(page, told, hits, base)}</div>"
    )


def value(number: Number) -> str:
    """Value, bar, interval; or why there is none, in their place."""
    if number.value is None:
        return f'<b class="num none">–</b><span class="undef">{esc(number.why)}</span>'
    span = interval(number)
    tail = f'<span class="num iv">{span}</span>' if span else no_interval(number)
    return f'<b class="num">{written(number.value)}</b>{bar(number)}{tail}'


def _counted(page: AgreementPage, told: Told, hits: str, base: str) -> str:
    """`408 of 679`, both doors; n alone where the number is no share."""
    whole = told.counts[base]
    pairs = whole.pairs != whole.things and (bool(hits) or base == "both")
    n = whole.pairs if pairs else size(whole, base)
    unit = "pairs of labels" if pairs else unit_of(base, n)
    of = door(page, base, f"{n:,}", f"{n:,} {unit}")
    if not hits:
        return f'<span class="cnt"><small>n =</small> {of}</span>'
    k = told.counts[hits].pairs if pairs else told.counts[hits].things
    return f'<span class="cnt">{door(page, hits, f"{k:,}", f"{k:,} {unit}")} <small>of</small> {of}</span>'


def unit_of(cell: str, n: int) -> str:
    word = "step" if cell.startswith("steps") else "chain"
    return word if n == 1 else f"{word}s"


def square(
    page: AgreementPage, told: Told, names: tuple[str, str], labels: tuple[str, str], table: Sequence[str]
) -> str:
    """A 2 × 2 table; its cells: names of cells, a's label by b's. Numbers are pairs of labels."""
    most = max((told.counts[cell].pairs for cell in table), default=0) or 1

    def cell(name: str, agrees: bool) -> str:
        n = told.counts[name].pairs
        shade = f"--s:{n / most:.2f}"
        css = "same" if agrees else "apart"
        return f'<td class="{css}" style="{shade}">{door(page, name, f"{n:,}")}</td>'

    a, b = names
    unit = "chains" if table[0] in DETECTED else "steps"
    over = f'<th colspan="2" scope="colgroup" title="{esc(b)}">{esc(b)}</th>'
    return (
        f'<table class="two2" aria-label="{unit}"><thead><tr><td></td>{over}</tr><tr><td></td><th>{labels[0]}</th>'
        f"<th>{labels[1]}</th></tr></thead><tbody>"
        f'<tr><th scope="row"><small title="{esc(a)}">{esc(a)}</small>{labels[0]}</th>'
        f"{cell(table[0], True)}{cell(table[1], False)}</tr>"
        f'<tr><th scope="row">{labels[1]}</th>{cell(table[2], False)}{cell(table[3], True)}</tr></tbody></table>'
    )
