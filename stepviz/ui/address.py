"""The address of what is on screen: everything that a shared link must bring back, as a query string."""

from __future__ import annotations

from dataclasses import dataclass, fields
from urllib.parse import parse_qsl, urlencode

RESULTS = ("solved", "mixed", "unsolved", "disputed", "unsampled")
_TEXTS = ("problem", "chain", "q", "source", "origin", "answer", "scorer", "engine", "tokenizer", "by", "by_tokenizer")
SORTS = ("number", "value", "pit", "length")
_ZERO = (("skip", 0), ("passed", 0))


@dataclass(frozen=True, slots=True)
class Address:
    """Ids and filters of Explore; empty means "none", and stays out of the link.

    step 0 is the question. `answer` picks one cluster of answers, `origin` one origin of chains,
    `skip` is how many problems the list has passed over. `scorer` is the id or the spec of the model whose scores
    are drawn, `t` the threshold at or below which a score makes a predicted pit. `engine` is the spec of the model that
    samples, where it is not the app's; `by` the one whose rollouts measure chains, where it is not each chain's own.
    `tokenizer` and `by_tokenizer` are theirs: a hub id or a folder, of a server's model only. `agree` and `cell` name
    the chains behind a number of agreement (agreement_at.Door), of which the list has passed over `passed`.
    """

    problem: str = ""
    chain: str = ""
    step: int | None = None
    q: str = ""
    source: str = ""
    result: str = ""
    skip: int = 0
    origin: str = ""
    answer: str = ""
    sort: str = ""
    scorer: str = ""
    t: float | None = None
    engine: str = ""
    tokenizer: str = ""
    by: str = ""
    by_tokenizer: str = ""
    agree: str = ""
    cell: str = ""
    passed: int = 0

    def query(self) -> str:
        """`?problem=…&chain=…`, or nothing at all for the bare page."""
        pairs = [(f.name, getattr(self, f.name)) for f in fields(self)]
        kept = [(name, str(value)) for name, value in pairs if value not in ("", None) and (name, value) not in _ZERO]
        return "?" + urlencode(kept) if kept else ""


def parse(query: str) -> Address:
    """Read a query string written by anyone: unknown names and unusable values are left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:4000], keep_blank_values=False))
    text = {name: given.get(name, "")[:500] for name in _TEXTS}
    return Address(
        **text,
        step=_natural(given.get("step")),
        result=given["result"] if given.get("result") in RESULTS else "",
        skip=_natural(given.get("skip")) or 0,
        sort=given["sort"] if given.get("sort") in SORTS else "",
        t=_share(given.get("t")),
        agree=given.get("agree", "")[:2000],
        cell=given.get("cell", "")[:500],
        passed=_natural(given.get("passed")) or 0,
    )


def _natural(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None


def _share(text: str | None) -> float | None:
    """A number from 0 to 1, to two digits."""
    if not text or len(text) > 8 or not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return round(float(text), 2) if float(text) <= 1 else None
