"""`agree`: how far two judges of steps agree, or the people of one group among themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

import typer

from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from stepviz.agree import Compared
    from stepviz.agreement.square import Step
    from stepviz.agreement.tables import Number

Source = Annotated[str | None, typer.Option(help="only problems of this source")]
Question = Annotated[str, typer.Option(help="correct: is the step? solvable: can it still be solved?")]
PARTS = {
    "detection": "does it go wrong?",
    "localisation": "where first, if both see an error",
    "processbench": "ProcessBench",
    "by_step": "step by step",
}
SCORES = ("roc_auc", "pr_auc", "brier", "ece")
NAMES = {"error_acc": "erroneous", "correct_acc": "correct", "within_one": "within one", "ac1": "AC1", "f1": "F1"}


def agree(
    a: Annotated[str, typer.Option(help="a person, a data set's people (stepverify/*), a scorer, rollouts, exact, …")],
    b: Annotated[str, typer.Option(help="the same; a itself: the people of a group among themselves")],
    db: Db = None,
    json: Json = False,
    question: Question = "correct",
    source: Source = None,
    split: Annotated[str | None, typer.Option(help="only problems of this split")] = None,
    threshold: Annotated[float | None, typer.Option(help="a scorer's: at or below it a step is an error (0.5)")] = None,
    tune_split: Annotated[
        str | None, typer.Option(help="take the threshold with the best F1 against a on this split")
    ] = None,
) -> None:
    """How far two judges of steps agree: first errors, steps, ProcessBench's F1, a scorer's calibration; with 95 %
    intervals over problems. a is the reference where one of the two is."""
    from db.store import open_store
    from stepviz.agree import Settings, compare

    if threshold is not None and not 0 <= threshold <= 1:
        raise StepvizError(f"--threshold is a score between 0 and 1, not {threshold:g}")
    if threshold is not None and tune_split is not None:
        raise StepvizError("--threshold and --tune-split both say where the threshold is: give one")
    if tune_split is not None and split in (None, tune_split):
        raise StepvizError("--tune-split chooses on one split what --split tells of another: name two")
    settings = Settings(a, b, _asked(question), source, split, threshold, tune_split)
    with open_store(db) as store:
        found = compare(store, settings)
        emit(found.told(), json, lambda: text(found))


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


def text(compared: Compared) -> str:
    """For people."""
    settings, found = compared.settings, compared.report
    among = settings.a == settings.b
    head = f"{settings.a} among themselves" if among else f"{settings.a} (reference) and {settings.b}"
    lines = [f"{head}, {settings.question}: {found.problems} problems, {found.chains} chains, {found.steps} steps"]
    for side, at in compared.thresholds.items():
        lines.append(f"  {side} at the threshold {at:.3g}")
    for part, title in PARTS.items():
        numbers = getattr(found, part)
        if numbers:
            to_the_first = part == "by_step" and settings.question == "correct"
            lines.append(title + (", to each one's first error" if to_the_first else ""))
            lines += [f"  {NAMES.get(name, name):<12} {_number(number)}" for name, number in numbers.items()]
    for side, known in compared.scores.items():
        lines.append(f"scores of {side}, {known['n']} steps")
        lines += [f"  {name:<12} {known[name]:.3f}" for name in SCORES if known[name] is not None]
        if (again := known.get("recalibrated")) is not None:
            lines.append(
                f"  recalibrated ({again['kind']}, {again['steps']:,} steps of {again['split']}, {again['against']}):"
            )
            lines += [f"  {name:<12} {again[name]:.3f}" for name in ("brier", "ece")]
    return "\n".join(lines)


def _number(number: Number) -> str:
    if number.value is None:
        return f"undefined: {number.why} (n = {number.n})"
    span = f" [{number.low:.3f}, {number.high:.3f}]" if number.low is not None else f" ({number.why})"
    return f"{number.value:.3f}{span} (n = {number.n})"
