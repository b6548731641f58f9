"""Expert iteration (GLoRe, arXiv 2402.10963, stage 1): the student learns from its own right samples.

    R_i   the right ones of K samples a question from the student π_{i−1}, de-duplicated
    D_i   R_i ∪ D_{i−1}, where D_0 is the supervised set
    π_i   fine-tuned on D_i from the pretrained model again, not from π_{i−1}

until greedy accuracy on a development split stops rising; the best π_i is the result.

Choices where the paper's text is silent (its appendix could not be had):
1. K = 96 samples at temperature 1. The embedded preset takes 16 on at most 1,500 questions.
2. Equal are two samples with the same list of equations, of all rounds together (recipe `rft`, `keep=None`,
   `reference=True`); then the reference solutions of questions that were not sampled.
3. A round stops being a rise where it is not above the best so far: the next one is not begun.
4. The trainings of all rounds take as many tokens as the supervised student's did, so that a rise is not one of
   longer training; `epochs` overrides that.

5. Where a source has only one split to train on, its last problems judge the rounds (stepviz.train_questions).
   A problem that judges is learnt from in no round, also where it stands in both splits.

Resumable: draws are in the store, a round that was trained is not trained again, and one that was killed in its
training goes on from its last checkpoint. Each round's student is a model of the store, in a folder beside the result.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import DatasetRow, ModelRow, ProblemFilter
from stepviz import train_questions
from stepviz.datasets import build
from stepviz.engines import Engine, load
from stepviz.errors import StepvizError
from stepviz.train_questions import ANY, WORLD, Counts
from stepviz.trainings import PRESETS
from stepviz.types import Problem, Sampling, digest
from training import sft
from training.drawing import Drawing, problems_of
from training.glore_models import DRAFT, HOT, QUESTION, RATES
from training.language_model import Settings
from training.record import Base, finish
from training.watching import Watch

GREEDY = Sampling(temperature=0.0)
TELL_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sampled and learnt. `questions` None: all of the split; `epochs` None: see choice 4."""

    source: str = WORLD
    split: str = "train"
    dev_split: str = "dev"
    questions: int | None = None
    samples: int = 96
    dev: int = 800
    rounds: int = 5  # at most
    epochs: float | None = None
    sampling: Sampling = HOT
    supervised: int | None = None  # problems whose reference solutions are D_0; None: all of the split

    def __post_init__(self) -> None:
        for name in ("samples", "dev", "rounds"):
            if getattr(self, name) < 1:
                raise StepvizError(f"{name} must be at least 1, not {getattr(self, name)}")


EMBEDDED = Plan(**PRESETS["embedded"])  # type: ignore[arg-type]


def plan_of(spec: Mapping[str, Any]) -> Plan:
    """Of a run's spec (stepviz.train_job)."""
    o = spec["options"]
    same = {name: o[name] for name in ("source", "split", "dev_split", "samples", "dev", "rounds")}
    epochs = spec["settings"]["epochs"] if o["full_epochs"] else None
    return Plan(**same, questions=o["questions"] or None, supervised=o["supervised"] or None, epochs=epochs)


@dataclass(frozen=True, slots=True)
class Round:
    """A student and what it reaches; number 0 is the one that expert iteration began with."""

    number: int
    model: str
    spec: str
    greedy: float
    rows: int = 0  # of its dataset
    dataset: int | None = None


