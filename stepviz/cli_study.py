"""`study …`: what people are asked about which chains, how far they are, and the guideline they go by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepviz.cli_chains import ChainChoice, of_chains
from stepviz.cli_output import Db, Json, emit
from stepviz.cli_study_export import export
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from stepviz.study_summary import ItemLine, PersonLine, Summary

study = typer.Typer(help="Studies: chains that people label, in the app.", no_args_is_help=True)
study.command("export")(export)
LOCAL = "local"  # who makes a study from a shell
Name = Annotated[str, typer.Argument(help="the study's name")]


@study.command("create")
@of_chains
def create(
    name: Name,
    db: Db = None,
    json: Json = False,
    *,
    chains: ChainChoice,
    ask: Annotated[list[str] | None, typer.Option(help="correct, solvable, decides; may be repeated")] = None,
    people: Annotated[
        int | None, typer.Option(help="how many label each item; default: 2, or 1 where there are no accounts")
    ] = None,
    order: Annotated[str, typer.Option(help="given, random, disputed, uncertain, people, convincing")] = "random",
    arm: Annotated[list[str] | None, typer.Option(help="blind=1, scores=1, pit=1: weights; default: blind")] = None,
    scorer: Annotated[str, typer.Option(help="whose scores are shown, and order the items")] = "",
    threshold: Annotated[float, typer.Option(help="of the predicted pit")] = 0.5,
    gold_share: Annotated[float, typer.Option(help="of the items, with known labels")] = 0.0,
    gold_by: Annotated[str, typer.Option(help="whose labels these are: exact, processbench, a person")] = "",
    lease: Annotated[float, typer.Option(help="minutes without a label until an item goes to another one")] = 30.0,
    guideline: Annotated[Path | None, typer.Option(help="a text file; else a short one of ours")] = None,
    seed: Annotated[int, typer.Option(help="of order, arms and gold items")] = 0,
) -> None:
    """Make a study of the chains that fit, and open it."""
    from db.store import open_store
    from stepviz.studies import StudyConfig
    from stepviz.study_make import GUIDELINE, make, usual_people
    from stepviz.study_read import summed

    text = GUIDELINE if guideline is None else _read(guideline)
    with open_store(db) as store:
        wanted = people if people is not None else usual_people(store)
        config = StudyConfig(
            tuple(ask or ("correct",)), wanted, order, _arms(arm), gold_share, lease, scorer, threshold, seed
        )
        id_ = make(store, name, config, chains.ids(store), LOCAL, text, gold_by)
        (made,) = store.studies(id_)
        told = summed(store, made)
    emit(told.told(), json, lambda: f"study {made.name!r}: {made.items} item{'' if made.items == 1 else 's'}, open")


@study.command("list")
def list_(db: Db = None, json: Json = False) -> None:
    """All studies, the newest first."""
    from db.store import open_store
    from stepviz.study_read import summed

    with open_store(db) as store:
        told = [summed(store, row) for row in store.studies()]
    lines = "\n".join(f"{s.study.name}: {_progress(s)}{'' if s.study.open else ', closed'}" for s in told)
    emit([s.told() for s in told], json, lambda: lines or "There are no studies yet.")


@study.command("show")
def show(name: Name, db: Db = None, json: Json = False) -> None:
    """How far it is; by person: how many, seconds an item, gold items told right, how items ended."""
    from db.store import open_store
    from stepviz.study_read import study_named, summed

    with open_store(db) as store:
        told = summed(store, study_named(store, name))
    lines = [f"{told.study.name}: {_progress(told)}, guideline {told.study.version}"]
    lines += [f"  {_person(p)}" for p in told.people]
    if told.finishes:
        lines.append(f"  ended as {_counts(told.finishes)}")
    emit(told.told(), json, lambda: "\n".join(lines))


@study.command("conflicts")
def conflicts(
    name: Name,
    all_: Annotated[bool, typer.Option("--all", help="settled ones, too")] = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Items that its people disagree about, or have flagged; an admin settles them on the page Studies."""
    from db.store import open_store
    from stepviz.study_read import study_named, summed

    with open_store(db) as store:
        told = summed(store, study_named(store, name))
    shown = told.conflicts if all_ else told.open
    lines = [f"{told.study.name}: {len(told.open)} open, {len(told.settled)} settled"]
    lines += [f"  item {c.item.position + 1}: {_conflict(c)}" for c in shown]
    emit([_conflict_told(c) for c in shown], json, lambda: "\n".join(lines))


@study.command("guideline")
def guideline(
    name: Name, file: Annotated[Path, typer.Argument(help="a text file")], db: Db = None, json: Json = False
) -> None:
    """A new version of the guideline; what is open keeps the one it was begun with."""
    from db.store import open_store
    from stepviz.study_read import study_named

    with open_store(db) as store:
        row = study_named(store, name)
        version = store.revise_guideline(row.id, _read(file), LOCAL)
    emit({"name": row.name, "version": version}, json, lambda: f"{row.name}: guideline {version}")


@study.command("close")
def close(
    name: Name,
    reopen: Annotated[bool, typer.Option("--reopen", help="offer its items again")] = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Offer nobody an item of it any more; its labels stay."""
    from db.store import open_store
    from stepviz.study_read import study_named

    with open_store(db) as store:
        row = study_named(store, name)
        store.open_study(row.id, reopen)
    emit({"name": row.name, "open": reopen}, json, lambda: f"{row.name} is {'open' if reopen else 'closed'}.")


def _arms(given: list[str] | None) -> dict[str, int]:
    if not given:
        return {"blind": 1}
    arms = {}
    for pair in given:
        name, _, weight = pair.partition("=")
        if weight and not weight.isdecimal():
            raise StepvizError(f"--arm is NAME or NAME=WEIGHT, such as pit=2, not {pair!r}")
        arms[name] = int(weight or 1)
    return arms


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StepvizError(f"{path} cannot be read as text: {error}") from None


def _progress(told: Summary) -> str:
    settled = f", {len(told.settled)} settled" if told.settled else ""
    parted = f", {len(told.open)} in conflict{settled}" if told.conflicts else ""
    return f"{told.labelled} labelled of {told.wanted}{parted}"


def _person(p: PersonLine) -> str:
    took = f", {p.seconds:.0f} s an item" if p.seconds is not None else ""
    gold = f", {p.gold_right} of {p.gold} gold items right" if p.gold else ""
    flags = f", flagged {_counts(p.flags)}" if p.flags else ""
    return f"{p.name}: {p.submitted} labelled, {p.open} open{took}{gold}{flags}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word.replace('_', ' ')} {n}" for word, n in counts.items())


def _conflict(line: ItemLine) -> str:
    words = "; ".join(line.conflict.words()) if line.conflict else "nobody disagrees any more"
    return words + (f" (settled by {line.settled.by})" if line.settled else "")


def _conflict_told(line: ItemLine) -> dict[str, Any]:
    found = line.conflict
    parts = [
        {
            "question": part.question,
            "steps": {str(step): list(said) for step, said in part.steps},
            "first_errors": list(part.firsts),
        }
        for part in (found.parts if found else ())
    ]
    flags = [{"flag": flag, "annotator": name} for flag, name in (found.flags if found else ())]
    settled = line.settled and {"by": line.settled.by, "at": line.settled.at.isoformat()}
    return {"item": line.item.position + 1, "chain": line.item.chain_id, "people": line.people, "parts": parts,
            "flags": flags, "settled": settled}  # fmt: skip
