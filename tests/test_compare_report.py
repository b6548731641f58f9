"""A comparison in words, as JSON and as a table."""

from __future__ import annotations

import csv
import io
import json

from stepviz import compare_report as report
from stepviz.compare import Pair, Trial
from stepviz.compare_address import address
from stepviz.compare_spec import CompareSettings
from stepviz.types import FirstPit, StepValue
from tests.ui_cases import HOSTILE

SE = "self-explore"


def trial(
    verdict: str, answer: str, ks: tuple[int, ...], pit: int | None = None, samples: tuple[bool, ...] = ()
) -> Trial:
    values = (*(StepValue(i, k, 8) for i, k in enumerate(ks)), StepValue(len(ks), 0, 0, terminal=verdict))
    found = {SE: FirstPit(pit, SE, "0/8"), "glore": FirstPit(pit, "glore", "0/8")}
    return Trial(f"c{answer}", verdict, answer, len(ks), False, values, found, samples, True)


FIXED = Pair(
    "p1",
    "How many?",
    trial("wrong", "=1+1", (2, 0), 1, (False, True)),
    trial("correct", "15", (6, 8), None, (True, True)),
    "sums dev 1",
)
BROKEN = Pair("p2", HOSTILE, trial("correct", "-3", (8, 8)), trial("wrong", "-5", (8, 4, 0), 2), "sums dev 2")


def test_the_words_say_every_number() -> None:
    text = "\n".join(report.told(("a/base", "a/student"), [FIXED, FIXED, FIXED, BROKEN], SE))
    assert "a/base → a/student, 4 problems, greedy" in text
    assert "25.0 %" in text.splitlines()[1]
    assert "75.0 %" in text.splitlines()[1]
    assert "difference +50.0 [" in text
    assert "wrong → right  3    right → wrong  1    right in both  0    wrong in both  0" in text
    assert "McNemar p = 0.62" in text  # 2 (1 + 4) / 16
    # V of the question: 2/8 three times and 8/8; 6/8 three times and 8/8
    assert "0 %  0.44 → 0.81" in text
    assert "100 %  0.25 → 0.75" in text
    assert "vanished 3, new 1, still there 0, never 0, cannot be told 0 (self-explore)" in text
    assert "step 1 (0/8) → right" in text
    assert "right → step 2 (0/8)" in text


def test_only_so_many_problems_are_named_and_the_rest_counted() -> None:
    lines = report.told(("a", "b"), [FIXED] * (report.LISTED + 3), SE)
    assert lines[-1].strip() == "… and 3 more: --json or --out lists them all"


def test_without_v_nothing_is_said_of_pits() -> None:
    bare = Pair("p", "?", Trial("c", "wrong"), Trial("c", "correct"), "x")
    assert not any("pits" in line for line in report.told(("a", "b"), [bare], SE))
    assert report.summary([bare])["pits"] == {}
    assert report.summary([bare])["curves"] == {}


def test_json_says_the_same() -> None:
    found = json.loads(json.dumps(report.summary([FIXED, BROKEN])))
    assert found["accuracy"]["difference"]["value"] == 0
    assert (found["accuracy"]["wrong_to_right"], found["accuracy"]["right_to_wrong"]) == (1, 1)
    assert found["pits"]["glore"] == {"vanished": 1, "new": 1, "still": 0, "never": 0, "undecided": 0}
    assert found["curves"]["step"]["x"] == [0, 1, 2, 3]
    assert [p["value"] for p in found["curves"]["step"]["before"]] == [5 / 8, 0.5, 0.5, 0.5]
    assert found["pass_at"] == [  # of the one problem with two samples on both sides
        {"n": 1, "before": 0.5, "after": 1.0, "difference": {"value": 0.5, "low": 0.5, "high": 0.5}, "problems": 1},
        {"n": 2, "before": 1.0, "after": 1.0, "difference": {"value": 0, "low": 0, "high": 0}, "problems": 1},
    ]


def test_the_table_has_a_row_a_problem_and_jsonl_is_exact() -> None:
    lines = report.table([FIXED, BROKEN], SE, "jsonl").splitlines()
    first, second = map(json.loads, lines)
    assert (first["pit"], first["before_pit"], first["before_pit_evidence"], first["after_pit"]) == (
        "vanished",
        1,
        "0/8",
        None,
    )
    assert (first["before_answer"], first["before_v0"], first["before_samples_right"]) == ("=1+1", 0.25, 1)
    assert (second["pit"], second["question"], second["after_chain"]) == ("new", HOSTILE, "c-5")


def test_a_csv_cell_is_no_formula() -> None:
    first, second = csv.DictReader(io.StringIO(report.table([FIXED, BROKEN], SE, "csv")))
    assert first["before_answer"] == "'=1+1"
    assert second["before_answer"] == "-3"  # a number is left alone
    assert second["question"] == HOSTILE


def test_the_address_brings_everything_back() -> None:
    settings = CompareSettings("embedded:base", "hf:/a b/c", "sums", "", 7, 4, 8)
    assert address(settings, "abc", pit=SE) == (
        "/compare?before=embedded%3Abase&after=hf%3A%2Fa+b%2Fc&source=sums&limit=7&samples=4&k=8&sampling=abc"
        "&pit=self-explore"
    )
