"""Jobs: what the app and the command line ask of the worker, and how they hear of it.

A job is a Run row. `start` queues it and sees to it that a worker lives; the worker (stepviz.worker), one
process a store, claims it, draws, and writes its progress into the row. Nobody else touches an engine.

| kind       | spec                                                                                          |
|------------|-----------------------------------------------------------------------------------------------|
| `sample`   | `problems`: ids; `n`: chains 0 … n-1 of each shall exist, or `add`: so many more               |
| `measure`  | `chains`: ids; `n`: continuations of each prefix, or `add`: so many more; `steps`: which (all) |
| `continue` | `chain`, `step`, `n` (1): new chains that branch after this step                               |
| `branch`   | `chain`, `step`, `text`, `n` (1), `author`: the same after an edit of the step                 |
| `score`    | `chains`: ids; `model`: a scorer's spec; `role`: what it estimates, where it does not say      |
| `refine`   | `chains`: ids of drafts, and the settings of stepviz.refine_spec                               |
| `compare`  | `before`, `after`: models; the settings of stepviz.compare_spec                                |
| `import`   | `format`, `path`, `mapping`, `split`, `rule`                                                   |
| `dataset`  | `recipe`, `config`, `name`: see stepviz.datasets.build                                         |
| `train`    | `recipe`, `datasets`, `base`, `name`, `settings`, `options`: see stepviz.train_job              |

`measure` takes the settings of stepviz.measure_spec, too: a strategy chooses prefixes itself.

`train` is done by a process of its own, which the trainer (stepviz.trainer) starts; all else by the worker.

All but `score`, `import`, `dataset` and `train` take `device` and `sampling` (a Sampling, its id, or nothing for the
default), and those that draw with one model `engine` ("embedded") and `tokenizer`; `score` takes `device`. Jobs over
many problems or chains are of kinds `sample many`, `measure many` and `score many`: the others are somebody's click,
and are let in between their batches.

progress: {"done", "total", "unit", "tokens", "tokens_per_s", "eta_s", "note"}, what it has cost over all of its lives,
"spent": {"sampled", "read", "seconds", "draws"} (stepviz.costs), and the "notes" of its engines; after an import also
"report", after a build "dataset", its id; a training tells "loss" and "losses", and at last "model", its id.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import RunRow
from stepviz import compare_spec, engines, measure_spec, refine_spec, train_job, train_left
from stepviz.errors import StepvizError
from stepviz.reward.specs import ROLES, place
from stepviz.types import Sampling
from stepviz.worker_process import Who, ensure_worker, last_words

QUICK = ("sample", "measure", "continue", "branch", "score", "refine")
LONG = ("sample many", "measure many", "score many", "refine many", "compare", "import", "dataset")
TRAIN = train_job.KIND
ACTIVE = ("queued", "running", "interrupted")
RESUMES = 3  # times that `wait` resumes one run
MANY = 512  # draws, or chains to score; a job over more is not somebody's click

OnProgress = Callable[[Mapping[str, Any]], None]

_DRAWING = ("engine", "device", "tokenizer", "sampling")
_KEYS: dict[str, tuple[str, ...]] = {
    "sample": ("problems", "n", "add", *_DRAWING),
    "measure": ("chains", "n", "add", "steps", *measure_spec.NAMES, *_DRAWING),
    "continue": ("chain", "step", "n", *_DRAWING),
    "branch": ("chain", "step", "text", "n", "author", *_DRAWING),
    "score": ("chains", "model", "device", "role"),
    "refine": ("chains", "device", "sampling", *refine_spec.NAMES),
    "compare": ("device", "sampling", *compare_spec.NAMES),
    "import": ("format", "path", "mapping", "split", "rule"),
    "dataset": ("recipe", "config", "name"),
    TRAIN: ("recipe", "dataset", "datasets", "base", "name", "out", "settings", "options"),
}
_NEEDED = {
    "sample": ("problems",),
    "measure": ("chains",),
    "continue": ("chain", "step"),
    "branch": ("chain", "step", "text"),
    "score": ("chains", "model"),
    "refine": ("chains",),
    "compare": ("before", "after"),
    "import": ("format", "path"),
    "dataset": ("recipe",),
    TRAIN: ("recipe", "base"),
}
_ALSO = {"problem_ids": "problems", "chain_ids": "chains", "chain_id": "chain", "prefixes": "steps", "more": "add"}


def start(store: Store, kind: str, spec: Mapping[str, Any], *, worker: bool = True) -> int:
    """Queues a job, or joins the one of the same kind and spec that waits, runs or was interrupted; its run id.

    Two equal ones at the same time are one run. A training joins the one that failed and left a checkpoint, too.
    StepvizError: a kind or a key that there is not, or a training that cannot work. `worker=False` starts no process.
    """
    kind, wanted = normalised(store, kind, spec)
    run_id, new = train_job.enter(store, wanted) if kind == TRAIN else store.join_run(kind, wanted)
    if not new and store.run(run_id).state not in ("queued", "running"):
        _resume(store, run_id)
    if worker:
        ensure(store, kind)
    return run_id


def resume(store: Store, run_id: int, *, worker: bool = True) -> None:
    """Queues a run that stopped: it goes on where it was."""
    run = store.run(run_id)
    if run.kind == TRAIN and run.state in ("failed", "cancelled", "interrupted"):
        train_job.check_name(store, run.spec, run_id)
    _queue_again(store, run)
    if worker:
        ensure(store, run.kind)


def cancel(store: Store, run_id: int) -> None:
    """Asks a run to stop. One that nobody works on stops here, and a training then gives up what it has left."""
    before = store.run(run_id)
    store.request_cancel(run_id)
    nobodys = before.state in ("queued", "interrupted") and store.run(run_id).state == "cancelled"
    if nobodys:
        store.log(run_id, f"cancelled {far(before.progress)}")
    if before.kind == TRAIN and nobodys:
        train_left.clear(before.spec)


def discard(store: Store, run_id: int) -> None:
    """Gives up the checkpoint that a training which stopped has left. StepvizError where one is at work."""
    run = store.run(run_id)
    if run.kind != TRAIN:
        raise StepvizError(f"run {run_id} is no training: it has left nothing to discard")
    if run.state in ("queued", "running"):
        raise StepvizError(f"run {run_id} is {run.state}: cancel it, and nothing of it stays")
    train_job.check_free(run.spec, store.live_runs(TRAIN), run_id)
    store.request_cancel(run_id)
    train_left.clear(run.spec)


def ensure(store: Store, kind: str) -> bool:
    """Sees to it that the process that does runs of this kind lives; False where it does not start."""
    return ensure_worker(store, who="trainer") if kind == TRAIN else ensure_worker(store)


def wait(store: Store, run_id: int, on_progress: OnProgress | None = None, poll_s: float = 0.2) -> RunRow:
    """Until the run is done, failed or cancelled; on_progress hears of every change.

    A run whose worker died is resumed as soon as its lease is over; after RESUMES times it is given back as
    "interrupted". StepvizError where a worker does not come up, with its last words.
    """
    told: Mapping[str, Any] = {}
    resumes = 0
    while True:
        run = store.run(run_id)
        if on_progress is not None and run.progress != told:
            told = run.progress
            on_progress(told)
        if run.state not in ACTIVE or (run.state == "interrupted" and resumes == RESUMES):
            return run
        if run.state == "interrupted":
            _resume(store, run_id)
            resumes += 1
        if run.state != "running" and not ensure(store, run.kind):
            who: Who = "trainer" if run.kind == TRAIN else "worker"
            raise StepvizError(f"the {who} process does not start: {last_words(store, who)}")
        time.sleep(poll_s)


def normalised(store: Store, kind: str, spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind and the spec as they are stored; the sampling is stored by its id."""
    base = kind.removesuffix(" many")
    if base not in _KEYS:
        raise StepvizError(f"there is no job {kind!r}; there are: {', '.join(_KEYS)}")
    named = {_ALSO.get(key, key): value for key, value in spec.items() if value is not None}
    if base == "measure" and "k" in named:
        named["n"] = named.pop("k")
    unknown = sorted(named.keys() - set(_KEYS[base]))
    lacking = [key for key in _NEEDED[base] if key not in named]
    if unknown or lacking:
        wrong = f"does not know {', '.join(unknown)}" if unknown else f"needs {', '.join(lacking)}"
        raise StepvizError(f"a {base} job {wrong}")
    if base == "import":
        return base, _plain(named | {"path": _absolute(str(named["path"]))})
    if base == "dataset":
        return base, _plain(named)
    if base == "score":
        return _score(named)
    if base == "refine":
        return _refine(store, named)
    if base == "compare":
        return base, _plain(compare_spec.written_out(named) | {"sampling": _sampling_id(store, named)})
    if base == TRAIN:
        return base, _plain(train_job.normalised(store, named))
    named |= {"engine": engines.canonical(str(named.get("engine", "embedded"))), "sampling": _sampling_id(store, named)}
    if base in ("sample", "measure"):
        _check_size(base, named)
    if base == "measure":
        named = measure_spec.written_out(named)
    return (f"{base} many" if _is_long(base, named) else base), _plain(named)


