"""GLoRe's table 3 and its refinement figures: how many wrong drafts are fixed, and what is gained in the end.

Decisions: a locator that flags nothing gives the step with the lowest score, so that "local" is always local. The
refiner is handed the steps before E, and its tokens are those that it wrote itself. A second try of the same kind
refines the first try's result (greedy decoding would only repeat it); "fixed" counts either try, as "either" does for
global and local. Controls from the student are two samples at temperature 0.7. Candidates that a token limit cut off
are never picked; of equal ORM scores the draft comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean as average
from typing import Any

import numpy as np

from stepviz.engines import load
from stepviz.refinement import locate
from stepviz.refining import refine_prompt
from stepviz.types import PromptStyle, Request, Sampling, digest
from training.reproduce import statistics as st
from training.reproduce.glore_arms import Trained
from training.reproduce.glore_data import BO, Judged, Shared, judged, resampled
from training.reproduce.glore_judges import T, score
from training.reproduce.work import Work

Log = Callable[[str], None]
STYLE = Sampling(temperature=0.0, max_tokens=300, style=PromptStyle(name="refine", template="{question}"))


@dataclass(frozen=True, slots=True)
class Way:
    """A try for each draft of test (None: not tried, or cut off), and the tokens sampled for it (0: not tried)."""

    name: str
    tries: list[Judged | None]
    spent: list[int]

    def tokens(self, which: Sequence[int]) -> float:
        """Sampled tokens a draft, over these drafts of test; what a limit cut off was sampled, too."""
        return average([self.spent[i] for i in which] or [0])

    def right(self) -> list[bool]:
        return [t is not None and t.right for t in self.tries]


@dataclass(frozen=True)
class Refined:
    """All tries of one seed. `fixed` and `kept` map a name to 0 or 1 for each draft."""

    ways: dict[str, Way]
    places: dict[str, list[int]]
    scores: dict[str, list[float]]  # ORM, of draft, global, local and the student's samples
    samples: list[list[Judged]]  # two from the step before the pit, for wrong drafts


def place(scores: Sequence[float], threshold: float = T) -> int:
    """E, from 1: the first step at or below the threshold, else the one with the lowest score; 1 without scores."""
    if not scores:
        return 1
    return locate(scores, threshold) or 1 + min(range(len(scores)), key=scores.__getitem__)


def refine_seed(work: Work, seed: int, models: Mapping[str, Trained], shared: Shared, log: Log = print) -> Refined:
    """Every try for every draft with one seed's refiner, SORM and ORM."""
    test, name = shared.test, f"seed-{seed}"
    wrong = [i for i, d in enumerate(test) if not d.right]
    of = {arm: score(work, f"{name}/test", models[arm], test) for arm in ("orm", "sorm")}
    places = {f"local, {arm.upper()}": [place(row) for row in of[arm]] for arm in ("sorm", "orm")}
    places["local, exact pit (oracle)"] = [
        d.judgement.exact_pit or len(d.steps) if i in set(wrong) else 0 for i, d in enumerate(test)
    ]
    every = range(len(test))
    writer = Writer(work, name, models["refiner"], test)
    ways = {"global": writer.write("global", test, [None] * len(test), every)}
    for way, found in places.items():
        ways[way] = writer.write(way, test, found, wrong if "oracle" in way else every)
    again = {"global": None, "local, SORM": "sorm"}
    for way, locator in again.items():
        first = [t or d for t, d in zip(ways[way].tries, test, strict=True)]
        found = [None] * len(test) if locator is None else _again(work, name, models[locator], first, wrong)
        ways[f"{way}, again"] = writer.write(f"{way}, again", first, found, wrong)
    scores = {"draft": _last(of["orm"])}
    for way in ("global", "local, SORM"):
        tries = [t or d for t, d in zip(ways[way].tries, test, strict=True)]
        scores[way] = _last(score(work, f"{name}/{way}", models["orm"], tries))
    pit = resampled(shared, places["local, SORM"], wrong)
    log(f"seed {seed}: refined {len(test)} drafts, {len(wrong)} of them wrong")
    return Refined(ways, places, scores, [pit.get(i, []) for i in every])  # type: ignore[arg-type]


