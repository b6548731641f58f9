"""`bench measure`: what each strategy costs, and how well its labels and pits agree with the exact judge's.

The strategies replay one table of draws (bench_measure_data); bench_measure_ways has what each says of it. `solvable`
is what could still be reached, V what this student reaches: labels are held against both, against V by eight other
draws of each prefix.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from db.store import open_store
from stepviz import adaptive, pits
from stepviz import statistics as st
from stepviz.bench_measure_data import Case, K, collect
from stepviz.bench_measure_sure import foretold, foretold_by_value, standing
from stepviz.bench_measure_ways import EVERY, SURE, Reading, alone, labelled, read, readings
from stepviz.engines import load
from stepviz.results import FOLDER, Rows
from stepviz.strategies import exhaustive
from stepviz.svg import chart

SORM = "embedded:sorm"
SPENT = "sampled tokens, % of exhaustive"
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 100)
PRICES = (16.0, 8.0, 4.0, 2.0, 1.0)  # of the plot: nats that an exhaustive measurement's tokens must bring


def measure(
    engine: str = "embedded", db: str | None = None, each: int = 500, **_: Any
) -> tuple[dict[str, Rows], Any, str]:
    """(tables, {"strategies": {NAME: {"token_share", "pit_exact", "pit_within_one"}}}, the plot)."""
    with tempfile.TemporaryDirectory() as folder, open_store(db or f"sqlite:///{folder}/bench.db") as store:
        loaded = load(engine, device="cpu")
        cases = collect(store, loaded, SORM, each)
    ways = readings(cases)
    whole = ways["exhaustive"]
    tables: dict[str, Rows] = {
        "strategies": [row(way, whole, cases) for way in ways.values()],
        "paired differences on wrong chains": differences(ways, cases),
        "adaptive and the pit model alone, at other confidences": confidences(cases, whole),
        "pits against the exact one, % of wrong chains": [offsets(way, cases) for way in ways.values()],
        "how adaptive's pits stand, wrong chains": [standing(ways["adaptive"], cases)],
        "8 other draws of each prefix of 200 wrong chains, as the posterior foretells them": foretold(
            {name: ways[name] for name in ("adaptive", "exhaustive, read by the pit model", "the pit model alone")},
            cases,
        ),
        "the same after adaptive's draws, by what is foretold": foretold_by_value(ways["adaptive"], cases),
        "labels of `backward` against those of all draws": [
            identical(ways["backward"], ways["exhaustive"]),
            identical(ways[EVERY], labelled("exhaustive", [replace(case, rule="every") for case in cases], exhaustive)),
        ],
        "where `bisect` errs, wrong chains": bisect_errs(ways, cases),
        "the chains": [about(cases, loaded.model_id)],
        "what trained the ways that draw nothing": [trained()],
    }
    share = whole.tokens(cases)
    summary = {
        name: {
            "token_share": way.tokens(cases) / share,
            "pit_exact": _pits(way, cases, 0).mean(),
            "pit_within_one": _pits(way, cases, 1).mean(),
        }
        for name, way in ways.items()
    }
    return tables, {"strategies": summary}, plot(ways, cases)


def row(way: Reading, whole: Reading, cases: Sequence[Case]) -> dict[str, Any]:
    wrong = [case for case in cases if case.wrong]
    draws = sum(at.n for case, seen in zip(cases, way.seen, strict=True) for at in seen.values() if case.wrong)
    return {
        "strategy": way.name,
        f"{SPENT}, all chains": _percent(way.tokens(cases) / whole.tokens(cases)),
        "wrong chains": _percent(way.tokens(cases, True) / whole.tokens(cases, True)),
        "all chains, V[0] left out": _percent(
            way.tokens(cases, steps_only=True) / whole.tokens(cases, steps_only=True)
        ),
        "continuations a wrong chain": round(draws / len(wrong), 1),
        "prefill, % of exhaustive": _percent(way.prefill(cases, kept=True) / whole.prefill(cases, kept=True)),
        "read anew each turn": _percent(way.prefill(cases, kept=False) / whole.prefill(cases, kept=False)),
        "pit exact, %": st.bootstrap(st.ones(_pits(way, cases, 0)[None]), st.mean).text(),
        "pit within one, %": st.bootstrap(st.ones(_pits(way, cases, 1)[None]), st.mean).text(),
        "labels right, all chains, %": _percent(st.accuracy(_counts(way, cases).sum(axis=0))),
        "labels right, wrong chains, %": st.bootstrap(_counts(way, wrong, cases)[None], st.accuracy).text(),
        "balanced, wrong chains, %": _percent(st.balanced(_counts(way, wrong, cases).sum(axis=0))),
        "as 8 other draws say, wrong chains, %": _percent(st.accuracy(_others(way, cases).sum(axis=0))),
    }


def differences(ways: Mapping[str, Reading], cases: Sequence[Case]) -> list[dict[str, Any]]:
    wrong = [case for case in cases if case.wrong]
    rows = []
    for a, b in (
        ("adaptive", "exhaustive"), ("adaptive", "the SORM alone"), ("adaptive", "the pit model alone"),
        ("adaptive, its likeliest pit", "exhaustive"),
        ("adaptive", "no draw, no model: the last two open steps are lost"),
        ("exhaustive", "the SORM alone"), ("exhaustive", "the pit model alone"),
    ):  # fmt: skip
        one, other = ways[a], ways[b]
        found: dict[str, Any] = {"contrast": f"{a} − {b}"}
        for said, within in (("pit exact", 0), ("pit within one", 1)):
            both = [st.ones(_pits(way, cases, within)[None]) for way in (one, other)]
            found[f"{said} [95 %]"] = st.difference(*both, st.mean).text()
        both = [_counts(way, wrong, cases)[None] for way in (one, other)]
        found["labels right [95 %]"] = st.difference(*both, st.accuracy).text()
        found["balanced [95 %]"] = st.difference(*both, st.balanced).text()
        both = [_others(way, cases)[None] for way in (one, other)]
        found["as 8 other draws say [95 %]"] = st.difference(*both, st.accuracy).text()
        rows.append(found)
    return rows


def confidences(cases: Sequence[Case], whole: Reading) -> list[dict[str, Any]]:
    """The confidence is part of what a label says: the lower, the nearer to "more likely lost than not"."""
    rows = []
    for sure in (0.5, 0.8, 0.9, SURE):
        spend = adaptive.Adaptive(pits.shipped(), confidence=max(sure, SURE))
        for name, strategy in (("adaptive", spend), ("the pit model alone", alone)):
            made = row(read(name, cases, strategy, sure), whole, cases)
            rows.append({"confidence of a label 0": sure, **made})
    return rows


def offsets(way: Reading, cases: Sequence[Case]) -> dict[str, Any]:
    """How far each pit lies before or behind the exact one."""
    pairs = [(p, c.judgement.exact_pit) for p, c in zip(way.pits, cases, strict=True) if c.wrong]
    late = np.array([p - exact for p, exact in pairs if p is not None and exact is not None])
    found = {"2 or more too early": late <= -2, "1 too early": late == -1, "exact": late == 0}
    found |= {"1 too late": late == 1, "2 or more too late": late >= 2}
    return {"strategy": way.name, **{name: _percent(some.mean()) for name, some in found.items()}}


def identical(way: Reading, whole: Reading) -> dict[str, Any]:
    same = [list(a) == list(b) for a, b in zip(way.labels, whole.labels, strict=True)]
    return {
        "strategy": way.name,
        "chains": len(same),
        "all labels the same": sum(same),
        "labels": sum(len(x) for x in way.labels),
    }


def bisect_errs(ways: Mapping[str, Reading], cases: Sequence[Case]) -> list[dict[str, Any]]:
    """By whether a chain's own draws are monotone: no success behind a prefix that failed K times."""
    groups: dict[str, list[tuple[int | None, int | None, int | None]]] = {"monotone": [], "not monotone": []}
    for place, case in enumerate(cases):
        if case.wrong:
            drawn = [any(case.right(i)[:K]) for i in case.walk.open]
            name = "monotone" if drawn == sorted(drawn, reverse=True) else "not monotone"
            groups[name].append(tuple(ways[way].pits[place] for way in ("bisect", "forward", "exhaustive")))
    return [
        {"drawn labels": name, "chains": len(found), "as `forward` (Self-Explore)": sum(b == f for b, f, _ in found),
         "as `exhaustive` (GLoRe)": sum(b == e for b, _, e in found)}
        for name, found in groups.items()
    ]  # fmt: skip


