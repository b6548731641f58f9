"""`python -m training reproduce glore`: GLoRe's comparison on the embedded world (papers.md, section 1).

    shared    the student's training data, its drafts, samples and rollouts on test: drawn once (glore_data)
    models    for each seed: the paper's models, ablations, controls (glore_arms); seeds vary training and its subset
    judges    step accuracy, final-answer accuracy, rerank curves, the easier split (glore_judges)
    refine    wrong drafts fixed, refining without a gate, rerank against best of three (glore_refine)
    labels    how many SORM labels of K rollouts are wrong, and why (label_errors)

Every stage prints what it will cost before it starts, and goes on where it was killed: draws and models are in the
store, scores and refinements in the work folder. Tables and plots are written as soon as a seed is through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from db.store import Store
from stepviz import results
from stepviz.engines import load
from stepviz.results import Rows
from stepviz.svg import chart
from training.glore_models import DRAFT, FULL_TRACES, QUESTION, RATES, plan, told
from training.glore_models import collect as collect_training
from training.record import base_of
from training.reproduce import glore_judges as judges
from training.reproduce import glore_refine as refine
from training.reproduce.glore_arms import AS_DRAWN, SETS, Trained, train_all
from training.reproduce.glore_data import BO, Scale, collect
from training.reproduce.glore_tables import report
from training.reproduce.work import Clock, Work

Log = Callable[[str], None]
SCORING = 55_000  # tokens a second that a scorer reads on two idle cores
REFINED = 5_000  # tokens a second that a refiner writes there, its prompts read
DISTINCT = 0.95  # of a question's samples
TITLE = "GLoRe on the embedded world"
COMMAND = "python -m training reproduce glore"


@dataclass(frozen=True, slots=True)
class Settings:
    seeds: int = 3
    scale: float = 1.0
    problems: int | None = None  # of training; None: by the scale
    samples: int | None = None  # drafts of each of them; None: as the shipped models learn
    arms: str = "all"  # of glore_arms.SETS
    student: str = "embedded:student"
    shipped: Path | None = None  # a folder with orm, sorm, refiner of seed 0, made by `training embedded`
    sizes: Scale = field(default_factory=Scale)

    @property
    def scaled(self) -> Scale:
        found = self.sizes.by(self.scale)
        whole = any(arm.name == AS_DRAWN for arm in SETS[self.arms])  # the others read what backwards measures
        data = replace(
            found.data,
            problems=self.problems or found.data.problems,
            samples=self.samples or found.data.samples,
            full=whole,
        )
        return replace(found, data=data)


def budget(settings: Settings) -> list[dict[str, Any]]:
    """What it will take, a row a stage, on two idle cores: {"stage", "tokens", "minutes"}."""
    s, arms = settings.scaled, SETS[settings.arms]
    data = plan(s.data, arms)
    samples = s.sampled * s.n + max(0, s.three - s.sampled) * BO
    labels = s.measured * FULL_TRACES + s.deep * FULL_TRACES / 8 * (s.rollouts - 8)
    drawn = (s.test + s.dev + samples) * DRAFT + labels
    tries = (2 + 5 * 0.4) * s.three  # every draft twice, wrong ones five times more
    read = sum(arm.role != "refiner" for arm in arms) * s.test + (2 + BO) * s.three + 4 * s.dev
    read += DISTINCT * sum(arm.name in judges.RERANKED for arm in arms) * s.sampled * s.n
    rows = [
        *data[:2],
        {"stage": "test drafts, samples, labels", "tokens": round(drawn), "minutes": _minutes(drawn, RATES["sampled"])},
    ]
    for seed in range(settings.seeds):
        scored = read * (QUESTION + DRAFT)
        for stage, tokens, minutes in (
            ("models", sum(row["tokens"] for row in data[2:]), sum(row["minutes"] for row in data[2:])),
            ("scores", scored, _minutes(scored, SCORING)),
            ("refinements", tries * DRAFT, _minutes(tries * DRAFT, REFINED)),
        ):
            rows.append({"stage": f"seed {seed}: {stage}", "tokens": round(tokens), "minutes": round(minutes, 1)})
    return rows


def _minutes(tokens: float, rate: float) -> float:
    return round(tokens / rate / 60, 1)


def run(store: Store, folder: Path, settings: Settings, log: Log = print) -> dict[str, Rows]:
    """All stages; the tables, which are also in `folder`/tables.json after each seed."""
    rows = budget(settings)
    log(told(rows))
    work, scale, student = Work(folder), settings.scaled, base_of(settings.student)
    clock = Clock(folder)

    def said(line: str) -> None:
        clock.tick()
        log(line)

    clock.start("shared data")
    engine = load(settings.student)
    drawn_by = collect_training(store, engine, scale.data, said)
    shared = collect(store, engine, scale, said)
    engine.close()  # a GPU has better use for its memory while models are trained
    clock.tick()
    models: list[dict[str, Trained]] = []
    refined: list[refine.Refined] = []
    tables: dict[str, Rows] = {}
    for seed in range(settings.seeds):
        clock.start(f"seed {seed}")
        arms = SETS[settings.arms]
        shipped = settings.shipped if seed == 0 else None
        models.append(
            train_all(store, arms, drawn_by, student, folder / f"seed-{seed}", scale.data, seed, shipped, said)
        )
        shared.drafts.engine = load(settings.student)
        refined.append(refine.refine_seed(work, seed, models[-1], shared, said))
        shared.drafts.engine.close()
        tables = report(work, models, refined, shared, scale)
        clock.tick()
        tables["what it took"] = [*_planned(rows), *_took(clock)]
        (folder / "tables.json").write_text(json.dumps(tables, indent=1), encoding="utf-8")
        log(json.dumps({"stage": f"seed {seed}", "minutes": round(clock.spent[f"seed {seed}"] / 60, 1)}))
    return tables


def _took(clock: Clock) -> list[dict[str, Any]]:
    """Of draws and models that were there before, nothing."""
    return [{"stage": stage, "minutes": round(seconds / 60, 1)} for stage, seconds in clock.spent.items()]


def _planned(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"stage": row["stage"], "tokens": row["tokens"], "planned minutes": row["minutes"]} for row in rows]


# ---- what is written


def plots(tables: Mapping[str, Rows]) -> dict[str, str]:
    """File name → SVG."""
    made = {}
    curves = tables.get("best of n by score, %", [])
    if curves:
        names = [name for name in curves[0] if name not in ("n", "tokens a question")]
        lines = {name: [(row["n"], row[name]) for row in curves] for name in names}
        made["glore-rerank.svg"] = chart("Best of n by score", "samples n", "accuracy, %", lines)
    errors = [r for r in tables["wrong SORM labels of K rollouts, % of labels"] if r["carried back"]]
    if errors:
        lines = {}
        for rule in (False, True):
            for what in ("wrong", "incapacity", "finite K", "false success"):
                name = f"{what}{', consistent' if rule else ''}"
                lines[name] = [(r["K"], r[what]) for r in errors if r["consistency rule"] == rule]
        made["glore-labels.svg"] = chart("Wrong labels of K rollouts", "rollouts K", "% of labels", lines)
    return made


def write(tables: Mapping[str, Rows], settings: Settings, folder: Path = results.FOLDER, note: str = "") -> None:
    """docs/results/glore.json and its plots; `python -m stepviz results` renders the page."""
    drawn = plots(tables)
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")
    pictures = " ".join(f"![{name.removesuffix('.svg')}](results/{name})" for name in drawn)
    results.write("glore", TITLE, command(settings), tables, f"{note or NOTE} {pictures}".strip(), folder)


def command(settings: Settings) -> str:
    """As it would be typed: what differs from the defaults."""
    usual, words = Settings(), [COMMAND]
    for name in ("seeds", "scale", "problems", "samples", "arms"):
        if (value := getattr(settings, name)) != getattr(usual, name):
            words.append(f"--{name} {value}")
    return " ".join(words)


NOTE = (
    "Percentile intervals (95 %) from 2,000 paired draws of problems and seeds. The paper's column is Llama-2 13B on "
    "GSM8K. The primary contrast, named before the first run, is SORM − ORM in balanced accuracy against `solvable`. "
    "Sampled tokens are those that were generated, prompts not counted, over the drafts that the row's share is of. "
    "A step that a judge could not score is bad in all its figures."
)
