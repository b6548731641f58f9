"""The smallest pieces of HTML: nothing from outside is ever markup, numbers read as the design says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from stepviz.types import StepValue
from stepviz.ui import render
from stepviz.ui.rows import AnswerShare, EquationMark

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</span></div><script>alert(1)</script>",
    "${alert(1)} `${1}` {{value}} {{{value}}}",
    "\\u0041 \\frac \\' \\` \\\\",
    '" onmouseover="alert(1)',
    "' autofocus onfocus=alert(1) '",
    "\x00 \ud800 \udfff \u2028",
    "$<img src=x onerror=alert(1)>$ \\frac",
    "<<1+1=<b>2</b>>>",
    "&lt;b&gt; &amp;",
]


class Tags(HTMLParser):
    """Collects elements, attributes and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("tex", [False, True])
def test_prose_shows_hostile_text_as_text(text: str, tex: bool):
    seen = Tags(render.prose(text, tex))
    assert set(seen.tags) <= {"span"}
    assert seen.names <= {"class", "data-k", "data-d"}
    shown = text.translate({0: "\ufffd", 0xD800: "\ufffd", 0xDFFF: "\ufffd"})
    assert seen.text == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_attributes_cannot_be_left(text: str):
    seen = Tags(render.button(text, "act", title=text, value=text))
    assert seen.tags == ["button"]
    assert seen.names == {"type", "class", "data-act", "title", "data-value"}


@pytest.mark.parametrize("text", HOSTILE)
def test_answers_and_shares_show_hostile_text_as_text(text: str):
    shares = (AnswerShare(text, "wrong", 3, text), AnswerShare(None, "unknown", 1, "(none)"))
    seen = Tags(render.shares(shares, act="answer", tex=True))
    assert set(seen.tags) <= {"button", "span", "i"}
    assert not any(name.startswith("on") or name == "autofocus" for name in seen.names)


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0"), (1, "1"), (0.42, ".42"), (0.5, ".50"), (0.998, ".99"), (0.001, ".00"), (None, "–")]
)
def test_numbers(value: float | None, written: str):
    assert render.number(value) == written


def test_only_none_and_all_have_the_strongest_colours():
    assert render.shade(0) == "v0"
    assert render.shade(1) == "v8"
    assert render.shade(None) == "u"
    between = [render.shade(k / 32) for k in range(1, 32)]
    assert between[0] == "v1"
    assert between[-1] == "v7"
    assert render.shade(0.5) == "v4"
    assert sorted(between) == between


def test_k_of_n_with_wilsons_interval():
    """3 of 8: the 95 % interval is .137 to .694 (Wilson's formula, worked by hand)."""
    assert Tags(render.k_of_n(StepValue(1, 3, 8))).text == "3/8.14–.69"
    assert Tags(render.k_of_n(StepValue(1, 0, 8))).text == "0/8.00–.32"
    assert "2 of 8 were cut off" in render.k_of_n(StepValue(1, 3, 8, unfinished=2))
    assert Tags(render.k_of_n(StepValue(1, 0, 0, terminal="wrong"))).text == "wrong"
    assert Tags(render.k_of_n(StepValue(1, 0, 0))).text == "–"


def test_a_mark_stands_behind_its_equation():
    text = "so 3 * 4 = 12 and 1 + 1 = 3."
    html = render.prose(text, False, [EquationMark(13, True), EquationMark(27, False, "1 + 1 is 2")])
    before, _, rest = html.partition("<i ")
    assert before == "so 3 * 4 = 12"
    assert "1 + 1 = 3<i " in rest
    assert 'title="1 + 1 is 2"' in rest


def test_many_answers_are_summed_up():
    shares = tuple(AnswerShare(str(n), "wrong", 20 - n, str(n)) for n in range(12))
    text = Tags(render.shares(shares)).text
    assert "7 others" in text
    assert text.endswith(str(sum(20 - n for n in range(5, 12))))
