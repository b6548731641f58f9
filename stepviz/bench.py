"""The benchmarks: each returns tables for stepviz.results, made by code that nothing else depends on."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from stepviz.errors import StepvizError
from stepviz.results import Rows


@dataclass(frozen=True, slots=True)
class Result:
    title: str
    tables: dict[str, Rows]
    note: str = ""
    json: Any = None  # what --json prints, where that is not the tables
    pictures: Mapping[str, str] = field(default_factory=dict)  # file name → SVG


def data_file(folder: Path | None, name: str) -> Path:
    if folder is None or not (folder / name).exists():
        raise StepvizError(f"this benchmark reads {name} from a folder of public data sets: give it as --data FOLDER")
    return folder / name


def equivalence(data: Path | None, **_: Any) -> Result:
    """Our grader on the expectations of public graders' own tests."""
    from stepviz.agreement.equivalence import equivalence_agreement

    found = equivalence_agreement(data_file(data, "equivalence/cases.jsonl"))
    rows = [{k: d[k] for k in ("line", "kind", "expected", "verdict", "reason")} for d in found["differences"]]
    head = [{k: v for k, v in found.items() if isinstance(v, int | float)}]
    note = "Each difference is a policy of ours, explained line by line in tests/test_equivalence_policy.py."
    return Result("Equal or not: agreement with public graders' tests", {"agreement": head, "differences": rows}, note)


def equations(data: Path | None, **_: Any) -> Result:
    """False equations as a judge of steps that needs no model, on ProcessBench's GSM8K part."""
    from stepviz.agreement.processbench import processbench_f1
    from stepviz.equations import first_error

    rows = _rows(data_file(data, "processbench/gsm8k.json"))
    started = time.perf_counter()
    score = processbench_f1(rows, first_error)
    seconds = time.perf_counter() - started
    return Result(
        "ProcessBench GSM8K: the equation judge",
        {"per cent": [{"judge": "false equations", **score, "seconds": round(seconds, 2)}]},
        "It names a first error only where an equation written in a step is false; most human-labelled errors are not.",
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return (
        json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x.strip()]
    )


def gsm8k(data: Path | None, **_: Any) -> Result:
    """GSM8K's test problems and the 5,276 GPT-3 chains, imported twice into a new store."""
    from db.store import open_store
    from stepviz.importing import import_path

    rows: list[dict[str, Any]] = []
    flags: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/bench.db") as store:
        for turn in ("first", "again"):
            for format, name in (("gsm8k", "test.jsonl"), ("gsm8k-solutions", "example_model_solutions.jsonl")):
                started = time.perf_counter()
                report = import_path(store, format, data_file(data, f"gsm8k/{name}"))
                rows.append({
                    "import": turn, "file": name, "rows": report.rows, "new problems": report.problems_new,
                    "new chains": report.chains_new, "unchanged": report.unchanged, "refused": len(report.refused),
                    "seconds": round(time.perf_counter() - started, 2),
                })  # fmt: skip
                if turn == "first":
                    flags += [
                        {"line": d.line, "flag": d.flag, "verdict": d.verdict.value} for d in report.disagreements
                    ]
        stats = store.stats()
    tables: dict[str, Rows] = {"imports": rows, "the store afterwards": [stats], "flags settled otherwise": flags}
    return Result("GSM8K: the real chains, judged by our own checker", tables)


