"""`bench agreement`: how far judges of steps agree, on people's labels that are public and on chains with exact truth.

Embedded chains: the student's, one a problem, on test problems and on development problems that nothing else takes; on
the latter the SORM's threshold is chosen and its calibration learnt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.store import Store, open_store
from stepviz import jobs
from stepviz.agree import Compared, Settings, calibrate, compare, crossed
from stepviz.agreement.square import CELLS
from stepviz.agreement.tables import Number
from stepviz.agreement.thresholds import CHOICES
from stepviz.errors import StepvizError
from stepviz.importing import import_path
from stepviz.results import Rows
from stepviz.types import Sampling, SourceItem
from stepviz.worker import Worker
from stepviz.world import embedded_problems

SORM, K = "embedded:sorm", 8
FIRST = {"test": 30_000, "dev": 10_000}  # places in the frozen sequences of problems
ON_TEST: Mapping[str, Any] = {"question": "solvable", "source": "embedded", "split": "test"}
AT_THRESHOLD = ("precision", "recall", "f1", "balanced", "kappa", "flagged")
COLUMNS = {
    "localisation": ("exact", "within_one", "alpha"),
    "processbench": ("error_acc", "correct_acc", "f1"),
    "by_step": ("agreement", "kappa", "alpha", "ac1", "precision", "recall"),
}


def tables(
    stepverify: Path, processbench: Path, engine: str = "embedded", db: str | None = None, each: int = 500
) -> dict[str, Rows]:
    """each: test problems; half as many development problems."""
    with tempfile.TemporaryDirectory() as folder, open_store(db or f"sqlite:///{folder}/bench.db") as store:
        import_path(store, "stepverify", stepverify)
        import_path(store, "processbench", processbench)
        prepare(store, engine, each)
        people = compare(store, Settings("stepverify/*", "stepverify/*", source="stepverify"))
        equations = compare(store, Settings("processbench", "equations", source="processbench"))
        found = against_solvable(store)
        return {
            "stepverify: teachers among themselves, first errors": [first_errors(people)],
            "stepverify: two teachers, and each against what most of the others say": ceiling(people),
            "ProcessBench GSM8K: people against the equations": [row("equations", equations, "processbench")],
            "embedded test chains, first pits against `solvable`": [
                row(name, at, "localisation", "processbench") for name, at in found.items()
            ],
            "the same, step by step": [row(name, at, "by_step") for name, at in found.items()],
            "the SORM's thresholds, chosen on dev and applied to test, step by step": thresholds(store),
            "the SORM at 0.5 by step position": positions(found["SORM at 0.5"]),
            "the SORM's scores as chances that it is solvable": scores(found["SORM at 0.5"]),
            "correct (exact) against solvable, steps": square(store),
        }


def prepare(store: Store, engine: str, each: int) -> None:
    """Chains of both splits with scores, those of test with K draws a prefix. What is there is not made again."""
    problems = {split: list(embedded_problems(split, each if split == "test" else each // 2, FIRST[split]))
                for split in FIRST}  # fmt: skip
    worker, sampling = Worker(store), Sampling()
    for split, of in problems.items():
        store.add_items([SourceItem(p) for p in of])
        _done(worker, "sample", {"problems": [p.id for p in of], "n": 1, "engine": engine, "sampling": sampling})
        chains = [row.chain.id for p in of for row in store.chains(p.id)]
        _done(worker, "score", {"chains": chains, "model": SORM})
        if split == "test":
            _done(worker, "measure", {"chains": chains, "n": K, "engine": engine, "sampling": sampling})


def _done(worker: Worker, kind: str, spec: Mapping[str, Any]) -> None:
    """In this process: a benchmark has the machine to itself."""
    run = jobs.start(worker.store, kind, spec, worker=False)
    while worker.run_next(None):
        pass
    ended = worker.store.run(run)
    if ended is None or ended.state != "done":
        raise StepvizError(f"the run of {kind} has not ended well: {ended.error if ended else 'it is gone'}")


def against_solvable(store: Store) -> dict[str, Compared]:
    """Of test chains; the exact judge is the reference."""
    calibrate(store, Settings("exact", SORM, "solvable", "embedded", "dev"), "isotonic")
    return {
        "SORM at 0.5": compare(store, Settings("exact", SORM, **ON_TEST)),
        "SORM, threshold of dev": compare(store, Settings("exact", SORM, **ON_TEST, tune_split="dev")),
        f"rollouts, k = {K}": compare(store, Settings("exact", "rollouts", **ON_TEST)),
    }


def row(name: str, found: Compared, *parts: str) -> dict[str, Any]:
    told: dict[str, Any] = {"judge": name, "threshold": next(iter(found.thresholds.values()), None)}
    told |= {"problems": found.report.problems, "chains": found.report.chains, "steps": found.report.steps}
    for part in parts:
        numbers: Mapping[str, Number] = getattr(found.report, part)
        told |= {f"{name} [95 %]": text(numbers[name]) for name in COLUMNS[part] if name in numbers}
    return {name: value for name, value in told.items() if value is not None}


def first_errors(found: Compared) -> dict[str, Any]:
    where = found.report.localisation
    return {"solutions": found.report.chains, "pairs of labels": where["exact"].n,
            **{f"{name} [95 %]": text(where[name]) for name in COLUMNS["localisation"]}}  # fmt: skip


def ceiling(found: Compared) -> list[dict[str, Any]]:
    """Pooled rows. Every teacher labelled one solution: there is nobody to tell apart."""
    assert found.ceiling is not None
    what = {"pairs": "two teachers", "others": "a teacher and the others"}
    return [
        {
            "who": what[row.kind],
            "items": row.items,
            "first errors of both": row.numbers["exact"].n,
            **{f"{name} [95 %]": text(row.numbers[name]) for name in ("exact", "within_one")},
        }
        for row in found.ceiling.rows
        if row.kind in what and not row.person
    ]


def thresholds(store: Store) -> list[dict[str, Any]]:
    """A row a way to choose."""
    rows = []
    for by, words in CHOICES.items():
        found = compare(store, Settings("exact", SORM, **ON_TEST, tune_split="dev", tune_by=by))
        (at,), tuned = found.thresholds.values(), found.tuned
        assert tuned is not None
        (of,) = found.scores.values()
        told = {f"{name} [95 %]": text(of["at_threshold"][name]) for name in AT_THRESHOLD}
        rows.append({"chosen by": words, "threshold": _rounded(at), "on dev": _rounded(getattr(tuned.at, by))} | told)
    return rows


def positions(found: Compared) -> list[dict[str, Any]]:
    told = {"errors_a": "errors", "errors_b": "errors by the SORM", "agreement": "agreement", "kappa": "kappa"}
    return [
        {
            "step": part.name,
            "steps": part.steps,
            **{f"{words} [95 %]": text(part.numbers[name]) for name, words in told.items()},
        }
        for part in found.by["position"]
    ]


def scores(found: Compared) -> list[dict[str, Any]]:
    """Raw, and as learnt on development chains."""
    (known,) = found.scores.values()
    again = known["recalibrated"]
    learnt = f"{again['kind']}, learnt from {again['steps']:,} steps of {again['split']}"
    raw = {"scores": "raw", "steps": known["n"]} | {
        f"{words} [95 %]": text(known["intervals"][name])
        for name, words in (("roc_auc", "AUC"), ("pr_auc", "average precision"))
    }
    return [
        head | {f"{words} [95 %]": text(of["intervals"][words.lower()]) for words in ("Brier", "ECE")}
        for head, of in ((raw, known), ({"scores": learnt}, again))
    ]


def square(store: Store) -> list[dict[str, Any]]:
    rows = []
    for name, judge in (("exact", "exact"), (f"rollouts, k = {K}", "rollouts"), ("SORM at 0.5", SORM)):
        found = crossed(store, "exact", judge, "embedded", "test")
        cells = {cell: f"{len(found.steps[cell]):,} ({found.shares[cell].text()} %)" for cell in CELLS}
        rows.append({"solvable by": name, "steps": found.n, **cells})
    return rows


def text(number: Number) -> str:
    if number.value is None:
        return f"undefined: {number.why}"
    return f"{number.value:.3f}" + (f" [{number.low:.3f}, {number.high:.3f}]" if number.low is not None else "")


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
