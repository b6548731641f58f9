"""`self-explore`: pairs at the first pit (Hwang et al., Self-Explore, arXiv 2404.10346; code hbin0701/Self-Explore,
gen/get_dpo_data.py, step_explore and form_gpair; papers.md 2.2 and 2.4).

D_pair: each right sample that RFT keeps takes the wrong chain with the largest edit distance, each wrong chain at
most once. Granular pairs (form_gpair): walk along the wrong chain to its first pit t, the first step from which none
of k = 4 continuations is right.

    no pit   discarded: the explorer does not reject this chain
    t = 1    prompt = the question;              rejected = step 1;  chosen = the right solution of D_pair
    t > 1    prompt = question + steps 1 … t−1;  rejected = step t;  chosen = the shortest right continuation of
             prefix(t−1) not used before for this question; none left: skipped

At last a pair stays only if its chosen *and* its rejected are new for its question.

Decisions:
1. A pit at the answer line only is no pit: in the code its rejected text is cut down to nothing.
2. Rejected is the text of the step alone, without a newline or an end token. Chosen goes on to the answer.
3. The prompt ends after the separator before step t, as the prefix was continued. White space around a chosen text
   is left out; the code moves a newline to the prompt where chosen and rejected both begin with it, and ours never do.
4. Right and wrong are the project's grader's, the same in the walk and for the pair: the code compares raw strings
   in one place and normalised ones in the other, and finds false pits.
5. "chosen must not contain the rejected step": meant by the code (its test looks into a list, so it never applies);
   here such a continuation is no candidate, and such a right solution gives no pair.
6. Among the shortest (in characters) the first drawn is taken. Candidates are the k continuations of the walk.
7. Used and equal texts are remembered by question, not by the first line of the prompt.
8. `paired=False` explores every distinct wrong chain; for t = 1 its right solution is then the kept one with the
   largest edit distance.
9. A wrong chain with a step before its pit that has fewer than k continuations, none of them right, gives nothing. With
   a right one it is known to be no pit; the candidates of (6) are then those that were drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepviz import self_explore as paper
from stepviz.recipes.case import (
    DUPLICATE,
    NO_WRONG,
    NOT_MEASURED,
    Attempt,
    Case,
    Dropped,
    Row,
    at_least,
    origin,
)
from stepviz.recipes.distances import edit_distance
from stepviz.recipes.supervised import Rft, distinct_right
from stepviz.types import prefix_hash

NO_PIT = "a wrong chain without a pit: the answer is reached from every step"
ANSWER_PIT = "a wrong chain whose only pit is its answer line"
UNPAIRED = "a wrong chain that no right sample was paired with"
NO_CHOSEN = "a pit without a right continuation that is new to the question and does not hold the rejected step"


@dataclass(frozen=True, slots=True)
class SelfExplore:
    k: int = paper.K  # continuations a step
    keep: int | None = 8  # right samples a question (RFT)
    paired: bool = True  # only the wrong chains of D_pair

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        at_least("keep", self.keep, 1)


def self_explore(case: Case, options: SelfExplore, dropped: Dropped) -> Iterator[Row]:
    """{prompt, chosen, rejected, origin}: preferences at the first pit of wrong chains."""
    case = case.measured(options.k)
    right = distinct_right(case, Rft(keep=options.keep), dropped)
    distinct = {a.solution: a for a in reversed(case.attempts) if a.wrong and a.chain.n}
    wrong = list(distinct.values())[::-1]
    if not right:
        return  # distinct_right has said why
    if not wrong:
        dropped.add(NO_WRONG)
        return
    if options.paired:
        pairs = outcome_pairs(right, wrong)
        dropped.add(UNPAIRED, len(wrong) - len(pairs))
    else:
        pairs = [(max(right, key=lambda a, bad=bad: edit_distance(a.solution, bad.solution)), bad) for bad in wrong]
    used: set[str] = set()
    chosen_before, rejected_before = set(), set()
    for original, bad in pairs:
        row = granular_pair(case, original, bad, options.k, used, dropped)
        if row is None:
            continue
        if row["chosen"] in chosen_before or row["rejected"] in rejected_before:
            dropped.add(DUPLICATE)
            continue
        chosen_before.add(row["chosen"])
        rejected_before.add(row["rejected"])
        yield row


def outcome_pairs(right: Sequence[Attempt], wrong: Sequence[Attempt]) -> list[tuple[Attempt, Attempt]]:
    """D_pair: (right, wrong); of wrong chains equally far the first."""
    pool, pairs = list(wrong), []
    for good in right:
        if not pool:
            break
        bad = max(pool, key=lambda a: edit_distance(good.solution, a.solution))
        pool.remove(bad)
        pairs.append((good, bad))
    return pairs


def granular_pair(case: Case, original: Attempt, bad: Attempt, k: int, used: set[str], dropped: Dropped) -> Row | None:
    """The pair at the first pit of `bad`; what it takes from a prefix's continuations goes into `used`."""
    values = case.values(bad)
    pit = paper.first_pit(values, k).step
    if pit is None:
        measured = all(value.n >= k or value.k or value.terminal for value in values[1:])
        dropped.add(NO_PIT if measured else NOT_MEASURED)
        return None
    if values[pit].terminal is not None:
        dropped.add(ANSWER_PIT)
        return None
    rejected = bad.chain.steps[pit - 1].strip()
    if pit == 1:
        prefix, source = "", original.chain.id
        chosen = original.solution if rejected not in original.solution else None
    else:
        prefix, draws = case.after(bad, pit - 1)
        texts = [(draw.text.strip(), draw.j) for draw in draws if draw.verdict == "correct"]
        fresh = [(text, j) for text, j in texts if text not in used and rejected not in text]
        chosen, j = min(fresh, key=lambda found: len(found[0]), default=(None, -1))
        source = f"{prefix_hash(prefix)}/{j}"
    if not chosen:
        dropped.add(NO_CHOSEN)
        return None
    if pit > 1:
        used.add(chosen)
    return {
        "prompt": case.prompt + prefix,
        "chosen": chosen,
        "rejected": rejected,
        "origin": origin(case.problem, bad, pit, chosen=source),
    }
