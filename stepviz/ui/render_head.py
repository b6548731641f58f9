"""The header, the find box and the problem list."""

from __future__ import annotations

from stepviz.ui.address import Address
from stepviz.ui.render import attrs, button, esc, number, prose
from stepviz.ui.render_chain import DOING
from stepviz.ui.rows import Head, ProblemLine, ProblemList, RunLine
from stepviz.ui.signed_in import Person

PAGES = (
    ("explore", "Explore", "/"),
    ("refine", "Refine", "/refine"),
    ("annotate", "Annotate", "/annotate"),
    ("agreement", "Agreement", "/agreement"),
    ("studies", "Studies", "/studies"),
    ("import", "Import", "/import"),
    ("datasets", "Datasets", "/datasets"),
    ("train", "Train", "/train"),
    ("compare", "Compare", "/compare"),
    ("runs", "Runs", "/runs"),
)
RESULTS = (
    ("", "Any result"),
    ("solved", "Solved"),
    ("mixed", "Mixed"),
    ("unsolved", "Unsolved"),
    ("disputed", "Disputed"),
    ("unsampled", "No chains"),
)
_MARK = '<svg width="18" height="18" viewBox="0 0 20 20" aria-hidden="true"><path d="M2 5h6v5h6v5h5"/></svg>'
_OWN = '<a class="btn sm own" href="/import">Import your own file</a>'  # where the problems are a closed drawer
_HALF = (
    '<svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><circle cx="7" cy="7" r="5.6" fill="none" '
    'stroke="currentColor" stroke-width="1.4"/><path d="M7 1.4a5.6 5.6 0 0 1 0 11.2z" fill="currentColor"/></svg>'
)


WHO = "<!--who-->"  # where the name of who signed in goes: pages do not know it, see signed


def head(h: Head) -> str:
    """The header; `data-active` tells the browser whether to go on polling."""
    active = [r for r in h.runs if r.active]
    state = {"idle": "", "on": "on", "bad": "bad"}[h.engine_state]
    own = _OWN if h.page == "explore" else ""
    engine = f'<span class="status engine"{attrs(title=h.engine_note or None)}><i class="{state}"></i>{esc(h.engine)}'
    return _header(h.page, f"{own}{_jobs(active)}{engine}</span>{WHO}", len(active), h.seen)


def waiting(page: str) -> str:
    """Before the server was asked who looks: nothing of the store, for Gradio shows it to everybody who signed in."""
    return _header(page, '<a class="status" href="/runs" hidden></a><span class="status engine"></span>')


def annotate(who: Person | None = None) -> str:
    """Of the page Annotate: no engine, no runs, and for annotators no other page; None: nobody knows who looks yet."""
    pages = PAGES if who and who.role == "admin" else tuple(p for p in PAGES if p[0] == "annotate")
    if who is not None and not who.account:
        title = "There are no accounts: labels are kept under this name"
        return _header("annotate", f'<span class="who" title="{title}">{esc(who.name)}</span>', pages=pages)
    return signed(_header("annotate", WHO, pages=pages), who)


def signed(header: str, who: Person | None) -> str:
    """The header with the name of who signed in, and the way out; None, or the one local user: there is none."""
    if who is None or not who.account:
        return header.replace(WHO, "")
    name = f'<span class="who" title="Signed in as {esc(who.name)}">{esc(who.name)}</span>'
    return header.replace(WHO, f'{name}<a class="out" href="/logout">Sign out</a>')


def _header(
    page: str, right: str, active: int = 0, seen: str = "-", pages: tuple[tuple[str, str, str], ...] = PAGES
) -> str:
    links = "".join(
        f'<a href="{path}"{" class=on aria-current=page" if page == name else ""}>{label}</a>'
        for name, label, path in pages
    )
    home = "/" if pages is PAGES else "/annotate"
    return (
        f'<header data-active="{active}" data-seen="{esc(seen)}"><a class="brand" href="{home}">{_MARK}stepviz</a>'
        f'<nav aria-label="Pages">{links}</nav><span class="sp"></span>{right}'
        '<button type="button" class="icon" data-act="theme" title="Light or dark" aria-label="Light or '
        f'dark">{_HALF}</button></header>'
    )


