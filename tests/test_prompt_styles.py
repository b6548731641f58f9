"""Prompt styles by name and from files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from stepviz.errors import StepvizError
from stepviz.prompt_styles import STYLES, prompt_style
from stepviz.types import Sampling


def test_the_named_styles() -> None:
    assert prompt_style("plain").template == "{question}\n"
    chat = prompt_style("chat")
    assert (chat.chat, chat.separator, chat.step_rule) == (True, "\n\n", "blank")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"template": "Q: {question}\\nA: ", "few_shot": [["1+1?", "2"]], "stop": ["Q:"]}')
    style = prompt_style(str(path))
    assert (style.name, style.few_shot, style.stop) == ("mine", (("1+1?", "2"),), ("Q:",))


WRONG = (
    "{",
    "[]",
    '{"templat": "x"}',
    '{"template": "no place"}',
    '{"template": 3}',
    '{"step_rule": "none"}',
    '{"answer_rule": "none"}',
    '{"separator": " ; "}',
    '{"chat": "yes"}',
    '{"stop": "Q:"}',
    '{"few_shot": ["1+1?"]}',
)


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_is_wrong_says_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StepvizError):
        prompt_style(str(path))


def test_a_style_that_there_is_not() -> None:
    with pytest.raises(StepvizError, match="plain, chat"):
        prompt_style("nonsense")


@pytest.mark.parametrize("name", sorted(STYLES))
def test_a_sampling_comes_back_from_json(name: str) -> None:
    sampling = Sampling(0.5, style=STYLES[name])
    again = Sampling.from_dict(json.loads(json.dumps(asdict(sampling))))
    assert again == sampling
    assert again.hash == sampling.hash
