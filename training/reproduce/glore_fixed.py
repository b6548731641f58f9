"""GLoRe's tables of refinement: wrong drafts fixed, and what is right in the end, with tokens on every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean as average
from typing import Any

import numpy as np

from training.reproduce import statistics as st
from training.reproduce.glore_arms import Trained
from training.reproduce.glore_data import BO, Judged, Shared
from training.reproduce.glore_judges import T, last_score, score
from training.reproduce.glore_refine import Refined
from training.reproduce.work import Work

BEFORE = "two samples from before the SORM's step"
TWO = "either, global again where E is 1"  # local is global there: "either" alone has one try, its controls have two
PICK = "draft, global, local: ORM's pick"


def _compared(shared: Shared) -> list[int]:
    """The drafts that "fixed" is of: the wrong ones."""
    return [i for i in shared.refined if not shared.test[i].right]


def fixed(seeds: Sequence[Refined], shared: Shared) -> dict[str, np.ndarray]:
    """Name → [seeds, wrong drafts] of 0 and 1."""
    wrong = _compared(shared)
    found: dict[str, list[list[bool]]] = {}
    for refined in seeds:
        right = {name: way.right() for name, way in refined.ways.items()}
        first, local = right["global"], right["local, SORM"]
        second = [b if e > 1 else c for b, c, e in zip(local, right["global, again"], _places(refined), strict=True)]
        rows = {
            "global": first,
            "local, SORM": local,
            "local, ORM": right["local, ORM"],
            "either": [a or b for a, b in zip(first, local, strict=True)],
            TWO: [a or b for a, b in zip(first, second, strict=True)],
            "global twice": [a or b for a, b in zip(first, right["global, again"], strict=True)],
            "local twice": [a or b for a, b in zip(local, right["local, SORM, again"], strict=True)],
            "two samples of the student": [any(c.right for c in group[:2]) for group in shared.samples],
            BEFORE: [any(c.right for c in pair) for pair in refined.samples],
            "local, exact pit (oracle)": right["local, exact pit (oracle)"],
        }
        for name, row in rows.items():
            found.setdefault(name, []).append([row[i] for i in wrong])
    return {name: np.array(rows, float) for name, rows in found.items()}


def _places(refined: Refined) -> list[int]:
    return refined.places["local, SORM"]


def later(seeds: Sequence[Refined], shared: Shared) -> np.ndarray:
    """[seeds, wrong drafts]: 1 where the SORM's step is not the first, so that local and global are two tries."""
    return np.array([[float(_places(refined)[i] > 1) for i in _compared(shared)] for refined in seeds])


PAPER_FIXED = {"global": "28", "local, SORM": "28", "either": "41"}


def _beside_global(refined: Refined, which: Sequence[int]) -> float:
    """Sampled tokens a draft of local refinements beside a global one: from step 1 on both are the same text."""
    way, places = refined.ways["local, SORM"], refined.places["local, SORM"]
    return average([way.spent[i] if places[i] > 1 else 0 for i in which] or [0])


def _again_at_first(refined: Refined, which: Sequence[int]) -> float:
    """Sampled tokens a draft of a second global try for those whose step is the first."""
    way, places = refined.ways["global, again"], _places(refined)
    return average([way.spent[i] if places[i] <= 1 else 0 for i in which] or [0])


def fixed_rows(found: Mapping[str, np.ndarray], seeds: Sequence[Refined], shared: Shared) -> list[dict[str, Any]]:
    cost = _costs(seeds, shared)
    return [
        {"tries": name, "wrong drafts fixed, % [95 %]": st.bootstrap(st.ones(rows), st.mean).text(),
         "paper": PAPER_FIXED.get(name, ""), "wrong drafts": rows.shape[1], "sampled tokens a wrong draft": cost[name]}
        for name, rows in found.items()
    ]  # fmt: skip


def _costs(seeds: Sequence[Refined], shared: Shared) -> dict[str, int]:
    """Sampled tokens a draft, over the drafts and seeds that `fixed` is of; the draft itself is not counted."""
    wrong = _compared(shared)

    def of(*names: str) -> float:
        return sum(average(refined.ways[name].tokens(wrong) for refined in seeds) for name in names)

    def drawn(groups: Sequence[Sequence[Judged]]) -> float:
        return average([sum(c.tokens for c in groups[i][:2]) for i in wrong] or [0])

    cost = {name: of(name) for name in ("global", "local, SORM", "local, ORM", "local, exact pit (oracle)")}
    cost["either"] = of("global") + average(_beside_global(refined, wrong) for refined in seeds)
    cost[TWO] = cost["either"] + average(_again_at_first(refined, wrong) for refined in seeds)
    cost |= {f"{way.split(',')[0]} twice": of(way, f"{way}, again") for way in ("global", "local, SORM")}
    cost[BEFORE] = average(drawn(refined.samples) for refined in seeds)
    cost["two samples of the student"] = drawn(shared.samples)
    return {name: round(value) for name, value in cost.items()}


def fixed_contrasts(found: Mapping[str, np.ndarray], later: np.ndarray) -> list[dict[str, Any]]:
    """either − each of the others, over the same wrong drafts; then with as many tries as they have."""
    every = np.ones_like(later)
    others = [name for name in found if name not in ("either", TWO)]
    rows = [_gap(found, "either", other, every) for other in others]
    rows += [_gap(found, TWO, other, every) for other in CONTROLS]
    return rows + [_gap(found, "either", other, later, ", where E is after step 1") for other in CONTROLS]


CONTROLS = ("global twice", "local twice", "two samples of the student", BEFORE)


