"""`agree`: how far two judges of steps agree, or the people of one group among themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

import typer

from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from stepviz.agreement.square import Step

Source = Annotated[str | None, typer.Option(help="only problems of this source")]
Question = Annotated[str, typer.Option(help="correct: is the step? solvable: can it still be solved?")]


def agree(
    a: Annotated[
        str, typer.Option(help="a person, a study's people (study:NAME), a data set's, a scorer, rollouts, exact")
    ],
    b: Annotated[str, typer.Option(help="the same; a itself: the people of a group among themselves")],
    db: Db = None,
    json: Json = False,
    question: Question = "correct",
    source: Source = None,
    split: Annotated[str | None, typer.Option(help="only problems of this split")] = None,
    threshold: Annotated[float | None, typer.Option(help="a scorer's: at or below it a step is an error (0.5)")] = None,
    tune_split: Annotated[
        str | None, typer.Option(help="take the threshold that is best against a on this split: see --tune-by")
    ] = None,
    tune_by: Annotated[str, typer.Option(help="f1 (ProcessBench's), step_f1, balanced, kappa")] = "f1",
    by: Annotated[list[str] | None, typer.Option(help="arm, position, source; may be repeated")] = None,
    ceiling: Annotated[bool, typer.Option("--ceiling", help="people among each other, the scorer beside them")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="a scorer's thresholds")] = False,
) -> None:
    """How far two judges of steps agree: first errors, steps, ProcessBench's F1, a scorer's calibration; with 95 %
    intervals over problems. a is the reference where one of the two is. --json has every table."""
    from db.store import open_store
    from stepviz.agree import Settings, compare
    from stepviz.agreement.thresholds import CHOICES
    from stepviz.cli_agree_text import TITLES, text

    if unknown := [kind for kind in by or () if kind not in TITLES]:
        raise StepvizError(f"--by is {', '.join(TITLES)}, not {unknown[0]!r}")
    if tune_by not in CHOICES:
        raise StepvizError(f"--tune-by is {', '.join(CHOICES)}, not {tune_by!r}")
    if threshold is not None and not 0 <= threshold <= 1:
        raise StepvizError(f"--threshold is a score between 0 and 1, not {threshold:g}")
    if threshold is not None and tune_split is not None:
        raise StepvizError("--threshold and --tune-split both say where the threshold is: give one")
    if tune_split is not None and split in (None, tune_split):
        raise StepvizError("--tune-split chooses on one split what --split tells of another: name two")
    settings = Settings(a, b, _asked(question), source, split, threshold, tune_split, tune_by)
    with open_store(db) as store:
        found = compare(store, settings)
        emit(found.told(), json, lambda: text(found, by or (), ceiling=ceiling, sweep=sweep))


def calibrate(
    model: Annotated[str, typer.Option(help="the scorer: embedded:sorm, its id, …")],
    against: Annotated[str, typer.Option(help="who says what is true: exact, rollouts, a person, a data set's people")],
    split: Annotated[str, typer.Option(help="learn on this split; look at another one with agree")],
    db: Db = None,
    json: Json = False,
    question: Question = "correct",
    source: Source = None,
    kind: Annotated[str, typer.Option(help="isotonic, or temperature (one number, for few labels)")] = "isotonic",
) -> None:
    """Learn how a scorer's numbers are to be read as chances, and note it in the model's record; `agree` tells both."""
    from db.store import open_store
    from stepviz.agree import Settings
    from stepviz.agree import calibrate as learn
    from stepviz.agreement.recalibration import KINDS

    if kind not in KINDS:
        raise StepvizError(f"--kind is {' or '.join(KINDS)}, not {kind!r}")
    with open_store(db) as store:
        id, learnt, steps = learn(store, Settings(against, model, _asked(question), source, split), kind)
    value = {"model": id, "question": question, "against": against, "split": split, "steps": steps, **learnt.told()}
    what = f"t = {learnt.t:.3g}" if learnt.kind == "temperature" else f"{len(learnt.x)} points"
    emit(value, json, lambda: f"{id}: {kind} ({what}), learnt from {steps:,} steps of {split} against {against}")


def crosstab(
    correct: Annotated[str, typer.Option(help="who says whether steps are correct: exact, a person, equations, …")],
    solvable: Annotated[str, typer.Option(help="who says whether it can still be solved: rollouts, exact, a SORM, …")],
    db: Db = None,
    json: Json = False,
    source: Source = None,
    split: Annotated[str | None, typer.Option(help="only problems of this split")] = None,
    threshold: Annotated[float, typer.Option(help="a scorer's: at or below it a step is an error, or lost")] = 0.5,
    list_: Annotated[int, typer.Option("--list", help="addresses of so many steps of each cell that parts")] = 5,
) -> None:
    """Correct against still solvable, step by step: what is wrong but recoverable, and what is right but a dead end."""
    from db.store import open_store
    from stepviz.agree import crossed
    from stepviz.agreement.square import CELLS

    with open_store(db) as store:
        found = crossed(store, correct, solvable, source, split, threshold)
    cells = {
        cell: {
            "n": len(found.steps[cell]),
            **asdict(found.shares[cell]),
            "steps": [{**asdict(at), "address": _address(at)} for at in found.steps[cell]],
        }
        for cell in CELLS
    }

    def told() -> str:
        lines = [f"{correct} says what is correct, {solvable} what can still be solved: {found.n} steps"]
        for cell in CELLS:
            lines.append(f"  {cell:<22} {cells[cell]['n']:>6}  {found.shares[cell].text()} %")
            if cell in CELLS[1:3]:
                lines += [f"    {at['address']}" for at in cells[cell]["steps"][:list_]]
        return "\n".join(lines)

    emit({"correct": correct, "solvable": solvable, "n": found.n, "cells": cells}, json, told)


def _address(at: Step) -> str:
    """In the app."""
    return f"/?{urlencode({'problem': at.problem, 'chain': at.chain, 'step': at.step})}"


def _asked(question: str) -> Literal["correct", "solvable"]:
    if question not in ("correct", "solvable"):
        raise StepvizError(f"--question is correct or solvable, not {question!r}")
    return question
