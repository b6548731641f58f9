"""GLoRe's inference: when, where and how to refine a draft, and which answer to keep (arXiv 2402.10963; the labels
that the scorers learn stand in stepviz.glore).

    when    the ORM thinks the draft wrong: ORM(Q, D) at or below a gate, or always
    where   E = the first step whose SORM score is at or below T = 0.5; the ORM's scores as the alternative
    how     global: [BAD] before the draft's first step; local: [BAD] before S_E; greedy decoding
    keep    the argmax of ORM(Q, full solution) over draft, global and local; the draft wins ties

Symbols: D the draft, A_GR and A_LR its refinements, E the step where it goes wrong, T the threshold.

Decisions where the paper is silent:
1. The locator flags no step of a draft that is to be refined: `no_flag` is "argmin" (E = the step with the lowest
   score), "global" (a global refinement only: the default) or "skip" (no local refinement).
2. E = 1 makes the local prompt the global one; it is decoded once and stands for both.
3. The answer line is a step that may be flagged: the refiner then rewrites from there.
4. A refinement that was cut off, or has no steps, is kept and shown, and never picked.
5. A refinement that says what the draft says gets the draft's score, so the draft stands: it wins ties.
6. A refiner that repeats [BAD] is read without it (stepviz.refining).
7. What the refiner cannot read (longer than its context) carries the reason and is never picked; where it could read
   none of all the drafts it is an error. A draft that the ORM gave no score is not refined.
8. `samples` above 1 draws so many of each kind at a temperature, and ranks all of them with the draft.
9. A local refinement keeps the steps before E. A refiner of whole solutions was trained to write them again: it is
   handed them as the beginning of its answer, so that no weak model can lose them, and no token is spent on them. One
   trained on suffixes (`target="suffix"` in its dataset) writes from step E on by itself. Either way they are put in
   front of what it wrote, since an ORM is asked about whole solutions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from stepviz import steps as cut
from stepviz.engines import Engine
from stepviz.engines.base import CANCELLED
from stepviz.errors import StepvizError
from stepviz.refining import refine_prompt, without_marks
from stepviz.types import Completion, FinishReason, PromptStyle, Request, Sampling, continuation_seed, prefix_hash
from stepviz.types import problem_id as id_of

THRESHOLD = 0.5  # at or below: bad
Kind = Literal["global", "local"]
NoFlag = Literal["argmin", "global", "skip"]
Score = Callable[[Sequence[tuple[str, Sequence[str]]]], list[list[float]]]  # a Scorer's `score`

STYLE = PromptStyle(name="refine", template="{question}")
GREEDY = Sampling(temperature=0.0, max_tokens=300, style=STYLE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A chain that may be refined: its question, and its steps as texts."""

    question: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Draw j of a refinement of drafts[draft], with step `bad` marked (None: global)."""

    draft: int
    kind: Kind
    bad: int | None
    j: int
    prompt: str

    def seed(self, question: str, model_id: str, sampling: Sampling) -> int:
        return continuation_seed(id_of(question), prefix_hash(self.prompt), model_id, sampling.hash, self.j)


@dataclass(frozen=True, slots=True)
class Refinement:
    """What the refiner wrote, read. `bad`: the step marked in the prompt, None for a global refinement."""

    kind: Kind
    bad: int | None
    text: str
    steps: tuple[str, ...]
    finish_reason: FinishReason
    tokens: int
    j: int = 0
    marks: int = 0  # how often it repeated [BAD]
    error: str = ""

    @property
    def whole(self) -> bool:
        return self.finish_reason == "stop" and bool(self.steps)

    @property
    def cancelled(self) -> bool:
        return self.error == CANCELLED

    @property
    def name(self) -> str:
        """`local`, and `local 2`, `local 3` … where several were drawn."""
        return self.kind if self.j == 0 else f"{self.kind} {self.j + 1}"


Write = Callable[[Sequence[Ask]], list[Refinement]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A draft, why and where it was refined, what came of it, and the ORM's pick.

    `refinements` by name; `scores`: ORM(Q, full solution) of "draft" and of each, as far as they are there. `when` is
    the draft's score, `chosen` whether it was to be refined.
    """

    draft: Draft
    when: float | None
    chosen: bool
    where: int | None
    refinements: dict[str, Refinement]
    scores: dict[str, float]
    pick: str

    def solution(self, name: str) -> tuple[str, ...]:
        """The steps of "draft", "global", "local", …"""
        return self.draft.steps if name == "draft" else self.refinements[name].steps


