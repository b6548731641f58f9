"""Two scripted students at three problems: one writes a false sum, the other a true one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from db.store import Store
from stepviz import embedded, jobs
from stepviz.engines.transformers import fingerprint
from stepviz.errors import StepvizError
from stepviz.types import Completion, Problem, Request, SourceItem
from stepviz.ui.compare_page import Compare
from stepviz.ui.page import Update
from stepviz.worker import Worker
from tests.page_cases import sender

PROBLEMS = tuple(
    Problem(
        f"Tom has {i} apples and buys 12 more. How many?", str(i + 12), source="sums", key=f"sums/dev/{i}", split="dev"
    )
    for i in (3, 4, 5)
)
UNGRADED = Problem("How many are there?", None, source="sums", key="sums/dev/9", split="dev")
BEFORE, AFTER = "embedded:base", "embedded"
IDS = {BEFORE: "base", AFTER: "student"}
HERE = "?" + urlencode({"before": BEFORE, "after": AFTER, "source": "sums", "split": "dev", "k": "4"})


def send(store: Store, act: str, at: str = HERE, **sent: object) -> Update:
    """To the Compare page."""
    return sender(Compare)(store, act, at, **sent)


def model_id(spec: str) -> str:
    return f"embedded/{IDS[spec]}@{fingerprint(embedded.path(IDS[spec]))}"


class Student:
    """`base` is wrong from its first step on; `student` is right, but of "5 apples" it writes the base's chain.

    A continuation of a first step with a true sum in it is right, and one of the bare question on even seeds.
    """

    device, context = "cpu", 200

    def __init__(self, spec: str, seen: list[tuple[str, Request]], after: Callable[[int], None]) -> None:
        self.spec, self.model_id, self.seen, self.after = spec, model_id(spec), seen, after

    def generate(self, requests, sampling, on_batch=None, on_completion=None, cancelled=None):  # noqa: ANN001
        for i, request in enumerate(requests):
            if cancelled():
                on_completion(i, Completion("", "error", 0, error="cancelled"))
                continue
            self.seen.append((self.model_id, request))
            on_completion(i, self.complete(request, sampling.temperature == 0))
            if i % 4 == 3:
                on_batch(i + 1, 6 * (i + 1))
                self.after(len(self.seen))
        return []

    def complete(self, request: Request, greedy: bool) -> Completion:
        n = int(request.question.split()[2])
        good, bad = f"{n}+12={n + 12}\n#### {n + 12}\n", f"{n}+12={n + 13}\n#### {n + 13}\n"
        if "too long" in request.question:
            return Completion("", "error", 0, error="the prompt has 201 tokens, the model reads 200")
        if request.prefix:
            right = f"={n + 12}" in request.prefix
        elif greedy:
            right = self.model_id.startswith("embedded/student") and n != 5
        else:
            right = request.seed % 2 == 0
        text = good if right else bad
        return Completion(text.split("\n", 1)[1] if request.prefix else text, "stop", 6)

    def close(self) -> None: ...


class Students:
    """A store with the problems, and a worker in this process."""

    def __init__(self, store: Store) -> None:
        self.store, self.seen, self.after = store, [], lambda n: None
        store.add_items([SourceItem(p) for p in (*PROBLEMS, UNGRADED)])
        self.worker = Worker(store, self.load)

    def load(self, spec: str, device: str | None, tokenizer: str | None) -> Student:
        if spec not in IDS:
            raise StepvizError(f"cannot load a model from {spec!r}")
        return Student(spec, self.seen, lambda n: self.after(n))

    def start(self, **spec: object) -> int:
        chosen = {"before": BEFORE, "after": AFTER, "source": "sums", "split": "dev", "k": 4} | spec
        return jobs.start(self.store, "compare", chosen, worker=False)

    def work(self) -> None:
        while self.worker.run_next(None):
            pass

    def compare(self, **spec: object):
        run = self.start(**spec)
        self.work()
        return self.store.run(run)


def scorer_files(folder: Path, role: str = "orm") -> Path:
    """What the files of a scorer say of it; nothing that could be loaded."""
    folder.mkdir()
    config = {"architectures": ["LlamaForTokenClassification"], "step_scores": {"role": role}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


def judges(folder: Path) -> list[str]:
    """The specs of two scorers that differ in their files."""
    specs = [f"hf:{scorer_files(folder / name)}" for name in ("old", "new")]
    (folder / "new" / "tokenizer.json").write_text("{}")
    return specs


DOUBTS = ((0.4, 0.9, 0.9, 0.9), (0.9, 0.6, 0.2, 0.1))  # at .5 the judge before doubts step 1, the one after step 3


def judged(store: Store, folder: Path) -> str:
    """The chains of ui_cases.fill, scored by two judges of DOUBTS; the address that compares them."""
    specs = judges(folder)
    said = dict(zip(specs, DOUBTS, strict=True))
    asked = {"before": specs[0], "after": specs[1], "source": "embedded", "split": "test"}
    jobs.start(store, "compare", asked, worker=False)
    assert Worker(store, load_scorer=lambda spec, device: Judge(spec, said[spec], [])).run_next(None)
    return "?" + urlencode(asked)


class Judge:
    """Stands where a scorer stands."""

    role, kind, device, context = "orm", "lines", "cpu", 100

    def __init__(self, spec: str, scores: tuple[float, ...], asked: list[str]) -> None:
        self.spec, self.scores, self.asked = spec, scores, asked
        folder = Path(spec.partition(":")[2])
        self.model_id = f"{folder.name}@{fingerprint(folder)}"

    def score(self, chains, on_scores=None, on_refused=None, cancelled=None):  # noqa: ANN001
        for i, (question, _) in enumerate(chains):
            self.asked.append(f"{self.model_id}: {question}")
            on_scores(i, list(self.scores))

    def close(self) -> None: ...
