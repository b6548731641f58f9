"""From the store to the values that Explore's lists show. No HTML, no gradio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from db.values import ChainRow, Measurement, PrefixCount, ProblemFilter, ProblemRow
from stepviz.answers import cluster
from stepviz.measure_estimate import CHARACTERS_A_TOKEN
from stepviz.refine_draw import ORIGIN as REFINEMENT
from stepviz.rollouts import prefix_of
from stepviz.self_explore import first_pit
from stepviz.types import Chain, StepValue, VerdictValue, prefix_hash
from stepviz.ui.address import Address
from stepviz.ui.engine_choice import Whose, name_of, whose
from stepviz.ui.mathtext import has_tex
from stepviz.ui.rows import AnswerShare, Cell, ChainLine, ChainList, Parent, ProblemLine, ProblemList
from stepviz.ui.view_scores import last_scores
from stepviz.ui.workbench import PAGE, SAMPLE_N, Workbench

NO_ANSWER = "(none)"


def problem_list(bench: Workbench, at: Address) -> ProblemList:
    """The page of problems that search and filters leave, in the order of arrival."""
    wanted = filter_of(at)
    total = bench.store.count_problems(wanted)
    skip = at.skip if at.skip < total else 0
    rows = bench.store.problems(wanted, limit=PAGE, offset=skip)
    ids = [r.id for r in rows]
    grown = dict.fromkeys(ids, (0, 0)) | bench.store.branches(ids)
    refined = dict.fromkeys(ids, (0, 0)) | bench.store.branches(ids, REFINEMENT)
    lines = tuple(
        ProblemLine(
            r.id,
            r.question,
            source_of(r, at.source),
            r.n_chains - grown[r.id][0],
            r.n_correct - grown[r.id][1],
            has_tex(r.question, r.solution, r.answer),
            grown[r.id][0] - refined[r.id][0],
            refined[r.id][0],
        )
        for r in rows
    )
    return ProblemList(lines, total, skip, PAGE, at.problem)


def filter_of(at: Address) -> ProblemFilter:
    return ProblemFilter(at.q, at.source or None, None, at.result or None)


def source_of(row: ProblemRow, asked: str = "") -> str:
    """The source to name: the one that was filtered for, else the first."""
    names = [s.source for s in row.sources]
    return asked if asked in names else names[0] if names else ""


def place(row: ProblemRow) -> str:
    """`gsm8k test/12`: where the problem stands in its source."""
    source, key, split = row.sources[0]
    short = key.rsplit("/", 1)[-1]
    return " ".join(part for part in (source, split or "", short) if part)


def out_of_reach(bench: Workbench, row: ProblemRow) -> str:
    """Why the engine cannot be expected to solve a problem; empty where it can."""
    if bench.embedded and not any(s.source == "embedded" for s in row.sources):
        return (
            "Out of the embedded student's reach: it knows only its own small world. Values measured here say little."
        )
    return ""


def models_of(bench: Workbench) -> list[str]:
    """Ids of the models of the engine's spec, in the order of arrival: the last one is at work."""
    return [model.id for model in bench.store.models() if model.spec == bench.engine]


def measurement(bench: Workbench, problem_id: str) -> Measurement | None:
    """Which continuations stand for the problem as a whole: those that its sampling model draws, as far as it has."""
    return whose(bench, problem_id).shown(None)


def judged_counts(bench: Workbench, row: ProblemRow, shown: Measurement | None) -> Mapping[str, PrefixCount]:
    """Successes by prefix; none where there is no gold answer, for then no continuation is a failure either."""
    if shown is None or not row.answer:
        return {}
    return bench.store.continuation_counts(row.id, shown.model_id, shown.sampling_id)


