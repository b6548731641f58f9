"""Which dollars are mathematics: hand-written cases, then every row of GSM8K and MATH-500."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from stepviz.ui.mathtext import calculator_notes, has_tex, note_around, parts


def formulas(text: str, tex: bool = True) -> list[str]:
    return [text[p.start : p.end] for p in parts(text, tex) if p.kind != "text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so $x+1$ is even", ["$x+1$"]),
        ("costs $5 and $7 each", []),
        ("a box at $18, keeps 12 and sells at $2", []),
        ("The cost is $6 \\times \\$18 = \\$108$.", ["$6 \\times \\$18 = \\$108$"]),
        ("$$x^2$$ then $y$", ["$$x^2$$", "$y$"]),
        ("\\[a\n= b\\] and \\(c\\)", ["\\[a\n= b\\]", "\\(c\\)"]),
        ("\\begin{align*}a&=b\\\\c&=d\\end{align*}", ["\\begin{align*}a&=b\\\\c&=d\\end{align*}"]),
        ("The answer is \\boxed{\\frac{1}{2}}.", ["\\boxed{\\frac{1}{2}}"]),
        ("so $\\boxed{3}$ it is", ["$\\boxed{3}$"]),
        ("pays $5 and ${alert(1)} more", []),
        ("an unclosed $x and \\boxed{1", []),
        ("$\\text{the whole number}$", ["$\\text{the whole number}$"]),
    ],
)
def test_formulas_are_told_from_prices(text: str, expected: list[str]):
    assert formulas(text) == expected


def test_a_single_dollar_needs_a_tex_command_somewhere():
    assert formulas("from $a$ to $b$", tex=has_tex("no command here")) == []
    assert formulas("from $a$ to $b$", tex=has_tex("\\frac{1}{2}")) == ["$a$", "$b$"]


@pytest.mark.parametrize("text", ["", "$", "$$", "$$$", "\\boxed{" * 50, "\\[" * 300, "$x$" * 400, "\\" * 999])
def test_parts_leave_no_gap(text: str):
    assert "".join(text[p.start : p.end] for p in parts(text, True)) == text


@pytest.mark.parametrize(
    "piece",
    [
        "\\(",
        "\\[",
        "\\(x ",
        "$$",
        "\\$$ ",
        "$",
        "$x",
        "$$x",
        "$a\\)\\(",
        "\\begin{align}",
        "\\end{align}",
        "\\begin{array}\\begin{cases}",
        "\\boxed{",
        "\\boxed{}",
        "$\\boxed{}$",
        "\\boxed{\\(",
        "{",
        "<<",
        "$" + "a" * 1990,
        "$" + "a " * 990,
        "$\\text{",
        "\\(" * 900 + "\\)",
        "\\[" * 5000 + "\\]",
    ],
)
@pytest.mark.parametrize("head", ["", "$"])
def test_a_hostile_megabyte_is_cut_in_seconds(piece: str, head: str):
    text = head + piece * (1_000_000 // len(piece))
    started = time.process_time()
    found = parts(text, tex=True)
    has_tex(text)
    notes = calculator_notes(text)
    note_around(text, len(text) - 2, len(text) - 1)
    assert time.process_time() - started < 20  # quadratic time would be minutes
    assert "".join(text[p.start : p.end] for p in found) == text
    assert "".join(part for part, _ in notes) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\(" * 2000 + "x\\) and \\(y\\)", ["\\(y\\)"]),
        ("\\[a \\(b\\) c\\] \\(d\\)", ["\\[a \\(b\\) c\\]", "\\(d\\)"]),
        ("$a \\boxed{1} b$ \\boxed{2}", ["$a \\boxed{1} b$", "\\boxed{2}"]),
        ("\\begin{cases}a\\end{align} \\begin{align}b\\end{align}", ["\\begin{align}b\\end{align}"]),
        ("\\begin{align}\\end{align}", ["\\begin{align}\\end{align}"]),
        ("\\(\\) \\(x\\)", ["\\(\\) \\(x\\)"]),  # nothing between is no formula
    ],
)
def test_pairs_of_delimiters(text: str, expected: list[str]):
    assert formulas(text)[-len(expected) :] == expected


def test_calculator_notes_are_cut_out():
    text = "6*24=<<6*24=144>>144 candles"
    assert calculator_notes(text) == [("6*24=", False), ("<<6*24=144>>", True), ("144 candles", False)]
    assert note_around(text, 7, 15) == (5, 17)
    assert note_around(text, 0, 4) is None


def test_gsm8k_has_no_mathematics(shared_data: Path):
    for name in ("train", "test"):
        for line in (shared_data / "gsm8k" / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            tex = has_tex(row["question"], row["answer"])
            assert not formulas(row["question"], tex), row["question"]
            assert not formulas(row["answer"], tex), row["answer"]


def test_math_500s_dollars_are_mathematics(shared_data: Path):
    """Every unescaped dollar of these texts is TeX, so half of them are the formulas there are."""
    expected = found = 0
    for row in json.loads((shared_data / "math" / "math500_test.json").read_text()):
        tex = has_tex(row["problem"], row["solution"])
        for text in (row["problem"], row["solution"]):
            rest = re.sub(r"\\\[.*?\\\]|\$\$.*?\$\$", "", text, flags=re.DOTALL)
            expected += len(re.findall(r"(?<!\\)\$", rest)) // 2
            found += sum(p.delimiter == 1 for p in parts(text, tex))
    assert expected == 5151
    assert found >= expected - 5
