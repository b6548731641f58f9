"""What is told of a run beside how far it is: its cost in tokens, how long it was at work, and where its results are.

For the Runs page and for `run show`. Runs from before costs were counted tell what their progress says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from db.store import Store
from db.values import RunRow
from stepviz import jobs
from stepviz.compare_address import link_of
from stepviz.import_report import source_of
from stepviz.types import Sampling

SHOWN = 12  # problems or chains that are linked one by one
_DRAWING = ("sample", "measure", "continue", "branch", "score", "refine", "compare")
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")  # and what else a terminal obeys
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens; None for what is not known. read: prompts, each once where continuations share it, and scored chains."""

    sampled: int | None = None
    read: int | None = None
    trained: int | None = None
    seconds: float | None = None  # that somebody was at work on it, over all of its lives
    per_second: float | None = None  # tokens of the kind that this run is about
    draws: int | None = None  # that ended

    @property
    def tokens(self) -> int | None:
        """Those that the run is about; the others come with them."""
        return self.sampled or self.trained or self.read or None

    def words(self) -> str:
        """`400 draws · 12,345 tokens sampled · 1,200 read`; empty where none are known."""
        kinds = (("sampled", self.sampled), ("read", self.read), ("trained on", self.trained))
        known = [(n, kind) for kind, n in kinds if n]
        drawn = [f"{self.draws:,} draw{'' if self.draws == 1 else 's'}"] if self.draws else []
        tokens = [f"{n:,} {kind}" if i else f"{n:,} tokens {kind}" for i, (n, kind) in enumerate(known)]
        return " · ".join(drawn + tokens)


@dataclass(frozen=True, slots=True)
class Result:
    """Something that a run made, and its address in the app."""

    label: str
    address: str


def cost_of(row: RunRow) -> Cost:
    spent = row.progress.get("spent") or {}
    sampled, read, trained = (spent.get(name) for name in ("sampled", "read", "trained"))
    if not spent and row.progress.get("tokens"):
        sampled, trained = (None, row.progress["tokens"]) if row.kind == jobs.TRAIN else (row.progress["tokens"], None)
    seconds = seconds_of(row)
    cost = Cost(sampled, read, trained, seconds, draws=spent.get("draws"))
    return replace(cost, per_second=round(cost.tokens / seconds, 1)) if cost.tokens and seconds else cost


def seconds_of(row: RunRow) -> float | None:
    """At work, without the time between a kill and a resume; None before it begins."""
    if row.started_at is None:
        return None
    spent = row.progress.get("spent") or {}
    if "seconds" in spent:
        return float(spent["seconds"])
    stopped = row.lease_until if row.state == "interrupted" else None  # the worker died about then
    return ((row.finished_at or stopped or datetime.now(UTC)) - row.started_at).total_seconds()