def about(cases: Sequence[Case], model_id: str) -> dict[str, Any]:
    wrong = [case for case in cases if case.wrong]
    return {
        "student": model_id, "wrong chains": len(wrong), "right chains": len(cases) - len(wrong),
        "open prefixes a wrong chain": round(np.mean([len(c.walk.open) for c in wrong]), 2),
        "solvable of them, %": _percent(np.mean([ok for c in wrong for ok in c.solvable])),
        "wrong chains with an exact pit": sum(c.judgement.exact_pit is not None for c in wrong),
        "sampled tokens of exhaustive": sum(c.cost(i, K) for c in cases for i in c.draws),
        "of right chains": sum(c.cost(i, K) for c in cases if not c.wrong for i in c.draws),
    }  # fmt: skip


def _pits(way: Reading, cases: Sequence[Case], within: int) -> np.ndarray:
    """[wrong chains with an exact pit] of 1 where the pit is at most `within` steps off."""
    pairs = [(p, c.judgement.exact_pit) for p, c in zip(way.pits, cases, strict=True) if c.wrong]
    return np.array([float(p is not None and abs(p - exact) <= within) for p, exact in pairs if exact is not None])


def _counts(way: Reading, some: Iterable[Case], cases: Sequence[Case] | None = None) -> np.ndarray:
    """A judge's counts of labels against `solvable`, of some of the cases."""
    wanted = set(map(id, some))
    pairs = [(c.solvable, labels) for c, labels in zip(cases or some, way.labels, strict=True) if id(c) in wanted]
    return st.counts([[int(x) for x in truth] for truth, _ in pairs], [[bool(x) for x in said] for _, said in pairs])


