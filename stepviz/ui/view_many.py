"""Refining many drafts at once: which chains they are, and what that will cost. No HTML, no gradio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from db.values import ChainFilter, ChainRow
from stepviz.errors import StepvizError
from stepviz.refine_draw import ORIGIN as REFINEMENT
from stepviz.refine_spec import HOW
from stepviz.ui.view_refine import Bar, RefinePage, job_of
from stepviz.ui.views import answer_shares, tokens
from stepviz.ui.workbench import Workbench

DOUBT = 0.5  # the gate of "doubted", where the bar has none
LIMITS = (20, 100, 500, 2000)
WHICH = ("wrong", "doubted", "all")
_LOOKED_AT = 20  # lines of the ledger, for the tokens of a refinement


@dataclass(frozen=True, slots=True)
class Choice:
    """Which drafts. scope: "problem" (the open chain's) or "filter"; answer, origin: as Explore's list was."""

    scope: str = "filter"
    which: str = "wrong"
    listed: bool = True  # only those that Explore's list shows
    answer: str = ""
    origin: str = ""
    source: str = ""
    split: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Many:
    """What the dialog shows: the choice, what there is to choose from, and the estimate."""

    choice: Choice
    bar: Bar
    drafts: tuple[str, ...]  # ids
    more: bool  # the limit cut some off
    draws: int  # at most
    tokens: float  # of all draws
    seconds: float | None  # None: nothing was refined here yet
    speed: float | None
    place: str = ""  # of the open chain's problem; empty: there is none
    sources: tuple[tuple[str, int], ...] = ()
    splits: tuple[tuple[str, int], ...] = ()


def many_of(bench: Workbench, page: RefinePage, sent: Mapping[str, Any]) -> Many:
    """The dialog's content for what its form says."""
    choice = choice_of(page, sent)
    rows = list(islice(_fitting(bench, page, choice), choice.limit + 1))
    drafts, more = rows[: choice.limit], len(rows) > choice.limit
    draws = len(drafts) * len(HOW[page.bar.how]) * page.bar.samples
    each = _tokens_each(bench, page.bar, drafts)
    speed = _speed(bench, page.bar)
    return Many(
        choice=choice,
        bar=page.bar,
        drafts=tuple(row.chain.id for row in drafts),
        more=more,
        draws=draws,
        tokens=draws * each,
        seconds=draws * each / speed if speed else None,
        speed=speed,
        place=page.place if page.draft else "",
        sources=tuple(bench.store.sources()),
        splits=tuple(bench.store.splits(choice.source)) if choice.source else (),
    )


def choice_of(page: RefinePage, sent: Mapping[str, Any]) -> Choice:
    """A form that anyone may have written: what it does not know, it leaves at its default."""
    said = {name: str(sent.get(name) or "")[:500] for name in ("scope", "which", "source", "split", "limit")}
    here = page.draft is not None
    limit = said["limit"]
    return Choice(
        scope="problem" if here and said["scope"] in ("", "problem") else "filter",
        which=said["which"] if said["which"] in WHICH else "wrong",
        listed="scope" not in sent or bool(sent.get("listed")),
        answer=page.at.answer,
        origin=page.at.origin,
        source=said["source"],
        split=said["split"],
        limit=int(limit) if limit in map(str, LIMITS) else 100,
    )


def spec_of(bench: Workbench, many: Many) -> dict[str, Any]:
    """The `refine` job; StepvizError where there is nothing to refine."""
    if not many.drafts:
        raise StepvizError("No chain fits, so there is nothing to refine: choose others.")
    return job_of(bench, many.bar, many.drafts, gate=gate_of(many))


def gate_of(many: Many) -> float | None:
    """Drafts that the ORM scores above it are spared: the bar's, and one at all where the doubted are asked for."""
    return many.bar.gate if many.bar.gate is not None or many.choice.which != "doubted" else DOUBT


def _fitting(bench: Workbench, page: RefinePage, choice: Choice) -> Iterator[ChainRow]:
    """Chains with steps that are no refinements themselves."""
    verdict = "wrong" if choice.which == "wrong" else None
    if choice.scope == "problem":
        assert page.draft is not None, "the choice was checked"
        rows: Iterator[ChainRow] = iter(bench.store.chains(page.draft.page.problem))
        if choice.listed:
            rows = _listed(list(rows), choice)
        rows = (row for row in rows if verdict in (None, row.verdict.value))
    else:
        rows = bench.store.chains_of(ChainFilter(choice.source or None, choice.split or None, verdict=verdict))
    return (row for row in rows if row.chain.n and row.chain.origin != REFINEMENT)


def _listed(rows: Sequence[ChainRow], choice: Choice) -> Iterator[ChainRow]:
    """As Explore's list is filtered."""
    _, answer_of = answer_shares(rows)
    for row in rows:
        if choice.answer in ("", answer_of[row.chain.id]) and choice.origin in ("", row.chain.origin):
            yield row


def _tokens_each(bench: Workbench, bar: Bar, drafts: Sequence[ChainRow]) -> float:
    """Tokens of one refinement: as the newest of this refiner had, else about as many as a draft has."""
    ours = {model.id for model in bench.store.models() if model.spec == bar.refiner}
    made = [
        row.chain.meta.get("tokens")
        for line in bench.store.refinements(limit=_LOOKED_AT)
        if line.refiner in ours
        for candidate in line.candidates[1:]
        if (row := bench.store.chain(candidate.chain)) is not None
    ]
    known = [n for n in made if isinstance(n, int)]
    if known:
        return sum(known) / len(known)
    return tokens(sum(len(row.chain.text) for row in drafts) / len(drafts)) if drafts else 0.0


def _speed(bench: Workbench, bar: Bar) -> float | None:
    """Tokens a second of the newest refinement by this refiner that drew at all."""
    for run in bench.store.runs(200):
        speed = run.progress.get("tokens_per_s")
        if run.kind.startswith("refine") and run.spec.get("refiner") == bar.refiner and speed:
            return float(speed)
    return None
