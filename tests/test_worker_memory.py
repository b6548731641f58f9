"""Which models lie in memory at the same time, and what is said where there is too little of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import PreTrainedModel

from db.store import open_store
from stepviz import engines, jobs
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.job_kinds import JOBS
from stepviz.reward import load_scorer
from stepviz.worker import Worker
from tests import tiny, tiny_scorers
from tests.job_cases import NOBODY, PROBLEM, Bench, SlowEngine
from tests.store_cases import new_url

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


@dataclass
class Memory:
    """A worker whose models only say that they are there; `loads`: what lay there as each was loaded."""

    bench: Bench
    folder: Path
    there: list[str] = field(default_factory=list)
    loads: list[tuple[str, set[str]]] = field(default_factory=list)
    work: list[Callable[[Job], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        def load(spec: str, *_: object, **__: object) -> Held:
            return Held(self, Path(spec.partition(":")[2]).name)

        self.worker = Worker(self.bench.store, load, load)

    def spec(self, name: str, kind: str = "hf") -> str:
        """Of 2 parameters where the name says small, else of 20."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        if not (folder / "model.safetensors").exists():
            save_file({"w": np.zeros(2 if "small" in name else 20)}, folder / "model.safetensors")
        return f"{kind}:{folder}"

    def run(self, *asked: str) -> None:
        """A run that asks for these, such as "writes student", and works with all of them until its end, or until it
        "lets go"; "meanwhile prm": somebody has a chain scored by it while this run is at work."""

        def work(job: Job) -> None:
            for what, name in (words.split() for words in asked):
                if what == "writes":
                    job.load(self.spec(name), None, None)
                elif what == "scores":
                    job.load_scorer(self.spec(name, "qwen-prm"), None)
                elif what == "lets":
                    job.let_go()
                else:
                    self.work.append(lambda click, name=name: click.load_scorer(self.spec(name, "qwen-prm"), None))
                    jobs.start(self.bench.store, "sample", {"problems": [PROBLEM.id], "n": 9}, **NOBODY)
                    job.let_in()

        self.work.append(work)
        jobs.start(self.bench.store, "sample", {"problems": [PROBLEM.id], "n": 1}, **NOBODY)
        while self.worker.run_next(None):
            pass


class Held:
    def __init__(self, memory: Memory, name: str) -> None:
        self.memory, self.name = memory, name
        memory.loads.append((name, set(memory.there)))
        memory.there.append(name)

    def close(self) -> None:
        self.memory.there.remove(self.name)


@pytest.fixture
def memory(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory(bench, tmp_path)
    monkeypatch.setattr("stepviz.worker.LIGHT", 10)
    monkeypatch.setitem(JOBS, "sample", lambda job: made.work.pop()(job))
    return made


def test_a_large_student_and_a_large_scorer_are_never_in_memory_together(memory: Memory) -> None:
    for asked in ("writes student", "scores prm", "writes student", "scores prm", "scores other", "writes student"):
        memory.run(asked)
    assert memory.loads == [(name, set()) for name in ("student", "prm", "student", "prm", "other", "student")]
    memory.run("writes student")
    assert len(memory.loads) == 6, "it is there already"


def test_what_a_refinement_works_with_stays_until_something_else_is_asked_for(memory: Memory) -> None:
    memory.run("writes student")
    memory.run("writes refiner", "scores orm", "scores sorm")
    assert memory.there == ["refiner", "orm", "sorm"], "the student has left, the three of this run are needed at once"
    memory.run("scores prm")
    assert memory.there == ["prm"]


def test_small_models_stay_beside_a_large_one(memory: Memory) -> None:
    memory.run("scores small-orm", "scores small-sorm")
    memory.run("writes student")
    memory.run("writes student", "scores small-orm")
    assert sorted(memory.there) == ["small-orm", "small-sorm", "student"]
    memory.run("scores prm")
    assert sorted(memory.there) == ["prm", "small-orm"], "of scorers it holds two"


def test_what_a_run_works_with_is_not_closed_by_a_click_meanwhile(memory: Memory) -> None:
    memory.run("writes student", "meanwhile prm")
    assert memory.loads == [("student", set()), ("prm", {"student"})]
    memory.run("scores other")
    assert memory.there == ["other"]


def test_of_two_large_judges_that_are_compared_the_first_has_left(memory: Memory) -> None:
    memory.run("scores before", "lets go", "scores after")
    assert memory.loads == [("before", set()), ("after", set())]


# ---- too little of it


def test_a_model_that_does_not_fit_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student, scorer = tiny.build(tmp_path / "student"), tiny_scorers.lines(tmp_path / "orm")

    def to(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setattr(PreTrainedModel, "to", to)
    for load, folder in ((engines.load, student), (load_scorer, scorer)):
        with pytest.raises(
            StepvizError, match=rf"not enough memory on cpu to load hf:{folder}: let the run .*--device"
        ):
            load(f"hf:{folder}", "cpu")


def test_chains_that_do_not_fit_at_once_are_scored_in_halves(tmp_path: Path) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'orm')}", "cpu")
    chains = [(f"Tom has {i} apples.", ["3+12=15", "#### 15"]) for i in range(8)]
    expected, read, batches = scorer.score(chains), scorer.read, []

    def small(ids: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        batches.append(len(ids))
        if len(ids) > 2:
            raise FULL
        return read(ids, *more)

    scorer.read = small
    for one, other in zip(scorer.score(chains), expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert batches == [8, 4, 2, 2, 4, 2, 2]
    batches.clear()
    scorer.score(chains)
    assert batches == [2, 2, 2, 2], "it has learnt what fits"
    scorer.read = lambda *_: small(torch.zeros(3))
    with pytest.raises(
        StepvizError, match=r"not enough memory on cpu to score a chain of \d+ tokens with hf:.*2\.00 GiB"
    ):
        scorer.score(chains[:1])


def test_a_run_that_finds_no_memory_fails_with_a_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(SlowEngine, "complete", complete)
    run = bench.do("sample", problems=[PROBLEM.id], n=1)
    assert run.state == "failed"
    assert run.error.startswith("there was not enough memory: let the run of the app's other model end, or cancel it")
    assert not any("Traceback" in line for _, line in bench.store.log_lines(run.id))
