"""Import: the form on the left, and beside it what the rows would become, or what came in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stepviz.import_report import counted
from stepviz.sources import FORMATS
from stepviz.sources.mapping import ROLES
from stepviz.steps import RULES
from stepviz.types import Annotation, Chain, Refusal, SourceItem
from stepviz.ui.address import Address
from stepviz.ui.mathtext import has_tex
from stepviz.ui.render import answer, button, esc, prose
from stepviz.ui.render_chain import progress
from stepviz.ui.rows import RunLine
from stepviz.ui.view_import import FORMAT_NOTES, PREVIEWED, ImportForm, ImportPreview, ImportResult

_ASKED = {
    "question": "the problem's text",
    "answer": "the right answer",
    "solution": "a worked solution",
    "response": "a chain, or several",
    "steps": "a chain cut into steps",
    "labels": "people's step labels",
    "pred": "the answer it ends with",
    "flag": "is it correct, true or false",
    "key": "an id of the problem",
    "split": "train, test, …",
    "origin": "the model or person",
}
_KINDS = {
    "per_step": "a label a step: true/false, or 1, 0, −1",
    "right_wrong": "a label a step: 1 right, 0 wrong",
    "first_error_0": "the first wrong step, counted from 0",
    "first_error_1": "the first wrong step, counted from 1",
}
_SHOWN_STEPS = 6
_SHOWN_ROWS = 200  # reasons of refused rows


def form(f: ImportForm) -> str:
    """File, format, and for a table which column is what."""
    read = ""
    if f.path and f.name:
        read = (
            "<section><h3>2 · Read it as</h3>"
            f'<select class="field" name="format" aria-label="Format">{_formats(f)}</select></section>'
        )
    columns = (
        f"<section><h3>3 · Which column is what</h3>{_mapping(f)}</section>"
        if f.mapping
        else "<section hidden></section>"
    )
    error = f'<div class="notice bad" role="alert"><span>{esc(f.error)}</span></div>' if f.error else ""
    return (
        '<form class="import" data-act="look" autocomplete="off"><section><h1>Import</h1>'
        '<p class="dim">Problems, chains and labels from a file. '
        "Nothing leaves this machine, and the same file twice changes nothing.</p>"
        f"</section>{_file(f)}{error}{read}{columns}</form>"
    )


def _file(f: ImportForm) -> str:
    count = f"<small class=num>{counted(f.rows, 'row')}</small>" if f.rows is not None else ""
    inside = (
        f"<b>{esc(Path(f.path).name)}</b>{count}<span class=link>Choose another</span>"
        if f.path and not f.error
        else "<b>Drop a file here</b><small>JSONL, JSON, CSV, TSV, Parquet; also gzipped</small>"
        "<span class=link>or choose one</span>"
    )
    typed = "" if f.uploaded else f.path
    return (
        '<section><h3>1 · The file</h3><label class="drop">'
        f'<input type="file" accept=".jsonl,.json,.csv,.tsv,.parquet,.txt,.gz">{inside}</label>'
        '<label class="or"><span class="lab">or a path on this machine, or a hub id</span><span class="line">'
        f'<input class="field" name="typed" value="{esc(typed)}" placeholder="traces.jsonl or openai/gsm8k" '
        f'spellcheck="false"><input type="hidden" name="file" value="{esc(f.path)}">'
        f'<input type="hidden" name="uploaded" value="{"yes" if f.uploaded else ""}">'
        '<button type="submit" class="btn">Look</button></span></label></section>'
    )


def _formats(f: ImportForm) -> str:
    first = f"{f.detected} (what it looks like)" if f.detected else "choose a format"
    options = [f'<option value="">{esc(first)}</option>']
    for name in ("table", *sorted(set(FORMATS) - {"table"})):
        note = FORMAT_NOTES.get(name, "")
        chosen = " selected" if name == f.format else ""
        options.append(f'<option value="{esc(name)}"{chosen}>{esc(name)}{" · " + esc(note) if note else ""}</option>')
    return "".join(options)


def _mapping(f: ImportForm) -> str:
    assert f.mapping is not None
    roles = "".join(_role(f, role) for role in ROLES)
    kind = _choice("label_kind", "labels are", _KINDS, f.mapping.label_kind) if f.mapping.labels else ""
    rules = {rule: f"{rule}" for rule in RULES}
    rule = "" if f.mapping.steps else _choice("rule", "a step begins at each", rules, f.mapping.rule)
    return f'<div class="map">{roles}{kind}{rule}</div>'


def _role(f: ImportForm, role: str) -> str:
    current = getattr(f.mapping, role) or ""
    options = "".join(
        f'<option value="{esc(c)}"{" selected" if c == current else ""}>{esc(c)}</option>' for c in f.columns
    )
    sample = (f.samples or {}).get(current.split(".")[0], "") if current else ""
    return (
        f'<label class="{"" if current else "off"}"><span>{role}<small>{_ASKED[role]}</small></span>'
        f'<select class="field" name="{role}"><option value="">—</option>{options}</select>'
        f'<small class="sample" title="{esc(sample)}">{esc(sample)}</small></label>'
    )


def _choice(name: str, label: str, options: dict[str, str], current: str) -> str:
    inner = "".join(
        f'<option value="{k}"{" selected" if k == current else ""}>{esc(v)}</option>' for k, v in options.items()
    )
    return (
        f'<label><span>{label}</span><select class="field" name="{name}">{inner}</select>'
        '<small class="sample"></small></label>'
    )


def preview(f: ImportForm, p: ImportPreview) -> str:
    """The right side before the import."""
    if not f.path or f.error:
        return _welcome()
    if p.error:
        return (
            '<div class="phead"><h2>Preview</h2></div><div class="notice bad" role="alert">'
            f"<span>{esc(p.error)}</span></div>"
        )
    items = [e for e in (*p.entries, *p.further) if isinstance(e, SourceItem)]
    label = f"Import {counted(f.rows, 'row')}" if f.rows is not None else "Import"
    go = button(label, "import", kind="pri") if items else ""
    entries = "".join(_entry(e) for e in (*p.entries, *p.further))
    nothing = '<div class="empty"><b>There is no row in this file</b></div>' if not p.entries else ""
    return (
        '<div class="phead"><h2>Preview</h2>'
        f'<span class="dim">{_which(f, p)}</span><span class="sp"></span>{go}</div>'
        f'{_doubt(f, p)}<div class="entries">{entries}{nothing}</div>'
    )


def _which(f: ImportForm, p: ImportPreview) -> str:
    n = len(p.entries)
    rows = "the first row" if n == 1 else f"the first {n} rows"
    return f"{'all of it' if n < PREVIEWED else rows}, read as {esc(f.name)}" if n else ""


def _doubt(f: ImportForm, p: ImportPreview) -> str:
    """What to do where none of the first rows would come in."""
    if not p.entries or any(isinstance(e, SourceItem) for e in p.entries):
        return ""
    none = f"None of the first rows would come in as {f.name}"
    if f.detected not in ("", f.name):
        said = f"{none}. The file looks like {f.detected}: choose that under 2."
    elif p.further:
        said = f"{none}; the first that would stand below them."
    else:
        said = f"{none}. {'Say which column is what under 3' if f.mapping else 'Choose another format under 2'}."
    return f'<div class="notice bad" role="alert"><span>{esc(said)}</span></div>'


def _welcome() -> str:
    formats = "".join(f"<tr><td>{esc(n)}</td><td>{esc(FORMAT_NOTES.get(n, ''))}</td></tr>" for n in FORMATS)
    return (
        '<div class="phead"><h2>What can come in</h2></div><div class="about"><table class="plain">'
        f"<tbody>{formats}</tbody></table>"
        "<p>A file of your own needs one column with the problem. Add the right answer, and chains are "
        "graded; "
        "add a response, and it is cut into steps; add labels, and they come in as a person's.</p></div>"
    )


def _entry(entry: SourceItem | Refusal) -> str:
    if isinstance(entry, Refusal):
        return (
            f'<article class="no"><header><span class="num dim">line {entry.line}</span><b>would not come in'
            f"</b></header><p>{esc(entry.reason)}</p></article>"
        )
    problem = entry.problem
    tex = has_tex(problem.question, problem.answer, *(c.text for c in entry.chains))
    gold = (
        f"gold {answer(problem.answer, tex)}"
        if problem.answer is not None
        else '<span class="bad">no gold answer</span>'
    )
    facts = "".join(f"<span>{esc(x)}</span>" for x in (problem.source, problem.split, problem.key) if x)
    chains = "".join(_chain(c, entry.annotations, tex) for c in entry.chains[:3])
    rest = f'<p class="dim pad">and {counted(len(entry.chains) - 3, "more chain")}</p>' if len(entry.chains) > 3 else ""
    return (
        f'<article><header><span class="num dim">line {entry.line}</span>{facts}<span class="sp"></span>'
        f"<span>{gold}</span></header>"
        f'<p class="q">{prose(problem.question[:1200], tex)}</p>{chains}{rest}</article>'
    )


def _chain(chain: Chain, annotations: Iterable[Annotation], tex: bool) -> str:
    said = {a.step: a.value for a in annotations if a.chain_id == chain.id and a.question == "correct"}
    first = next((a.value for a in annotations if a.chain_id == chain.id and a.question == "first_error"), None)
    rows = []
    for i, step in enumerate(chain.steps[:_SHOWN_STEPS], 1):
        value = said.get(i, -1 if first == i else None)
        mark = {1: '<i class="hl hp">+</i>', 0: '<i class="hl hz">0</i>', -1: '<i class="hl hm">−</i>'}.get(value, "")
        rows.append(f'<li><b class="num">{i}</b><span>{prose(step[:600], tex)}</span>{mark}</li>')
    rest = (
        f'<li class="dim"><b></b><span>and {counted(chain.n - _SHOWN_STEPS, "more step")}</span></li>'
        if chain.n > _SHOWN_STEPS
        else ""
    )
    return (
        f'<div class="chain"><span class="lab">{esc(chain.origin)} · {counted(chain.n, "step")}</span>'
        f"<ol>{''.join(rows)}{rest}</ol></div>"
    )


def report(run: RunLine, result: ImportResult) -> str:
    """The right side during and after an import: what came in, and line by line what did not."""
    if run.active or run.state == "cancelling":
        width = round(100 * (run.share or 0))
        return (
            f'<div class="phead"><h2>Importing</h2><span class="sp"></span>'
            f"{button('Cancel', 'cancel', kind='sm', run=run.id)}</div>"
            f'<div class="track"><i style="width:{width}%"></i></div><p class="pad num">{progress(run)}</p>'
        )
    title = {"done": "Imported", "failed": "Nothing came in"}.get(run.state, run.state.capitalize())
    why = result.error.splitlines()[0] if result.refused and result.error else result.error  # its examples are below
    error = f'<div class="notice bad" role="alert"><span class="why">{esc(why)}</span></div>' if why else ""
    tiles = "".join(f'<div><b class="num">{esc(n)}</b><span>{esc(label)}</span></div>' for n, label in result.counts)
    said = "".join(f"<p>{esc(sentence)}</p>" for sentence in result.said)
    link = esc(Address(source=result.source).query())
    show = f'<a class="btn pri" href="/{link}">Show in Explore</a>' if run.state == "done" else ""
    again = button("Go on", "resume", run=run.id) if run.state in ("cancelled", "interrupted") else ""
    return (
        f'<div class="phead"><h2>{esc(title)}</h2><span class="sp"></span>{again}{show}</div>{error}'
        f'<div class="tiles"{"" if tiles else " hidden"}>{tiles}</div>'
        f'<div class="about">{said}{_refused(result)}</div>'
    )


def _refused(result: ImportResult) -> str:
    if not result.refused:
        return ""
    shown = result.refused[:_SHOWN_ROWS]
    rows = "".join(
        f'<tr><td class="num{" lines" * (" " in at)}">{esc(at)}</td><td>{esc(why)}</td></tr>' for at, why in shown
    )
    others = len(result.refused) - len(shown)
    more = f"and {result.more:,} more" if result.more else "and rows for other reasons" if others else ""
    rest = f'<p class="dim">{more}: the run\'s log has them</p>' if more else ""
    return (
        '<h3>What did not come in</h3><table class="plain"><thead><tr><th>line</th><th>why</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{rest}"
    )