def _again(work: Work, name: str, model: Trained, first: Sequence[Judged], wrong: Sequence[int]) -> list[int]:
    asked = [first[i] for i in wrong]
    found = dict(zip(wrong, score(work, f"{name}/again", model, asked), strict=True))
    return [place(found[i]) if found.get(i) else 1 for i in range(len(first))]


def _last(scores: Sequence[Sequence[float]]) -> list[float]:
    return [row[-1] if row else -1.0 for row in scores]


class Writer:
    """A refiner; what it wrote is kept."""

    def __init__(self, work: Work, name: str, model: Trained, test: Sequence[Judged]) -> None:
        self.work, self.name, self.model, self.test = work, name, model, test

    def write(self, way: str, drafts: Sequence[Judged], bad: Sequence[int | None], which: Sequence[int]) -> Way:
        """Greedy refinements of these drafts, each marked before its bad step (None: global)."""
        asked = [i for i in which if drafts[i].steps]
        before = {i: "".join(f"{step}\n" for step in drafts[i].steps[: (bad[i] or 1) - 1]) for i in asked}
        prompts = {i: refine_prompt(drafts[i].problem.question, drafts[i].steps, bad[i]) + before[i] for i in asked}
        of = digest(self.model.id, *prompts.values())
        found = self.work.kept(f"{self.name}/written {way}", of, lambda: self._texts(list(prompts.values())))
        tries: list[Judged | None] = [None] * len(drafts)
        spent = [0] * len(drafts)
        for i, (text, whole, tokens) in zip(prompts, found, strict=True):
            made = judged(self.test[i].problem, before[i] + text, tokens)
            tries[i] = made if whole and text.strip() else None
            spent[i] = tokens
        return Way(way, tries, spent)

    def _texts(self, prompts: list[str]) -> list[tuple[str, bool, int]]:
        distinct = list(dict.fromkeys(prompts))
        engine = load(self.model.spec)
        done = dict(zip(distinct, engine.generate([Request(p) for p in distinct], STYLE), strict=True))
        engine.close()
        return [(done[p].text, done[p].finish_reason == "stop", done[p].tokens) for p in prompts]


# ---- tables


def _compared(shared: Shared) -> list[int]:
    """The drafts that "fixed" is of: wrong ones whose question has two samples of the student."""
    return [i for i, d in enumerate(shared.test) if not d.right and len(shared.samples[i]) >= 2]


def fixed(seeds: Sequence[Refined], shared: Shared) -> dict[str, np.ndarray]:
    """Name → [seeds, wrong drafts] of 0 and 1."""
    wrong = _compared(shared)
    found: dict[str, list[list[bool]]] = {}
    for refined in seeds:
        right = {name: way.right() for name, way in refined.ways.items()}
        first, local = right["global"], right["local, SORM"]
        rows = {
            "global": first,
            "local, SORM": local,
            "local, ORM": right["local, ORM"],
            "either": [a or b for a, b in zip(first, local, strict=True)],
            "global twice": [a or b for a, b in zip(first, right["global, again"], strict=True)],
            "local twice": [a or b for a, b in zip(local, right["local, SORM, again"], strict=True)],
            "two samples of the student": [any(c.right for c in group[:2]) for group in shared.samples],
            "two samples from before the pit": [any(c.right for c in pair) for pair in refined.samples],
            "local, exact pit (oracle)": right["local, exact pit (oracle)"],
        }
        for name, row in rows.items():
            found.setdefault(name, []).append([row[i] for i in wrong])
    return {name: np.array(rows, float) for name, rows in found.items()}