def _gap(found: Mapping[str, np.ndarray], a: str, b: str, which: np.ndarray, where: str = "") -> dict[str, Any]:
    """a − b over these drafts [seeds, wrong drafts]; `drafts` is their number in one seed, on average."""
    gap = st.difference(*(np.stack([found[name] * which, which], axis=-1) for name in (a, b)), st.mean)
    drafts = round(float(which.sum(axis=1).mean()))
    return {"contrast": f"{a} − {b}{where}", "points [95 %]": gap.text(), "drafts": drafts}


def kept(
    work: Work, models: Sequence[Mapping[str, Trained]], seeds: Sequence[Refined], shared: Shared
) -> dict[str, Any]:
    """What is right in the end: name → ([seeds, drafts] of 0 and 1, sampled tokens a question).

    Over the drafts with three samples of the student, so that all rows are of the same questions, tokens as well.
    """
    which = shared.refined
    rows: dict[str, list[list[bool]]] = {}
    tokens: dict[str, list[float]] = {}
    for s, (refined, arms) in enumerate(zip(seeds, models, strict=True)):
        flat = [c for i in which for c in shared.samples[i][:BO]]
        scores = score(work, f"seed-{s}/three", arms["orm"], flat)
        last = [last_score(found, chain) for found, chain in zip(scores, flat, strict=True)]
        for name, row in _kept(refined, shared, which, last).items():
            rows.setdefault(name, []).append(row)
        for name, cost in _kept_tokens(refined, shared, which).items():
            tokens.setdefault(name, []).append(cost)
    return {name: (np.array(found, float), average(tokens[name])) for name, found in rows.items()}


def _kept(refined: Refined, shared: Shared, which: Sequence[int], three: list[float]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for at, i in enumerate(which):
        draft, samples = shared.test[i], shared.samples[i][:BO]
        tries = {name: refined.ways[name].tries[i] for name in ("global", "local, SORM")}
        scored = three[BO * at : BO * at + BO]
        doubt = refined.scores["draft"][i] <= T
        candidates = [(refined.scores["draft"][i], draft)]
        candidates += [(refined.scores[name][i], t) for name, t in tries.items() if t is not None]
        drawn = list(zip(scored, samples, strict=True))
        row = {
            "draft": draft.right,
            **{f"{n}, every draft": t is not None and t.right for n, t in tries.items()},
            **{f"{n}, ORM gate": (t is not None and t.right) if doubt else draft.right for n, t in tries.items()},
            PICK: _pick(candidates).right,
            **{f"draft, {n}: ORM's pick": _pick(_only(candidates, tries[n])).right for n in tries},
            "draft, global, local: any (oracle)": any(c.right for _, c in candidates),
            "best of three samples": _pick(drawn).right,
            "draft and two samples: ORM's pick": _pick([candidates[0], *drawn[:2]]).right,
            "three samples: any (oracle)": any(c.right for c in samples),
        }
        for name, right in row.items():
            found.setdefault(name, []).append(bool(right))
    return found


def _only(candidates: Sequence[tuple[float, Judged]], one: Judged | None) -> list[tuple[float, Judged]]:
    """The draft, which is the first candidate, and one of its refinements."""
    return [candidates[0], *(c for c in candidates[1:] if c[1] is one)]


def _pick(candidates: Sequence[tuple[float, Judged]]) -> Judged:
    return max(candidates, key=lambda c: c[0])[1]


def _kept_tokens(refined: Refined, shared: Shared, which: Sequence[int]) -> dict[str, float]:
    """Sampled tokens a question of one seed, over these questions; the gate refines doubted drafts only."""
    draft = average(shared.test[i].tokens for i in which)
    two, three = (average(sum(c.tokens for c in shared.samples[i][:n]) for i in which) for n in (2, BO))
    doubted = [i for i in which if refined.scores["draft"][i] <= T]
    tried = {name: refined.ways[name] for name in ("global", "local, SORM")}
    ways = {name: way.tokens(which) for name, way in tried.items()}
    both = ways["global"] + _beside_global(refined, which)
    gated = {name: way.tokens(doubted) * len(doubted) / len(which) for name, way in tried.items()}
    return {
        "draft": draft,
        **{f"{name}, every draft": draft + cost for name, cost in ways.items()},
        **{f"{name}, ORM gate": draft + cost for name, cost in gated.items()},
        PICK: draft + both,
        **{f"draft, {name}: ORM's pick": draft + cost for name, cost in ways.items()},
        "draft, global, local: any (oracle)": draft + both,
        "best of three samples": three,
        "draft and two samples: ORM's pick": draft + two,
        "three samples: any (oracle)": three,
    }


PAPER_KEPT = {
    "draft": "53",
    "global, every draft": "draft + at most 1",
    "local, SORM, every draft": "draft + at most 1",
    PICK: "65",
    "best of three samples": "58",
}


def kept_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    draft = st.ones(found["draft"][0])
    rows = []
    for name, (right, tokens) in found.items():
        gap = "" if name == "draft" else st.difference(st.ones(right), draft, st.mean).text()
        rows.append({
            "answer": name, "accuracy, % [95 %]": st.bootstrap(st.ones(right), st.mean).text(),
            "over the draft [95 %]": gap, "paper": PAPER_KEPT.get(name, ""), "questions": right.shape[1],
            "sampled tokens a question, over these": round(tokens),
        })  # fmt: skip
    return rows


def kept_contrasts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for other in ("best of three samples", "draft and two samples: ORM's pick", "draft, global: ORM's pick"):
        gap = st.difference(st.ones(found[PICK][0]), st.ones(found[other][0]), st.mean)
        paper = "7" if other == "best of three samples" else ""
        rows.append({"contrast": f"{PICK} − {other}", "points [95 %]": gap.text(), "paper": paper,
                     "drafts": found[other][0].shape[1]})  # fmt: skip
    return rows
