"""The README's tree: one line a file, the comment being the first line of its docstring.

`python tests/readme_tree.py` writes it anew; a test holds the README to it.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- tree -->\n```\n", "```\n<!-- /tree -->"
FOLDERS = (
    "stepviz",
    "stepviz/world",
    "stepviz/sources",
    "stepviz/engines",
    "stepviz/reward",
    "stepviz/recipes",
    "stepviz/ui",
    "training",
    "training/reproduce",
    "db",
)
WIDTH = 30


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split("\n")


def comment(path: str) -> str:
    doc = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    first = doc.split("\n")[0]
    if not first.endswith((".", '"', "}", "rows are", "?")) and " (" in first and ")" not in first.split(" (", 1)[1]:
        first = first.split(" (")[0]  # a citation that goes on in the next line
    return first.rstrip(".").replace("`", "")


def line(name: str, said: str, depth: int) -> str:
    return f"{'  ' * depth + name:{WIDTH}} {said}".rstrip()


def tree() -> str:
    known = files()
    lines = [line("app.py", comment("app.py"), 0)]
    for folder in FOLDERS:
        depth = folder.count("/")
        lines.append(line(folder.split("/")[-1] + "/", comment(f"{folder}/__init__.py"), depth))
        for path in sorted(p for p in known if p.startswith(folder + "/") and p.endswith(".py")):
            name = path.removeprefix(folder + "/")
            if "/" not in name and name != "__init__.py":
                lines.append(line(name, comment(path), depth + 1))
        if folder == "stepviz":
            lines.append(line("embedded/", comment("stepviz/embedded/__init__.py"), 1))
    lines.append(line("  migrations/", "alembic: every revision of the schema", 0))
    lines.append(line("tests/", "one file a subject; browser tests in test_ui_*.py", 0))
    lines.append(line("docs/", "results and the commands that made them; the store's schema and views", 0))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    head, rest = page.split(START)
    (ROOT / "README.md").write_text(head + START + tree() + END + rest.split(END)[1], encoding="utf-8")