@dataclass(frozen=True, slots=True)
class Measured:
    """The counts that each chain's values are read off: of one model and one sampling a chain."""

    bench: Workbench
    problem: ProblemRow
    whose: Whose
    read: dict[Measurement | None, tuple[Mapping[str, PrefixCount], str]] = field(default_factory=dict)

    def of(self, chain: ChainRow) -> tuple[Mapping[str, PrefixCount], str]:
        """Successes by prefix, and what stands between steps in those prefixes."""
        shown = self.whose.shown(chain)
        if shown not in self.read:
            self.read[shown] = judged_counts(self.bench, self.problem, shown), separator_of(self.bench, shown)
        return self.read[shown]

    def names(self, chains: Sequence[ChainRow]) -> tuple[str, ...]:
        """Whose values stand in a list of chains."""
        shown = dict.fromkeys(m.model_id for c in chains if (m := self.whose.shown(c)))
        return tuple(id.partition("@")[0] for id in shown)


def separator_of(bench: Workbench, shown: Measurement | None) -> str:
    """What stands between steps in the prefixes that were continued."""
    return bench.store.sampling(shown.sampling_id).style.separator if shown else "\n"


def values_of(
    chain: Chain, verdict: VerdictValue, counts: Mapping[str, PrefixCount], separator: str
) -> list[StepValue]:
    """V[0…n] from counts alone, as rollouts.values reads them off the draws."""
    found = []
    answered = next((i for i, span in enumerate(chain.spans, 1) if span.kind == "answer"), chain.n + 1)
    for i in range(chain.n + 1):
        if i >= answered:
            found.append(StepValue(i, 0, 0, terminal=verdict))
            continue
        if not counts:  # nothing was drawn: no prefix needs to be hashed
            found.append(StepValue(i, 0, 0))
            continue
        n, k, unfinished = counts.get(prefix_hash(prefix_of(chain, i, separator)), (0, 0, 0))
        found.append(StepValue(i, k, n, unfinished))
    return found


def chain_list(bench: Workbench, at: Address, row: ProblemRow, busy: bool = False) -> ChainList:
    """The chains of a problem as lines, with the clusters of their answers."""
    rows = bench.store.chains(row.id)
    theirs = whose(bench, row.id, at.by, rows)
    known = Measured(bench, row, theirs)
    shares, cluster_of = answer_shares(rows)
    scorer, scores = last_scores(bench, rows, at.scorer)
    numbers = {r.chain.id: r.number for r in rows}
    kept = [
        r
        for r in rows
        if (not at.answer or cluster_of[r.chain.id] == at.answer) and (not at.origin or r.chain.origin == at.origin)
    ]
    lines = [_line(r, *known.of(r), scores.get(r.chain.id), numbers) for r in kept]
    origins = Counter(r.chain.origin for r in rows)
    draws = draws_of_one_rate(rows, replace(theirs, by="").shown(None))
    right = sum(r.verdict.value == "correct" for r in draws or rows)
    judged = bool(row.answer) or any(r.verdict.value != "unknown" for r in rows)
    return ChainList(
        problem=row.id,
        place=place(row),
        lines=tuple(sorted(lines, key=_ORDER.get(at.sort, _ORDER["number"]))),
        of=len(rows),
        shares=shares,
        right=right if judged else None,
        rated=len(draws) or None,
        interval=StepValue(0, right, len(draws)).interval() if judged and draws else None,
        picked=at.answer,
        sort=at.sort,
        origin=at.origin,
        origins=tuple(sorted(origins.items())),
        selected=at.chain,
        scorer=scorer,
        out_of_reach=out_of_reach(bench, row),
        sample_n=SAMPLE_N,
        sampler=name_of(bench.engine),
        measured_by=known.names(kept),
        cost=sample_cost(bench, row.id, rows),
        busy=busy,
        tex=has_tex(row.question, row.answer, *(r.verdict.answer for r in rows)),
    )


def draws_of_one_rate(rows: Sequence[ChainRow], shown: Measurement | None) -> list[ChainRow]:
    """The chains that are draws from the question by one author under one sampling; [] where nothing says which.

    All of them if they are; else those of the model and the sampling whose continuations give the values. A chain of
    another sampling (greedy, another temperature) is right at another rate, and a branch is no draw from the question.
    """
    roots = [r for r in rows if r.chain.parent is None]
    if len(roots) == len(rows) and len({(r.chain.origin, r.sampling_id) for r in rows}) == 1:
        return roots
    return [r for r in roots if shown and (r.model_id, r.sampling_id) == (shown.model_id, shown.sampling_id)]


