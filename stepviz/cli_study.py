"""`study …`: what people are asked about which chains, how far they are, and the guideline they go by."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepviz.cli_chains import ChainChoice, of_chains
from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store
    from db.study_values import StudyRow

study = typer.Typer(help="Studies: chains that people label, in the app.", no_args_is_help=True)
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
    people: Annotated[int, typer.Option(help="how many label each item")] = 2,
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
    from stepviz.study_make import GUIDELINE, make

    text = GUIDELINE if guideline is None else _read(guideline)
    config = StudyConfig(
        tuple(ask or ("correct",)), people, order, _arms(arm), gold_share, lease, scorer, threshold, seed
    )
    with open_store(db) as store:
        id_ = make(store, name, config, chains.ids(store), LOCAL, text, gold_by)
        made = next(row for row in store.studies() if row.id == id_)
    emit(_told(made), json, lambda: f"study {made.name!r}: {made.items} items, open")


@study.command("list")
def list_(db: Db = None, json: Json = False) -> None:
    """All studies, the newest first."""
    from db.store import open_store

    with open_store(db) as store:
        rows = store.studies()
    text = "\n".join(f"{r.name}: {r.submitted} labelled of {_wanted(r)}{'' if r.open else ', closed'}" for r in rows)
    emit([_told(r) for r in rows], json, lambda: text or "There are no studies yet.")


@study.command("show")
def show(name: Name, db: Db = None, json: Json = False) -> None:
    """How far it is: by person, how many, in which arms, and seconds an item."""
    from db.store import open_store

    with open_store(db) as store:
        row = _named(store, name)
        slots = store.slots(row.id)
    people = []
    for who in sorted({slot.annotator for slot in slots}):
        own = [slot for slot in slots if slot.annotator == who]
        done = [slot for slot in own if slot.state == "submitted"]
        seconds = sorted(slot.seconds for slot in done if slot.seconds is not None)
        people.append({
            "annotator": who, "submitted": len(done), "open": sum(slot.state == "open" for slot in own),
            "median_seconds": seconds[len(seconds) // 2] if seconds else None,
            "arms": dict(Counter(slot.arm for slot in done)),
        })  # fmt: skip

    def text() -> str:
        lines = [f"{row.name}: {row.submitted} labelled of {_wanted(row)}, guideline {row.version}"]
        for p in people:
            took = f", {p['median_seconds']:.0f} s an item" if p["median_seconds"] is not None else ""
            lines.append(f"  {p['annotator']}: {p['submitted']} labelled, {p['open']} open{took}")
        return "\n".join(lines)

    emit({**_told(row), "people": people}, json, text)


@study.command("guideline")
def guideline(
    name: Name, file: Annotated[Path, typer.Argument(help="a text file")], db: Db = None, json: Json = False
) -> None:
    """A new version of the guideline; what is open keeps the one it was begun with."""
    from db.store import open_store

    with open_store(db) as store:
        row = _named(store, name)
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

    with open_store(db) as store:
        row = _named(store, name)
        store.open_study(row.id, reopen)
    emit({"name": row.name, "open": reopen}, json, lambda: f"{row.name} is {'open' if reopen else 'closed'}.")


def _named(store: Store, name: str) -> StudyRow:
    rows = store.studies()
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        there = ", ".join(row.name for row in rows[:20]) or "none"
        raise StepvizError(f"there is no study {name!r}; there are: {there}")
    return found


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


def _wanted(row: StudyRow) -> int:
    """Labelled items that make it complete, gold ones aside: everybody gets those."""
    return row.items * int(row.config["people"])


def _told(row: StudyRow) -> dict[str, Any]:
    return {
        "name": row.name, "open": row.open, "items": row.items, "submitted": row.submitted, "config": dict(row.config),
        "guideline": row.guideline, "guideline_version": row.version, "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
    }  # fmt: skip