def _jobs(active: list[RunLine]) -> str:
    if not active:
        return '<a class="status" href="/runs" hidden></a>'
    running = next((r for r in active if r.state == "running"), active[0])
    doing = DOING.get(running.kind, running.kind).lower() if running.state == "running" else "waiting"
    share = running.share
    percent = f"<b>{round(100 * share)} %</b>" if share is not None else ""
    others = f"<span>+{len(active) - 1}</span>" if len(active) > 1 else ""
    ring = f'<i class="ring" style="--p:{round(100 * (share or 0))}"></i>'
    said = f"{doing} {round(100 * share)} %" if share is not None else doing  # a phone shows the ring alone
    named = attrs(aria_label=said, title=said)
    return f'<a class="status" href="/runs"{named}>{ring}{esc(doing)} {percent}{others}</a>'


def find(sources: tuple[tuple[str, int], ...], at: Address, total: int) -> str:
    """Search and filters. The browser keeps what is typed; this is sent only when a page opens."""
    options = "".join(
        f'<option value="{esc(name)}"{" selected" if name == at.source else ""}>{esc(name)} ({n:,})</option>'
        for name, n in sources
    )
    results = "".join(
        f'<option value="{value}"{" selected" if value == at.result else ""}>{label}</option>'
        for value, label in RESULTS
    )
    return (
        '<form role="search" autocomplete="off">'
        f'<input class="field" name="q" type="search" placeholder="Search {total:,} problems" '
        f'aria-label="Search problems" value="{esc(at.q)}">'
        '<select class="field" name="source" aria-label="Source"><option value="">Any source'
        f"</option>{options}</select>"
        f'<select class="field" name="result" aria-label="Result">{results}</select>'
        '<a class="btn sm" href="/import">Import your own file</a></form>'
    )


def problems(p: ProblemList, study: str = "") -> str:
    """study: the address at which their chains become a study."""
    if not p.lines:
        clear = button("Clear search and filters", "clear", kind="sm")
        return f'<div class="none"><p>No problem matches.</p>{clear}</div>'
    rows = "".join(_problem(line, line.id == p.selected) for line in p.lines)
    first, last = p.skip + 1, p.skip + len(p.lines)
    back = button("Back", "page", kind="sm ghost", skip=max(0, p.skip - p.limit)) if p.skip else ""
    on = button("More", "page", kind="sm ghost", skip=p.skip + p.limit) if last < p.total else ""
    return (
        f'{rows}<div class="pages num"><span>{first:,}–{last:,} of {p.total:,}</span>'
        f'{_study(study)}<span class="sp"></span>{back}{on}</div>'
    )


def _study(link: str) -> str:
    if not link:
        return ""
    return f'<a class="link" href="{esc(link)}" title="Make a study of the chains of these problems">Study…</a>'


def _problem(p: ProblemLine, on: bool) -> str:
    share = p.n_correct / p.n_chains if p.n_chains else None
    chains = f"{p.n_chains} chain{'' if p.n_chains == 1 else 's'}" if p.n_chains else "no chains"
    if p.branches:
        chains += f" · {p.branches} branch{'' if p.branches == 1 else 'es'}"
    if p.refinements:
        chains += f" · {p.refinements} refined"
    bar = (
        f'<span class="pbar"><i style="width:{round(100 * share)}%"></i></span><span class="num">{number(share)}</span>'
        if share is not None
        else ""
    )
    text = p.question if len(p.question) <= 400 else p.question[:400] + "…"
    return (
        f'<a class="prow{" on" if on else ""}" href="{esc(Address(problem=p.id).query())}" data-problem="{esc(p.id)}"'
        f'{" aria-current=true" if on else ""}><span class="ptext">{prose(text, p.tex, flat=True)}</span>'
        f'<span class="pmeta"><b>{esc(p.source)}</b><span>{chains}</span>{bar}</span></a>'
    )


def problems_loading() -> str:
    row = (
        '<div class="skrow"><i class="skel"></i><i class="skel" style="--w:70%"></i>'
        '<i class="skel" style="--w:40%"></i></div>'
    )
    return f'<div aria-busy="true">{row * 9}</div>'
