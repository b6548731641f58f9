"""Studies: the list, and one study with its progress, people, conflicts, notes and guideline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from db.study_values import UserRow
from stepviz.studies import ARMS, ORDERS, QUESTIONS, stored
from stepviz.study_summary import ItemLine, PersonLine, Remark
from stepviz.ui.render import attrs, button, esc, number
from stepviz.ui.render_studies_form import ASKED
from stepviz.ui.view_studies import (
    EXPORTS,
    LISTED,
    OpenStudy,
    StudiesPage,
    StudyLine,
    StudyList,
    agreement_link,
    dataset_link,
)

ACCOUNTS = "python -m stepviz user add NAME"


def studies(s: StudyList) -> str:
    lines = "".join(_line(line, line.id == s.selected) for line in s.lines)
    nothing = "" if s.lines else '<p class="pad dim">What you make is listed here.</p>'
    count = f'<span class="dim num">{len(s.lines):,}</span>' if s.lines else ""
    return f'<div class="phead"><h2>Studies</h2>{count}</div><div class="dlist" role="list">{lines}{nothing}</div>'


def _line(line: StudyLine, on: bool) -> str:
    share = line.labelled / line.wanted if line.wanted else 0
    state = "open" if line.open else "closed"
    return (
        f'<a class="drow{" on" if on else ""}" role="listitem"{attrs(aria_current="true" if on else None)} '
        f'href="?study={line.id}" data-look><span class="dname"><b>{esc(line.name)}</b></span>'
        f'<span class="drec">{line.items:,} item{"" if line.items == 1 else "s"}, {state}</span>'
        f'<span class="drows num">{line.labelled:,} of {line.wanted:,}</span>'
        f'<span class="dage">{esc(line.age)}</span><span class="sbar">{_bar(share)}</span></a>'
    )


def _bar(share: float) -> str:
    return f'<i style="width:{min(100, round(100 * share))}%"></i>'


def opened(page: StudiesPage) -> str:
    """The study of the address; why it is not here; or what to do where there is none yet."""
    if page.missing:
        return (
            '<div class="phead"><h2>Not here</h2></div><div class="empty"><b>This is not here</b>'
            f'<p>{esc(page.missing)}</p><a class="btn" href="/studies">Show the newest</a></div>'
        )
    if page.open is None:
        return (
            f'<div class="empty"><div class="glyph">{"<i></i>" * 5}</div><b>No study yet</b><p>Choose chains on the '
            "left, say what is asked of whom, and create it.<br>People label on the page Annotate; how far they are, "
            "and where they disagree, stands here.</p></div>"
        )
    o = page.open
    return (
        f'{_head(o)}<div class="facts">{_progress(o)}{_people(o)}{_conflicts(o)}{_remarks(o)}'
        f'<div class="sides"><div>{_guideline(o)}</div><div>{_settings(o)}</div></div></div>'
    )


def _head(o: OpenStudy) -> str:
    row = o.told.study
    turn = button("Close", "close_study", study=row.id, title="Offer nobody an item any more; labels stay")
    turn = turn if row.open else button("Open again", "open_study", study=row.id, title="Offer its items again")
    files = "".join(
        f'<a class="btn" href="/stepviz/study/{row.id}.{ext}" download title="{esc(about)}">{esc(label)}</a>'
        for ext, label, about in EXPORTS
    )
    train = (
        f'<a class="btn" href="{esc(dataset_link(row.name))}" title="What its people agree on">Build a training set</a>'
    )
    state = "open" if row.open else "closed"
    return (
        f'<div class="phead" data-study="{row.id}"><h2 title="{esc(row.name)}">{esc(row.name)}</h2>'
        f'<span class="state {"done" if row.open else ""}"><i></i>{state}</span>'
        f'<div class="meta"><span>by {esc(row.created_by)}</span><span>{esc(o.age)}</span></div>'
        f'<span class="sp"></span>{turn}<a class="btn" href="/annotate?study={row.id}">Annotate</a>'
        f'<a class="btn" href="{esc(agreement_link(row.name))}">Agreement</a></div>'
        f'<div class="files"><span class="lab">Download</span>{files}<span class="sp"></span>{train}</div>'
    )


def _progress(o: OpenStudy) -> str:
    told = o.told
    share = told.labelled / told.wanted if told.wanted else 0
    ended = _pairs([(word.replace("_", " "), n) for word, n in told.finishes.items()])
    tiles = [
        (f"{told.labelled:,}<s>of {told.wanted:,}</s>", "turns labelled"),
        (
            f"{told.study.items or 0:,}",
            f"item{'' if told.study.items == 1 else 's'}"
            + (f", {told.gold_items:,} of them gold" if told.gold_items else ""),
        ),
        (f"{len(told.open):,}", "conflicts open"),
        (f"{len(told.settled):,}", "settled"),
    ]
    shown = "".join(f'<div><b class="num">{value}</b><span>{esc(name)}</span></div>' for value, name in tiles)
    how = f'<div class="ended"><span class="lab">Ended as</span>{ended}</div>' if ended else ""
    percent = round(100 * share)
    return (
        f'<div class="tiles">{shown}{how}</div><div class="track" role="progressbar" aria-valuenow="{percent}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-label="turns labelled">{_bar(share)}</div>'
    )


def _pairs(rows: Sequence[tuple[str, int]]) -> str:
    lines = "".join(f'<div><dt>{esc(name)}</dt><dd class="num">{n:,}</dd></div>' for name, n in rows)
    return f'<dl class="pairs">{lines}</dl>' if lines else ""


def _people(o: OpenStudy) -> str:
    arms = [arm for arm in ARMS if stored(o.told.study.config).arms.get(arm)]
    show_arms = len(arms) > 1
    gold = o.told.gold_items > 0
    rows = "".join(_person(p, show_arms, gold) for p in o.told.people)
    rows += "".join(_idle(user, 5 + show_arms + gold) for user in o.idle)
    add = f'<p class="dim fine">Accounts are made on the command line: <code>{ACCOUNTS}</code></p>'
    if not o.accounts:
        add = (
            '<p class="dim fine">There are no accounts: whoever sits at this machine labels as “local”. '
            f"<code>{ACCOUNTS} --role admin</code> makes the first one.</p>"
        )
    if not rows:
        return f'<section><h3>People</h3><p class="dim">Nobody has begun.</p>{add}</section>'
    heads = ["person", "labelled", "open", "median", *(["gold right"] if gold else []), "ended as", "flags"]
    heads += ["arms"] if show_arms else []
    head = "".join(f"<th>{esc(h)}</th>" for h in heads)
    return (
        f'<section><h3>People</h3><div class="wide"><table class="plain people"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{add}</section>"
    )


def _person(p: PersonLine, arms: bool, gold: bool) -> str:
    seconds = f"{p.seconds:.0f} s" if p.seconds is not None else "–"
    right = f'<b>{number(p.accuracy)}</b> <span class="dim">{p.gold_right} of {p.gold}</span>' if p.gold else "–"
    cells = [
        f"<td><b>{esc(p.name)}</b></td>", *(f'<td class="num">{n:,}</td>' for n in (p.submitted, p.open)),
        f'<td class="num">{seconds}</td>', *([f'<td class="num">{right}</td>'] if gold else []),
        f"<td>{_counts(p.finishes)}</td><td>{_counts(p.flags)}</td>",
        *([f"<td>{_counts(p.arms)}</td>"] if arms else []),
    ]  # fmt: skip
    return f"<tr>{''.join(cells)}</tr>"


def _idle(user: UserRow, columns: int) -> str:
    return f'<tr class="idle"><td>{esc(user.name)}</td><td colspan="{columns}">has not begun ({user.role})</td></tr>'


def _counts(counts: Mapping[str, int]) -> str:
    parts = (
        f'<span class="cnt">{esc(word.replace("_", " "))} <b class="num">{n:,}</b></span>' for word, n in counts.items()
    )
    return "".join(parts) or '<span class="dim">–</span>'


def _conflicts(o: OpenStudy) -> str:
    open_, settled = o.told.open, o.told.settled
    if not o.told.conflicts:
        return (
            '<section><h3>Conflicts</h3><p class="dim">None: of no item do two people who submitted it say otherwise.'
            "</p></section>"
        )
    first = f'<a class="btn sm pri" href="{_item(o, open_[0])}" data-look>Settle the first</a>' if open_ else ""
    rows = "".join(_conflict(o, line) for line in open_[:LISTED])
    cut = f'<p class="dim fine">and {len(open_) - LISTED:,} more</p>' if len(open_) > LISTED else ""
    done = "".join(_conflict(o, line) for line in settled[:LISTED])
    if done:
        done = (
            f'<details data-keep="settled"><summary>{len(settled):,} settled</summary>'
            f'<div class="confl">{done}</div></details>'
        )
    none = "" if open_ else '<p class="dim">All are settled.</p>'
    return (
        f'<section><h3>Conflicts <span class="dim num">{len(open_):,} open, {len(settled):,} settled</span>'
        f'<span class="sp"></span>{first}</h3>{none}<div class="confl">{rows}</div>{cut}{done}'
        "</section>"
    )


def _item(o: OpenStudy, line: ItemLine) -> str:
    return f"?study={o.told.study.id}&amp;item={line.item.id}"


def _conflict(o: OpenStudy, line: ItemLine) -> str:
    words = line.conflict.words() if line.conflict else ["nobody disagrees any more"]
    said = "".join(f"<span>{esc(word)}</span>" for word in words)
    by = f'<span class="dim">settled by {esc(line.settled.by)}</span>' if line.settled else ""
    return (
        f'<a href="{_item(o, line)}" data-look><b class="num">{line.item.position + 1}</b>'
        f'<span class="ask1">{esc(o.asked.get(line.item.id, ""))}</span><span class="what">{said}{by}</span>'
        f'<span class="num dim">{line.people} people</span></a>'
    ).replace("1 people", "1 person")


def _remarks(o: OpenStudy) -> str:
    if not o.told.remarks:
        return "<section hidden></section>"
    rows = "".join(_remark(o, r) for r in o.told.remarks[:LISTED])
    rest = len(o.told.remarks) - LISTED
    cut = f'<p class="dim fine">and {rest:,} older</p>' if rest > 0 else ""
    return (
        f'<section><h3>Flags and notes <span class="dim num">{len(o.told.remarks):,}</span></h3>'
        f'<div class="confl notes">{rows}</div>{cut}</section>'
    )


def _remark(o: OpenStudy, r: Remark) -> str:
    flags = "".join(f'<em class="flag">{esc(flag.replace("_", " "))}</em>' for flag in r.flags)
    notes = "".join(
        f"<span>{f'step {step}: ' if step else ''}{esc(text if len(text) <= 300 else text[:300] + '…')}</span>"
        for step, text in r.notes
    )
    return (
        f'<a href="?study={o.told.study.id}&amp;item={r.item.id}" data-look><b class="num">{r.item.position + 1}</b>'
        f'<span class="ask1">{esc(o.asked.get(r.item.id, ""))}</span><span class="what">{flags}{notes}</span>'
        f"<span>{esc(r.name)}</span></a>"
    )


def _guideline(o: OpenStudy) -> str:
    newest, *older = o.guidelines
    past = "".join(
        f'<h4>Version {g.version} <span class="dim">by {esc(g.created_by)}</span></h4><pre>{esc(g.text)}</pre>'
        for g in older
    )
    past = f'<details data-keep="guidelines"><summary>{len(older)} older</summary>{past}</details>' if past else ""
    return (
        f'<h3>Guideline <span class="dim num">version {newest.version}</span><span class="sp"></span>'
        f"{button('Revise…', 'guideline', kind='sm', study=o.told.study.id)}</h3><pre>{esc(newest.text)}</pre>{past}"
    )


def _settings(o: OpenStudy) -> str:
    row = o.told.study
    c = stored(row.config)
    arms = ", ".join(f"{arm} {c.arms[arm]}" for arm in ARMS if c.arms.get(arm))
    gold = f"{number(c.gold_share)}, by {row.config.get('gold_by')}" if c.gold_share else "none"
    shown = [
        ("Questions", " ".join(ASKED[q][0] for q in QUESTIONS if q in c.questions)), ("People an item", str(c.people)),
        ("Order", f"{c.order}: {ORDERS[c.order]}"), ("Arms", arms), ("Gold items", gold),
        ("Lease", f"{c.lease_minutes:g} min"), ("Seed", str(c.seed)),
    ]  # fmt: skip
    if c.scorer:
        shown[4:4] = [("Scorer", c.scorer.partition("@")[0]), ("Threshold", number(c.threshold))]
    lines = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in shown)
    return f'<h3>Settings</h3><dl class="pairs col">{lines}</dl>'
