"""Small training sets, a tiny base, and a training as the app starts it, for tests of trainings as Runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import DatasetRow
from stepviz.train_left import SPEC, partial
from stepviz.worker_process import lock_file, worker_alive
from tests import tiny
from tests.job_cases import wait_for

QUICK = {"epochs": 2, "batch": 4, "length": 64, "compile": False}
SMALL = {"epochs": "2", "batch": "4", "length": "64", "learning_rate": "0.001", "seed": "0"}  # as a form sends it
LONG = {**QUICK, "epochs": 400}  # about 8,400 steps: killed or cancelled before they are through

# the training command, which waits when its model is made and not yet on record, until the file MADE is removed
LATE = """
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
import training.__main__, training.commands, training.recorded
recorded, finish = training.recorded, training.commands.finish
recorded.GRACE_S = 0.3
def late(*given, **more):
    made = pathlib.Path(os.environ["MADE"])
    made.touch()
    for _ in range(6000):  # five minutes, where its test has failed
        if made.exists():
            time.sleep(0.05)
    return finish(*given, **more)
training.commands.finish = late
training.__main__.run()
"""


def solutions(store: Store, n: int = 200, name: str = "sums", recipe: str = "sft") -> DatasetRow:
    rows = [{"prompt": f"Tom has {i}.\n", "completion": f"{i}+12={i + 12}\n#### {i + 12}\n"} for i in range(n)]
    return store.add_dataset(name, recipe, {}, rows, format="prompt-completion", counts={"problems": n})


def labelled(store: Store, n: int = 60, recipe: str = "sorm", name: str = "steps") -> DatasetRow:
    rows = []
    for i in range(n):
        bad = i % 4  # 3: none
        steps = ["has apples" if j == bad else "buys 12" for j in range(3)]
        rows.append({"prompt": f"Tom {i}\n", "completions": steps, "labels": [int(j < bad) for j in range(3)]})
    config = {"template": "{question}\n"}
    counts = {"labels": {"1": sum(sum(r["labels"]) for r in rows), "0": n}}
    return store.add_dataset(name, recipe, config, rows, format="stepwise", counts=counts)


def drafts(store: Store, n: int = 30, name: str = "drafts") -> DatasetRow:
    row = {"prompt": "Tom has 3.\n[BAD]3+12=16\n", "completion": "3+12=15\n#### 15\n"}
    return store.add_dataset(name, "refine-local", {}, [row] * n, format="prompt-completion")


def without_bad(folder: Path) -> Path:
    """A base whose tokenizer spells [BAD] out."""
    tiny.build(folder)
    file = folder / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace("[BAD]", "[ODD]"), encoding="utf-8")
    return folder


def scorer(folder: Path) -> Path:
    from tests import tiny_scorers

    return tiny_scorers.lines(folder)


def spec(dataset: DatasetRow, base: Path | str, name: str = "mine", **settings: Any) -> dict[str, Any]:
    return {
        "recipe": dataset.recipe,
        "dataset": dataset.id,
        "base": str(base),
        "name": name,
        "settings": {**QUICK, **settings},
    }


def left(store: Store, run: int, step: int = 5) -> Path:
    """What a training that was killed leaves: its spec, and a checkpoint; the checkpoint's file."""
    spec = store.run(run).spec
    work = partial(Path(spec["out"]))
    state = checkpoint(work, step)
    (work / SPEC).write_text(json.dumps(spec, sort_keys=True))
    return state


def checkpoint(work: Path, step: int = 5) -> Path:
    """A checkpoint in the folder of a training, as far as anyone looks at it who does not load it."""
    folder = work / "trainer" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder / "trainer_state.json"


def training_process(out: Path) -> int | None:
    """The process that trains the model of this folder, as the trainer has started it."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if b"training" in words and str(out).encode() in words:
            return int(entry.name)
    return None


def stop_all(store: Store) -> None:
    """No training outlives its test, and no trainer either."""
    for run in store.runs():
        store.request_cancel(run.id)
    wait_for(lambda: all(run.state != "running" for run in store.runs()))
    process = trainer_process(store)
    if process is not None:
        os.kill(process, signal.SIGKILL)


def trainer_process(store: Store) -> int | None:
    """Who holds the trainer's lock."""
    if not worker_alive(store, "trainer"):
        return None
    inode = lock_file(store, "trainer").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        parts = line.split()
        if parts[1] == "FLOCK" and parts[5].endswith(f":{inode}"):
            return int(parts[4])
    return None


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def rounds(base: Path | str = "embedded:base", **options: object) -> dict[str, Any]:
    """The spec of an expert iteration."""
    return {"recipe": "expert-iteration", "base": str(base), "name": "ei", "options": options}
