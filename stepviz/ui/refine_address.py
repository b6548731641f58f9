"""The address of the Refine page: a draft, a line of the ledger, what the bar says, and what the ledger shows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from urllib.parse import parse_qsl, urlencode

from stepviz.refine_spec import HOW, NO_FLAG, TARGETS

FILTERS = {
    "when": ("refined", "spared"),
    "where": ("flagged", "unflagged", "hand"),
    "by": tuple(HOW),  # RefinementFilter.how
    "gain": ("fixed", "broken", "same", "unknown"),
}
FORM = ("gate", "t", "how", "step", "refiner", "orm", "sorm", "samples", "no_flag", "target")  # the bar's fields


@dataclass(frozen=True, slots=True)
class At:
    """The address. `refinement`: a line of the ledger; `show`: a candidate's name, on the right.

    The bar: gate ("always" or a score), t (the threshold), how, step (E by hand; 0: none, whatever the
    line says), the specs of the models, and samples,
    no_flag, target of stepviz.refine_spec; empty where the line, or the default, says it. The ledger: when, where, by,
    gain, `of` ("chain": only this draft's, "problem": its problem's), `skip`. answer, origin: how Explore's list was
    filtered, for refining what it lists.
    """

    chain: str = ""
    refinement: str = ""
    show: str = ""
    run: str = ""
    gate: str = ""
    t: str = ""
    how: str = ""
    step: str = ""
    refiner: str = ""
    orm: str = ""
    sorm: str = ""
    samples: str = ""
    no_flag: str = ""
    target: str = ""
    when: str = ""
    where: str = ""
    by: str = ""
    gain: str = ""
    of: str = ""
    skip: str = ""
    answer: str = ""
    origin: str = ""

    def query(self, **changes: object) -> str:
        pairs = [(f.name, str(changes.get(f.name, getattr(self, f.name)) or "")) for f in fields(self)]
        kept = [(name, value) for name, value in pairs if value]
        return "?" + urlencode(kept) if kept else "?"

    def number(self, name: str) -> int | None:
        text = getattr(self, name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    def share(self, name: str) -> float | None:
        text = getattr(self, name)
        if len(text) > 8 or not text.isascii() or not text.replace(".", "", 1).isdigit():
            return None
        return float(text) if float(text) <= 1 else None


def parse(query: str) -> At:
    """An address written by anyone: unknown names and unusable values are left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:4000]))
    kept = {f.name: given.get(f.name, "")[:500] for f in fields(At)}
    known = {**FILTERS, "how": tuple(HOW), "no_flag": NO_FLAG, "target": TARGETS, "of": ("chain", "problem")}
    return At(**{name: "" if name in known and value not in known[name] else value for name, value in kept.items()})