def _others(way: Reading, cases: Sequence[Case]) -> np.ndarray:
    """Against GLoRe's labels of eight draws that no strategy has seen: what V says, and not what is solvable."""
    truth, said = [], []
    for case, labels in zip(cases, way.labels, strict=True):
        if case.wrong and all(len(draws) == 2 * K for draws in case.draws.values()):
            positive = [any(case.accepted[i][K:]) for i in case.walk.open]
            truth.append([int(any(positive[place:])) for place in range(len(positive))])
            said.append([bool(x) for x in labels])
    return st.counts(truth, said)


def _percent(share: float) -> float:
    return round(100 * float(share), 1)


def trained() -> dict[str, Any]:
    """Sampled tokens behind the SORM's labels and the pit model, as their own records say."""
    made = json.loads(pits.SHIPPED.read_text(encoding="utf-8"))["made"]
    found = {"pit model: chains": made["chains"], "continuations": made["draws"], "sampled tokens": made["tokens"]}
    path = FOLDER / "glore.json"
    if path.exists():
        run = json.loads(path.read_text(encoding="utf-8"))["tables"]["the run"][0]
        found |= {f"SORM: {name}": run[name] for name in ("sampled tokens, drafts", "sampled tokens, traces")}
    return found


def plot(ways: Mapping[str, Reading], cases: Sequence[Case]) -> str:
    """Labels right on wrong chains against tokens; what draws nothing is a level line."""
    wrong = [case for case in cases if case.wrong]
    whole = ways["exhaustive"].tokens(cases, True)

    def right(way: Reading) -> float:
        return _percent(st.accuracy(_counts(way, wrong, cases).sum(axis=0)))

    def at(way: Reading) -> tuple[float, float]:
        return _percent(way.tokens(cases, True) / whole), right(way)

    priced = [read("", cases, adaptive.Adaptive(pits.shipped(), price=price, budget=1.0)) for price in PRICES]
    lines = {"adaptive": [at(way) for way in priced]}
    lines["exhaustive, k = 1 … 8"] = [at(ways[n]) for n in ways if n.startswith("exhaustive") and "pit model" not in n]
    lines |= {name: [at(ways[name])] for name in ("backward", "forward", "bisect")}
    shares = [x for points in lines.values() for x, _ in points]
    lines |= {
        name: [(min(shares), right(ways[name])), (max(shares), right(ways[name]))]
        for name in ("the SORM alone", "the pit model alone")
    }
    return chart("Labels against the exact judge, wrong chains", SPENT, "right, %", lines, ticks=TICKS)
