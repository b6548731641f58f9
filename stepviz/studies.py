"""What a study asks of whom: questions, people an item, arms, order, gold items, leases. Pure.

Three questions, kept apart: whether each step is correct (PRM800K, ProcessBench), whether the problem can still be
solved from there (what rollouts measure and a SORM learns), and which step decides the outcome (GPO's user study).

Arms: in "blind" nothing of a model's opinion is shown, in "scores" a scorer's numbers, in "pit" the step at which it
sees the chain go wrong. The arm is drawn for each item and person, so that what showing does can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from random import Random
from typing import Any, get_args

from stepviz.agreement.opinions import Question
from stepviz.errors import StepvizError
from stepviz.types import Arm

QUESTIONS = ("correct", "solvable", "decides")
ARMS: tuple[Arm, ...] = ("blind", "scores", "pit")
ORDERS = {
    "given": "as the chains come",
    "random": "drawn once, the same for everybody",
    "disputed": "where the scorer and the rollouts differ most",
    "uncertain": "where a score is closest to the threshold",
    "people": "where people disagree, or with the grader",
    "convincing": "wrong answers that the scorer believes most (PRM800K)",
}
# PRM800K's words for how an item ended
FINISHES = ("solution", "found_error", "give_up", "bad_problem")
FLAGS = ("bad_problem", "give_up")
# None: unsure. PRM800K's 0, correct and no help, is no answer to whether the problem can still be solved
RATINGS: Mapping[str, tuple[int | None, ...]] = {"correct": (1, 0, -1, None), "solvable": (1, -1, None)}
MOST_PEOPLE, MOST_MINUTES = 100, 24 * 60


class Unfit(StepvizError):
    """A study that cannot be made; field: the setting that it lies with ("chains" for the choice of them)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """people: how many label an item; arms: their weights; gold_share: items of known labels among all of them.

    scorer: a model's id, whose numbers order the items and are shown; lease_minutes: until an item goes to another one.
    """

    questions: tuple[str, ...] = ("correct",)
    people: int = 2
    order: str = "random"
    arms: Mapping[str, int] = field(default_factory=lambda: {"blind": 1})
    gold_share: float = 0.0
    lease_minutes: float = 30.0
    scorer: str = ""
    threshold: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """StepvizError for what cannot be asked."""
        unknown = [q for q in self.questions if q not in QUESTIONS]
        checks = {
            f"questions are {', '.join(QUESTIONS)}, each once": not unknown
            and 0 < len(self.questions) == len(set(self.questions)),
            f"people is 1 to {MOST_PEOPLE}": 1 <= self.people <= MOST_PEOPLE,
            f"order is {', '.join(ORDERS)}": self.order in ORDERS,
            f"arms are {', '.join(ARMS)}, with weights of which one is above 0": set(self.arms) <= set(ARMS)
            and all(weight >= 0 for weight in self.arms.values())
            and sum(self.arms.values()) > 0,
            "gold_share is a share below 1": 0 <= self.gold_share < 1,
            f"lease_minutes is 1 to {MOST_MINUTES}": 1 <= self.lease_minutes <= MOST_MINUTES,
            "threshold is a score between 0 and 1": 0 <= self.threshold <= 1,
            "a scorer is needed, to show it or to order by it": bool(self.scorer) or not self.needs_a_scorer,
        }
        for rule, holds in checks.items():
            if not holds:
                field = rule.partition(" ")[0] if not rule.startswith("a scorer") else "scorer"
                raise Unfit(field, rule if field == "scorer" else f"a study's {rule}")

    @property
    def needs_a_scorer(self) -> bool:
        shown = any(weight for arm, weight in self.arms.items() if arm != "blind")
        return shown or self.order in ("disputed", "uncertain", "convincing")

    @property
    def lease_s(self) -> float:
        return 60 * self.lease_minutes

    @property
    def gold_question(self) -> Question | None:
        """The one by whose first wrong step gold items are told right; None: none of them asks for one."""
        return next((q for q in get_args(Question) if q in self.questions), None)

    def arm(self, item: int, annotator: str) -> Arm:
        """By the seed, so that nobody chooses; stored with the turn, and this is not asked again."""
        names = [arm for arm in ARMS if self.arms.get(arm, 0)]
        rng = Random(f"{self.seed}/{item}/{annotator}")
        return rng.choices(names, [self.arms[name] for name in names])[0]

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "questions": list(self.questions), "arms": dict(self.arms)}


def read(told: Mapping[str, Any]) -> StudyConfig:
    """StepvizError for a setting that there is not."""
    names = {f.name for f in fields(StudyConfig)}
    if unknown := sorted(set(told) - names):
        raise StepvizError(f"a study has no setting {unknown[0]!r}; there are: {', '.join(sorted(names))}")
    return StudyConfig(**{**told, "questions": tuple(told.get("questions", ("correct",)))})


def stored(config: Mapping[str, Any]) -> StudyConfig:
    """As a study keeps it, with whose labels its gold items have beside it."""
    return read({name: value for name, value in config.items() if name != "gold_by"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chain that may become an item. scores, values: a step 1 … n, by the scorer and by rollouts; () where unknown.

    wrong: its answer is; disputed: people disagree about it, or with the grader.
    """

    chain: str
    scores: Sequence[float] = ()
    values: Sequence[float | None] = ()
    wrong: bool = False
    disputed: bool = False


def ordered(candidates: Sequence[Candidate], config: StudyConfig) -> list[str]:
    """Chain ids. What cannot be told of a chain puts it behind those of which it can; ties stay as they came."""
    if config.order == "given":
        return [c.chain for c in candidates]
    if config.order == "random":
        shuffled = [c.chain for c in candidates]
        Random(config.seed).shuffle(shuffled)
        return shuffled
    rank = {"disputed": _differ, "uncertain": _close, "people": _disputed, "convincing": _convincing}[config.order]
    return [c.chain for c in sorted(candidates, key=lambda c: -rank(c, config))]


def _differ(c: Candidate, _: StudyConfig) -> float:
    gaps = [abs(s - v) for s, v in zip(c.scores, c.values, strict=False) if v is not None]
    return max(gaps, default=-1.0)


def _close(c: Candidate, config: StudyConfig) -> float:
    return max((1 - abs(s - config.threshold) for s in c.scores), default=-1.0)


def _disputed(c: Candidate, _: StudyConfig) -> float:
    return float(c.disputed)


def _convincing(c: Candidate, _: StudyConfig) -> float:
    """The weakest step's score of a wrong chain: a chain is as convincing as that."""
    return min(c.scores) if c.wrong and c.scores else -1.0


def with_gold(chains: Sequence[str], gold: Sequence[str], config: StudyConfig) -> list[tuple[str, bool]]:
    """(chain, gold) with gold items spread evenly among the others, as many as the share asks for.

    gold: those of the chains whose labels are known; which of them are chosen is drawn, and the rest are items like
    the others. StepvizError where there are too few.
    """
    wanted = round(config.gold_share * len(chains))
    if wanted > len(gold):
        takes = (
            f"a gold share of {config.gold_share:g} takes {wanted} chain{'' if wanted == 1 else 's'} of known labels"
        )
        raise Unfit("gold_share", f"{takes}, and there are {len(gold)}")
    drawn = Random(config.seed).sample(list(gold), wanted)
    others = [chain for chain in chains if chain not in set(drawn)]
    places = {round((i + 0.5) * len(others) / wanted) for i in range(wanted)}
    chosen, items = iter(drawn), []
    for place, chain in enumerate(others):
        if place in places:
            items.append((next(chosen), True))
        items.append((chain, False))
    return items + [(chain, True) for chain in chosen]
