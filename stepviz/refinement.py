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
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from stepviz import steps as cut
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.refining import refine_prompt
from stepviz.types import FinishReason, PromptStyle, Request, Sampling

THRESHOLD = 0.5  # at or below: bad
Kind = Literal["global", "local"]
NoFlag = Literal["argmin", "global", "skip"]
Score = Callable[[Sequence[tuple[str, Sequence[str]]]], list[list[float]]]  # a Scorer's `score`

GREEDY = Sampling(temperature=0.0, max_tokens=300, style=PromptStyle(name="refine", template="{question}"))


@dataclass(frozen=True, slots=True)
class Draft:
    """A chain that may be refined: its question, and its steps as texts."""

    question: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refinement:
    """What the refiner wrote. `bad`: the step marked in the prompt, None for a global refinement."""

    kind: Kind
    bad: int | None
    text: str
    steps: tuple[str, ...]
    finish_reason: FinishReason
    tokens: int

    @property
    def whole(self) -> bool:
        return self.finish_reason == "stop" and bool(self.steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A draft, why and where it was refined, what came of it, and the ORM's pick.

    `scores`: ORM(Q, full solution) of "draft", "global", "local", as far as they are there; `when` is the draft's.
    """

    draft: Draft
    when: float | None
    where: int | None
    refinements: dict[Kind, Refinement]
    scores: dict[str, float]
    pick: str

    def solution(self, name: str) -> tuple[str, ...]:
        """The steps of "draft", "global" or "local"."""
        return self.draft.steps if name == "draft" else self.refinements[name].steps  # type: ignore[index]


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
    engine: Engine,
    orm: Score | None = None,
    locator: Score | None = None,
    how: Sequence[Kind] = ("global", "local"),
    gate: float | None = None,
    threshold: float = THRESHOLD,
    no_flag: NoFlag = "global",
    sampling: Sampling = GREEDY,
    at: Sequence[int | None] | None = None,
) -> list[Outcome]:
    """Refines each draft that the ORM doubts (ORM(Q, D) <= gate; all of them without a gate) in the ways asked for.

    locator: scores of steps for E (the SORM's; the ORM's as the alternative); `at` gives E for each draft instead
    (a step dragged by hand, a person's label, the exact judge in an oracle arm). Without an ORM the last refinement
    that is whole is picked, local before global. StepvizError for what lacks its scorer, and a draft without steps.
    """
    if gate is not None and orm is None:
        raise StepvizError("a gate needs an ORM that says when a draft is to be refined")
    if "local" in how and locator is None and at is None:
        raise StepvizError("a local refinement needs a scorer that says where, or a step to refine from")
    doubts = _last(orm, drafts) if orm else [None] * len(drafts)
    chosen = [gate is None or doubt is None or doubt <= gate for doubt in doubts]
    places = list(at) if at is not None else _places(drafts, chosen, locator, how, threshold, no_flag)
    wanted = [(i, kind, bad) for i, place in enumerate(places) if chosen[i] for kind, bad in _ways(how, place, no_flag)]
    written = _written(drafts, wanted, engine, sampling)
    return _outcomes(drafts, doubts, places, written, orm)


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
    drafts: Sequence[Draft], wanted: Sequence[tuple[int, Kind, int | None]], engine: Engine, sampling: Sampling
) -> dict[tuple[int, Kind], Refinement]:
    prompts = {(i, kind): refine_prompt(drafts[i].question, drafts[i].steps, bad) for i, kind, bad in wanted}
    distinct = list(dict.fromkeys(prompts.values()))
    completions = dict(zip(distinct, engine.generate([Request(p) for p in distinct], sampling), strict=True))
    found = {}
    for i, kind, bad in wanted:
        done = completions[prompts[i, kind]]
        if done.error:
            raise StepvizError(f"{engine.spec} cannot refine this draft: {done.error}")
        spans = cut.segment(done.text, sampling.style.step_rule)
        steps = tuple(done.text[s.start : s.end] for s in spans)
        found[i, kind] = Refinement(kind, bad, done.text, steps, done.finish_reason, done.tokens)
    return found


def _outcomes(
    drafts: Sequence[Draft],
    doubts: Sequence[float | None],
    places: Sequence[int | None],
    written: dict[tuple[int, Kind], Refinement],
    orm: Score | None,
) -> list[Outcome]:
    kinds: tuple[Kind, ...] = ("global", "local")
    scored: dict[tuple[int, Kind], float] = {}
    whole = [key for key, made in written.items() if made.whole]
    if orm and whole:
        last = _last(orm, [Draft(drafts[i].question, written[i, kind].steps) for i, kind in whole])
        scored = {key: score for key, score in zip(whole, last, strict=True) if score is not None}
    outcomes = []
    for i, draft in enumerate(drafts):
        made = {kind: written[i, kind] for kind in kinds if (i, kind) in written}
        scores = {kind: scored[i, kind] for kind in kinds if (i, kind) in scored}
        if doubts[i] is not None:
            scores = {"draft": doubts[i], **scores}
        unscored = [kind for kind in reversed(kinds) if kind in made and made[kind].whole]
        pick = rerank(scores) if scores else (unscored or ["draft"])[0]
        outcomes.append(Outcome(draft, doubts[i], places[i], made, scores, pick))
    return outcomes


def _last(orm: Score, drafts: Sequence[Draft]) -> list[float | None]:
    """ORM(Q, full solution): the score after the last step; None where the scorer gave none."""
    scores = orm([(draft.question, draft.steps) for draft in drafts])
    return [row[-1] if row else None for row in scores]