def student(problems: int = 5000, sampled: int = 1000, engine: str = "embedded", **_: Any) -> Result:
    """The student on test problems whose templates it has never seen: greedy, and eight samples at temperature 1."""
    from stepviz.engines import load
    from stepviz.types import Request, Sampling, continuation_seed, prefix_hash
    from stepviz.world import embedded_problems

    loaded = load(engine)
    unseen = list(embedded_problems("test", problems))
    started = time.perf_counter()
    greedy = loaded.generate([Request(p.question) for p in unseen], Sampling(temperature=0))
    greedy_seconds = time.perf_counter() - started
    right = [_right(p, c.text) for p, c in zip(unseen, greedy, strict=True)]
    hot = Sampling(temperature=1.0)
    asked = [
        Request(p.question, "", continuation_seed(p.id, prefix_hash(""), loaded.model_id, hot.hash, j))
        for p in unseen[:sampled]
        for j in range(8)
    ]
    started = time.perf_counter()
    drawn = loaded.generate(asked, hot)
    hot_seconds = time.perf_counter() - started
    hits = [_right(unseen[i // 8], c.text) for i, c in enumerate(drawn)]
    by_steps: dict[int, list[bool]] = defaultdict(list)
    for p, ok in zip(unseen, right, strict=True):
        by_steps[p.meta["steps"]].append(ok)
    head = [{
        "model": loaded.model_id, "problems": len(unseen), "greedy accuracy": mean(right),
        "95 % half-width": 1.96 * (mean(right) * (1 - mean(right)) / len(right)) ** 0.5,
        "sampled problems": len(unseen[:sampled]), "mean accuracy at T=1": mean(hits),
        "pass@8 at T=1": mean(any(hits[i : i + 8]) for i in range(0, len(hits), 8)),
    }]  # fmt: skip
    steps = [{"steps": n, "problems": len(v), "greedy accuracy": mean(v)} for n, v in sorted(by_steps.items())]
    speed = [
        {
            "decoding": name,
            "tokens": (t := sum(c.tokens for c in made)),
            "seconds": round(s, 1),
            "tokens/s": round(t / s),
        }
        for name, made, s in (("greedy", greedy, greedy_seconds), ("8 samples", drawn, hot_seconds))
    ]
    note = (
        "Templates are dealt to splits as they fall: of two steps there are few, and those of test are of other kinds "
        "than most of train's, so that row stands apart."
    )
    tables = {"accuracy": head, "by steps": steps, "cost": speed}
    return Result("The embedded student on unseen templates", tables, note)


def _right(problem: Any, text: str) -> bool:
    from stepviz.steps import segment
    from stepviz.world import exact_for

    judge = exact_for(problem)
    assert judge is not None
    return judge.judge([text[s.start : s.end] for s in segment(text, "line")]).right


def engine(engine: str = "embedded", prefixes: int = 64, repeats: int = 3, **_: Any) -> Result:
    """Our engines against the libraries under them used bare."""
    from stepviz.bench_engine import EACH, tables

    title = f"Engines: {EACH} continuations of {prefixes} prefixes against the bare libraries, on the CPU"
    note = (
        "Bare: the library's own way for the same prompts, sampling parameters and seeds, text in and text out. Times "
        "are compared turn against turn, a token; `prefill` is a pass that draws one token a prompt, `decode` the rest."
    )
    return Result(title, tables(engine, prefixes, repeats), note)


def score(engine: str = "embedded", **_: Any) -> Result:
    """A score after each step from one pass a chain, against a pass a prefix."""
    from stepviz.bench_score import CHAINS, SORM, STEPS, rates

    title = f"Scoring {CHAINS} chains of {STEPS} steps with the embedded SORM, on the CPU"
    rows = rates(SORM if engine == "embedded" else engine)
    return Result(title, {"seconds": rows}, "All ways give the same scores, to a thousandth.")


def measure(engine: str = "embedded", db: str | None = None, each: int = 500, **_: Any) -> Result:
    """What each strategy of `measure` costs, and how well it agrees with the exact judge."""
    from stepviz.bench_measure import measure as found

    tables, summary, picture = found(engine, db, each)
    title = f"Strategies of `measure` on {each} wrong and {each} right chains of unseen test problems"
    return Result(title, tables, "docs/measuring.md says what the columns mean.", summary, {"measure.svg": picture})


def agreement(data: Path | None, engine: str = "embedded", db: str | None = None, each: int = 500, **_: Any) -> Result:
    """How far judges of steps agree: people, equations, the SORM, rollouts, the exact truth."""
    from stepviz.bench_agreement import tables

    public = data_file(data, "stepverify/dataset.json"), data_file(data, "processbench/gsm8k.json")
    note = f"docs/agreement.md says what the columns mean. Embedded: {each} test problems, and {each // 2} of dev."
    return Result("Agreement of judges of steps", tables(*public, engine, db, each), note)


def annotate(
    annotators: int = 20,
    seconds: float = 120,
    steps: int = 1_000_000,
    db: str | None = None,
    engine: str = "embedded",
    **_: Any,
) -> Result:
    """People who label over HTTP beside a long measurement: what is lost, and how long they wait."""
    from stepviz.bench_annotate import tables

    title = f"{annotators} people label over HTTP for {seconds:g} s, a label a second each"
    note = (
        "The app is a process with accounts, its worker measures with the embedded student meanwhile, and all share "
        "the machine. Times are what a client waits for an answer. `never sent`: stored, and nobody had said it."
    )
    return Result(title, tables(annotators, seconds, steps, db, engine), note)


BENCHES: dict[str, Callable[..., Result]] = {
    f.__name__: f for f in (agreement, annotate, engine, equivalence, equations, gsm8k, measure, score, student)
}


def names() -> Sequence[str]:
    return sorted(BENCHES)
