"""What an import did, counted and in words: the command line and the Import page say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from db.values import ItemCounts
from stepviz.sources.files import stem
from stepviz.types import Refusal, SourceItem, Verdict

Kind = Literal["correct", "wrong", "file_correct", "file_wrong", "unknown", "no_gold", "partial"]
_COUNTERS: dict[Kind, tuple[str, ...]] = {  # what a chain of the kind counts as
    "file_correct": ("correct", "by_file"),
    "file_wrong": ("wrong", "by_file"),
    "no_gold": ("unknown", "no_gold"),
}

_EXAMPLES = 3  # rows named of many that are refused for one reason
_GOLD_OF = {"prm800k": "math", "math-shepherd": "gsm8k and math", "processbench": "gsm8k or math"}  # their answers


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
    """What an import did. A problem and a chain count once, however many rows bring them, new or not.

    chains = correct + wrong + unknown + partial. partial: the chain ends before an answer, so there is nothing to
    judge. no_gold, of the unknown: nothing to judge the answer by. by_file, of the correct and wrong: the file says
    so, where our grader cannot. unchanged: rows that brought nothing new.
    regraded: chains of other imports that are judged now, because this one brings their problem's gold answer.
    """

    format: str
    path: str
    rows: int = 0
    problems: int = 0
    chains: int = 0
    annotations: int = 0
    refinements: int = 0
    problems_new: int = 0
    chains_new: int = 0
    annotations_new: int = 0
    refinements_new: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)
    correct: int = 0
    wrong: int = 0
    unknown: int = 0
    no_gold: int = 0
    by_file: int = 0
    partial: int = 0
    regraded: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    cancelled: bool = False
    seen_problems: set[int] = field(default_factory=set, repr=False)  # short forms of ids: millions must fit
    seen_chains: dict[int, Kind] = field(default_factory=dict, repr=False)

    def add(self, counts: ItemCounts) -> None:
        self.problems_new += counts.problems_new
        self.chains_new += counts.chains_new
        self.annotations_new += counts.annotations_new
        self.refinements_new += counts.refinements_new
        self.unchanged += counts.unchanged

    def met(self, item: SourceItem) -> None:
        """A row that came in."""
        self.seen_problems.add(_short(item.problem.id))
        self.problems = len(self.seen_problems)
        self.annotations += len(item.annotations)
        self.refinements += len(item.ledger.get("refinements", ()))

    def knows(self, chain_id: str) -> bool:
        return _short(chain_id) in self.seen_chains

    def judged(self, chain_id: str, kind: Kind) -> None:
        """A chain's verdict, the last one said of it."""
        before = self.seen_chains.get(_short(chain_id))
        self.seen_chains[_short(chain_id)] = kind
        self.chains = len(self.seen_chains)
        for one, change in ((before, -1), (kind, 1)):
            for name in _COUNTERS.get(one, (one,)) if one else ():
                setattr(self, name, getattr(self, name) + change)

    def counts(self) -> dict[str, Any]:
        """Its numbers, refused rows and disagreements counted."""
        numbers = {name: value for name in self.__slots__ if type(value := getattr(self, name)) is int}
        return {**numbers, "refused": len(self.refused), "disagreements": len(self.disagreements)}


def _short(id_: str) -> int:
    return int(id_[:15], 16)


def counted(n: int, what: str) -> str:
    """1 → "1 row", 1319 → "1,319 rows"."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def source_of(format: str, path: Path | str) -> str | None:
    """The source that an import's problems belong to; None for our own format, which brings many."""
    return {"table": f"mine/{stem(path)}", "stepviz": None}.get(format, format)


def told(format: str, report: Mapping[str, Any]) -> list[str]:
    """The numbers of `ImportReport.counts` as sentences: what came in, what it is worth, what to do about it."""
    said = [_held(format, report)]
    new = ("problems_new", "chains_new", "annotations_new", "refinements_new", "regraded")
    if report["problems"] and not any(report.get(name) for name in new):  # an older run knows no refinements
        said.append("All of it was here already: nothing changed.")
    said += _judged(format, report)
    if n := report["regraded"]:
        are = "was here before is" if n == 1 else "were here before are"
        said.append(f"{counted(n, 'chain')} that {are} judged now, by the gold answers that came in.")
    if n := report["disagreements"]:
        said.append(f"On {counted(n, 'chain')} we decide otherwise than the file does.")
    if report["problems"] and report["problems"] == report["problems_new"] and not report["chains"]:
        said.append("There are no chains yet: sample some, or import a file with solutions.")
    return said


def _held(format: str, report: Mapping[str, Any]) -> str:
    """The rows, and what those that came in hold."""
    read = f"{counted(report['rows'], 'row')} read as {format}"
    if refused := report["refused"]:
        read += f", {refused:,} refused"
    names = {"problems": "problem", "chains": "chain", "annotations": "label", "refinements": "refined draft"}
    held = [
        f"{counted(report[name], what)} ({_new(report[name], report[f'{name}_new'])})"
        for name, what in names.items()
        if report.get(name)
    ]
    return f"{read}: {' and '.join(filter(None, [', '.join(held[:-1]), held[-1]]))}." if held else f"{read}."


def _new(n: int, new: int) -> str:
    if n == new:
        return "new" if n == 1 else "all new"
    return f"{new:,} new" if new else "here already" if n == 1 else "all here already"


def _judged(format: str, report: Mapping[str, Any]) -> list[str]:
    """What the chains are worth, in numbers that add up to them."""
    said = []
    if n := report["partial"]:
        said.append(f"{counted(n, 'chain')} {'ends' if n == 1 else 'end'} before an answer: nothing to judge there.")
    waiting, undecided = report["no_gold"], report["unknown"] - report["no_gold"]
    kinds = {
        "correct": report["correct"],
        "wrong": report["wrong"],
        "cannot be judged": undecided,
        "without a gold answer to judge by": waiting,
    }
    whole = report["chains"] - report["partial"]
    if whole:
        what = counted(whole, "whole chain" if report["partial"] else "chain")
        said.append(f"{what}: {', '.join(f'{n:,} {kind}' for kind, n in kinds.items() if n)}.")
    if n := report["by_file"]:
        how = "1 verdict is" if n == 1 else f"{n:,} verdicts are"
        said.append(f"{how} the file's own, because ours needs a gold answer and an answer that it can read.")
    if waiting or (report["by_file"] and format in _GOLD_OF):
        said.append(_gold(format))
    return said


def _gold(format: str) -> str:
    if known := _GOLD_OF.get(format):
        return f"Import {known}, where {format} has its problems from: then we judge them."
    if format == "table":
        return "Say which column is the answer, or import a data set that has the answers: then we judge them."
    return "Import a data set that has the answers to these problems: then we judge them."


def named(refused: Sequence[Refusal], each: int) -> list[str]:
    """Lines that name refused rows: of those refused for one reason all up to `each`, of more the first three."""
    groups: dict[str, list[Refusal]] = {}
    for refusal in refused:
        groups.setdefault(re.sub(r"[0-9]+", "0", refusal.reason), []).append(refusal)
    found, shown = [], list(groups.values())[: 2 * each]
    for group in shown:
        few = group if len(group) <= each else group[:_EXAMPLES]
        found += map(str, few)
        if more := len(group) - len(few):
            found.append(f"… and {more:,} more for the same reason")
    if rest := len(refused) - sum(map(len, shown)):
        found.append(f"… and {rest:,} more for other reasons")
    return found
