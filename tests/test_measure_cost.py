"""The estimate from the store: what a job then draws, prefixes that chains share, and the speed of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db.store import open_store
from stepviz.cli import app
from stepviz.measure_cost import cost_of, speed_of
from stepviz.types import Problem, SourceItem, Verdict
from tests.job_cases import CHAIN, PROBLEM, WRONG, Bench
from tests.rollout_cases import chain_of

LONG = chain_of("Tom has 3 apples.\n3+12=16\n16 apples are in the box.\nSo it is 16.\n#### 16\n", "long")
RIGHT = chain_of("3+12=15\n#### 15\n", "right")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        made = Bench(store)
        right = Verdict("correct", "", "test", "15")
        store.add_items([SourceItem(PROBLEM, (LONG, RIGHT))], {LONG.id: WRONG, RIGHT.id: right})
        yield made


def test_exhaustive_pays_once_for_what_chains_share(bench: Bench) -> None:
    """CHAIN has prefixes 0, 1, 2, LONG the same and 3, 4, RIGHT 0 and its own 1: 6 in all, 8 draws each, 6 tokens a
    draw once the engine has drawn there."""
    spec = {"chains": [CHAIN.id, LONG.id, RIGHT.id], "n": 8}
    assert cost_of(bench.store, spec).expected.continuations == 48
    bench.do("measure", chains=[CHAIN.id], n=8)
    left = cost_of(bench.store, spec).expected
    assert (left.continuations, left.exact) == (24, True)
    bench.do("measure", **spec)
    assert len(bench.draws()) == 48
    assert cost_of(bench.store, spec).expected.continuations == 0
    more = cost_of(bench.store, {**spec, "n": 9}).expected
    assert (more.continuations, more.tokens) == (6, 36)


@pytest.mark.parametrize("name", ["backward", "forward", "bisect", "adaptive"])
def test_what_a_strategy_has_drawn_costs_nothing_again(bench: Bench, name: str) -> None:
    spec = {"chains": [CHAIN.id, LONG.id, RIGHT.id], "n": 8, "strategy": name}
    before = cost_of(bench.store, spec).expected
    assert 0 < before.continuations < 48
    assert not before.exact
    bench.do("measure", **spec)
    assert cost_of(bench.store, spec).expected.continuations == 0


def test_a_chain_without_a_gold_answer_costs_nothing_and_is_told(bench: Bench) -> None:
    unknown = Problem("How many?", source="mine", key="9")
    chain = chain_of("3+12=15\n#### 15\n", "unknown")
    chain = type(chain)(unknown.id, chain.origin, chain.key, chain.text, chain.spans, chain.rule)
    bench.store.add_items([SourceItem(unknown, (chain,))])
    cost = cost_of(bench.store, {"chains": [chain.id, CHAIN.id], "n": 8})
    assert (cost.chains, cost.left_out, cost.expected.continuations) == (1, 1, 24)


def ran(bench: Bench, kind: str, tokens: int, speed: int, **spec: str) -> None:
    id = bench.store.add_run(kind, {**spec, "tag": f"{kind}{tokens}"})
    row = bench.store.claim_run("w")
    assert row.id == id
    bench.store.heartbeat(id, "w", {"tokens": tokens, "tokens_per_s": speed})
    bench.store.finish_run(id, "done")


def test_a_strategy_with_short_turns_has_a_speed_of_its_own(bench: Bench) -> None:
    ran(bench, "measure", 1000, 500, engine="embedded")
    assert speed_of(bench.store, "embedded", strategy="adaptive") == pytest.approx(500)
    ran(bench, "measure", 100, 50, engine="embedded", strategy="adaptive")
    assert speed_of(bench.store, "embedded", strategy="adaptive") == pytest.approx(50)
    assert speed_of(bench.store, "embedded") == pytest.approx(500)
    cost = cost_of(bench.store, {"chains": [LONG.id], "n": 8, "strategy": "adaptive"})
    assert cost.seconds == pytest.approx(cost.expected.tokens / 50)


def test_the_time_is_that_of_the_engines_latest_runs(bench: Bench) -> None:
    """300 tokens at 100 a second and 600 at 300: 900 in 5 seconds. Runs of another engine or kind say nothing."""
    assert cost_of(bench.store, {"chains": [CHAIN.id], "n": 8}).seconds is None
    told = (
        ("measure", "embedded", 300, 100),
        ("sample many", "embedded", 600, 300),
        ("measure", "hf:other", 900, 9000),
        ("refine", "embedded", 900, 9000),
        ("measure", "embedded", 0, 0),
    )
    for kind, engine, tokens, speed in told:
        ran(bench, kind, tokens, speed, engine=engine)
    assert speed_of(bench.store, "embedded") == pytest.approx(180)
    assert speed_of(bench.store, "hf:nobody") is None
    cost = cost_of(bench.store, {"chains": [CHAIN.id], "n": 8})
    assert cost.seconds == pytest.approx(cost.expected.tokens / 180)


def test_the_command_says_it_and_draws_nothing(bench: Bench, tmp_path: Path) -> None:
    words = ["measure", "--db", f"sqlite:///{tmp_path}/store.db", "--chain", LONG.id, "--estimate"]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert (said["strategy"], said["chains"], said["continuations"], said["exact"]) == ("exhaustive", 1, 40, True)
    assert (said["seconds"], said["tokens_per_s"]) == (None, None)
    assert said["tokens"] > 40
    text = CliRunner().invoke(app, [*words, "--strategy", "adaptive"]).stdout
    assert text.startswith("adaptive, 1 chain: ≈ ")
    assert "time unknown: embedded has drawn nothing in this store yet" in text
    assert bench.draws() == []
    assert bench.store.runs(5) == []
