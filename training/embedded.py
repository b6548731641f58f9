"""Makes the shipped models again: tokenizer and `base`, `student` from it, GLoRe's models, cards, the first screen.

Stages can be run one by one; each prints what it will cost before it starts. Everything is a function of the code
and the seeds, up to floating point.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from db.store import Store
from stepviz import results
from stepviz.datasets import build
from stepviz.embedded import FOLDER
from stepviz.errors import StepvizError
from stepviz.types import Problem, SourceItem
from stepviz.world import embedded_problems
from training import pretrain, sft

TRAINING_PROBLEMS = 12_000
STAGES = ("base", "student", "glore", "first-screen")
Log = Callable[[str], None]


def make(store: Store, stages: list[str], out: Path = FOLDER, log: Log = print, preset: str = "small") -> None:
    """Runs the stages in order; each model's costs go into its card and its training.json."""
    for stage in stages:
        if stage not in STAGES:
            raise StepvizError(f"no stage {stage!r}; there are: {', '.join(STAGES)}")
    if "base" in stages:
        log("base: about 31 million tokens, 35 to 45 minutes on two idle cores")
        document(out / "base", BASE_CARD, pretrain.run(out / "base", report=lambda row: log(json.dumps(row))))
    if "student" in stages:
        log("student: about 12 million tokens, 15 minutes on two idle cores")
        dataset = training_set(store)
        rows = store.dataset_rows(dataset)
        cost = sft.run(rows, out / "base", out / "student", report=lambda row: log(json.dumps(row)))
        document(out / "student", STUDENT_CARD, cost)
    if "glore" in stages:
        glore(store, out, preset, log)
    if "first-screen" in stages:
        from stepviz import first_screen
        from stepviz.engines import load

        first_screen.record(load("embedded", device="cpu"), progress=log)


def glore(store: Store, out: Path, preset: str, log: Log) -> None:
    """ORM, SORM and refiner of the student in `out`, or of the shipped one where there is none."""
    from stepviz.engines import load
    from training.glore_cards import CARDS
    from training.glore_models import PRESETS
    from training.glore_models import make as make_glore
    from training.record import base_of

    if preset not in PRESETS:
        raise StepvizError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    own = out != FOLDER and (out / "student").is_dir()
    spec = f"hf:{(out / 'student').absolute()}" if own else "embedded:student"
    made = make_glore(store, load(spec), base_of(spec), out, PRESETS[preset], log=log)
    for name in made:
        cost = json.loads((out / name / "training.json").read_text(encoding="utf-8"))
        document(out / name, CARDS[name], cost)


def training_set(store: Store, count: int = TRAINING_PROBLEMS) -> int:
    """The fixed 12,000 problems with one reference solution each, as a frozen dataset of the store; its id."""
    add(store, list(embedded_problems("train", count)))
    config = {"source": "embedded", "split": "train", "limit": count}
    return build(store, "sft", config, name="embedded-train").id


def add(store: Store, problems: list[Problem], batch: int = 500) -> None:
    for start in range(0, len(problems), batch):
        store.add_items([SourceItem(p) for p in problems[start : start + batch]])


def document(folder: Path, text: str, cost: dict[str, Any]) -> None:
    """README.md of a checkpoint: what it is, how to make it again, what that cost; all of the cost in training.json."""
    (folder / "training.json").write_text(json.dumps(cost) + "\n", encoding="utf-8")
    shown = {k: v for k, v in cost.items() if k not in ("losses", "settings", "made_of")}
    lines = [text.strip(), "", "## What it cost", "", f"Made on {time.strftime('%Y-%m-%d')} on two cores.", ""]
    lines += ["| | |", "|---|---|", *(f"| {key.replace('_', ' ')} | {value} |" for key, value in shown.items())]
    lines += ["", "## Settings", "", "```json", json.dumps(cost["settings"]), "```", ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def write_results(out: Path = FOLDER) -> None:
    """docs/results/embedded.json, from the models' training.json."""
    wanted = (
        "texts",
        "documents",
        "fill",
        "steps",
        "tokens",
        "corpus_seconds",
        "seconds",
        "cpu_seconds",
        "loss_first",
        "loss_last",
    )
    costs = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*/training.json"))
    }
    rows = [{"model": name, **{key: cost.get(key) for key in wanted}} for name, cost in costs.items()]
    curve = [
        {"step": step, **{name: dict(map(tuple, cost["losses"])).get(step) for name, cost in costs.items()}}
        for step in sorted({step for cost in costs.values() for step, _ in cost["losses"]})
        if step % 250 == 0
    ]
    results.write(
        "embedded", "The embedded models: what they cost", "python -m training embedded", {"cost": rows, "loss": curve}
    )


BASE_CARD = """
---
license: apache-2.0
library_name: transformers
tags: [stepviz, embedded-world]
---

# stepviz embedded base

A Llama of 1.3 million parameters (6 layers of 128, 4 heads of 32 over 2 key-value heads, float32) with a byte-level
BPE tokenizer of at most 1,024 tokens. It has read questions of the embedded world, single steps and drills, but no
whole solution, and nothing from a problem with a test template. A tenth of the single steps that can be misread are
misread on purpose, some of these taken back in the next line. It is the model that students are fine-tuned from;
alone it solves nothing.

It shows signs and mechanisms of step-level supervision, not the size of effects on large models.

Make it again: `python -m training embedded --stage base`
"""

STUDENT_CARD = """
---
license: apache-2.0
library_name: transformers
tags: [stepviz, embedded-world]
---

# stepviz embedded student

`base` of the same folder, fine-tuned for five epochs on the reference solutions of 12,000 embedded problems (split
`train`), one each.
Prompt: the question and a newline; it answers with steps in GSM8K's style and a last line `#### N`.
Accuracy on unseen problems with unseen templates: docs/results.md.

It shows signs and mechanisms of step-level supervision, not the size of effects on large models.

Make it again: `python -m training embedded --stage student`
"""