def locate(scores: Sequence[float], threshold: float = THRESHOLD) -> int | None:
    """E: the first step, from 1, whose score is at or below the threshold; None where there is none."""
    return next((i for i, score in enumerate(scores, start=1) if score <= threshold), None)


def rerank(scores: dict[str, float]) -> str:
    """The candidate with the highest score; of equals the one that comes first."""
    if not scores:
        raise StepvizError("there is nothing to rank")
    return max(scores, key=scores.__getitem__)


def refine(
    drafts: Sequence[Draft],
    engine: Engine | Write,
    orm: Score | None = None,
    locator: Score | None = None,
    how: Sequence[Kind] = ("global", "local"),
    gate: float | None = None,
    threshold: float = THRESHOLD,
    no_flag: NoFlag = "global",
    sampling: Sampling = GREEDY,
    at: Sequence[int | None] | None = None,
    samples: int = 1,
    suffix: bool = False,
) -> list[Outcome]:
    """Refines each draft that the ORM doubts (ORM(Q, D) <= gate; all of them without a gate) in the ways asked for.

    engine: the refiner, or a function that writes what is asked (a job recalls what it has). locator: scores of steps
    for E (the SORM's; the ORM's as the alternative); `at` gives E for each draft instead (a step dragged by hand, a
    person's label, the exact judge in an oracle arm). Without an ORM the last refinement that is whole is picked,
    local before global. StepvizError for what lacks its scorer, and a draft without steps.
    """
    if gate is not None and orm is None:
        raise StepvizError("a gate needs an ORM that says when a draft is to be refined")
    if "local" in how and locator is None and at is None:
        raise StepvizError("a local refinement needs a scorer that says where, or a step to refine from")
    if samples > 1 and sampling.temperature == 0:
        raise StepvizError("temperature 0 gives the same text every time: ask for one sample, or raise the temperature")
    doubts = _last(orm, drafts) if orm else [None] * len(drafts)
    chosen = [orm is None or (d is not None and (gate is None or d <= gate)) for d in doubts]
    places = list(at) if at is not None else _places(drafts, chosen, locator, how, threshold, no_flag)
    wanted = [(i, kind, bad) for i, place in enumerate(places) if chosen[i] for kind, bad in _ways(how, place, no_flag)]
    write = engine if callable(engine) else by_engine(drafts, engine, sampling, suffix)
    written = _written(drafts, wanted, write, samples)
    return _outcomes(drafts, doubts, chosen, places, written, orm)


def by_engine(drafts: Sequence[Draft], engine: Engine, sampling: Sampling, suffix: bool = False) -> Write:
    """The same prompt with the same seed is decoded once."""

    def write(asks: Sequence[Ask]) -> list[Refinement]:
        keys = [(ask.prompt, ask.seed(drafts[ask.draft].question, engine.model_id, sampling)) for ask in asks]
        distinct = list(dict.fromkeys(keys))
        begun = {key: "" if suffix else kept(ask, drafts[ask.draft].steps) for ask, key in zip(asks, keys, strict=True)}
        requests = [Request(prompt + begun[prompt, seed], seed=seed) for prompt, seed in distinct]
        done = dict(zip(distinct, engine.generate(requests, sampling), strict=True))
        rule = sampling.style.step_rule
        return [read(ask, done[key], rule, drafts[ask.draft].steps) for ask, key in zip(asks, keys, strict=True)]

    return write


def kept(ask: Ask, steps: Sequence[str]) -> str:
    """The draft's steps before E, a line each: what a local refinement begins with; "" for a global one."""
    return "".join(f"{step.rstrip()}\n" for step in steps[: (ask.bad or 1) - 1])


