"""What every command shares: where the store is, and how a result is printed."""

from __future__ import annotations

import json as codec
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

Db = Annotated[str | None, typer.Option("--db", help="store; default: STEPVIZ_DB, else sqlite:///stepviz.db")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON value and nothing else on stdout")]


def emit(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """One JSON value, or the text for people."""
    print(codec.dumps(value, ensure_ascii=False) if as_json else shown(text()))


def shown(text: str) -> str:
    """Names of people and models come from files, too: what they say to a terminal does not reach it."""
    from stepviz.run_report import printable

    return text if text.isascii() and text.replace("\n", "").isprintable() else printable(text)


def fail(error: Exception, code: int) -> None:
    print(f"stepviz: {shown(str(error))}", file=sys.stderr)
    sys.exit(code)


def bar(progress: dict[str, Any]) -> str:
    """One line of progress: done of total, tokens a second, time left; of one that ended its cost."""
    parts = [f"{progress.get('done', 0)}/{progress.get('total', '?')} {progress.get('unit', '')}".strip()]
    if progress.get("cost"):
        parts.append(str(progress["cost"]))
    if progress.get("tokens_per_s"):
        parts.append(f"{progress['tokens_per_s']:,.0f} tokens/s")
    if progress.get("eta_s") is not None:
        parts.append(f"{progress['eta_s']:.0f} s left")
    if progress.get("note"):
        parts.append(str(progress["note"]))
    return " · ".join(parts)
