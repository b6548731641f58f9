"""docs/results.md is what its JSON files say."""

from __future__ import annotations

import json
from pathlib import Path

from stepviz import results

ROOT = Path(__file__).parents[1]


def test_the_page_is_rendered_from_the_files() -> None:
    assert (ROOT / results.PAGE).read_text(encoding="utf-8") == results.render(ROOT / results.FOLDER)


def test_every_result_names_its_command() -> None:
    files = sorted((ROOT / results.FOLDER).glob("*.json"))
    assert files
    for path in files:
        value = json.loads(path.read_text(encoding="utf-8"))
        assert value["command"].startswith("python -m "), path
        assert value["tables"], path


def test_a_table() -> None:
    rows = [{"a": 1, "b": 0.12345}, {"a": 12000, "c": "x|y"}]
    assert results.table(rows).splitlines() == [
        "| a | b | c |",
        "|---|---|---|",
        "| 1 | 0.1235 |  |",
        "| 12,000 |  | x\\|y |",
    ]


def test_write_and_render(tmp_path: Path) -> None:
    results.write("n", "A title", "python -m stepviz bench n", {"t": [{"x": True}]}, "A note.", tmp_path)
    page = results.render(tmp_path)
    assert "## A title" in page
    assert "| yes |" in page
    assert "A note." in page
