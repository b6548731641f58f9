"""Import: read a source, grade its chains, write them to the store in batches, say what came in and what did not.

Each batch is one transaction, and what is stored already stays as it is: an import that was killed goes on where
it was when it is started again, and the same file twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ContinuationKey, ItemCounts, ProblemRow
from stepviz import sources
from stepviz.answers import GRADER, extract, grade_many
from stepviz.errors import StepvizError
from stepviz.rollouts import graded_again
from stepviz.sources import Unreadable, rows
from stepviz.sources.mapping import Mapping as ColumnMapping
from stepviz.types import Annotation, Chain, Continuation, Refusal, SourceItem, Verdict

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
    """Grade and store a batch; where it does not hold together, item by item, so that the good ones come in."""
    if not batch:
        return
    known = {item.problem.id: store.problem(item.problem.id) for item in batch}
    verdicts = _verdicts(batch, known, answer_rule)
    live = [(item, a) for item in batch for a in item.annotations if not a.key]
    keyed = (
        [replace(item, annotations=tuple(a for a in item.annotations if a.key)) for item in batch] if live else batch
    )
    refused: set[int] = set()
    try:
        counts = store.add_items(keyed, verdicts)
        report.add(counts)
        _report_kept(counts, report)
    except StepvizError:
        for item in keyed:
            try:
                counts = store.add_items([item], verdicts)
                report.add(counts)
                _report_kept(counts, report)
            except StepvizError as reason:
                refused.add(item.line)
                report.refused.append(Refusal(report.path, item.line, str(reason).removeprefix(f"line {item.line}: ")))
    _add_live(store, [a for item, a in live if item.line not in refused], report)
    for item in batch:
        if item.line not in refused:
            _count(item, known[item.problem.id], verdicts, report)
    _regrade(store, batch, known, report, answer_rule)


def _report_kept(counts: ItemCounts, report: ImportReport) -> None:
    why = "its chain is stored with another text; the stored one stays, because labels may hang on it"
    report.refused.extend(Refusal(report.path, line, why) for line in counts.kept)


def _add_live(store: Store, labels: list[Annotation], report: ImportReport) -> None:
    """Labels without a key were given live in another store: they count here as if given now, once."""
    for label in labels:
        stands = [row.annotation for row in store.annotations(label.chain_id, label.annotator)]
        if label not in stands:
            store.add_annotation(label)
            report.annotations_new += 1


def _count(item: SourceItem, row: ProblemRow | None, verdicts: Mapping[str, Verdict], report: ImportReport) -> None:
    for chain in item.chains:
        verdict, flag = verdicts[chain.id], chain.meta.get("flag")
        report.count(verdict)
        if isinstance(flag, bool) and verdict.value != "unknown" and flag != (verdict.value == "correct"):
            gold = _gold(item, row)
            report.disagreements.append(Disagreement(item.line, chain.id, flag, verdict, gold))


def _gold(item: SourceItem, row: ProblemRow | None) -> str | None:
    """The gold answer that the store keeps for the problem: the first that any source brings."""
    return (row.answer if row else None) or item.problem.answer


def _verdicts(batch: list[SourceItem], known: Mapping[str, ProblemRow | None], answer_rule: str) -> dict[str, Verdict]:
    chains = [(_gold(item, known[item.problem.id]), chain) for item in batch for chain in item.chains]
    return grade_chains(chains, answer_rule)


def grade_chains(chains: list[tuple[str | None, Chain]], answer_rule: str = "auto") -> dict[str, Verdict]:
    """Chain id → verdict on its final answer, for (gold, chain).

    An answer that the source keeps beside the text (meta["answer"], PRM800K) counts instead of the text; one that
    somebody read out of the text (meta["pred"]) only where we read none. What our grader cannot judge is as the
    source says (meta["flag"]), with the source as the grader.
    """
    whole = [(gold, chain) for gold, chain in chains if not chain.meta.get("partial")]
    graded = grade_many([(gold, _answer_text(chain, gold, answer_rule)) for gold, chain in whole], answer_rule)
    verdicts = {chain.id: Verdict("unknown", "the chain ends before its answer", GRADER) for _, chain in chains}
    for (_, chain), verdict in zip(whole, graded, strict=True):
        verdicts[chain.id] = _or_flag(chain, verdict)
    return verdicts


def _answer_text(chain: Chain, gold: str | None, answer_rule: str) -> str:
    stated = chain.meta.get("answer")
    if stated is None and "pred" in chain.meta and gold and extract(chain.text, answer_rule) is None:
        stated = chain.meta["pred"]
    if not isinstance(stated, str):
        return chain.text
    return f"#### {stated}" if answer_rule == "gsm8k" else f"\\boxed{{{stated}}}"


def _or_flag(chain: Chain, verdict: Verdict) -> Verdict:
    flag = chain.meta.get("flag")
    if verdict.value != "unknown" or not isinstance(flag, bool):
        return verdict
    reason = f"{verdict.reason}; the file says that the answer is {'right' if flag else 'wrong'}"
    grader = f"file:{chain.origin.partition('/')[0]}"
    return Verdict("correct" if flag else "wrong", reason, grader, verdict.answer)


def _regrade(
    store: Store, batch: list[SourceItem], known: Mapping[str, ProblemRow | None], report: ImportReport, rule: str
) -> None:
    """Draws and chains stored before their problem had a gold answer are graded now that this batch brings one."""
    late: list[tuple[str | None, Chain]] = []
    verdicts: dict[str, Verdict] = {}
    for item in batch:
        gold, before = item.problem.answer, known[item.problem.id]
        if not gold or before is None or before.answer is not None:
            continue
        drawn = _regrade_draws(store, item.problem.id, gold)
        for row in store.chains(item.problem.id):
            if row.graded.grader != GRADER or row.graded.value == "unknown":
                if row.continuation in drawn:
                    verdicts[row.chain.id] = drawn[row.continuation]
                else:
                    late.append((gold, row.chain))
    if late or verdicts:
        store.set_verdicts(grade_chains(late, rule) | verdicts)
        report.regraded += len(late) + len(verdicts)


def _regrade_draws(store: Store, problem_id: str, gold: str) -> dict[ContinuationKey | None, Verdict]:
    """What the problem's continuations are worth against its gold answer, stored and given by their keys."""
    draws: dict[str, list[Continuation]] = {}
    for draw in store.continuations_for(problem_id):
        draws.setdefault(draw.sampling_id, []).append(draw)
    found: dict[ContinuationKey | None, Verdict] = {}
    for sampling_id, some in draws.items():
        again = graded_again(some, gold, store.sampling(sampling_id).style.answer_rule)
        store.set_continuation_verdicts(again)
        for c in again:
            key = ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)
            found[key] = Verdict(c.verdict, c.reason, c.grader, c.answer)
    return found