@dataclass
class Iteration:
    """Expert iteration at work. work: the folder of a round's training, and of the result; done: of finished rounds."""

    store: Store
    base: Base
    student: Base
    name: str  # of the result: rounds and datasets are called after it
    work: Path
    done: Path
    plan: Plan = EMBEDDED
    settings: Settings = sft.STUDENT
    watch: Watch = field(default_factory=lambda: Watch(lambda row: print(json.dumps(row), flush=True)))
    run_id: int | None = None
    number: int = 0  # of the round
    note: str = ""
    tokens: int = 0  # sampled here, in so many seconds
    seconds: float = 0.0

    def run(self) -> dict[str, Any]:
        """Rounds until greedy accuracy stops rising; the best one's checkpoint is in `work` then. What it cost.

        StepvizError where no sample is right. Cancelled where the watch says so; finished rounds stay.
        """
        counts, questions, dev = self._problems()
        self.watch({"budget": budget(self.plan, len(questions))})
        rounds = [self._evaluated(self.student.spec, dev)]
        models: list[str] = []
        while len(rounds) <= self.plan.rounds:
            self.number = len(rounds)
            self._say("sampling", rounds=[asdict(r) for r in rounds])
            models.append(self._sampled(rounds[-1].spec, questions))
            self._say("freezing its dataset")
            dataset = union(self.store, models, self.plan, counts, self.name, {problem.id for problem in dev})
            model = self._trained(dataset)
            rounds.append(self._evaluated(model.spec, dev, dataset))
            if rounds[-1].greedy <= max(r.greedy for r in rounds[:-1]):
                break
        return self._best(rounds)

    def _say(self, what: str, **more: Any) -> None:
        """A new stage; a cancel is heard here too."""
        self.watch.stop_if_asked()
        at = f"round {self.number} of at most {self.plan.rounds}" if self.number else "the student"
        self.note = f"{at}: {what}"
        self.watch({"note": self.note, "round": self.number, "of_rounds": self.plan.rounds, **more})

    def _problems(self) -> tuple[Counts, list[Problem], list[Problem]]:
        self._say("reading questions")
        plan = asdict(self.plan)
        counts = train_questions.counted(self.store, plan)
        if counts.made:
            problems_of(self.store, self.plan.split, counts.made)
        if train_questions.is_made(self.plan.source, self.plan.dev_split) and not counts.held_out:
            problems_of(self.store, self.plan.dev_split, self.plan.dev)
        return counts, *train_questions.selected(self.store, plan)

    def _drawing(self, engine: Engine, sampling: Sampling) -> Drawing:
        def tell(row: dict[str, Any]) -> None:
            self.watch({**row, "note": self.note})

        return Drawing(self.store, engine, sampling, tell=tell, tell_s=TELL_S, cancelled=self.watch.cancelled)

    def _sampled(self, spec: str, questions: list[Problem]) -> str:
        """Makes the samples exist; the id of the model that they are of."""
        engine = load(spec)
        drawing = self._drawing(engine, self.plan.sampling)
        drawing.chains(questions, self.plan.samples, "sampling")
        self.tokens, self.seconds = self.tokens + drawing.tokens, self.seconds + drawing.seconds
        engine.close()
        return engine.model_id

    def _evaluated(self, spec: str, dev: list[Problem], dataset: DatasetRow | None = None) -> Round:
        self._say("greedy accuracy")
        engine = load(spec)
        chains = self._drawing(engine, GREEDY).chains(dev, 1, "greedy")
        right = sum(row.verdict.value == "correct" for found in chains.values() for row in found)
        of = (dataset.n_rows, dataset.id) if dataset else ()
        found = Round(self.number, engine.model_id, spec, right / len(dev), *of)
        engine.close()
        self.watch(asdict(found))
        return found

    def _trained(self, dataset: DatasetRow) -> ModelRow:
        """π_i, from the base; in `done` as soon as it is whole."""
        settings = self._settings(dataset)
        identity = digest(dataset.hash, self.base.id, json.dumps(asdict(settings), sort_keys=True))
        folder = self._folder(identity)
        if not folder.exists():
            import torch

            torch._dynamo.reset()  # each model is compiled anew, and only so many are compiled in one process
            self._say("fine-tuning", rows=dataset.n_rows, epochs=settings.epochs)
            watch = Watch(lambda row: self.watch({**row, "note": self.note}), self.watch.cancelled,
                          self.watch.keep_every_s)  # fmt: skip
            work = self.work / f"round-{self.number}-{identity[:8]}"
            rows = self.store.dataset_rows(dataset.id)
            cost = sft.run(rows, self.base.source, work, settings, report=watch)
            self.watch.stop_if_asked()
            (work / "training.json").write_text(json.dumps({**cost, "made_of": identity}), encoding="utf-8")
            folder.parent.mkdir(parents=True, exist_ok=True)
            work.rename(folder)
        return finish(self.store, folder, "generator", self.base, [dataset], _training(folder), self.run_id)

    def _folder(self, identity: str) -> Path:
        """Of the round: where it is already, else a new one. A round of other settings is never written over."""
        names = (f"{self.name}-round-{self.number}{f'-{i}' if i > 1 else ''}" for i in range(1, 1000))
        folders = (self.done / name for name in names)
        return next(f for f in folders if not f.exists() or _training(f).get("made_of") == identity)

    def _settings(self, dataset: DatasetRow) -> Settings:
        if self.plan.epochs is not None:
            return replace(self.settings, epochs=self.plan.epochs)
        references = sum(n for name, n in dataset.counts["of"].items() if "/references" in name) or dataset.n_rows
        return replace(self.settings, epochs=round(self.settings.epochs * references / dataset.n_rows, 2))

    def _best(self, rounds: list[Round]) -> dict[str, Any]:
        """The best trained round, copied to `work`; its cost says whether it rose above the student."""
        self._say("done", rounds=[asdict(r) for r in rounds])
        best = max(rounds[1:], key=lambda r: r.greedy)
        folder = Path(best.spec.removeprefix("hf:"))
        for unfinished in self.work.glob("round-*"):
            shutil.rmtree(unfinished)
        shutil.copytree(folder, self.work, dirs_exist_ok=True)
        cost = {k: v for k, v in _training(folder).items() if k != "made_of"}
        cost |= {"rounds": [asdict(r) for r in rounds], "round": best.number, "rose": best.greedy > rounds[0].greedy}
        cost |= {"learnt_from": [best.dataset]}
        rate = {"sampled_per_s": round(self.tokens / self.seconds)} if self.tokens else {}
        return {**cost, "sampled_tokens": self.tokens, **rate}