def lasting(seconds: float) -> str:
    """`8.4 s`, `12 min`, `2.5 h`."""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def scope_of(spec: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """("chain" or "problem", their ids) that a run works on, each once; ("", ()) for one that names none."""
    for plural, name in (("chains", "chain"), ("problems", "problem")):
        ids = spec.get(plural) or ([spec[name]] if spec.get(name) else [])
        if isinstance(ids, list | tuple) and ids:
            return name, tuple(dict.fromkeys(map(str, ids)))
    return "", ()


def over(spec: Mapping[str, Any]) -> str:
    """`56 chains`; empty where a run is over one alone, or over none."""
    name, ids = scope_of(spec)
    return f"{len(ids):,} {name}s" if len(ids) > 1 else ""


def strategy_of(row: RunRow) -> str:
    """By which a measurement chose its steps; empty for the one that chooses none."""
    named = str(row.spec.get("strategy") or "")
    return "" if named == "exhaustive" else named


def note_of(row: RunRow) -> str:
    """What a run says last of itself, without what it was only about to do when it stopped."""
    note = str(row.progress.get("note") or "")
    stopped = row.state in ("cancelled", "interrupted") and note.startswith("loading ")
    return "" if stopped or row.state == "failed" else note


def has_nothing(row: RunRow) -> bool:
    """Whether it stopped before it drew or scored anything, so that there is nothing of it to be shown."""
    stopped = row.state in ("failed", "cancelled", "interrupted") and row.kind.removesuffix(" many") in _DRAWING
    return stopped and not row.progress.get("done") and not cost_of(row).tokens


def about_of(store: Store, row: RunRow) -> Result | None:
    """The one chain or problem that a run is about."""
    name, ids = scope_of(row.spec)
    if len(ids) != 1:
        return None
    return _chain(store, ids[0], "") if name == "chain" else _problem(store, ids[0])


def results_of(store: Store, row: RunRow) -> tuple[list[Result], int]:
    """(the first of them, how many there are beyond those)."""
    spec, progress = row.spec, row.progress
    if has_nothing(row):
        return [], 0
    base = row.kind.removesuffix(" many")
    if base == jobs.TRAIN:
        return _one(
            f"the model {progress['model']}" if progress.get("model") else "the training", f"/train?run={row.id}"
        )
    if base == "refine":
        return _one("its refinements", f"/refine?run={row.id}")
    if base == "compare":
        address = link_of(spec)
        return _one("the comparison", address) if address else ([], 0)
    if base == "dataset":
        return _dataset(store, progress.get("dataset"))
    if base == "import":
        return _imported(spec, progress)
    name, ids = scope_of(spec)
    if name == "problem":
        return _listed([_problem(store, id) for id in ids[:SHOWN]], len(ids))
    scorer = str(spec.get("model", "")) if base == "score" else ""
    return _listed([_chain(store, id, scorer) for id in ids[:SHOWN]], len(ids))


def _one(label: str, address: str) -> tuple[list[Result], int]:
    return [Result(label, address)], 0


def _listed(found: list[Result | None], of: int) -> tuple[list[Result], int]:
    there = [result for result in found if result is not None]
    return there, max(0, of - SHOWN)


def _dataset(store: Store, id: object) -> tuple[list[Result], int]:
    if not isinstance(id, int):
        return [], 0
    made = store.dataset(id)
    return _one(f"{made.name} v{made.version}, {made.n_rows:,} rows", f"/datasets?dataset={id}")


def _imported(spec: Mapping[str, Any], progress: Mapping[str, Any]) -> tuple[list[Result], int]:
    if not progress.get("report"):
        return [], 0
    source = source_of(str(spec.get("format", "")), Path(str(spec.get("path", ""))))
    return _one(f"the problems of {source}", "/?" + urlencode({"source": source})) if source else _one("Explore", "/")


def _problem(store: Store, id: str) -> Result | None:
    row = store.problem(id)
    return None if row is None else Result(_begun(row.question), "/?" + urlencode({"problem": id}))


def _chain(store: Store, id: str, scorer: str) -> Result | None:
    row = store.chain(id)
    problem = store.problem(row.chain.problem_id) if row else None
    if row is None or problem is None:
        return None
    at = {"chain": id} | ({"scorer": scorer} if scorer else {})
    return Result(f"chain {row.number} of {_begun(problem.question)}", "/?" + urlencode(at))


def _begun(text: str, most: int = 64) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else words[:most].rsplit(" ", 1)[0] + " …"


# ---- its settings


_NUMBERS = {  # what a job's numbers count (stepviz.jobs)
    ("sample", "n"): "chains of each problem",
    ("sample", "add"): "chains more",
    ("measure", "n"): "continuations of each prefix",
    ("measure", "add"): "continuations more",
    ("continue", "n"): "new chains",
    ("branch", "n"): "new chains",
    ("compare", "limit"): "problems",
    ("compare", "samples"): "samples of each problem",
    ("compare", "k"): "continuations of each prefix",
    ("refine", "samples"): "samples of each kind",
}


_FIRST = ("strategy", "chain", "chains", "problem", "problems", "step", "steps", "n", "add")  # then by the alphabet


def settings_of(row: RunRow, samplings: Mapping[str, Sampling], about: str = "") -> tuple[tuple[str, str], ...]:
    """In words, what a run is over first. samplings: by id, to be spelled out; about: the one chain or problem."""
    found, kind = [], row.kind.removesuffix(" many")
    scope, ids = scope_of(row.spec)
    for name, value in row.spec.items():
        if value in (None, "", [], {}):
            continue
        order = _FIRST.index(name) if name in _FIRST else len(_FIRST)
        if name == "sampling" and value in samplings:
            value = spelled(samplings[value])
        said = _NUMBERS.get((kind, name), name)
        if len(ids) == 1 and name in (scope, f"{scope}s"):
            said, value = scope, about or value
        most = ", at most" if name == "n" and strategy_of(row) else ""
        found.append((order, said + most, short(value)))
    return tuple((said, value) for _, said, value in sorted(found))


def spelled(s: Sampling) -> str:
    """`temperature 0.7 · at most 300 tokens · prompt plain`: what differs from doing nothing."""
    parts = [f"temperature {s.temperature:g}"]
    parts += [f"top-p {s.top_p:g}"] if s.top_p < 1 else []
    parts += [f"top-k {s.top_k}"] if s.top_k else []
    return " · ".join([*parts, f"at most {s.max_tokens} tokens", f"prompt {s.style.name}"])


def printable(text: str) -> str:
    """Words of models, files and servers for a terminal or a page: no escape sequence, and controls as �.

    Lines and tabs stay; what would turn the direction of the text goes, too.
    """
    return _CONTROLS.sub("\ufffd", _COLOURS.sub("", text.replace("\r\n", "\n")))


def short(value: Any) -> str:
    """A setting on one line."""
    if isinstance(value, list | tuple):
        return f"{len(value)} of them" if len(value) > 3 else ", ".join(map(short, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {short(v)}" for k, v in value.items() if v not in (None, "", [], {}))[:200]
    return str(value)[:120]
