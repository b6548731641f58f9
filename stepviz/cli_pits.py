"""`pits`: the model of pits that the adaptive strategy reads its draws by, fitted to chains that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepviz.cli_chains import ChainChoice, of_chains
from stepviz.cli_jobs import Engine, MaxTokens, Style, Temperature, sampling_of
from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store
    from stepviz.strategies import Seen, Walk
    from stepviz.types import Sampling

FEWEST = 50  # wrong chains: with fewer the weights say little beyond the ridge


@of_chains
def pits(
    out: Annotated[Path, typer.Option(help="the file to write")],
    db: Db = None,
    json: Json = False,
    *,
    chains: ChainChoice,
    engine: Engine = "embedded",
    temperature: Temperature = 0.7,
    max_tokens: MaxTokens = 300,
    style: Style = "plain",
) -> None:
    """Fit the adaptive strategy's pit model to measured wrong chains, with the newest SORM's scores where there are."""
    from db.store import open_store
    from stepviz import pits as models
    from stepviz.posterior_fit import fit, log_likelihood

    with open_store(db) as store:
        sampling, of = sampling_of(temperature, max_tokens, style), model_id(store, engine)
        every = [m for id in chains.ids(store) if (m := measured(store, id, of, sampling))]
    found, tokens = [(walk, seen) for walk, seen, _ in every], sum(tokens for *_, tokens in every)
    if len(found) < FEWEST:
        raise StepvizError(
            f"{len(found)} wrong chains are measured with {of} and this sampling, {FEWEST} at least are needed: "
            "run `measure --verdict wrong` first, or raise --limit"
        )
    halves = found[::2], found[1::2]
    held = sum(log_likelihood(fit(a), b) for a, b in (halves, halves[::-1])) / len(found)
    scored, draws = sum(bool(walk.scores) for walk, _ in found), sum(s.n for _, seen in found for s in seen.values())
    made = {
        "chains": len(found),
        "scored": scored,
        "draws": draws,
        "tokens": tokens,
        "engine": of,
        "temperature": temperature,
        "held_out_log_likelihood_a_chain": round(held, 3),
        "date": date.today().isoformat(),
    }
    models.save(fit(found), out, made)
    emit({"out": str(out), **made}, json, lambda: f"{out}: fitted to {len(found)} chains, {scored} of them scored")


def model_id(store: Store, spec: str) -> str:
    """The newest model of the store that was loaded by this spec."""
    from stepviz import engines

    spec = engines.canonical(spec)
    known = [model.id for model in store.models() if model.spec == spec]
    if not known:
        raise StepvizError(f"nothing was drawn with {spec} in this store: run `measure` first")
    return known[-1]


def measured(
    store: Store, chain_id: str, model: str, sampling: Sampling
) -> tuple[Walk, Mapping[int, Seen], int] | None:
    """A wrong chain with what its draws say, and their tokens; None for another, or one without draws."""
    from stepviz.measure_job import newest_sorm, scores_of
    from stepviz.measuring import Walking
    from stepviz.rollouts import by_prefix
    from stepviz.strategies import forward

    row = store.chain(chain_id)
    assert row is not None, chain_id
    problem = store.problem(row.chain.problem_id)
    if problem is None or row.verdict.value != "wrong":
        return None
    scores = scores_of(store, chain_id, row.chain.n, newest_sorm(store))
    walking = Walking(row.chain, problem.problem, row.verdict, forward, 1, scores,
                      separator=sampling.style.separator)  # fmt: skip
    draws = by_prefix(store.continuations_for(row.chain.problem_id, model, sampling.hash))
    for i in walking.walk.open:
        walking.draws[i] = draws.get(walking.want(i, 1).key.prefix_hash, ())
    seen = walking.seen()
    tokens = sum(c.tokens for some in walking.draws.values() for c in some)
    return (walking.walk, seen, tokens) if any(s.n for s in seen.values()) else None
