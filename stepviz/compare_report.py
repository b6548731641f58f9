"""A comparison in words, as JSON, and as a table with a row a problem. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepviz.compare import CLASSES, RULES, Accuracy, AtN, Curve, Pair, PitClass, Trial, accuracy, curve, pass_at, pits
from stepviz.statistics import Estimate

WORDS: Mapping[PitClass, str] = {
    "vanished": "vanished",
    "new": "new",
    "still": "still there",
    "never": "never",
    "undecided": "cannot be told",
}
LISTED = 40  # problems that the words name one by one
FORMATS = ("csv", "jsonl")
_NUMBER = re.compile(r"-?[0-9][0-9.,]*")


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """The numbers as JSON has them; `pairs` is not empty."""
    curves = {along: curve(pairs, along) for along in ("step", "share")}
    return {
        "accuracy": _accuracy(accuracy(pairs)),
        "pass_at": [_at_n(row) for row in pass_at(pairs)],
        "pits": {rule: pits(pairs, rule) for rule in RULES} if _measured(pairs) else {},
        "curves": {along: _curve(found) for along, found in curves.items() if found},
    }


def rows(pairs: Iterable[Pair], rule: str) -> list[dict[str, Any]]:
    """The table: a row a problem, with the pits by one rule."""
    return [
        {
            "problem": p.problem,
            "place": p.place,
            **_side("before", p.before, rule),
            **_side("after", p.after, rule),
            "pit": p.pit_class(rule),
            "rule": rule,
            "question": p.question,
        }
        for p in pairs
    ]


def table(pairs: Iterable[Pair], rule: str, format: str) -> str:
    return written(rows(pairs, rule), format)


def written(found: Sequence[Mapping[str, Any]], format: str) -> str:
    """CSV or JSONL. In CSV a text that a spreadsheet would run as a formula gets a ' before it; JSONL is exact."""
    if format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    assert format == "csv", format
    out = io.StringIO()
    writer = csv.DictWriter(out, list(found[0]) if found else ["problem"])
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in found)
    return out.getvalue()


def told(names: tuple[str, str], pairs: Sequence[Pair], rule: str) -> list[str]:
    """For a terminal; `names` of the two models."""
    a = accuracy(pairs)
    lines = [
        f"{names[0]} → {names[1]}, {a.n} problem{'s' if a.n != 1 else ''}, greedy",
        f"  accuracy       {_percent(a.before)} → {_percent(a.after)}, difference {points(a.difference)} points "
        f"(paired bootstrap, 95 %)",
        f"  wrong → right  {a.gained}    right → wrong  {a.lost}    right in both  {a.both}    wrong in both  "
        f"{a.neither}    McNemar p = {a.p:.2g}",
    ]
    for what, (before, after) in (("cut off", a.cut_off), ("no answer", a.no_answer), ("not judged", a.unjudged)):
        if before or after:
            lines.append(f"  {what:14} {before} → {after}, counted as not right")
    lines += [
        f"  {f'pass@{r.n}':14} {100 * r.before:.1f} % → {100 * r.after:.1f} %, difference {points(r.difference)} points"
        for r in pass_at(pairs)
    ]
    return lines + _told_measured(pairs, rule)


def _told_measured(pairs: Sequence[Pair], rule: str) -> list[str]:
    if not _measured(pairs):
        return []
    lines = []
    along = curve(pairs, "share")
    if along:
        at = [f"{100 * x:.0f} %  {b.value:.2f} → {a.value:.2f}" for x, b, a in _some(along)]
        lines.append(f"  mean V         at so much of the way: {'   '.join(at)}")
    counted = pits(pairs, rule)
    lines.append(f"  first pits     {', '.join(f'{WORDS[name]} {counted[name]}' for name in CLASSES)} ({rule})")
    changed = [p for p in pairs if p.pit_class(rule) != "never"]
    lines += [f"    {p.place:24} {WORDS[p.pit_class(rule)]:15} {_moved(p, rule)}" for p in changed[:LISTED]]
    if len(changed) > LISTED:
        lines.append(f"    … and {len(changed) - LISTED} more: --json or --out lists them all")
    return lines


def _some(c: Curve) -> list[tuple[float, Estimate, Estimate]]:
    found = list(zip(c.xs, c.before, c.after, strict=True))
    return [found[0], found[len(found) // 2], found[-1]]


def _moved(pair: Pair, rule: str) -> str:
    return f"{_where(pair.before, rule)} → {_where(pair.after, rule)}"


def _where(trial: Trial, rule: str) -> str:
    """`step 2 (0/8)`, or what stands in its place."""
    step = trial.pit(rule)
    if step is not None:
        return f"step {step} ({trial.pits[rule].evidence})"
    return "right" if trial.right else "not known" if trial.undecided(rule) else "none"


def points(e: Estimate) -> str:
    """`+12.5 [2.5, 22.5]`"""
    return f"{100 * e.value:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}]"


def _percent(e: Estimate) -> str:
    return f"{100 * e.value:.1f} % [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def _measured(pairs: Sequence[Pair]) -> bool:
    return any(p.before.values or p.after.values for p in pairs)


def _side(name: str, t: Trial, rule: str) -> dict[str, Any]:
    found = t.pits.get(rule)
    return {
        f"{name}_verdict": t.verdict,
        f"{name}_answer": t.answer,
        f"{name}_steps": t.steps,
        f"{name}_v0": t.values[0].value if t.values else None,
        f"{name}_pit": t.pit(rule),
        f"{name}_pit_evidence": found.evidence if found and found.step is not None else None,
        f"{name}_samples_right": sum(t.samples) if t.samples else None,
        f"{name}_chain": t.chain,
    }


def _harmless(value: Any) -> Any:
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def _estimate(e: Estimate) -> dict[str, float]:
    return {"value": round(e.value, 6), "low": round(e.low, 6), "high": round(e.high, 6)}


def _accuracy(a: Accuracy) -> dict[str, Any]:
    return {
        "n": a.n,
        "before": _estimate(a.before),
        "after": _estimate(a.after),
        "difference": _estimate(a.difference),
        "right_in_both": a.both,
        "right_to_wrong": a.lost,
        "wrong_to_right": a.gained,
        "wrong_in_both": a.neither,
        "mcnemar_p": a.p,
        "cut_off": {"before": a.cut_off[0], "after": a.cut_off[1]},
        "no_answer": {"before": a.no_answer[0], "after": a.no_answer[1]},
        "not_judged": {"before": a.unjudged[0], "after": a.unjudged[1]},
    }


def _at_n(r: AtN) -> dict[str, Any]:
    found = {"n": r.n, "before": round(r.before, 6), "after": round(r.after, 6)}
    return {**found, "difference": _estimate(r.difference), "problems": r.problems}


def _curve(c: Curve) -> dict[str, Any]:
    sides = {"before": c.before, "after": c.after}
    return {"x": list(c.xs), **{k: [_estimate(e) for e in v] for k, v in sides.items()}, "problems": c.problems}
