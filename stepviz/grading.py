"""Verdicts of stored chains and draws: on what comes in, and again for a gold answer that came later or a newer grader.

A verdict names the grader's version. Each time, draws are graded before the chains that end with them, which take
their verdict; what people say of a chain stays above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from db.store import Store
from db.values import ChainRow, ContinuationKey
from stepviz.answers import GRADER, RULES, extract, grade, grade_many
from stepviz.rollouts import graded_again
from stepviz.types import Chain, Continuation, Verdict

NO_GOLD = grade(None, "").reason  # what the grader says of every answer while the problem has no gold
BATCH = 50  # problems between two looks at the bell

Stale = Callable[[Verdict], bool]


@dataclass(slots=True)
class Regraded:
    """What an older grader had judged, and how much of it is judged otherwise now."""

    problems: int = 0
    chains: int = 0
    draws: int = 0
    changed: int = 0  # chains and draws that are now right, wrong or unknown where they were not

    def count(self, was: Verdict, now: Verdict) -> None:
        self.changed += was.value != now.value


def waits(verdict: Verdict) -> bool:
    """Whether it was given, or not given, for want of a gold answer (Store.waiting_for_gold asks the same)."""
    return not verdict.grader or verdict.reason.startswith(NO_GOLD)


def is_old(verdict: Verdict) -> bool:
    """Whether an older grader gave it (Store.graded_before asks the same); a file's flag stands in for a grader too."""
    return verdict.grader.startswith(("stepviz/", "file:")) and verdict.grader.partition("+")[0] != GRADER


def regrade(
    store: Store,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Regraded:
    """Grades again, and stores, what an older grader judged; a stop loses nothing, and the next call goes on.

    on_progress: (problems done, problems there were to do), after each batch.
    """
    report = Regraded()
    ids = store.graded_before(GRADER)
    for start in range(0, len(ids), BATCH):
        if cancelled():
            break
        some = ids[start : start + BATCH]
        grade_again(store, some, is_old, "auto", report)
        report.problems += len(some)
        if on_progress:
            on_progress(report.problems, len(ids))
    return report


def grade_again(
    store: Store, problem_ids: Iterable[str], stale: Stale, rule: str, report: Regraded | None = None
) -> dict[str, Verdict]:
    """Chain id → the new verdict, for the problems' chains whose verdict is `stale`, draws too; stored.

    The store says what is to be done, not the caller's memory: what was killed here is made good by the next call.
    rule: for chains that do not say how their answer is to be read.
    """
    report = report or Regraded()
    asked: dict[str, list[tuple[str | None, Chain]]] = defaultdict(list)
    old: dict[str, Verdict] = {}
    verdicts: dict[str, Verdict] = {}
    for id_ in problem_ids:
        problem = store.problem(id_)
        assert problem is not None, "a problem of the store"
        drawn = _draws_again(store, id_, problem.answer, stale, report)
        for row in store.chains(id_):
            if not stale(row.graded):
                continue
            old[row.chain.id] = row.graded
            if row.continuation is not None:
                verdicts[row.chain.id] = drawn[row.continuation]
            else:
                asked[_rule_of(row, rule)].append((problem.answer, row.chain))
    for how, chains in asked.items():
        verdicts |= grade_chains(chains, how)
    store.set_verdicts(verdicts)
    report.chains += len(verdicts)
    for id_, verdict in verdicts.items():
        report.count(old[id_], verdict)
    return verdicts


def _rule_of(row: ChainRow, rule: str) -> str:
    """How the chain's answer is read: as it says itself, else by `rule`.

    Chains that older versions imported under another rule do not say so: where `rule` reads nothing, the one counts
    that reads what was read then.
    """
    read, text = row.graded.answer, row.chain.text
    if known := row.chain.meta.get("answer_rule"):
        return known if known in RULES else rule
    if read is None or extract(text, rule) is not None or "answer" in row.chain.meta or "pred" in row.chain.meta:
        return rule
    return next((other for other in RULES if extract(text, other) == read), rule)


def _draws_again(
    store: Store, problem_id: str, gold: str | None, stale: Stale, report: Regraded
) -> dict[ContinuationKey, Verdict]:
    """What the problem's continuations are worth, by their keys; stale verdicts are given again, and stored."""
    draws: dict[str, list[Continuation]] = {}
    for draw in store.continuations_for(problem_id):
        draws.setdefault(draw.sampling_id, []).append(draw)
    found: dict[ContinuationKey, Verdict] = {}
    for sampling_id, some in draws.items():
        old = [c for c in some if stale(_verdict(c))]
        again = graded_again(old, gold or "", store.sampling(sampling_id).style.answer_rule)
        store.set_continuation_verdicts(again)
        report.draws += len(again)
        for was, now in zip(old, again, strict=True):
            report.count(_verdict(was), _verdict(now))
        for c in [*some, *again]:  # the new verdict last
            found[ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)] = _verdict(c)
    return found


def _verdict(draw: Continuation) -> Verdict:
    return Verdict(draw.verdict, draw.reason, draw.grader, draw.answer)


def grade_chains(chains: list[tuple[str | None, Chain]], answer_rule: str = "auto") -> dict[str, Verdict]:
    """Chain id → verdict on its final answer, for (gold, chain).

    An answer that the source keeps beside the text (meta["answer"], PRM800K) counts instead of the text; one that
    somebody read out of the text (meta["pred"]) only where we read none. What our grader cannot judge is as the
    source says (meta["flag"]), and the grader's name says so.
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
    grader = f"{GRADER}+file:{chain.origin.partition('/')[0]}"
    return Verdict("correct" if flag else "wrong", reason, grader, verdict.answer)
