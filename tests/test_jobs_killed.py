"""Killed with signal 9 at ten random moments and resumed, a run leaves what one leaves that nobody disturbed.

Content columns of whole tables, by their natural keys: not the numbers and times of arrival. The moments come from
STEPVIZ_KILL_SEED, which a failure names.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db.store import Store, open_store
from stepviz import jobs
from stepviz.steps import segment
from stepviz.types import Chain, Problem, PromptStyle, Sampling, SourceItem, Verdict, continuation_seed, prefix_hash
from tests import tiny
from tests.job_cases import NOBODY, wait_for
from tests.killed_worker import Workers, workers
from tests.store_cases import new_url

KILLS = 10
LATER_S = 0.05  # at most, after a number of rows
PAUSE = 0.01  # of a model, in each batch of four
SEED = os.environ.get("STEPVIZ_KILL_SEED", "1")

PROBLEMS = [Problem(f"Tom has {i} apples and buys 12 more. How many?", answer="15", source="mine") for i in range(12)]
TEXT = "Tom has 3 apples.\n3+12=16\nSo there are 16.\n#### 16\n"
WRONG = Verdict("wrong", "", "test", "16")

# What a run writes, by natural key. A chain's continuation by its own key; its number says when it came.
TABLES = {
    "continuations": """SELECT problem_id, prefix_hash, model_id, sampling_id, j, finish_reason, verdict, tokens, seed,
        text, answer, reason, grader FROM continuations ORDER BY problem_id, prefix_hash, model_id, sampling_id, j""",
    "chains": """SELECT c.id, c.problem_id, n_steps, c.verdict, disputed, graded, parent, branch_step, origin, key,
        rule, c.grader, c.reason, c.answer, overridden_by, CAST(spans AS TEXT), own_text, CAST(meta AS TEXT),
        prefix_hash, j
        FROM chains c LEFT JOIN continuations d ON d.id = c.continuation_id ORDER BY c.id""",
    "step_scores": "SELECT chain_id, model_id, step, score FROM step_scores ORDER BY chain_id, model_id, step",
    "refinements": """SELECT draft, key, refiner, orm, locator, sampling_id, how, gate, threshold, no_flag, at, samples,
        r.score, chosen, step, pick, note, number, name, chain, c.score FROM refinements r
        JOIN refinement_candidates c ON c.refinement_id = r.id ORDER BY draft, key, number""",
    "problems": "SELECT id, n_chains, n_correct, n_disputed, question, answer, solution FROM problems ORDER BY id",
    "models": "SELECT id, role, spec FROM models ORDER BY id",
}


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.reading() as connection:
        return {name: [tuple(row) for row in connection.execute(text(query))] for name, query in TABLES.items()}


def stored(store: Store) -> int:
    """Rows of what runs write."""
    tables = ("continuations", "chains", "step_scores", "refinements")
    with store.reading() as connection:
        return sum(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in tables)


def filled(folder: Path, chains: int) -> Store:
    """Problems with so many wrong chains each."""
    folder.mkdir(exist_ok=True)
    store = open_store(new_url(folder))
    items = []
    for problem in PROBLEMS:
        texts = [TEXT.replace("3", str(3 + i)) for i in range(chains)]
        made = [Chain(problem.id, "test", str(i), t, segment(t), "line/1") for i, t in enumerate(texts)]
        items.append(SourceItem(problem, tuple(made)))
    store.add_items(items, {chain.id: WRONG for item in items for chain in item.chains})
    return store


def drafts(store: Store) -> list[str]:
    return [row.chain.id for problem in PROBLEMS for row in store.chains(problem.id, "test")]


@pytest.fixture(scope="module")
def hashing() -> Iterator[Workers]:
    with workers() as made:
        yield made


def killed(store: Store, kind: str, spec: Mapping[str, Any], made: Workers, rows: int) -> int:
    """The run, done in the end. A moment is a number of new rows and a while after them; all leave some of the rows."""
    rng = random.Random(f"{SEED} {kind}")
    run = jobs.start(store, kind, spec, **NOBODY)
    begun = stored(store)
    for kill in range(KILLS):
        more, later = rng.randrange(rows // (2 * KILLS)), rng.random() * LATER_S
        before = stored(store)
        made.start(store.url, PAUSE)
        wait_for(lambda: store.run(run).state == "running" and stored(store) >= before + more)  # noqa: B023
        time.sleep(later)
        made.kill()
        wait_for(lambda: store.run(run).state != "running")
        print(
            f"seed {SEED}, kill {kill + 1}: {more} rows and {later:.3f} s; {stored(store) - begun} of {rows} are there"
        )
        assert store.run(run).state == "interrupted", "it was through before the kill: ask for more"
        assert jobs.start(store, kind, spec, **NOBODY) == run  # the same command goes on
    through(store, run, made)
    return run


def through(store: Store, run: int, made: Workers) -> None:
    made.start(store.url)
    wait_for(lambda: store.run(run).state in ("done", "failed"))  # a short lease may run out in between
    assert store.run(run).state == "done", store.run(run).error
    made.kill()


def undisturbed(store: Store, kind: str, spec: Mapping[str, Any], made: Workers) -> dict[str, list[tuple[Any, ...]]]:
    through(store, jobs.start(store, kind, spec, **NOBODY), made)
    return contents(store)


def test_sampling_killed_ten_times_leaves_the_rows_of_a_quiet_run(hashing: Workers, tmp_path: Path) -> None:
    spec = {"problems": [p.id for p in PROBLEMS], "n": 60, "engine": "embedded"}
    with filled(tmp_path / "a", 1) as store, filled(tmp_path / "b", 1) as other:
        run = store.run(killed(store, "sample", spec, hashing, rows=2 * 12 * 60))
        left = contents(store)
        assert len(left["continuations"]) == 12 * 60
        assert len(left["chains"]) == 12 * 61
        assert left == undisturbed(other, "sample", spec, hashing)
        kept = sum(c.tokens for p in PROBLEMS for c in store.continuations_for(p.id))
        assert run.progress["spent"]["sampled"] >= kept
        assert run.progress["done"] == run.progress["total"] == 12 * 60


@pytest.mark.slow
@pytest.mark.parametrize("kind, rows", [("measure", 6 * 4 + 120 * 3 * 4), ("score", 240 * 4), ("refine", 120 * 3)])
def test_so_does_every_other_kind(kind: str, rows: int, hashing: Workers, tmp_path: Path) -> None:
    with filled(tmp_path / "a", 20) as store, filled(tmp_path / "b", 20) as other:
        ids = drafts(store)
        spec = {
            "measure": {"chains": ids[:120], "n": 4, "engine": "embedded"},
            "score": {"chains": ids, "model": "embedded:sorm"},
            "refine": {"chains": ids[:120]},
        }[kind]
        run = store.run(killed(store, kind, spec, hashing, rows))
        left = contents(store)
        assert left == undisturbed(other, kind, spec, hashing)
        assert run.progress["done"] == run.progress["total"]
        written = {name: len(rows) for name, rows in left.items()}
        if kind == "measure":
            assert (
                written["continuations"] == 6 * 4 + 120 * 3 * 4
            )  # each question once, and after three steps of each chain
        elif kind == "score":
            assert written["step_scores"] == 240 * 4
        else:
            assert len({row[0] for row in left["refinements"]}) == 120
            assert written["chains"] > 240


@pytest.mark.slow
def test_with_a_real_engine_the_same_draws_are_there_and_their_texts_too(tmp_path: Path) -> None:
    """Batches of another shape change logits in their last bits: a border of a draw may fall the other way."""
    model = tiny.build(tmp_path / "model", hidden_size=64, num_hidden_layers=6)
    sampling = Sampling(temperature=0.7, max_tokens=40, style=PromptStyle(stop=("e",)))
    with workers(hashing=False) as real, filled(tmp_path / "a", 1) as store, filled(tmp_path / "b", 1) as other:
        spec = {"chains": drafts(store), "n": 50, "engine": f"hf:{model}", "device": "cpu", "sampling": sampling}
        killed(store, "measure", spec, real, rows=12 * 4 * 50)
        through(other, jobs.start(other, "measure", spec, **NOBODY), real)
        found, quiet = (
            {(c.problem_id, c.prefix_hash, c.j): c for p in PROBLEMS for c in s.continuations_for(p.id)}
            for s in (store, other)
        )
    prefixes = [prefix_hash("".join(TEXT.splitlines(keepends=True)[:i])) for i in range(4)]
    assert found.keys() == {(p.id, prefix, j) for p in PROBLEMS for prefix in prefixes for j in range(50)}
    assert found.keys() == quiet.keys()
    for (problem, prefix, j), draw in found.items():
        assert draw.seed == continuation_seed(problem, prefix, draw.model_id, sampling.hash, j)
    differing = [key for key, draw in found.items() if draw.text != quiet[key].text]
    assert len(differing) <= len(found) // 200