def _score(named: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    named["model"] = engines.canonical(str(named["model"]))
    place(named["model"])  # a spec that names no scorer is said now, not by the worker
    if named.get("role", "prm") not in ROLES:
        raise StepvizError(f"a scorer's role is one of {', '.join(ROLES)}, not {named['role']!r}")
    return ("score many" if len(named["chains"]) > MANY else "score"), _plain(named)


def _refine(store: Store, named: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    spec, draws = refine_spec.written_out(named)
    if "target" not in named:
        spec["target"] = refine_spec.target_of(store, spec["refiner"])
    return ("refine many" if draws > MANY else "refine"), _plain(spec | {"sampling": _sampling_id(store, spec)})


def _plain(spec: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back out of the store."""
    return json.loads(json.dumps(spec, default=list))


def _check_size(base: str, spec: Mapping[str, Any]) -> None:
    sizes = [key for key in ("n", "add") if key in spec]
    if len(sizes) != 1 or not isinstance(spec[sizes[0]], int) or spec[sizes[0]] < 1:
        raise StepvizError(f"a {base} job needs either n, how many there shall be, or add, how many more: 1 or above")


def _is_long(base: str, spec: Mapping[str, Any]) -> bool:
    """Whether others are let in before it is through."""
    of = {"sample": "problems", "measure": "chains"}.get(base)
    if of is None:
        return False
    each = 8 if base == "measure" and "steps" not in spec else len(spec.get("steps", (0,)))
    return len(spec[of]) * each * int(spec.get("n") or spec["add"]) > MANY


def far(progress: Mapping[str, Any]) -> str:
    """`at 24 of 64 continuations`, `before it began`, or `before it went on`: for a run's log."""
    spent = progress.get("spent") or {}
    done, total, unit = progress.get("done") or 0, progress.get("total"), progress.get("unit") or ""
    if total:
        return f"at {done:,} of {total:,} {unit}".rstrip()
    return "before it went on" if spent.get("sampled") or spent.get("read") else "before it began"


def _queue_again(store: Store, run: RunRow) -> None:
    """StepvizError where it does not stand still."""
    store.resume_run(run.id)
    lost = f"worker {run.worker} lost {far(run.progress)}; " if run.state == "interrupted" else ""
    store.log(run.id, f"{lost}queued again" if lost else f"resumed {far(run.progress)}")


def _resume(store: Store, run_id: int) -> None:
    with contextlib.suppress(StepvizError):  # somebody else was faster
        _queue_again(store, store.run(run_id))


def _sampling_id(store: Store, spec: Mapping[str, Any]) -> str:
    sampling = spec.get("sampling", Sampling())
    if isinstance(sampling, Sampling):
        return store.add_sampling(sampling)
    try:
        return store.sampling(sampling).hash
    except KeyError:
        raise StepvizError(f"there is no sampling {sampling!r} in the store: pass a Sampling") from None


def _absolute(path: str) -> str:
    """The worker may work in another directory. What is no path here (a hub id) stays as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path
