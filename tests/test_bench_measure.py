"""`bench measure`: its tables on cases worked by hand, and whole on a few chains of the embedded student."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepviz import bench_measure, bench_measure_data
from stepviz.bench_measure_ways import Reading
from stepviz.cli import app
from stepviz.sampling import Sample, read
from stepviz.strategies import Seen
from stepviz.types import Continuation, Problem, Sampling, prefix_hash
from stepviz.world import embedded_problems

WRONG_ANSWER = "#### 999999"


def draw_of(problem: Problem, j: int, text: str, verdict: str, tokens: int = 5) -> Continuation:
    return Continuation(
        problem.id, prefix_hash(""), "m@1", Sampling().hash, j, j, text, "stop", tokens, verdict=verdict
    )  # fmt: skip


def case_of(successes: dict[int, str], problem: Problem) -> bench_measure_data.Case:
    """The reference solution with a wrong answer line: every step before it can still be solved. successes: of each
    open step which of its 16 draws succeed, "x" for one that GLoRe's rule does not count."""
    lines = (problem.solution or "").split("\n")
    text = "\n".join([*lines[:-1], WRONG_ANSWER])
    sample: Sample = read(draw_of(problem, 0, text, "wrong"), Sampling())
    draws = {}
    for i in range(sample.chain.n):
        rest, row = "\n".join(lines[i:]), successes.get(i, "0" * 16)
        texts = {"1": (rest, "correct"), "x": (lines[-1], "correct"), "0": (WRONG_ANSWER, "wrong")}
        draws[i] = [draw_of(problem, j, *texts[c]) for j, c in enumerate(row)]
    return bench_measure_data.Case(problem, sample, draws, dict.fromkeys(draws, 10), (0.9, 0.9, 0.1, 0.1))


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Of three computing steps."""
    return next(p for p in embedded_problems("test", 300) if len((p.solution or "").split("\n")) == 4)


def test_the_exact_judge_puts_the_pit_at_the_wrong_answer(problem: Problem) -> None:
    case = case_of({}, problem)
    assert case.judgement.exact_pit == 4
    assert case.solvable == [True, True, True]
    assert case.walk.open == (1, 2, 3)


def test_what_counts_as_a_success_is_consistent_for_labels_and_right_for_pits(problem: Problem) -> None:
    case = case_of({2: "x" * 16}, problem)
    ways = bench_measure.readings([case])
    assert ways["exhaustive"].labels == [[0, 0, 0]]
    assert ways["forward"].pits == [1]
    assert case.right(2)[:2] == [True, True]
    assert case.accepted[2][:2] == [False, False]


def test_ways_read_one_table(problem: Problem) -> None:
    """Step 1 fails, step 2 succeeds with its third draw, step 3 fails."""
    case = case_of({0: "1" * 16, 2: "0010" + "0" * 12}, problem)
    ways = bench_measure.readings([case])
    assert ways["exhaustive"].labels == [[1, 1, 0]]
    assert ways["backward"].labels == [[1, 1, 0]]
    assert ways["exhaustive"].pits == ways["backward"].pits == [3]
    assert ways["forward"].pits == [1]
    assert ways["bisect"].pits == [3]  # it looks at 2 first, and never at 1
    assert ways["exhaustive, k = 2"].pits == [1]
    # 5 tokens a draw: 3 steps of 8, and 7 of the question, whose draw 0 is the chain itself
    assert ways["exhaustive"].tokens([case]) == 5 * (3 * 8 + 7)
    assert ways["backward"].tokens([case]) == 5 * (8 + 4)  # step 2 draws 1, 1, 2
    assert ways["backward"].prefill([case], kept=True) == 20
    assert (
        ways["backward"].prefill([case], kept=False) == 70
    )  # to 1, 2, 4 and 8 draws of step 3, to 1, 2 and 4 of step 2
    assert ways["no draw, no model: every step is lost"].labels == [[0, 0, 0]]
    assert ways["the pit model alone"].tokens([case]) == 0


def test_a_row_of_the_table_by_hand(problem: Problem) -> None:
    case = case_of({}, problem)
    way = Reading("by hand", [[1, 1, 0]], [3], [{1: Seen(2, 1), 3: Seen(8, 0)}], [{1: 2, 3: 4}])
    whole = bench_measure.readings([case])["exhaustive"]
    row = bench_measure.row(way, whole, [case])
    assert row["sampled tokens, % of exhaustive, all chains"] == pytest.approx(100 * 50 / 155, abs=0.05)
    assert row["continuations a wrong chain"] == 10
    assert (row["prefill, % of exhaustive"], row["read anew each turn"]) == (50.0, 150.0)
    assert row["pit exact, %"].startswith("0.0 ")
    assert row["pit within one, %"].startswith("100.0 ")
    assert row["labels right, all chains, %"] == pytest.approx(66.7)
    assert row["as 8 other draws say, wrong chains, %"] == pytest.approx(33.3)  # they say 0, 0, 0


def test_offsets_are_signed(problem: Problem) -> None:
    """The exact pit is at 4."""
    case = case_of({}, problem)
    ways = [Reading("by hand", [[1, 1, 1]], [pit], [{}]) for pit in (1, 2, 3, 4, 5)]
    found = [[name for name, share in bench_measure.offsets(way, [case]).items() if share == 100] for way in ways]
    assert found == [["2 or more too early"], ["2 or more too early"], ["1 too early"], ["exact"], ["1 too late"]]


def test_whole_on_a_few_chains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command on the embedded student; run again on the same store it draws nothing, and says the same."""
    monkeypatch.setattr(bench_measure_data, "PROBLEMS", 12)
    command = ["bench", "measure", "--each", "2", "--json", "--db", f"sqlite:///{tmp_path}/bench.db"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)["strategies"]
    assert {"exhaustive", "backward", "forward", "bisect", "adaptive", "the SORM alone"} <= said.keys()
    assert said["exhaustive"]["token_share"] == 1
    assert 0 < said["backward"]["token_share"] <= 1
    assert said["the SORM alone"]["token_share"] == 0
    assert all(0 <= way["pit_exact"] <= way["pit_within_one"] <= 1 for way in said.values())
    assert json.loads(CliRunner().invoke(app, command).stdout)["strategies"] == said
