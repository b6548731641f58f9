"""`human-pairs`: preferences at the first step that people call wrong.

Shaped as Self-Explore's pairs (stepviz.recipes.pit_pairs), with people in the place of rollouts, and on labels such as
PRM800K's (arXiv 2305.20050):

    prompt    the question, and the steps before the first wrong one, each of which people call right
    rejected  the wrong step
    chosen    a step that people call right, from the very same steps: another chain of the problem that begins alike,
              or what PRM800K's labellers chose, rated or wrote there

Decisions:
1. Chains that begin with the same steps share what is said of them: the labels hang on the steps up to there and not
   on the chain. So PRM800K's alternatives, each rated at its last step only, stand on their trunk's labels.
2. Who counts: `annotator` (a person, or all of a data set's) or the people of a `study`, agreed as in
   stepviz.recipes.people: adjudicated, else by majority; of a tie nothing is known. Gold items, turns that call the
   problem bad, and `blind`: as in `stepwise`.
3. A step before the first wrong one that nobody rated, or on which people are split, ends the chain's use: the prompt
   would not be known to be right. Where PRM800K's labels are asked for, a step that its labeller wrote is right: they
   were asked to write one.
4. Among several right steps the one with the larger share of +1 comes first (PRM800K's 0 is right, but of no use),
   then one that no pair of this prompt has taken, then the shortest, then the first. A right step may stand in
   several pairs: it is a person's judgement each time. A wrong step stands in one pair a prompt.
5. `span="rest"` goes on to the end on both sides: all that follows the wrong step, and a chain whose further steps are
   all called right and which has an answer.
6. `chosen="right"` also takes a chain whose answer the grader calls right and in which no step from there on is called
   wrong: fewer labels are needed, but a right answer is no proof of right steps. Judged ones come first.
7. The rejected text may not stand in the chosen one, as in pit_pairs. White space around both is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stepviz.errors import StepvizError
from stepviz.recipes.case import (
    DUPLICATE,
    MASK,
    NO_STEPS,
    NOT_IN_STUDY,
    NOT_LABELLED,
    Attempt,
    Case,
    Dropped,
    Row,
    one_of,
    origin,
)
from stepviz.recipes.people import Count, Neutral, Vote, count, guidelines, named, one_each, votes
from stepviz.recipes.step_labels import WHOSE, is_of, of_a_study

NO_ERROR = "a chain in which people call no step wrong"
NOT_SURE = "a chain with a step before its first wrong one that nobody rated, or on which people are split"
NO_CHOSEN = "a wrong step without a right one from the same steps that does not hold its text"
WRITTEN = "written"  # who votes for a step that a labeller wrote


@dataclass(frozen=True, slots=True)
class HumanPairs:
    annotator: str | None = None
    study: str | None = None
    span: Literal["step", "rest"] = "step"
    chosen: Literal["judged", "right"] = "judged"
    neutral: Neutral = "correct"  # PRM800K's 0
    gold: bool = False  # of a study: gold items, too
    blind: bool = False  # of a study: only labels of the blind arm

    def __post_init__(self) -> None:
        one_of("span", self.span, ("step", "rest"))
        one_of("chosen", self.chosen, ("judged", "right"))
        one_of("neutral", self.neutral, ("correct", "mask"))
        if bool(self.annotator) + bool(self.study) != 1:
            raise StepvizError(f"{WHOSE}: one of the two")
        of_a_study(self.study, gold=self.gold, blind=self.blind)


class Place(NamedTuple):
    """A step after certain steps."""

    before: tuple[str, ...]
    step: str


@dataclass
class Tree:
    """What is said of every place of a problem's chains."""

    cast: dict[Place, list[Vote]] = field(default_factory=dict)
    adjudicated: set[Place] = field(default_factory=set)

    def count(self, place: Place) -> Count:
        return count(self.cast.get(place, ()), place in self.adjudicated)


def human_pairs(case: Case, options: HumanPairs, dropped: Dropped) -> Iterator[Row]:
    """{prompt, chosen, rejected, origin}: preferences at the first wrong steps of a problem's chains."""
    labelled = [a for a in case.attempts if a.chain.n and _said(a, options)]
    empty = sum(not a.chain.n for a in case.attempts)
    dropped.add(NO_STEPS, empty)
    dropped.add(NOT_IN_STUDY if options.study else NOT_LABELLED, len(case.attempts) - len(labelled) - empty)
    tree = _tree(case, labelled, options)
    rejected: set[Place] = set()
    taken: set[tuple[tuple[str, ...], str]] = set()
    for bad in labelled:
        error = _first_error(bad, tree, dropped)
        if error is None:
            continue
        place = places(bad)[error - 1]
        if place in rejected:
            dropped.add(DUPLICATE)
            continue
        rejected.add(place)
        row = _pair(case, bad, error, tree, taken, options)
        if row is None:
            dropped.add(NO_CHOSEN)
        else:
            yield row


