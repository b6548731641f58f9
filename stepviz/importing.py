"""Import: read a source, grade its chains, write them to the store in batches, say what came in and what did not.

Each batch is one transaction, and what is stored already stays as it is: an import that was killed goes on where
it was when it is started again, and the same file twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ProblemRow
from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.grading import NO_GOLD, grade_again, grade_chains, waits
from stepviz.import_report import Disagreement, ImportReport, Kind, counted, named
from stepviz.sources import Unreadable, rows, table
from stepviz.sources.mapping import ROLES
from stepviz.sources.mapping import Mapping as ColumnMapping
from stepviz.types import Refusal, SourceItem, Verdict

BATCH = 200  # items a transaction
HOPELESS = 2_000  # rows refused before one came in, of a file that looks like another format: it is that one

EXAMPLES = 3  # rows named of those refused for one reason, where none came in
TRIED = 20  # rows on which a format is tried before it is recommended

Progress = Callable[[dict[str, Any]], None]


def import_path(
    store: Store,
    format: str,
    path: Path | str,
    *,
    mapping: ColumnMapping | None = None,
    split: str | None = None,
    rule: str | None = None,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> ImportReport:
    """Import a file, a `datasets` folder or a hub id as `format` ("gsm8k", …, "table"; "auto": what it looks like).

    mapping (tables only), split and rule are None for the format's own. `cancelled` is asked between batches.
    Unreadable: not one row could be read; StepvizError: an option or format that is not there.
    """
    if format == "auto":
        format = sources.detect(path) or "table"
    name = sources.named(format).NAME
    report = ImportReport(name, str(path))
    found = sources.read(name, path, mapping=mapping, split=split, rule=rule, **options)
    total = rows.count(path) if on_progress else None
    answer_rule = mapping.answer_rule if mapping else "auto"
    batch: list[SourceItem] = []
    for entry in _counted(found, report):
        batch.append(entry)
        if len(batch) == BATCH:
            _store(store, batch, report, answer_rule)
            batch = []
            _tell(on_progress, report, total)
            if cancelled and cancelled():
                report.cancelled = True
                return report
    _store(store, batch, report, answer_rule)
    _tell(on_progress, report, total)
    if report.rows == len(report.refused) and not report.unchanged:
        raise _nothing_read(report)
    return report


def _counted(found: Iterable[SourceItem | Refusal], report: ImportReport) -> Iterator[SourceItem]:
    """The items; refusals go into the report. Gives up early where the format is plainly the wrong one."""
    for entry in found:
        report.rows += 1
        if isinstance(entry, SourceItem):
            yield entry
            continue
        report.refused.append(entry)
        if len(report.refused) == report.rows == HOPELESS and _looks_like_another(report):
            raise _nothing_read(report)


def _nothing_read(report: ImportReport) -> Unreadable:
    """The error that says so, with what to do and some examples; its `refused` holds all."""
    if not report.refused:
        return Unreadable(f"{report.path}: there is not one row in it.")
    first = "the first " if len(report.refused) == HOPELESS else ""
    none = f"none of {first}{counted(report.rows, 'row')}" if report.rows > 1 else "its only row could not be read"
    none += f" could be read as {report.format}" if report.rows > 1 else f" as {report.format}"
    lines = "\n".join(named(report.refused, EXAMPLES))
    error = Unreadable(f"{report.path}: {none}.{_hint(report)}\n{lines}")
    error.refused = tuple(report.refused)
    return error


def _hint(report: ImportReport) -> str:
    """How else the file could be read; a format is recommended only where it reads its first rows."""
    looks = sources.detect(report.path)
    if looks is None and report.refused[0].reason.startswith(("malformed JSON", "a row must be")):
        return " Each line must be one JSON object, or the whole file one list of them."
    if looks in (None, report.format):
        return ""
    mapping = table.guess(report.path) if looks == table.NAME else None
    if mapping and mapping.question is None:
        columns = ", ".join(table.columns(table.sample(report.path)))
        return f" It has rows with {columns}: import it as a table, and say which of them is the question."
    tried = islice(sources.read(looks, report.path), TRIED)
    if not any(isinstance(entry, SourceItem) for entry in tried):
        return ""
    if mapping is None:
        return f" It looks like {looks}: import it as {looks}."
    roles = ", ".join(f"{role}={column}" for role in ROLES if (column := getattr(mapping, role)))
    return f" As a table it can be read: {roles}."


def _looks_like_another(report: ImportReport) -> bool:
    """Whether the first rows look like a format other than the one asked for and than any table."""
    return sources.detect(report.path) not in (None, report.format, table.NAME)


def _tell(on_progress: Progress | None, report: ImportReport, total: int | None) -> None:
    if on_progress:
        refused = f", {counted(len(report.refused), 'row')} refused" if report.refused else ""
        note = f"{counted(report.chains_new, 'new chain')}{refused}"
        on_progress(
            {"done": report.rows, "total": max(total, report.rows) if total else None, "unit": "rows", "note": note}
        )


def _store(store: Store, batch: list[SourceItem], report: ImportReport, answer_rule: str) -> None:
    """Grade and store a batch, and grade what its gold answers make gradable."""
    if not batch:
        return
    known = {item.problem.id: store.problem(item.problem.id) for item in batch}
    verdicts = _verdicts(batch, known, answer_rule)
    stored = _add(store, batch, verdicts, report)
    late = _regrade(store, {item.problem.id for item in stored}, answer_rule)
    for id_ in late.keys() - verdicts.keys():
        if report.knows(id_):
            report.judged(id_, _kind(late[id_]))
        else:
            report.regraded += 1
    for item in stored:
        _count(store, item, verdicts | late, report)


def _add(
    store: Store, batch: list[SourceItem], verdicts: Mapping[str, Verdict], report: ImportReport
) -> list[SourceItem]:
    """The items that came in: all at once, or where the batch does not hold together one by one."""
    try:
        counts = store.add_items(batch, verdicts)
    except StepvizError as reason:
        if len(batch) > 1:
            return [item for one in batch for item in _add(store, [one], verdicts, report)]
        line = batch[0].line
        report.refused.append(Refusal(report.path, line, str(reason).removeprefix(f"line {line}: ")))
        return []
    report.add(counts)
    why = "its chain is stored with another text, which stays, because labels may hang on it; its own labels stay out"
    report.refused.extend(Refusal(report.path, line, why) for line in counts.kept)
    return batch


def _count(store: Store, item: SourceItem, verdicts: Mapping[str, Verdict], report: ImportReport) -> None:
    report.met(item)
    for chain in item.chains:
        verdict, flag = verdicts[chain.id], chain.meta.get("flag")
        again = report.knows(chain.id)
        report.judged(chain.id, "partial" if chain.meta.get("partial") else _kind(verdict))
        if not again and isinstance(flag, bool) and verdict.value != "unknown" and flag != (verdict.value == "correct"):
            gold = _gold(item, store.problem(item.problem.id))
            report.disagreements.append(Disagreement(item.line, chain.id, flag, verdict, gold))


def _kind(verdict: Verdict) -> Kind:
    if "+file:" in verdict.grader:
        return "file_correct" if verdict.value == "correct" else "file_wrong"
    return "no_gold" if verdict.value == "unknown" and verdict.reason.startswith(NO_GOLD) else verdict.value


def _gold(item: SourceItem, row: ProblemRow | None) -> str | None:
    """The gold answer that the store keeps for the problem: the first that any source brings."""
    return (row.answer if row else None) or item.problem.answer


def _verdicts(batch: list[SourceItem], known: Mapping[str, ProblemRow | None], answer_rule: str) -> dict[str, Verdict]:
    chains = [(_gold(item, known[item.problem.id]), chain) for item in batch for chain in item.chains]
    return grade_chains(chains, answer_rule)


def _regrade(store: Store, problem_ids: Iterable[str], rule: str) -> dict[str, Verdict]:
    """Chain id → verdict for what was stored before its problem had a gold answer, draws too; stored."""
    return grade_again(store, store.waiting_for_gold(problem_ids, NO_GOLD), waits, rule)
