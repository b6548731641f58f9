"""`python -m stepviz refine` as a script sees it, with tiny real models: its report, its mistakes, and signal 9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import Candidate, RefinementRow
from stepviz.cli_refine import _told
from stepviz.refine_job import report
from stepviz.types import Problem, SourceItem, Verdict
from tests.job_cases import CHAIN, PROBLEM, WRONG, wait_for
from tests.refine_cases import checkpoints, draft
from tests.store_cases import sqlite_only
from tests.test_cli import run, value
from tests.test_jobs_worker import stop
from tests.test_side_by_side import command, finished

pytestmark = sqlite_only


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as opened:
        yield opened
        stop(opened)


def words(specs: dict[str, str], *more: str) -> tuple[str, ...]:
    models = [word for role, spec in specs.items() for word in (f"--{role}", spec)]
    return ("refine", *models, "--max-tokens", "16", "--device", "cpu", "--json", *more)


def test_the_command_refines_and_reports(tmp_path: Path, store: Store, specs: dict[str, str]) -> None:
    store.add_items([SourceItem(PROBLEM, (CHAIN,))], {CHAIN.id: WRONG})
    said = value(run(tmp_path, *words(specs, "--verdict", "wrong", "--threshold", "1")))
    assert isinstance(said, dict)
    assert (said["state"], said["done"], said["unit"]) == ("done", 1, "drafts")
    assert (said["report"]["drafts"], said["report"]["refined"], said["report"]["right_before"]) == (1, 1, 0)
    (line,) = store.refinements()
    assert (line.draft, line.where, line.threshold) == (CHAIN.id, 1, 1.0)
    for extra, message in (
        (("--chain", "nobody"), "there is no chain nobody"),
        (("--verdict", "correct"), "no chain fits"),
        (("--threshold", "2"), "threshold is a score between 0 and 1"),
        (("--refiner", "embedded:nobody"), "python -m training refiner"),
    ):
        failed = run(tmp_path, *words(specs, *extra))
        assert (failed.returncode, message in failed.stderr, failed.stdout) == (1, True, ""), failed.stderr


def test_a_right_candidate_that_was_not_picked_counts_as_what_a_perfect_ranking_would_keep() -> None:
    """Three wrong drafts: a right local refinement is picked, a wrong global one over a right local one, and none."""
    drafts = [
        (("correct", 0.9), ("wrong", 0.2), "local"),
        (("correct", 0.3), ("wrong", 0.8), "global"),
        (("wrong", 0.3), ("wrong", 0.2), "draft"),
    ]
    lines = [
        RefinementRow("d", "k", "r", None, None, "s", "both", None, 0.5, "global", None, 1, None, True, 2, (
            Candidate("draft", "d", 0.4, "wrong"), Candidate("local", "l", local[1], local[0]),
            Candidate("global", "g", whole[1], whole[0])), pick)
        for local, whole, pick in drafts
    ]  # fmt: skip
    found = report(lines)
    assert [found[name] for name in ("right_before", "right_after", "right_any", "fixed")] == [0, 1, 2, 1]
    assert "0 of 3 right before, 1 after, 2 by a perfect ranking" in _told({"done": 3, "total": 3, "report": found})


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_repeats_no_draw(
    tmp_path: Path, store: Store, specs: dict[str, str]
) -> None:
    import os
    import signal

    from stepviz.worker_process import worker_alive
    from tests.test_jobs_worker import worker_pid

    problems = [Problem(f"Tom has {i} apples and buys 12 more. How many?", str(i + 12), key=str(i)) for i in range(90)]
    chains = [draft(p.id, "d", f"{i}+12=1\n#### 1") for i, p in enumerate(problems)]
    items = [SourceItem(p, (c,)) for p, c in zip(problems, chains, strict=True)]
    store.add_items(items, {c.id: Verdict("wrong", "", "test", "1") for c in chains})
    # each draft in chunks of its own would be slow: 64 are drawn at once, so the kill comes between two chunks
    process = command(tmp_path, f"sqlite:///{tmp_path}/cli.db", *words(specs, "--limit", "90", "--how", "global"))
    wait_for(lambda: store.count_refinements() > 0 or process.poll() is not None, 240)
    pid = worker_pid(store)
    process.kill()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not worker_alive(store))
    process.communicate(timeout=280)
    kept = {row.id: row.created_at for row in store.refinements(limit=None)}
    drawn = {r.chain.id: (r.chain.text, r.created_at) for c in chains for r in store.chains(c.problem_id, "refinement")}
    assert 0 < len(kept) < 90, "the kill came too late: refine more drafts"
    again = finished(
        command(tmp_path, f"sqlite:///{tmp_path}/cli.db", *words(specs, "--limit", "90", "--how", "global"))
    )
    assert again["report"]["drafts"] == 90
    lines = store.refinements(limit=None)
    assert len(lines) == 90 == len({line.draft for line in lines})
    now = {r.chain.id: (r.chain.text, r.created_at) for c in chains for r in store.chains(c.problem_id, "refinement")}
    assert len(now) == 90
    assert {id: now[id] for id in drawn} == drawn
    assert {row.id: row.created_at for row in lines if row.id in kept} == kept
