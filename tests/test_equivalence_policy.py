"""Our grader against the expectations of other graders' own tests (`equivalence/cases.jsonl`, 184 cases).

Those expectations contradict each other in places, so every difference is a policy of ours, named here by the
case's line. Policies:

exact       numbers are equal exactly, or as the rounding of a decimal of six or more places; two places, or a relative
            tolerance of 1e-4, are not enough (another grader's float tolerance would make 5.001 equal 5 one day)
percent     a percent sign may mean a unit or a hundredth; without the sign a factor of 100 is a difference
order       the order of coordinates counts
space       white space in mathematics means nothing, line breaks included
comma       a comma groups thousands; where it could also be a decimal comma we do not judge
empty       an empty answer is no answer: two of them are not equal, they cannot be judged
prose       of a text without a marked answer only its last sentence is read, and only if it holds one number, denies
            nothing, or ends in "= N"
code        program text is not an answer
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepviz import answers
from stepviz.agreement.equivalence import equivalence_agreement
from stepviz.grader_pool import shared_pool

# line of the file -> (its kind, what the file expects, what we say, policy)
DIFFERENCES = {
    2: ("pair", "equal", "unknown", "comma"),
    6: ("text", "equal", "unknown", "prose"),
    7: ("pair", "equal", "unknown", "prose"),
    12: ("text", "different", "equal", "space"),
    13: ("text", "different", "equal", "space"),
    59: ("pair", "equal", "different", "exact"),
    88: ("pair", "equal", "unknown", "code"),
    128: ("text", "equal", "unknown", "prose"),
    129: ("text", "equal", "unknown", "prose"),
    166: ("pair", "equal", "different", "exact"),
    171: ("pair", "equal", "unknown", "empty"),
    173: ("pair", "equal", "different", "percent"),
    181: ("pair", "equal", "different", "order"),
}


def test_every_difference_is_a_policy(shared_data: Path, capsys: pytest.CaptureFixture[str]):
    shared_pool().warm_up()
    result = equivalence_agreement(shared_data / "equivalence/cases.jsonl")
    with capsys.disabled():
        print(f"\nequivalence: {result['agreed']} of {result['n']} ({result['agreement']:.1%}), {result['by_kind']}")
    found = {d["line"]: (d["kind"], d["expected"], d["verdict"]) for d in result["differences"]}
    assert found == {line: case[:3] for line, case in DIFFERENCES.items()}
    assert all(d["reason"] for d in result["differences"])
    assert result["agreed"] == 184 - len(DIFFERENCES)
    assert {case[3] for case in DIFFERENCES.values()} <= set(__doc__.split())


def test_counts_by_hand(tmp_path: Path):
    cases = [
        {"gold": "1", "pred": "1.0", "equal": True, "kind": "pair"},
        {"gold": "1", "pred": "2", "equal": True, "kind": "pair"},
        {"gold": "1", "pred": "", "equal": False, "kind": "text"},  # unknown is no agreement
        {"gold": "A", "pred": "(B) two", "equal": False, "kind": "choice"},
    ]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(c) for c in cases))
    result = equivalence_agreement(path)
    assert (result["n"], result["agreed"], result["agreement"]) == (4, 2, 0.5)
    assert result["by_kind"] == {"choice": [1, 1], "pair": [1, 2], "text": [0, 1]}
    assert [(d["line"], d["verdict"]) for d in result["differences"]] == [(2, "different"), (3, "unknown")]


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("1,22", "1.22", "unknown"),  # comma
        ("1,220", "1220", "equal"),
        ("$9$", "$ \n 9 \n $", "equal"),  # space
        ("\\frac{1}{3}", "0.33", "different"),  # exact
        ("3.1416", "3.14159", "different"),
        ("3.141593", "3.14159265", "equal"),
        ("0.0304", "3.04", "different"),  # percent
        ("0.0304", "3.04%", "equal"),
        ("(1, 2)", "(2, 1)", "different"),  # order
        ("\\{1, 2\\}", "\\{2, 1\\}", "equal"),
        ("", "", "unknown"),  # empty
        ("99", "He has 11 boys with 9 marbles, or 99 in all", "unknown"),  # prose
        ("99", "There are 99 marbles in the end", "equal"),
    ],
)
def test_policies_by_hand(gold: str, answer: str, verdict: str):
    assert answers.equal(gold, answer).verdict == verdict
