"""What `agree` prints for people: numbers with intervals, tables of parts, of the ceiling and of thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepviz.agreement.thresholds import CHOICES

if TYPE_CHECKING:
    from stepviz.agree import Compared
    from stepviz.agreement.parts import Ceiling, Part, Row
    from stepviz.agreement.tables import Number
    from stepviz.agreement.thresholds import At

PARTS = {
    "detection": "does it go wrong?",
    "localisation": "where first, if both see an error",
    "processbench": "ProcessBench",
    "by_step": "step by step",
}
NAMES = {
    "error_acc": "erroneous", "correct_acc": "correct", "within_one": "within one", "ac1": "AC1", "f1": "F1",
    "step_f1": "F1 of steps", "roc_auc": "AUC", "pr_auc": "average precision", "brier": "Brier", "ece": "ECE",
    "errors_a": "errors by a", "errors_b": "errors by b", "errors": "errors", "processbench_f1": "ProcessBench F1",
}  # fmt: skip
COLUMNS = {
    "arm": ("exact", "within_one", "agreement", "kappa", "alpha"),
    "position": ("errors", "errors_a", "errors_b", "agreement", "kappa", "alpha"),
    "source": ("processbench_f1", "exact", "within_one", "agreement", "kappa", "alpha"),
}
OTHERS = "others"  # as ceiling rows have it
OF_CEILING = ("exact", "within_one", "agreement", "kappa", "alpha")
NO_PARTS = {
    "arm": "arms: of a study's people alone (--a study:NAME)",
    "position": "positions: no step was labelled by both",
    "source": "sources: these problems have none",
}
TITLES = {"arm": "by arm", "position": "by step position", "source": "by source"}
SHOWN = 15  # thresholds of a sweep


def text(compared: Compared, by: Sequence[str] = (), *, ceiling: bool = False, sweep: bool = False) -> str:
    """by: "arm", "position", "source"; ceiling, sweep: with these tables."""
    lines = [*_head(compared), *_report(compared)]
    for side, known in compared.scores.items():
        lines += _scores(side, known, compared.thresholds[side])
    for kind in by:
        lines += _parts(kind, compared.by[kind])
    if ceiling:
        lines += _ceiling(compared.ceiling)
    if sweep:
        for side, points in compared.sweeps.items():
            lines += _sweep(side, points)
    return "\n".join(lines)


def _head(compared: Compared) -> list[str]:
    settings, found = compared.settings, compared.report
    among = settings.a == settings.b
    head = f"{settings.a} among themselves" if among else f"{settings.a} (reference) and {settings.b}"
    lines = [f"{head}, {settings.question}: {found.problems} problems, {found.chains} chains, {found.steps} steps"]
    for side, at in compared.thresholds.items():
        lines.append(f"  {side} at the threshold {at:.3g}")
    if (tuned := compared.tuned) is not None:
        value, what = getattr(tuned.at, tuned.by), CHOICES[tuned.by]
        lines.append(f"  chosen on {tuned.chains} chains of {tuned.split} by {what}, {value:.3f} there")
    return lines


def _report(compared: Compared) -> list[str]:
    lines = []
    for part, title in PARTS.items():
        numbers = getattr(compared.report, part)
        if numbers:
            to_the_first = part == "by_step" and compared.settings.to_first
            lines.append(title + (", to each one's first error" if to_the_first else ""))
            lines += _listed(numbers)
    return lines


def _scores(side: str, known: Mapping[str, Any], threshold: float) -> list[str]:
    lines = [f"scores of {side}, {known['n']} labels of steps", *_listed(known["intervals"])]
    if (again := known.get("recalibrated")) is not None:
        of = f"{again['steps']:,} steps of {again['split']}, {again['against']}"
        own = "; they are among the steps here: look at another split" if again["in_sample"] else ""
        lines += [f"  recalibrated ({again['kind']}, {of}{own}):", *_listed(again["intervals"])]
    return [*lines, f"its steps at or below {threshold:.3g}, every step", *_listed(known["at_threshold"])]


def _parts(kind: str, parts: Sequence[Part]) -> list[str]:
    if not parts:
        return [NO_PARTS[kind]]
    columns, notes = [name for name in COLUMNS[kind] if name in parts[0].numbers], Notes()
    rows = [["", "problems", "chains", "steps", *_heads(columns)]]
    for part in parts:
        counts = [str(part.problems), str(part.chains), str(part.steps)]
        rows.append([part.name, *counts, *notes.cells(part.numbers, columns)])
        if part.differences:
            rows.append([f"  less {parts[0].name}", "", "", "", *notes.cells(part.differences, columns, n=False)])
    return [TITLES[kind], *_table(rows), *notes.told()]


def _ceiling(found: Ceiling | None) -> list[str]:
    if found is None:
        return ["the human ceiling: of chains that two people labelled, and there are none"]
    rows, notes = [["", "items", "steps", *_heads(OF_CEILING)]], Notes()
    for row in found.rows:
        rows.append([_called(row), str(row.items), str(row.steps), *notes.cells(row.numbers, OF_CEILING)])
        if row.differences and not row.person:
            rows.append(["  less people and the others", "", "", *notes.cells(row.differences, OF_CEILING, n=False)])
    ways = ", ".join(f"{n} {way}" for way, n in found.references.items())
    left = f"  {found.left_out} pairs and people of fewer items are left out"
    return [
        "the human ceiling: people, and the scorer beside them on the same items",
        f"  what the others say: {ways}",
        *_table(rows),
        *notes.told(),
        *([left] if found.left_out else []),
    ]


def _called(row: Row) -> str:
    if row.kind == "pairs":
        return "people, every two"
    if row.kind == "pair":
        return f"{row.a} and {row.b}"
    others = f"the others of {row.person}" if row.person else "the others"
    a, b = (others if name == OTHERS else name or "people" for name in (row.a, row.b))
    return f"{a} and {b}"


def _sweep(side: str, points: Sequence[At]) -> list[str]:
    """Some of them, evenly."""
    columns = ("precision", "recall", "step_f1", "balanced", "kappa", "flagged", "error_acc", "correct_acc", "f1")
    every = max(1, -(-len(points) // SHOWN))
    rows = [[f"{at.threshold:.3f}", *(_plain(getattr(at, name)) for name in columns)] for at in points[::every]]
    names = [*map(_name, columns[:-1]), "ProcessBench F1"]
    return [f"thresholds of {side}", *_table([["at or below", *names], *rows])]


def _listed(numbers: Mapping[str, Number]) -> list[str]:
    width = max(12, *(len(_name(name)) for name in numbers))
    return [f"  {_name(name):<{width}} {_number(number)}" for name, number in numbers.items()]


class Notes:
    """Why a number is undefined, or has no interval: a letter in the table, told once beneath it."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def cells(self, numbers: Mapping[str, Number], names: Sequence[str], *, n: bool = True) -> list[str]:
        """n: of first errors also in how many both see one."""
        found = []
        for name in names:
            if name == "exact":
                found.append(str(numbers[name].n) if n else "")
            found.append(self._cell(numbers[name]))
        return found

    def told(self) -> list[str]:
        return [f"  {letter}: {why}" for why, letter in self.letters.items()]

    def _cell(self, number: Number) -> str:
        value = "–" if number.value is None else f"{number.value:.3f}"
        if number.value is not None and number.low is not None:
            return f"{value} [{number.low:.3f}, {number.high:.3f}]"
        return f"{value} {self.letters.setdefault(number.why, chr(ord('a') + len(self.letters)))}"


def _heads(names: Sequence[str]) -> list[str]:
    return [head for name in names for head in (["both err"] if name == "exact" else []) + [_name(name)]]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _name(name: str) -> str:
    return NAMES.get(name, name)


def _plain(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _number(number: Number) -> str:
    if number.value is None:
        return f"undefined: {number.why} (n = {number.n})"
    span = f" [{number.low:.3f}, {number.high:.3f}]" if number.low is not None else f" ({number.why})"
    return f"{number.value:.3f}{span} (n = {number.n})"