def places(attempt: Attempt) -> list[Place]:
    steps = tuple(step.strip() for step in attempt.chain.steps)
    return [Place(steps[:i], step) for i, step in enumerate(steps)]


def _said(attempt: Attempt, options: HumanPairs) -> list[str]:
    """Who of those asked for labelled the steps of this chain."""
    asked = ("correct", "first_error")
    return [x.annotator for x in attempt.labels if x.question in asked and _counts(x.annotator, options)]


def _counts(annotator: str, options: HumanPairs) -> bool:
    return bool(options.study) or is_of(annotator, options.annotator or "")


def _tree(case: Case, labelled: list[Attempt], options: HumanPairs) -> Tree:
    of_prm800k = not options.study and is_of(options.annotator or "", "prm800k")
    tree, rows = Tree(), {_row_of(a) for a in labelled if of_prm800k}
    for attempt in case.attempts:
        said = [x for x in attempt.labels if _counts(x.annotator, options)]
        cast = votes(said, "correct", attempt.chain.n, options.neutral)
        if _row_of(attempt) in rows:
            for step in written(attempt):
                cast[step - 1].append(Vote(WRITTEN, 1))
        adjudicated = any(vote.settles for step in cast for vote in step)
        for place, voices in zip(places(attempt), cast, strict=True):
            tree.cast.setdefault(place, []).extend(voices)
            if adjudicated:
                tree.adjudicated.add(place)
    tree.cast = {place: one_each(voices) for place, voices in tree.cast.items()}
    return tree


def _row_of(attempt: Attempt) -> str:
    """Chains of one row of PRM800K have one trunk."""
    return attempt.chain.parent or attempt.chain.id


def written(attempt: Attempt) -> list[int]:
    """The steps that a PRM800K labeller wrote (stepviz.sources.prm800k), while the chain has its own borders."""
    chain = attempt.chain
    if not chain.origin.startswith("prm800k/") or not chain.rule.startswith("given/"):
        return []
    if chain.meta.get("candidate") == "human":
        return [chain.n]
    path = chain.meta.get("path", ())
    return [step for step, taken in enumerate(path, 1) if taken == "human" and step <= chain.n]


def _first_error(attempt: Attempt, tree: Tree, dropped: Dropped) -> int | None:
    """The first step called wrong, 1 … n, where each before it is called right."""
    labels = [tree.count(place).label for place in places(attempt)]
    if 0 not in labels:
        dropped.add(NO_ERROR)
        return None
    first = labels.index(0)
    if MASK in labels[:first]:
        dropped.add(NOT_SURE)
        return None
    return first + 1


class Candidate(NamedTuple):
    """A right way on; judged: by people, and not by the answer alone."""

    attempt: Attempt
    text: str
    judged: bool
    helps: float


def _pair(
    case: Case, bad: Attempt, error: int, tree: Tree, taken: set[tuple[tuple[str, ...], str]], options: HumanPairs
) -> Row | None:
    place, rejected = places(bad)[error - 1], text_from(bad, error, options.span)
    found = [c for c in _candidates(case, place, tree, options) if c.text and rejected not in c.text]
    if not found:
        return None
    best = min(found, key=lambda c: (not c.judged, -c.helps, (place.before, c.text) in taken, len(c.text)))
    taken.add((place.before, best.text))
    labels = [x for x in (*bad.labels, *best.attempt.labels) if _counts(x.annotator, options)]
    by = {"study": options.study, "guideline": guidelines(labels)} if options.study else {}
    return {
        "prompt": case.prompt + bad.chain.prefix(error - 1),
        "chosen": best.text,
        "rejected": rejected,
        "origin": origin(
            case.problem, bad, error, chosen=best.attempt.chain.id, annotator=named(labels, "correct"), **by
        ),
    }


def _candidates(case: Case, place: Place, tree: Tree, options: HumanPairs) -> Iterator[Candidate]:
    """Ways on from the steps before `place`, in the order of the chains."""
    i = len(place.before)
    for attempt in case.attempts:
        on = places(attempt)
        if len(on) <= i or on[i].before != place.before:
            continue
        own = on[i:] if options.span == "rest" else on[i : i + 1]
        counts = [tree.count(at) for at in own]
        ended = options.span == "step" or attempt.right or attempt.chain.terminal
        judged = ended and all(c.label == 1 for c in counts)
        right = options.chosen == "right" and attempt.right and all(tree.count(at).label != 0 for at in on[i:])
        if judged or right:
            helps = sum(c.helps for c in counts) / (sum(c.n for c in counts) or 1)
            yield Candidate(attempt, text_from(attempt, i + 1, options.span), judged, helps)


def text_from(attempt: Attempt, step: int, span: str) -> str:
    """That step, or all from it on."""
    chain = attempt.chain
    return (chain.steps[step - 1] if span == "step" else chain.text[chain.spans[step - 1].start :]).strip()
