"""An item of Annotate as HTML: what each arm shows, what is never shown, and who sees which header."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stepviz.ui import render_annotate, render_head
from stepviz.ui.signed_in import Person

HOSTILE = "</div><script>alert(1)</script>${alert(1)} <img src=x onerror=alert(1)>"
ANA, ROOT = Person("ana", "annotator"), Person("root", "admin")


def turn(*steps: str, **more: Any) -> dict[str, Any]:
    """As annotating.turn gives it, of a blind arm."""
    return {
        "slot": 7,
        "questions": ["correct"],
        "question": "How many?",
        "steps": [{"text": text, "kind": "step"} for text in steps or ("2+3=5", "#### 6")],
        "labels": {},
        "notes": {},
        "guideline": {"text": "Be fair.", "version": 1, "newest": 1},
        **more,
    }


def rows(html: str) -> list[str]:
    return re.findall(r'<div class="row[^"]*" role="row" id="step-\d+"', html)


def offered(html: str, question: str, step: int) -> list[str]:
    """What can be said of a step, as it is sent."""
    return re.findall(rf'data-q="{question}" data-step="{step}" data-value="([^"]*)"', html)


def test_the_problem_is_row_0_and_each_step_can_be_rated() -> None:
    html = render_annotate.item(turn())
    assert len(rows(html)) == 3
    assert offered(html, "correct", 0) == []
    assert offered(html, "correct", 1) == offered(html, "correct", 2) == ["1", "0", "-1", "unsure"]


def test_a_column_for_each_question_that_is_asked() -> None:
    html = render_annotate.item(turn(questions=["correct", "solvable", "decides"]))
    heads = re.findall(r'data-act="column" data-q="(\w+)"', html)
    assert heads == ["correct", "solvable", "decides"]
    assert offered(html, "solvable", 2) == ["1", "-1", "unsure"], "PRM800K's 0 is no answer to that"
    assert offered(html, "decides", 2) == [""]
    assert 'aria-label="Step 2: still solvable?"' in html


def test_a_blind_arm_has_nothing_that_a_model_or_a_judge_says() -> None:
    html = render_annotate.item(turn("2+3=6", "#### 6"))
    for opinion in ("predicted", "pit", "score", "calc", 'class="sc'):
        assert opinion not in html, opinion


def test_scores_and_the_pit_are_drawn_as_predicted() -> None:
    html = render_annotate.item(turn(scores=[0.91, 0.055]))
    assert re.findall(r'<span class="sc num">([^<]*)</span>', html) == ["", ".91", ".06"]
    assert "ppit" not in html
    unscored = render_annotate.item(turn(scores=[]))
    assert re.findall(r'<span class="sc num">([^<]*)</span>', unscored) == ["", "–", "–"]
    html = render_annotate.item(turn(pit=2))
    assert re.findall(r'<div class="row ppit" role="row" id="step-(\d)"', html) == ["2"]
    assert "predicted pit" in html
    assert 'class="sc' not in html
    assert "ppit" not in render_annotate.item(turn(pit=None)), "it sees none"


def test_texts_are_escaped_and_formulas_are_found_in_python() -> None:
    html = render_annotate.item(turn(HOSTILE, "so $\\frac{1}{2}$", question=HOSTILE))
    assert html.count("&lt;script&gt;") == 2
    assert "<script" not in html
    assert "<img" not in html
    assert '<span class="tex" data-k="1">$\\frac{1}{2}$</span>' in html
    assert "&lt;img" in render_annotate.guideline(turn(guideline={"text": HOSTILE, "version": 1, "newest": 1}))


def test_money_is_no_formula() -> None:
    assert 'class="tex"' not in render_annotate.item(turn("It costs $5 and $6."))


def test_the_shell_is_the_same_for_everybody_and_holds_nothing() -> None:
    shell = render_annotate.shell()
    assert "step-1" not in shell
    for finish in ("solution", "found_error", "give_up", "bad_problem"):
        assert f'name="finish" value="{finish}"' in shell


@pytest.mark.parametrize(
    ("who", "links"),
    [
        (None, {"/annotate"}),
        (ANA, {"/annotate", "/logout"}),
        (ROOT, {"/", *(path for _, _, path in render_head.PAGES), "/logout"}),
        (Person("local", "admin", account=False), {"/", *(path for _, _, path in render_head.PAGES)}),
    ],
)
def test_who_sees_which_links(who: Person | None, links: set[str]) -> None:
    html = render_head.annotate(who)
    assert set(re.findall(r'href="([^"]*)"', html)) == links
    assert (f">{who.name}<" in html) if who else (render_head.WHO not in html)
    for engine in ("engine", "ring", "embedded"):
        assert engine not in html


def test_a_name_in_the_header_is_escaped() -> None:
    assert "&lt;b&gt;" in render_head.annotate(Person("<b>", "annotator"))
    assert "<b>" not in render_head.annotate(Person("<b>", "annotator"))


def test_every_other_page_says_who_signed_in() -> None:
    header = render_head.waiting("runs") + render_head.WHO
    assert "Sign out" in render_head.signed(header, ROOT)
    assert render_head.WHO not in render_head.signed(header, None)