_ORDER = {
    "number": lambda line: line.number,
    "value": lambda line: (-(_last(line) if _last(line) is not None else -1.0), line.number),
    "pit": lambda line: (next((i for i, c in enumerate(line.cells) if c.pit), 10_000), line.number),
    "length": lambda line: (len(line.cells), line.number),
}


def _last(line: ChainLine) -> float | None:
    """The last value before the answer line."""
    known = [cell.value for cell in line.cells[:-1] if cell.value is not None]
    return known[-1] if known else None


def _line(
    row: ChainRow, counts: Mapping[str, PrefixCount], separator: str, score: float | None, numbers: Mapping[str, int]
) -> ChainLine:
    values = values_of(row.chain, row.verdict.value, counts, separator)
    measured = any(v.n for v in values[1:])
    pit = first_pit(values).step if measured and row.verdict.value != "correct" else None
    cells = tuple(Cell(v.value, v.step == pit) for v in values[1:])
    of = numbers.get(row.chain.parent) if row.chain.parent else None
    parent = parent_of(row.chain, of) if of else None
    return ChainLine(
        row.chain.id, row.number, row.verdict.value, row.verdict.answer, cells, row.chain.origin, score, parent
    )


def parent_of(chain: Chain, number: int, line: int | None = None) -> Parent:
    """How a chain grew out of its parent, whose number is given; line: of the ledger, where it stands there."""
    assert chain.parent is not None, "the question's own draws grew out of nothing"
    if chain.origin != REFINEMENT:
        return Parent(chain.parent, number, chain.branch_step or 0)
    bad = chain.meta.get("bad")  # the step that was marked; none in a global refinement
    return Parent(chain.parent, number, bad or 0, "local" if bad else "global", line)


def answer_shares(rows: Sequence[ChainRow]) -> tuple[tuple[AnswerShare, ...], dict[str, str]]:
    """Clusters of equal answers, largest first, and which cluster each chain is in (by the address's key)."""
    clusters = cluster([r.verdict.answer for r in rows])
    shares, where = [], {}
    for found in clusters:
        key = found.answer if found.answer is not None else NO_ANSWER
        verdicts = Counter(rows[i].verdict.value for i in found.members)
        shares.append(AnswerShare(found.answer, verdicts.most_common(1)[0][0], len(found.members), key))
        where.update({rows[i].chain.id: key for i in found.members})
    shares.sort(key=lambda s: (s.answer is None, -s.n))
    return tuple(shares), where


def sample_cost(bench: Workbench, problem_id: str, rows: Sequence[ChainRow]) -> str:
    """`≈ 900 tokens`: what Sample is expected to spend."""
    mean = _drawn_tokens(bench, problem_id)
    if mean is None:
        lengths = [len(r.chain.text) for r in rows] or [240]
        mean = tokens(sum(lengths) / len(lengths))
    return f"≈ {rounded(SAMPLE_N * mean)} tokens"


def _drawn_tokens(bench: Workbench, problem_id: str) -> float | None:
    """Mean tokens of the engine's draws from the question: of this problem, else of any, else under any sampling."""
    at_work = models_of(bench)[-1:]
    scopes = ((bench.sampling.hash, problem_id), (bench.sampling.hash, None), (None, None))
    means = (bench.store.mean_tokens(model, *scope) for model in at_work for scope in scopes)
    return next((mean for mean in means if mean is not None), None)


def tokens(characters: float) -> float:
    """Tokens that so many characters of reasoning are expected to cost; the end token counts."""
    return characters / CHARACTERS_A_TOKEN + 1


def rounded(n: float) -> str:
    """Two figures: 4,300."""
    if n < 100:
        return str(round(n))
    digits = len(str(int(n))) - 2
    return f"{round(n, -digits):,.0f}"
