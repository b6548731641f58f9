"""`refine`: drafts → when → where → how → rerank, through the worker; stopped or killed it goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from stepviz.cli_chains import ChainChoice, of_chains
from stepviz.cli_jobs import Device, through
from stepviz.cli_output import Db, Json, bar
from stepviz.engines import SPECS


@of_chains
def refine(
    db: Db = None,
    json: Json = False,
    *,
    chains: ChainChoice,
    refiner: Annotated[str, typer.Option(help=SPECS)] = "embedded:refiner",
    orm: Annotated[
        str, typer.Option(help="ranks draft and refinements, says when: a scorer, or none")
    ] = "embedded:orm",
    sorm: Annotated[str, typer.Option(help="says where: a scorer (an ORM will do), or none")] = "embedded:sorm",
    gate: Annotated[
        float | None, typer.Option(help="spare drafts that the ORM scores above this; default: none")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="the first step scored at or below this is where it goes wrong")
    ] = 0.5,
    how: Annotated[str, typer.Option(help="both, global, local")] = "both",
    samples: Annotated[int, typer.Option(help="refinements of each kind; one is greedy")] = 1,
    no_flag: Annotated[
        str, typer.Option(help="where no step is flagged: global (instead), argmin (the lowest), skip")
    ] = "global",
    at: Annotated[int | None, typer.Option(help="the step to refine from, for a single chain")] = None,
    target: Annotated[
        str | None, typer.Option(help="what the refiner writes: full, suffix; default: as it was trained to")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="default: 0, and 0.7 for several samples")] = None,
    max_tokens: Annotated[int, typer.Option(help="new tokens a refinement")] = 300,
    device: Device = None,
) -> None:
    """Refine chains: where the ORM doubts them, from the step the SORM flags; the ORM picks what is kept."""
    from db.store import open_store
    from stepviz.refine_draw import ORIGIN
    from stepviz.refine_spec import sampling_for

    with open_store(db) as store:
        settings = {"refiner": refiner, "orm": orm, "sorm": sorm, "gate": gate, "threshold": threshold, "how": how,
                    "samples": samples, "no_flag": no_flag, "at": at, "target": target}  # fmt: skip
        sampling = sampling_for(samples, max_tokens, temperature)
        spec = {"chains": chains.ids(store, without=ORIGIN), "sampling": sampling, "device": device, **settings}
        through(store, "refine", spec, json, _told)


def _told(progress: Mapping[str, Any]) -> str:
    found = progress.get("report")
    if not found:
        return bar(dict(progress))
    judged = found["drafts"] - found["unjudged"]
    return (
        f"{bar(dict(progress))}\n{found['refined']} refined, {found['spared']} spared; {found['fixed']} fixed, "
        f"{found['broken']} broken: {found['right_before']} of {judged} right before, {found['right_after']} after, "
        f"{found['right_any']} by a perfect ranking"
    )
