"""`sample`, `measure`, `score`: long work through the worker; each can be stopped and goes on where it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepviz.cli_chains import ChainChoice, Limit, Source, Split, of_chains
from stepviz.cli_output import Db, Json, bar, emit
from stepviz.engines import SPECS
from stepviz.errors import StepvizError
from stepviz.strategies import NAMES as STRATEGIES

if TYPE_CHECKING:
    from db.store import Store
    from db.values import RunRow
    from stepviz.types import Sampling

Engine = Annotated[str, typer.Option(help=SPECS)]
Tokenizer = Annotated[str | None, typer.Option(help="hub id or folder, where the model or server brings none")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: cuda where there is one)")]
Temperature = Annotated[float, typer.Option(help="0 is greedy")]
Style = Annotated[str, typer.Option(help="prompt style: plain, chat, or a .json file")]
MaxTokens = Annotated[int, typer.Option(help="new tokens a sample")]


def sample(
    db: Db = None,
    json: Json = False,
    n: Annotated[int, typer.Option(help="chains each problem shall have")] = 8,
    problem: Annotated[list[str] | None, typer.Option(help="a problem's id; may be repeated")] = None,
    source: Source = None,
    split: Split = None,
    limit: Limit = 100,
    engine: Engine = "embedded",
    device: Device = None,
    tokenizer: Tokenizer = None,
    temperature: Temperature = 0.7,
    max_tokens: MaxTokens = 300,
    style: Style = "plain",
) -> None:
    """Sample chains of thought; run it again and it makes only what is missing."""
    from db.store import open_store
    from db.values import ProblemFilter
    from stepviz.first_screen import seed_for

    with open_store(db) as store:
        seed_for(store, source)
        chosen = problem or [r.id for r in store.problems(ProblemFilter(source=source, split=split), limit=limit)]
        if not chosen:
            raise StepvizError("no problem fits: import some first, or change --source and --split")
        drawing = {"engine": engine, "device": device, "tokenizer": tokenizer}
        drawing["sampling"] = sampling_of(temperature, max_tokens, style)
        through(store, "sample", {"problems": chosen, "n": n, **drawing}, json)


@of_chains
def measure(
    db: Db = None,
    json: Json = False,
    k: Annotated[int, typer.Option(help="continuations each prefix shall have; with a strategy, at most")] = 8,
    strategy: Annotated[str, typer.Option(help=", ".join(STRATEGIES))] = "exhaustive",
    *,
    chains: ChainChoice,
    results: Annotated[str | None, typer.Option(help="backward: a success uses every or the last result")] = None,
    scorer: Annotated[str | None, typer.Option(help="adaptive: a SORM that says where to begin")] = None,
    pits: Annotated[str | None, typer.Option(help="adaptive: a pit model's file")] = None,
    confidence: Annotated[float | None, typer.Option(help="adaptive: of a certain pit (0.95)")] = None,
    budget: Annotated[float | None, typer.Option(help="adaptive: share of its exhaustive cost (0.25)")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="say what it is expected to cost; draw nothing")] = False,
    engine: Engine = "embedded",
    device: Device = None,
    tokenizer: Tokenizer = None,
    temperature: Temperature = 0.7,
    max_tokens: MaxTokens = 300,
    style: Style = "plain",
) -> None:
    """Measure V at the prefixes of chains by rollouts: at every one, or where a strategy asks; shared ones once."""
    from db.store import open_store

    how = {"strategy": strategy, "results": results, "scorer": scorer, "pits": pits, "confidence": confidence}
    with open_store(db) as store:
        drawing = {"engine": engine, "device": device, "tokenizer": tokenizer}
        drawing["sampling"] = sampling_of(temperature, max_tokens, style)
        spec = {"chains": chains.ids(store), "n": k, **how, "budget": budget, **drawing}
        if estimate:
            _emit_cost(store, spec, json)
        else:
            through(store, "measure", spec, json)


def _emit_cost(store: Store, spec: Mapping[str, Any], json: bool) -> None:
    from stepviz.measure_cost import cost_of
    from stepviz.run_report import lasting

    _check(str(spec["engine"]))
    cost = cost_of(store, spec)
    draws, tokens, speed = cost.expected.continuations, cost.expected.tokens, cost.speed

    def text() -> str:
        took = f"{lasting(cost.seconds)} at {speed:,.0f} tokens/s" if cost.seconds is not None else "time unknown: "
        took += "" if speed else f"{spec['engine']} has drawn nothing in this store yet"
        left_out = f"; {cost.left_out} left out: no gold answer" if cost.left_out else ""
        of = f"{spec['strategy']}, {cost.chains} chain{'' if cost.chains == 1 else 's'}{left_out}"
        return f"{of}: {'' if cost.expected.exact else '≈ '}{draws:,.0f} continuations, ≈ {tokens:,.0f} tokens, {took}"

    told = {"strategy": spec["strategy"], "chains": cost.chains, "left_out": cost.left_out,
            "continuations": round(draws, 1), "exact": cost.expected.exact, "tokens": round(tokens),
            "seconds": None if cost.seconds is None else round(cost.seconds, 1), "tokens_per_s": speed}  # fmt: skip
    emit(told, json, text)


def _check(engine: str) -> None:
    """StepvizError where the job itself would find no engine, as far as files say."""
    from stepviz.checkpoints import look

    kind, _, rest = engine.partition(":")
    if kind not in ("embedded", "hf", "vllm", "openai") or (kind != "embedded" and not rest):
        raise StepvizError(f"unknown engine {engine!r}; supported: {SPECS}")
    if look(engine).causal is False:
        raise StepvizError(f"{engine} is no language model: choose one that writes solutions")


@of_chains
def score(
    model: Annotated[
        str, typer.Option(help="embedded:NAME, hf:ID_OR_PATH, qwen-prm:…, math-shepherd:…, vllm:…, openai:URL#MODEL")
    ],
    db: Db = None,
    json: Json = False,
    *,
    chains: ChainChoice,
    device: Device = None,
    role: Annotated[str | None, typer.Option(help="orm, sorm, prm: for a model that does not say it itself")] = None,
) -> None:
    """Score every step of chains with a reward model; what it has scored already is not scored again."""
    from db.store import open_store

    with open_store(db) as store:
        through(store, "score", {"chains": chains.ids(store), "model": model, "device": device, "role": role}, json)


def sampling_of(temperature: float, max_tokens: int, style: str) -> Sampling:
    from stepviz.prompt_styles import prompt_style
    from stepviz.types import Sampling

    return Sampling(temperature, max_tokens=max_tokens, style=prompt_style(style))


def through(
    store: Store, kind: str, spec: Mapping[str, Any], json: bool, told: Callable[[Mapping[str, Any]], str] | None = None
) -> None:
    """Does the job and prints its end. `told`: what is said of its last progress."""
    from stepviz.run_report import cost_of

    run = ended(store, kind, spec)
    progress = {k: v for k, v in run.progress.items() if k not in ("plan", "planned")}
    over = {k: v for k, v in progress.items() if k not in ("tokens_per_s", "eta_s")}  # of its last moment

    def text() -> str:
        said = (told or bar)({**over, "cost": cost_of(run).words()})
        return f"run {run.id} done: {said}"

    emit({"run": run.id, "state": run.state, **progress}, json, text)


def ended(store: Store, kind: str, spec: Mapping[str, Any]) -> RunRow:
    """Starts or joins the job and waits for its end, with a bar; Ctrl-C cancels it. StepvizError where it failed."""
    from stepviz import jobs

    run_id = jobs.start(store, kind, spec)
    shown = sys.stderr.isatty()

    def tell(progress: Mapping[str, Any]) -> None:
        if shown:
            print(f"\r\x1b[K{bar(dict(progress))}", end="", file=sys.stderr, flush=True)

    try:
        run = jobs.wait(store, run_id, tell)
    except KeyboardInterrupt:
        jobs.cancel(store, run_id)
        raise StepvizError(f"run {run_id} is being cancelled; the same command goes on where it was") from None
    finally:
        if shown:
            print(file=sys.stderr)  # whatever is said next does not stand behind the bar
    if run.state != "done":
        raise StepvizError(run.error or f"run {run_id} is {run.state}; the same command goes on where it was")
    return run