PAPER_FIXED = {"global": "28", "local, SORM": "28", "either": "41"}


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
    cost["either"] = of("global", "local, SORM")
    cost |= {f"{way.split(',')[0]} twice": of(way, f"{way}, again") for way in ("global", "local, SORM")}
    cost["two samples from before the pit"] = average(drawn(refined.samples) for refined in seeds)
    cost["two samples of the student"] = drawn(shared.samples)
    return {name: round(value) for name, value in cost.items()}


def fixed_contrasts(found: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """either − each of the others, over the same wrong drafts."""
    others = [name for name in found if name != "either"]
    gaps = {name: st.difference(st.ones(found["either"]), st.ones(found[name]), st.mean) for name in others}
    n = found["either"].shape[1]
    return [{"contrast": f"either − {o}", "points [95 %]": gap.text(), "drafts": n} for o, gap in gaps.items()]


def kept(
    work: Work, models: Sequence[Mapping[str, Trained]], seeds: Sequence[Refined], shared: Shared
) -> dict[str, Any]:
    """What is right in the end: name → ([seeds, drafts] of 0 and 1, sampled tokens a question).

    Over the drafts with three samples of the student, so that all rows are of the same questions, tokens as well.
    """
    which = [i for i, group in enumerate(shared.samples) if len(group) >= BO]
    rows: dict[str, list[list[bool]]] = {}
    tokens: dict[str, list[float]] = {}
    for s, (refined, arms) in enumerate(zip(seeds, models, strict=True)):
        flat = [c for i in which for c in shared.samples[i][:BO]]
        last = _last(score(work, f"seed-{s}/three", arms["orm"], flat))
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
            "draft, global, local: ORM's pick": _pick(candidates).right,
            "draft, global, local: any (oracle)": any(c.right for _, c in candidates),
            "best of three samples": _pick(drawn).right,
            "draft and two samples: ORM's pick": _pick([candidates[0], *drawn[:2]]).right,
            "three samples: any (oracle)": any(c.right for c in samples),
        }
        for name, right in row.items():
            found.setdefault(name, []).append(bool(right))
    return found


def _pick(candidates: Sequence[tuple[float, Judged]]) -> Judged:
    return max(candidates, key=lambda c: c[0])[1]


def _kept_tokens(refined: Refined, shared: Shared, which: Sequence[int]) -> dict[str, float]:
    """Sampled tokens a question of one seed, over these questions; the gate refines doubted drafts only."""
    draft = average(shared.test[i].tokens for i in which)
    two, three = (average(sum(c.tokens for c in shared.samples[i][:n]) for i in which) for n in (2, BO))
    doubted = [i for i in which if refined.scores["draft"][i] <= T]
    tried = {name: refined.ways[name] for name in ("global", "local, SORM")}
    ways = {name: way.tokens(which) for name, way in tried.items()}
    gated = {name: way.tokens(doubted) * len(doubted) / len(which) for name, way in tried.items()}
    return {
        "draft": draft,
        **{f"{name}, every draft": draft + cost for name, cost in ways.items()},
        **{f"{name}, ORM gate": draft + cost for name, cost in gated.items()},
        "draft, global, local: ORM's pick": draft + sum(ways.values()),
        "draft, global, local: any (oracle)": draft + sum(ways.values()),
        "best of three samples": three,
        "draft and two samples: ORM's pick": draft + two,
        "three samples: any (oracle)": three,
    }


PAPER_KEPT = {
    "draft": "53",
    "global, every draft": "draft + at most 1",
    "local, SORM, every draft": "draft + at most 1",
    "draft, global, local: ORM's pick": "65",
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
    ours = "draft, global, local: ORM's pick"
    rows = []
    for other in ("best of three samples", "draft and two samples: ORM's pick"):
        gap = st.difference(st.ones(found[ours][0]), st.ones(found[other][0]), st.mean)
        paper = "7" if other == "best of three samples" else ""
        rows.append({"contrast": f"{ours} − {other}", "points [95 %]": gap.text(), "paper": paper,
                     "drafts": found[other][0].shape[1]})  # fmt: skip
    return rows
