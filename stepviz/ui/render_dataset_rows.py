"""Rows of a dataset as a person reads them: steps with their labels, pairs side by side, drafts with their mark.

A label's shape says who speaks, as everywhere: a filled dot is measured by rollouts, a ring a person, a bare mark the
outcome or the exact judge; a dashed ring is a step that only gives context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from db.values import DatasetRow
from stepviz.recipes import MASK
from stepviz.refining import BAD
from stepviz.ui.mathtext import has_tex
from stepviz.ui.render import esc, prose
from stepviz.ui.view_datasets import Origin

Speaker = Literal["measured", "person", "exact", "outcome"]
LONGEST = 6000  # characters of a text
STEPS = 64
_MEANS: dict[Speaker, tuple[str, str]] = {
    "measured": ("can be solved from here", "cannot be solved from here"),
    "person": ("right", "wrong"),
    "exact": ("right, by the exact judge", "wrong, by the exact judge"),
    "outcome": ("its chain ends right", "its chain ends wrong"),
}


def speaker(recipe: str, oracle: bool) -> Speaker:
    """Who gave a recipe's labels."""
    if oracle:
        return "exact"
    return {"sorm": "measured", "orm": "outcome", "balanced-orm": "outcome"}.get(recipe, "person")  # type: ignore


def legend(d: DatasetRow, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the marks of the labels mean."""
    if not any("labels" in row for row in rows):
        return ""
    by = speaker(d.recipe, bool(d.config.get("oracle")))
    masked = any(MASK in _list(row.get("labels")) for row in rows)
    marks = [(_mark(1, by), _MEANS[by][0]), (_mark(0, by), _MEANS[by][1])]
    marks += [(_mark(MASK, by), "no label (−100)")] if masked else []
    return f'<span class="legend">{"".join(f"<span>{mark}{esc(word)}</span>" for mark, word in marks)}</span>'


def row(r: Mapping[str, Any], number: int, origin: Origin | None, recipe: str, oracle: bool = False) -> str:
    """One row as an article; a row of no known columns is shown as JSON."""
    tex = has_tex(*_texts(r))
    if "completions" in r and "labels" in r:
        body = _question(r, tex) + _steps(r, speaker(recipe, oracle), tex)
    elif "chosen" in r and "rejected" in r:
        body = _question(r, tex) + _pair(r, tex)
    elif "completion" in r:
        body = _completion(r, recipe, tex)
    else:
        body = f"<pre>{esc(_cut(json.dumps(r, indent=1, ensure_ascii=False, default=str)))}</pre>"
    return f"<article>{_head(number, origin)}{body}</article>"


def _head(number: int, origin: Origin | None) -> str:
    """Rows are counted from 1 here; files and the command line count from 0."""
    name = f'<span class="num dim">{number + 1:,}</span>'
    if origin is None:
        return f"<header>{name}</header>"
    facts = "".join(f"<span>{esc(fact)}</span>" for fact in origin.facts)
    place = f"<b>{esc(origin.place)}</b>"
    link = f'<a class="link" href="{esc(origin.link)}">Open in Explore</a>' if origin.link else ""
    return f'<header>{name}{place}{facts}<i class="sp"></i>{link}</header>'


def _question(r: Mapping[str, Any], tex: bool) -> str:
    return f'<p class="q">{_prose(r.get("prompt", ""), tex)}</p>'


def _steps(r: Mapping[str, Any], by: Speaker, tex: bool) -> str:
    """The steps with their labels; the first negative one begins the fault."""
    steps, labels = _list(r["completions"]), _list(r["labels"])
    k, n = _list(r.get("k")), _list(r.get("n"))
    first = next((i for i, label in enumerate(labels) if label == 0), None) if by != "outcome" else None
    out = []
    for i, step in enumerate(steps[:STEPS]):
        label = labels[i] if i < len(labels) else MASK
        drawn = n[i] if i < len(n) and isinstance(n[i], int) else 0
        soft = f'<span class="kn num"><b>{esc(k[i])}</b><s>/</s>{drawn}</span>' if drawn and i < len(k) else ""
        fault = " fault" if i == first else ""
        css = f"{'off' if label == MASK else ''}{fault}".strip()
        out.append(
            f'<li class="{css}"><b class="num">{i + 1}</b><span>{_prose(step, tex)}</span>{soft or "<span></span>"}'
            f"{_mark(label, by)}</li>"
        )
    rest = len(steps) - STEPS
    more = f'<li class="off"><b></b><span>and {rest:,} more steps</span></li>' if rest > 0 else ""
    return f'<ol class="steps">{"".join(out)}{more}</ol>'


def _mark(label: Any, by: Speaker) -> str:
    if label not in (0, 1):
        title = "no label (−100): the step gives context" if label == MASK else f"label {label}"
        return f'<i class="nolabel" role="img" title="{esc(title)}" aria-label="{esc(title)}"></i>'
    title = esc(_MEANS[by][0 if label == 1 else 1])
    said = f'role="img" title="{title}" aria-label="{title}"'
    if by == "measured":
        return f'<i class="dot {"v8" if label == 1 else "v0"}" {said}></i>'
    if by == "person":
        return f'<i class="hl {"hp" if label == 1 else "hm"}" {said}>{"+" if label == 1 else "−"}</i>'
    return f'<i class="ic {"ok" if label == 1 else "no"}" {said}></i>'


def _pair(r: Mapping[str, Any], tex: bool) -> str:
    return (
        f'<div class="pair"><div class="cho"><span class="lab">chosen</span><p>{_prose(r["chosen"], tex)}</p></div>'
        f'<div class="rej"><span class="lab">rejected</span><p>{_prose(r["rejected"], tex)}</p></div></div>'
    )


def _completion(r: Mapping[str, Any], recipe: str, tex: bool) -> str:
    """Prompt and completion; in a refiner's prompt the line with the mark stands out."""
    prompt = _marked(r.get("prompt", ""), tex) if recipe.startswith("refine-") else _prose(r.get("prompt", ""), tex)
    return (
        f'<p class="q">{prompt}</p><div class="cmp"><span class="lab">to write</span>'
        f"<p>{_prose(r['completion'], tex)}</p></div>"
    )


def _marked(prompt: Any, tex: bool) -> str:
    """Each line on its own, the first one that begins with the mark as the fault."""
    out, found = [], False
    for line in _cut(str(prompt)).rstrip("\n").split("\n"):
        if line.startswith(BAD) and not found:
            found = True
            out.append(f'<span class="badline"><mark>{esc(BAD)}</mark>{prose(line[len(BAD) :], tex)}</span>')
        else:
            out.append(f"<span>{prose(line, tex)}</span>")
    return "\n".join(out)


def _prose(text: Any, tex: bool) -> str:
    return prose(_cut(str(text)).strip("\n"), tex)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST:,} more characters"


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _texts(r: Mapping[str, Any]) -> list[str]:
    texts = [r.get(name) for name in ("prompt", "completion", "chosen", "rejected")]
    return [str(text) for text in (*texts, *_list(r.get("completions"))) if text is not None]
