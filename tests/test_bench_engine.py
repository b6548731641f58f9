"""`bench engine`: what its figures are made of, and a small run of it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest

from stepviz import bench_engine, bench_engine_sides
from stepviz.bench_engine import EACH, Measured, aims, row, work
from stepviz.bench_engine_sides import SIDES, Run, product_rate
from stepviz.bench_server import end, installed
from stepviz.embedded import path
from stepviz.errors import StepvizError

OURS = next(s for s in SIDES if s.engine == "vLLM in process" and s.ours)
BARE = next(s for s in SIDES if s.engine == "vLLM in process" and not s.ours)


def measured(side, seconds: list[float], tokens: int = 100, texts: tuple[str, ...] = ()) -> Measured:  # noqa: ANN001
    """Of each turn one second goes to the prompts."""
    whole = [Run(s, tokens, texts) for s in seconds]
    return Measured(side, [Run(1.0, 2) for _ in seconds], whole)


def test_each_continuation_is_a_request_with_a_seed_of_its_own() -> None:
    asked = list(work(3))
    assert len({(r.question, r.prefix) for r in asked[::EACH]}) == 3
    assert len({r.seed for r in asked}) == len(asked) == 24
    assert all(r.prefix.endswith("\n") for r in asked)


def test_a_row_tells_reading_and_decoding_apart_and_both_as_shares_of_the_limit() -> None:
    """Median turn: 5 s, of which 1 s for 40 tokens of prompts: 40/s read, 100 in 4 s decoded; the limit is 400/s."""
    found = row(measured(OURS, [3.0, 9.0, 5.0]), None, 40, 400.0)
    assert (found["seconds"], found["tokens/s"], found["sampled tokens"]) == (5.0, 20, 100)
    assert (found["prefill tokens/s"], found["decode tokens/s"]) == (40, 25)
    assert (found["prefill, % of the limit"], found["decode, % of the limit"]) == (10.0, 6.2)
    assert "our time over it" not in found


def test_times_are_compared_turn_against_turn_and_a_token() -> None:
    """0.03, 0.08 and 0.06 s a token against 0.02, 0.08 and 0.05: 1.5, 1 and 1.2, of which 1.2 is the median."""
    ours = measured(OURS, [3.0, 8.0, 6.0], texts=("a", "b", "c", "d"))
    bare = measured(BARE, [4.0, 16.0, 10.0], tokens=200, texts=("a", "b", "c", "x"))
    found = row(bare, ours, 40, 400.0)
    assert (found["our time over it"], found["same texts, %"]) == (1.2, 75)


def test_an_aim_is_met_or_missed_or_was_not_measured() -> None:
    by = {s.name: Measured(s, missing="not here") for s in SIDES}
    by[OURS.name], by[BARE.name] = measured(OURS, [1.04]), measured(BARE, [1.0])
    ours = next(s for s in SIDES if s.engine == "transformers" and s.ours)
    by[ours.name] = measured(ours, [1.01])
    found = {(a["time of"], a["over"]): a for a in aims(list(by.values()))}
    one, other = found[OURS.name, BARE.name], found[ours.name, BARE.name]
    assert (one["at most"], one["found"], one["met"]) == (1.05, 1.04, True)
    assert (other["at most"], other["found"], other["met"]) == (1.0, 1.01, False)
    assert [a["found"] for a in found.values()].count("not measured") == 3
    assert row(by["vLLM served, ours"], None, 40, 400.0)["not measured"] == "not here"


def test_the_machine_multiplies() -> None:
    assert 1e7 < product_rate() < 1e15


def test_a_server_that_does_not_come_up_costs_no_other_engine_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(source: str, *options: str) -> None:
        raise StepvizError("it did\nnot come up")

    monkeypatch.setattr(bench_engine, "installed", lambda: True)
    monkeypatch.setattr(bench_engine, "serving", dead)
    with ExitStack() as stack:
        assert bench_engine._server(stack, str(path("student"))) == ("", "it did not come up")


def test_a_side_that_breaks_has_no_row_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Run:
        raise ValueError("no such thing")

    monkeypatch.setitem(bench_engine_sides._MADE, OURS.name, broken)
    made = measured(OURS, [1.0])
    with ThreadPoolExecutor(1) as pool:
        made.take(pool, list(work(1)))  # type: ignore[arg-type]
    assert made.missing == "ValueError: no such thing"
    assert made.over(measured(BARE, [1.0])) is None


def test_a_process_is_ended_with_those_that_it_began() -> None:
    begins = "import subprocess as s, time; print(s.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", begins], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    end(parent.pid)
    parent.wait(10)
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_without_vllm_its_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_engine, "installed", lambda: False)
    found = bench_engine.tables(prefixes=1, repeats=1)
    for r in found["tokens a second"]:
        if r["engine"] == "transformers":
            assert r["sampled tokens"] > 8
            assert r["decode tokens/s"] > 0
        else:
            assert "not installed" in r["not measured"]
    assert found["the machine"][0]["limit, tokens/s"] > 0
    assert {a["found"] for a in found["aims"]} == {"not measured"}


@pytest.mark.vllm
def test_every_side_works_and_a_seed_draws_the_same_text_bare() -> None:
    if not installed():
        pytest.skip("vLLM is not installed here: make test-vllm")
    found = bench_engine.tables(prefixes=4, repeats=1)
    rows = found["tokens a second"]
    assert not [r for r in rows if "not measured" in r]
    assert all(r["same texts, %"] >= 90 for r in rows if r["engine"] != "transformers" and r["way"] != "ours")
    assert all(isinstance(a["met"], bool) for a in found["aims"])
