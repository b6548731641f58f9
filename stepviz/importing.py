"""Import: read a source, grade its chains, write them to the store in batches, say what came in and what did not.

Each batch is one transaction, and what is stored already stays as it is: an import that was killed goes on where
it was when it is started again, and the same file twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ItemCounts, ProblemRow
from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.grading import NO_GOLD, grade_again, grade_chains, waits
from stepviz.sources import Unreadable, rows
from stepviz.sources.mapping import Mapping as ColumnMapping
from stepviz.types import Refusal, SourceItem, Verdict

BATCH = 200  # items a transaction
HOPELESS = 2_000  # rows refused before one came in, of a file that looks like another format: it is that one

NAMED = 100  # refused rows named in an error; a report names all

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A chain whose file calls its answer right or wrong where our grader says otherwise."""

    line: int
    chain_id: str
    flag: bool
    verdict: Verdict
    gold: str | None


@dataclass(slots=True)
class ImportReport:
    """What an import did. correct, wrong and unknown count the chains read, new or not."""

    format: str
    path: str
    rows: int = 0
    problems_new: int = 0
    chains_new: int = 0
    annotations_new: int = 0
    unchanged: int = 0  # items that brought nothing new
    refused: list[Refusal] = field(default_factory=list)
    correct: int = 0
    wrong: int = 0
    unknown: int = 0
    regraded: int = 0  # chains stored before whose problem has a gold answer only now
    disagreements: list[Disagreement] = field(default_factory=list)
    cancelled: bool = False

    def add(self, counts: ItemCounts) -> None:
        self.problems_new += counts.problems_new
        self.chains_new += counts.chains_new
        self.annotations_new += counts.annotations_new
        self.unchanged += counts.unchanged

    def count(self, verdict: Verdict) -> None:
        setattr(self, verdict.value, getattr(self, verdict.value) + 1)


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
        raise Unreadable(_nothing_read(report))
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
            raise Unreadable(_nothing_read(report))


def _nothing_read(report: ImportReport) -> str:
    if not report.refused:
        return f"{report.path}: there is not one row in it."
    looks = _looks_like_another(report)
    hint = f" It looks like {looks}: import it as that." if looks else ""
    if not looks and sources.detect(report.path) and report.format != "table":
        hint = " It has rows: import it as a table, and say which column is what."
    named = "\n".join(map(str, report.refused[:NAMED]))
    more = f"\n… and {len(report.refused) - NAMED} more" if len(report.refused) > NAMED else ""
    return f"{report.path}: none of {report.rows} rows could be read as {report.format}.{hint}\n{named}{more}"


def _looks_like_another(report: ImportReport) -> str | None:
    """A format, other than the one asked for and than any table, that the first rows look like."""
    looks = sources.detect(report.path)
    return looks if looks not in (None, report.format, "table") else None


def _tell(on_progress: Progress | None, report: ImportReport, total: int | None) -> None:
    if on_progress:
        note = f"{report.chains_new} new chains, {len(report.refused)} rows refused"
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
    report.regraded += len(late.keys() - verdicts.keys())
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
    for chain in item.chains:
        verdict, flag = verdicts[chain.id], chain.meta.get("flag")
        report.count(verdict)
        if isinstance(flag, bool) and verdict.value != "unknown" and flag != (verdict.value == "correct"):
            gold = _gold(item, store.problem(item.problem.id))
            report.disagreements.append(Disagreement(item.line, chain.id, flag, verdict, gold))


def _gold(item: SourceItem, row: ProblemRow | None) -> str | None:
    """The gold answer that the store keeps for the problem: the first that any source brings."""
    return (row.answer if row else None) or item.problem.answer


def _verdicts(batch: list[SourceItem], known: Mapping[str, ProblemRow | None], answer_rule: str) -> dict[str, Verdict]:
    chains = [(_gold(item, known[item.problem.id]), chain) for item in batch for chain in item.chains]
    return grade_chains(chains, answer_rule)


def _regrade(store: Store, problem_ids: Iterable[str], rule: str) -> dict[str, Verdict]:
    """Chain id → verdict for what was stored before its problem had a gold answer, draws too; stored."""
    return grade_again(store, store.waiting_for_gold(problem_ids, NO_GOLD), waits, rule)
