"""The README is true: its tree, its commands, its links."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
from readme_tree import END, FOLDERS, START, comment, files, tree

import app as app_module
from stepviz.cli import app as commands
from training.__main__ import app as trainers

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_lines() -> list[str]:
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", README, re.S)
    lines = [x.split("  #")[0].strip() for block in blocks for x in block.replace("\\\n", " ").splitlines()]
    return [x for x in lines if x and not x.startswith("#")]


def test_the_tree_is_the_trees() -> None:
    assert README.split(START)[1].split(END)[0] == tree()


def test_no_line_of_the_tree_stops_in_the_middle_of_a_sentence() -> None:
    """A line is the first one of a docstring; where that goes on, it is cut at the citation that follows."""
    stopped = []
    for path in files():
        if path.endswith(".py") and path.rpartition("/")[0] in FOLDERS and (ROOT / path).exists():
            first = (ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or "").split("\n")[0]
            cited = " (" in first and comment(path) == first.split(" (")[0].replace("`", "")
            if not (cited or first.endswith((".", "?", ".)", "}", '"', "`"))):
                stopped.append((path, first))
    assert stopped == []


def test_there_are_commands() -> None:
    assert "make app" in shell_lines()
    assert "make test" in shell_lines()


@pytest.mark.parametrize("line", shell_lines())
def test_every_command_is_known_with_its_options(line: str) -> None:
    words = [w for w in shlex.split(line) if "=" not in w or w.startswith("-")]
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets
    elif "app.py" in words:
        app_module.arguments(words[words.index("app.py") + 1 :])
    elif "-m" in words and words[words.index("-m") + 1] in ("stepviz", "training"):
        module, rest = words[words.index("-m") + 1], words[words.index("-m") + 2 :]
        command = typer.main.get_command(commands if module == "stepviz" else trainers)
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, line
            command, rest = command.commands[rest[0]], rest[1:]
        options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        assert {w.split("=")[0] for w in rest if w.startswith("--")} <= options, line
    else:
        assert words[0] in ("git", "cd"), line


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists(), target