def read(ask: Ask, done: Completion, rule: str, steps: Sequence[str] = ()) -> Refinement:
    """What was written as a refinement of the draft with these steps: those before E stand in front of it."""
    text, marks = without_marks(done.text)
    if (before := kept(ask, steps)) and text.strip():  # a refiner that writes nothing has refined nothing
        text = before + text.lstrip("\n")
    steps = tuple(
        text[span.start : span.end] for span in cut.segment(text, rule, cut_off=done.finish_reason == "length")
    )
    return Refinement(ask.kind, ask.bad, text, steps, done.finish_reason, done.tokens, ask.j, marks, done.error or "")


# ---- where, how


def _places(
    drafts: Sequence[Draft],
    chosen: Sequence[bool],
    locator: Score | None,
    how: Sequence[Kind],
    threshold: float,
    no_flag: NoFlag,
) -> list[int | None]:
    places: list[int | None] = [None] * len(drafts)
    if locator is None or "local" not in how:
        return places
    asked = [i for i, yes in enumerate(chosen) if yes]
    for i, scores in zip(asked, locator([(drafts[i].question, drafts[i].steps) for i in asked]), strict=True):
        places[i] = locate(scores, threshold)
        if places[i] is None and no_flag == "argmin" and scores:
            places[i] = 1 + min(range(len(scores)), key=scores.__getitem__)
    return places


def _ways(how: Sequence[Kind], place: int | None, no_flag: NoFlag) -> list[tuple[Kind, int | None]]:
    """(kind, marked step); where nothing is flagged, `no_flag` may put a global one in the local one's place."""
    ways: list[tuple[Kind, int | None]] = [("global", None)] if "global" in how else []
    if "local" in how and place is not None:
        ways.append(("local", place))
    elif "local" in how and no_flag == "global" and not ways:
        ways.append(("global", None))
    return ways


def _written(
    drafts: Sequence[Draft], wanted: Sequence[tuple[int, Kind, int | None]], write: Write, samples: int
) -> list[dict[str, Refinement]]:
    """For each draft its refinements by name."""
    found: list[dict[str, Refinement]] = [{} for _ in drafts]
    asks = [
        Ask(i, kind, bad, j, refine_prompt(drafts[i].question, drafts[i].steps, bad))
        for i, kind, bad in wanted
        for j in range(samples)
    ]
    refinements = write(asks) if asks else []
    for ask, made in zip(asks, refinements, strict=True):
        found[ask.draft][made.name] = made
    everyone = len({ask.draft for ask in asks}) == len(drafts)  # a draft that was spared is through
    if refinements and everyone and all(made.error and not made.cancelled for made in refinements):
        raise StepvizError(f"the refiner could refine none of these drafts: {refinements[0].error}")
    return found


# ---- keep


def _outcomes(
    drafts: Sequence[Draft],
    doubts: Sequence[float | None],
    chosen: Sequence[bool],
    places: Sequence[int | None],
    written: Sequence[dict[str, Refinement]],
    orm: Score | None,
) -> list[Outcome]:
    whole = [(i, name) for i, made in enumerate(written) for name in made if made[name].whole]
    candidates = [Draft(drafts[i].question, written[i][name].steps) for i, name in whole]
    known = {draft: doubt for draft, doubt in zip(drafts, doubts, strict=True) if doubt is not None}
    last = _last(orm, candidates, known) if orm else []
    scored = {key: score for key, score in zip(whole, last, strict=False) if score is not None}
    outcomes = []
    for i, draft in enumerate(drafts):
        scores = {name: scored[i, name] for name in written[i] if (i, name) in scored}
        if doubts[i] is not None:
            scores = {"draft": doubts[i], **scores}
        unscored = [name for name, made in reversed(written[i].items()) if made.whole]
        pick = rerank(scores) if scores else (unscored or ["draft"])[0]
        outcomes.append(Outcome(draft, doubts[i], chosen[i], places[i], written[i], scores, pick))
    return outcomes


def _last(orm: Score, drafts: Sequence[Draft], known: dict[Draft, float] | None = None) -> list[float | None]:
    """ORM(Q, full solution): the score after the last step; None where the scorer gave none. Equal texts, one score."""
    known = dict(known or {})
    new = list(dict.fromkeys(draft for draft in drafts if draft not in known))
    for draft, row in zip(new, orm([(draft.question, draft.steps) for draft in new]) if new else [], strict=True):
        if row:
            known[draft] = row[-1]
    return [known.get(draft) for draft in drafts]
