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

from stepviz.engines import load
from stepviz.refinement import locate
from stepviz.refining import refine_prompt, without_marks
from stepviz.types import PromptStyle, Request, Sampling, digest
from training.reproduce.glore_arms import Trained
from training.reproduce.glore_data import Judged, Shared, judged, resampled
from training.reproduce.glore_judges import UNSCORED, T, last_score, score
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
    """All tries of one seed: `ways` by name, `places` of the local ones (from 1; 0: none)."""

    ways: dict[str, Way]
    places: dict[str, list[int]]
    scores: dict[str, list[float]]  # the ORM's last, of draft, global and local (the draft's where a try has none)
    samples: list[list[Judged]]  # two of the student from before the SORM's step, for wrong drafts


def place(scores: Sequence[float], threshold: float = T) -> int:
    """E, from 1: the first step at or below the threshold, else the one with the lowest score; 1 without scores."""
    if not scores:
        return 1
    return locate(scores, threshold) or 1 + min(range(len(scores)), key=scores.__getitem__)


def refine_seed(work: Work, seed: int, models: Mapping[str, Trained], shared: Shared, log: Log = print) -> Refined:
    """Every try with one seed's refiner, SORM and ORM, for every draft that has samples to be compared with."""
    test, name, every = shared.test, f"seed-{seed}", shared.refined
    wrong = [i for i in every if not test[i].right]
    of = {arm: score(work, f"{name}/test", models[arm], test) for arm in ("orm", "sorm")}
    places = {f"local, {arm.upper()}": [place(row) for row in of[arm]] for arm in ("sorm", "orm")}
    asked = set(wrong)
    places["local, exact pit (oracle)"] = [
        d.judgement.exact_pit or len(d.steps) if i in asked else 0 for i, d in enumerate(test)
    ]
    writer = Writer(work, name, models["refiner"], test)
    ways = {"global": writer.write("global", test, [None] * len(test), every)}
    for way, found in places.items():  # what is right in the end is asked of the SORM's place alone
        ways[way] = writer.write(way, test, found, every if way == "local, SORM" else wrong)
    again = {"global": None, "local, SORM": "sorm"}
    for way, locator in again.items():
        first = [t or d for t, d in zip(ways[way].tries, test, strict=True)]
        again_at = [None] * len(test) if locator is None else _again(work, name, models[locator], first, wrong)
        ways[f"{way}, again"] = writer.write(f"{way}, again", first, again_at, wrong)
    scores = {"draft": [last_score(row, d) for row, d in zip(of["orm"], test, strict=True)]}
    for way in ("global", "local, SORM"):
        tries = [ways[way].tries[i] or test[i] for i in every]
        scored = score(work, f"{name}/{way}", models["orm"], tries)
        found = {i: last_score(row, t) for i, row, t in zip(every, scored, tries, strict=True)}
        scores[way] = [found.get(i, UNSCORED) for i in range(len(test))]
    pit = resampled(shared, places["local, SORM"], wrong)
    log(f"seed {seed}: refined {len(every)} drafts, {len(wrong)} of them wrong")
    return Refined(ways, places, scores, [pit.get(i, []) for i in range(len(test))])  # type: ignore[arg-type]


def _again(work: Work, name: str, model: Trained, first: Sequence[Judged], wrong: Sequence[int]) -> list[int]:
    asked = [first[i] for i in wrong]
    found = dict(zip(wrong, score(work, f"{name}/again", model, asked), strict=True))
    return [place(found[i]) if found.get(i) else 1 for i in range(len(first))]


class Writer:
    """A refiner; what it wrote is kept."""

    def __init__(self, work: Work, name: str, model: Trained, test: Sequence[Judged]) -> None:
        self.work, self.name, self.model, self.test = work, name, model, test

    def write(self, way: str, drafts: Sequence[Judged], bad: Sequence[int | None], which: Sequence[int]) -> Way:
        """Greedy refinements of these drafts, each marked before its bad step (None: global)."""
        asked = [i for i in which if drafts[i].steps]
        before = {i: "".join(f"{step}\n" for step in drafts[i].steps[: (bad[i] or 1) - 1]) for i in asked}
        prompts = {i: refine_prompt(drafts[i].problem.question, drafts[i].steps, bad[i]) + before[i] for i in asked}
        of = digest(self.model.id, STYLE.hash, *prompts.values())
        found = self.work.kept(f"{self.name}/written {way}", of, lambda: self._texts(list(prompts.values())))
        tries: list[Judged | None] = [None] * len(drafts)
        spent = [0] * len(drafts)
        for i, (text, whole, tokens) in zip(prompts, found, strict=True):
            written, _ = without_marks(text)
            made = judged(self.test[i].problem, before[i] + written, tokens)
            tries[i] = made if whole and written.strip() else None
            spent[i] = tokens
        return Way(way, tries, spent)

    def _texts(self, prompts: list[str]) -> list[tuple[str, bool, int]]:
        distinct = list(dict.fromkeys(prompts))
        engine = load(self.model.spec)
        done = dict(zip(distinct, engine.generate([Request(p) for p in distinct], STYLE), strict=True))
        engine.close()
        return [(done[p].text, done[p].finish_reason == "stop", done[p].tokens) for p in prompts]
