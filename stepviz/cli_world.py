"""`world …`, `bench …`, `results`: the embedded world, and figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

world = typer.Typer(no_args_is_help=True, help="The embedded world.")
Write = Annotated[bool, typer.Option("--write", help="also write docs/results/NAME.json")]


@world.command()
def audit(
    json: Json = False,
    write: Write = False,
    engine: Annotated[str, typer.Option(help="the student to measure")] = "embedded",
    split: Annotated[str, typer.Option(help="dev; test is for results")] = "dev",
    scale: Annotated[float, typer.Option(help="share of the full number of problems")] = 1.0,
    temperature: float = 1.0,
) -> None:
    """The premises without which the comparisons mean nothing, measured on the student."""
    from stepviz import results
    from stepviz.audit import Sizes
    from stepviz.audit import audit as measure
    from stepviz.engines import load
    from stepviz.types import Sampling
    from stepviz.world import embedded_problems

    full = Sizes()
    sizes = Sizes(
        problems=max(8, int(full.problems * scale)), votes=full.votes, measured=max(8, int(full.measured * scale)),
        chains=full.chains, rollouts=full.rollouts, subgoal_problems=max(4, int(full.subgoal_problems * scale)),
        subgoal_rollouts=full.subgoal_rollouts, structure=max(100, int(full.structure * scale)),
    )  # fmt: skip
    problems = list(embedded_problems(split, max(sizes.structure, sizes.problems)))
    found = measure(
        load(engine), problems, sizes, Sampling(temperature=temperature), lambda line: print(line, file=sys.stderr)
    )
    if write:
        rest = [{k: v for k, v in found.items() if k != "premises"}]
        tables = {"premises": found["premises"], "the sampled chains": rest}
        results.write(
            "audit",
            "World audit: the premises, on the student",
            f"python -m stepviz world audit --write --split {split} --scale {scale:g} --temperature {temperature:g}",
            tables,
            'A reader could take some questions otherwise than the graph does (what "it" or "that" means after an '
            "event): labels of people on embedded problems say little. No misreading in the corpus uses a distractor. "
            "Subgoals stand at any distance from the question, and a state nearer the goal is easier by itself: the "
            "last column has the share among subgoals one step away only.",
        )
    emit(found, json, lambda: "\n".join(_premise(p) for p in found["premises"]))


def _premise(p: dict[str, Any]) -> str:
    mark = "holds " if p["holds"] else "MISSED"
    return f"{mark} {p['comparison']:28} {p['what']:82} {p['measured']:.3f} (needed {p['needed']:.2f}, n = {p['n']})"


@world.command()
def problems(
    split: Annotated[str, typer.Argument(help="train, dev or test")],
    count: int = 100,
    db: Db = None,
    json: Json = False,
) -> None:
    """Put embedded problems into the store."""
    from db.store import open_store
    from stepviz.types import SourceItem
    from stepviz.world import embedded_problems

    if split not in ("train", "dev", "test"):
        raise StepvizError("the splits are train, dev and test")
    with open_store(db) as store:
        items = [SourceItem(p) for p in embedded_problems(split, count)]
        counts = [store.add_items(items[i : i + 500]) for i in range(0, len(items), 500)]
    new = sum(c.problems_new for c in counts)
    emit({"split": split, "problems": count, "new": new}, json, lambda: f"{new} new problems of {count}")


def bench(
    name: Annotated[
        str, typer.Argument(help="agreement, annotate, engine, equations, equivalence, gsm8k, measure, score, student")
    ],
    data: Annotated[Path | None, typer.Option(help="folder of public data sets")] = None,
    problems: Annotated[int, typer.Option(help="student: unseen problems, greedily")] = 5000,
    sampled: Annotated[int, typer.Option(help="student: problems with eight samples each")] = 1000,
    each: Annotated[int, typer.Option(help="measure: wrong chains, and as many right ones; agreement: problems")] = 500,
    db: Annotated[
        str | None, typer.Option(help="agreement, annotate, measure: a store of its own, kept; else a new one")
    ] = None,
    prefixes: Annotated[int, typer.Option(min=1, help="engine: prefixes, each continued eight times")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="engine: turns, of which the medians are told")] = 3,
    annotators: Annotated[int, typer.Option(min=1, help="annotate: people, a label a second each")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="annotate: for how long they label")] = 120,
    steps: Annotated[int, typer.Option(min=1, help="annotate: steps in the store")] = 1_000_000,
    engine: str = "embedded",
    json: Json = False,
    write: Write = False,
) -> None:
    """Run a benchmark and print its tables."""
    from stepviz import results
    from stepviz.bench import BENCHES, names

    if name not in BENCHES:
        raise StepvizError(f"no benchmark {name!r}; there are: {', '.join(names())}")
    # what was given, and what it is if nothing is
    sizes = {
        "problems": (problems, 5000), "sampled": (sampled, 1000), "each": (each, 500), "prefixes": (prefixes, 64),
        "repeats": (repeats, 3), "annotators": (annotators, 20), "seconds": (seconds, 120), "steps": (steps, 1_000_000),
        "engine": (engine, "embedded"),
    }  # fmt: skip
    found = BENCHES[name](data=data, db=db, **{option: value for option, (value, _) in sizes.items()})
    if write:
        given = {"data": (data, None), **sizes}
        options = "".join(f" --{option} {value}" for option, (value, usual) in given.items() if value != usual)
        results.write(name, found.title, f"python -m stepviz bench {name} --write{options}", found.tables, found.note)
        for file, picture in found.pictures.items():
            (results.FOLDER / file).write_text(picture, encoding="utf-8")
    text = "\n\n".join(f"{caption}\n{results.table(rows)}" for caption, rows in found.tables.items())
    emit(found.json or found.tables, json, lambda: f"{found.title}\n\n{text}")


def results(json: Json = False) -> None:
    """Render docs/results.md from docs/results/*.json."""
    from stepviz import results as pages

    if not pages.FOLDER.is_dir():
        raise StepvizError(f"there is no folder {pages.FOLDER} here: run this in the root of the repository")
    pages.PAGE.write_text(pages.render(), encoding="utf-8")
    emit({"path": str(pages.PAGE)}, json, lambda: f"{pages.PAGE} written")
