"""`compare`: two models on the same problems, before and after; what is missing is drawn through the worker, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepviz.cli_jobs import Device, MaxTokens, Style, Temperature, ended, sampling_of
from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store
    from stepviz.compare_draws import Found
    from stepviz.compare_spec import CompareSettings
    from stepviz.types import Sampling


def compare(
    before: Annotated[str, typer.Option(help="the model before: embedded:NAME, hf:ID_OR_PATH, a folder")],
    after: Annotated[str, typer.Option(help="the model after, such as what a training of `before` has made")],
    db: Db = None,
    json: Json = False,
    source: Annotated[str | None, typer.Option(help="only problems of this source")] = None,
    split: Annotated[str | None, typer.Option(help="only problems of this split; dev is for choosing")] = None,
    limit: Annotated[int, typer.Option(help="at most so many problems")] = 40,
    samples: Annotated[int, typer.Option(help="1: the greedy chain; more are drawn beside it, for pass@n")] = 1,
    k: Annotated[int, typer.Option(help="continuations of each prefix of the greedy chain; 0 measures nothing")] = 8,
    pit: Annotated[str, typer.Option(help="whose first pit: self-explore, glore")] = "self-explore",
    out: Annotated[Path | None, typer.Option(help="also write a row a problem: FILE.csv or FILE.jsonl")] = None,
    threshold: Annotated[float, typer.Option(help="two scorers: the first score at or below it is a pit")] = 0.5,
    device: Device = None,
    temperature: Temperature = 0.7,
    max_tokens: MaxTokens = 300,
    style: Style = "plain",
) -> None:
    """Accuracy, V and first pits of two models on the same problems; what was drawn before is not drawn again.

    Two step reward models are compared on the chains that are there: AUC and accuracy against what is known of a step.
    """
    from db.store import open_store
    from stepviz.compare import RULES
    from stepviz.compare_draws import embedded_for
    from stepviz.compare_report import table
    from stepviz.compare_spec import settings_of

    if pit not in RULES:
        raise StepvizError(f"--pit is {' or '.join(RULES)}, not {pit!r}")
    if out is not None and out.suffix not in (".csv", ".jsonl"):
        raise StepvizError(f"--out {out}: end it with .csv or .jsonl")
    if not 0 <= threshold <= 1:
        raise StepvizError(f"--threshold is a score between 0 and 1, not {threshold:g}")
    if temperature == 0:
        raise StepvizError("--temperature is that of the continuations and samples: take one above 0")
    asked = {"before": before, "after": after, "source": source, "split": split, "limit": limit, "samples": samples,
             "k": k}  # fmt: skip
    settings, sampling = settings_of(asked), sampling_of(temperature, max_tokens, style)
    with open_store(db) as store:
        embedded_for(store, settings)
        if settings.scorers:
            _judges(store, settings, asked | {"device": device}, threshold, out, json)
            return
        found = _whole(store, settings, sampling, asked | {"device": device, "sampling": sampling})
        if out is not None:
            _write(out, table(found.pairs, pit, out.suffix[1:]))
        value = _value(settings, sampling, found, pit)
        emit(value, json, lambda: _told(store, settings, found, pit, value["address"]))


def _whole(store: Store, settings: CompareSettings, sampling: Sampling, spec: dict[str, Any]) -> Found:
    """Both models at all problems; a job draws what is missing."""
    from stepviz.compare_draws import compared

    found, models = compared(store, settings, sampling), None
    if not found.problems:
        where = " ".join(part for part in (settings.source, settings.split) if part) or "this store"
        raise StepvizError(f"no problem of {where} has a gold answer: import some, or change --source and --split")
    if found.missing.draws:
        run = ended(store, "compare", spec)
        known = run.progress.get("models") or {}
        models = (known["before"], known["after"]) if {"before", "after"} <= known.keys() else None
        found = compared(store, settings, sampling, models)
        if not found.pairs:
            raise StepvizError(f"no problem was read by both models: {run.progress.get('note') or 'see run list'}")
    return found


def _judges(
    store: Store, settings: CompareSettings, spec: dict[str, Any], threshold: float, out: Path | None, json: bool
) -> None:
    from dataclasses import asdict

    from stepviz import compare_scores
    from stepviz.compare_report import written
    from stepviz.compare_scored import scored

    found = scored(store, settings)
    if any(found.unscored):
        ended(store, "compare", spec)
        found = scored(store, settings)
    if not found.chains:
        raise StepvizError("no chain of these problems was scored by both: sample or import some, or see run list")
    if out is not None:
        _write(out, written(compare_scores.rows(found.chains, threshold), out.suffix[1:]))
    names = found.models[0].partition("@")[0], found.models[1].partition("@")[0]
    value = {**asdict(settings), "models": {"before": found.models[0], "after": found.models[1]},
             "chains": len(found.chains), **compare_scores.summary(found.chains, threshold),
             "rows": compare_scores.rows(found.chains, threshold)}  # fmt: skip
    emit(value, json, lambda: "\n".join(compare_scores.told(names, found.chains, threshold)))


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise StepvizError(f"{out} cannot be written ({error.strerror}): choose another place") from None


def _value(settings: CompareSettings, sampling: Sampling, found: Found, rule: str) -> dict[str, Any]:
    from dataclasses import asdict

    from stepviz.compare_address import address
    from stepviz.compare_report import rows, summary

    return {
        **asdict(settings),
        "models": {"before": found.models[0], "after": found.models[1]},
        "sampling": {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens,
                     "style": sampling.style.name, "id": sampling.hash},
        "problems": found.problems,
        "without_gold": found.ungraded,
        "compared": len(found.pairs),
        **summary(found.pairs),
        "address": address(settings, sampling.hash, pit=rule),
        "rows": rows(found.pairs, rule),
    }  # fmt: skip


def _told(store: Store, settings: CompareSettings, found: Found, rule: str, address: str) -> str:
    from stepviz.compare_draws import losses_of
    from stepviz.compare_report import told

    names = tuple(id.partition("@")[0] for id in found.models)
    lines = told((names[0], names[1]), found.pairs, rule)
    if found.ungraded:
        lines.append(f"  left out       {found.ungraded} without a gold answer")
    if missing := found.problems - len(found.pairs):
        lines.append(f"  left out       {missing} that one of the models could not read")
    if losses := losses_of(store, settings.after, found.models[1]):
        (_, first), (steps, last) = losses[0], losses[-1]
        lines.append(f"  training       of {names[1]}: loss {first:.3g} → {last:.3g} in {steps:,} steps")
    lines.append(f"In the app: {address}")
    return "\n".join(lines)