def budget(plan: Plan, questions: int) -> str:
    sampled = questions * plan.samples * DRAFT
    trained = sft.STUDENT.epochs * (plan.supervised or questions) * (QUESTION + DRAFT)
    minutes = sampled / RATES["sampled"] / 60 + trained / RATES["trained"] / 60
    return (
        f"expert iteration: a round samples {sampled / 1e6:.1f}M tokens and learns about {trained / 1e6:.1f}M, "
        f"{minutes:.0f} min on two idle cores; at most {plan.rounds} rounds"
    )


def union(
    store: Store, models: list[str], plan: Plan, counts: Counts, name: str, judging: Collection[str]
) -> DatasetRow:
    """D_i, frozen: the distinct right samples of all rounds with their references, and the other references.

    judging: ids of the problems that judge the rounds; of them no row enters, wherever they stand too.
    """
    split = None if plan.split == ANY else plan.split
    where = {"source": plan.source, "split": split}
    read = where | ({} if plan.source == WORLD else {"test_overlap": "drop"})  # its splits share no problem
    drawn = {**read, "model": models, "sampling": plan.sampling.hash, "limit": counts.sampled}
    right = build(store, "rft", {**drawn, "keep": None, "reference": True}, name=f"{name}/right samples")
    parts = [right]
    limited = {"limit": counts.references} if plan.supervised or counts.held_out else {}
    if any(row.solution for row in store.problems(ProblemFilter(**where), limit=100)):
        parts.append(build(store, "sft", {**read, **limited}, name=f"{name}/references"))
    config = {"union": [part.hash for part in parts]}
    counted = {"of": {f"{part.name} v{part.version}": part.n_rows for part in parts}}
    rows = _distinct(store, parts, judging)
    return store.add_dataset(f"{name}/union", "rft", config, rows, format="prompt-completion", counts=counted)


def _distinct(store: Store, parts: list[DatasetRow], without: Collection[str]) -> Iterator[dict[str, Any]]:
    seen = set()
    for part in parts:
        for row in store.dataset_rows(part.id):
            pair = digest(row["prompt"], row["completion"].strip())
            if pair not in seen and row["origin"]["problem"] not in without:
                seen.add(pair)
                yield row


def _training(folder: Path) -> dict[str, Any]:
    """training.json; {} where there is none."""
    try:
        return json.loads((folder / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
