"""A store with problems, chains and continuations by hand, for the tests of builds and exports."""

from __future__ import annotations

from collections.abc import Sequence

from db.store import Store
from db.values import ContinuationKey, ModelRow
from stepviz import sampling as sampled
from stepviz.answers import grade
from stepviz.types import Annotation, Chain, Continuation, Problem, Sampling, SourceItem, continuation_seed, prefix_hash

MODEL = "embedded/student"
SAMPLING = Sampling()
GOOD, LOST = "{a}+1={b}\n{b}+1={c}\n#### {c}", "{a}+1={b}\n{b}-1={a}\n{a}+0={a}\n#### {a}"


def problem(a: int, split: str | None = "train", source: str = "school") -> Problem:
    question = f"Ana has {a} pens, buys one, and then one more. How many?"
    return Problem(question, str(a + 2), text(GOOD, a), source, f"{split}/{a}", split)


def text(template: str, a: int) -> str:
    return template.format(a=a, b=a + 1, c=a + 2)


def draw(of: Problem, j: int, said: str, prefix: str = "", sampling: Sampling = SAMPLING) -> Continuation:
    key = (of.id, prefix_hash(prefix), MODEL, sampling.hash, j)
    verdict = grade(of.answer, prefix + said)
    return Continuation(
        *key, continuation_seed(*key), said, "stop", 9, verdict.answer, verdict.value, verdict.reason, verdict.grader
    )


def add(store: Store, *problems: Problem) -> None:
    store.add_items([SourceItem(p) for p in problems])
    store.add_sampling(SAMPLING)
    store.add_model(ModelRow(MODEL, spec="embedded"))


def sample(store: Store, of: Problem, *texts: str, ended: Sequence[int] = ()) -> list[Chain]:
    """Chains of draws 0, 1, … from the question; ended: the order in which they come, as batches end."""
    drawn = [draw(of, j, texts[j]) for j in ended or range(len(texts))]
    store.add_continuations(drawn)
    made = [sampled.read(c, SAMPLING) for c in drawn]
    keys = [ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j) for c in drawn]
    store.add_chains([(m.chain, m.verdict, key) for m, key in zip(made, keys, strict=True)])
    return [m.chain for m in made]


def measure(store: Store, of: Problem, prefix: str, right: str, wrong: str, k: int = 8, good: int = 3) -> None:
    """k continuations of a prefix, the first `good` of them right."""
    store.add_continuations([draw(of, j, right if j < good else wrong, prefix) for j in range(k)])


def school(store: Store, numbers: range = range(2, 8), split: str = "train") -> list[Problem]:
    """Problems with a right chain and two wrong ones, measured: the wrong ones can be saved after step 1 only."""
    problems = [problem(a, split) for a in numbers]
    add(store, *problems)
    for a, p in zip(numbers, problems, strict=True):
        lost = text(LOST, a)
        sample(store, p, text(GOOD, a), lost, f"{a}+3={a + 3}\n#### {a + 3}")
        steps = lost.split("\n")
        right, wrong = f"{a + 1}+1={a + 2}\n#### {a + 2}", "#### 999"
        measure(store, p, steps[0] + "\n", right, wrong)
        measure(store, p, "\n".join(steps[:2]) + "\n", right, wrong, good=0)
        measure(store, p, "\n".join(steps[:3]) + "\n", right, wrong, good=0)
        measure(store, p, f"{a}+3={a + 3}\n", right, wrong, good=0)
    return problems


def label(store: Store, chain: Chain, *values: int | None, annotator: str = "ana") -> None:
    for step, value in enumerate(values, 1):
        store.add_annotation(Annotation(chain.id, annotator, "correct", step, value))
