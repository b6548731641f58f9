"""The exact judge (design.md, section 5): what each step asserts, and whether the answer can still be reached.

    C_i          after step i, the latest value asserted for each quantity
    valid[i]     the equations hold, operands are givens or entries of C_{i−1} (or earlier ones of the same line),
                 the derivation is in the graph
    correct[i]   valid, and all asserted values are true; valid but false is *inherited*
    progress[i]  correct, new, and on some route to the target
    solvable[i]  V* of a policy that commits to its prefix: unfinished: the target is derivable from givens and
                 the true entries of C_i without any quantity C_i holds falsely; finished: the answer is right
    first_error  the first i that is not correct; an unreadable step has a verdict of its own and is passed over
    exact_pit    wrong chains only: 1 + the last i with solvable[i] = 1

A number names its quantity (the world's numbers are in general position): an expression is matched against
the graph's derivations with the values now held. The name in the text decides where nothing matches, and where it
names what the matched quantity is only a part of ("94-36=58 tiles left", before the second thief): that is false.
Without a name, the misreading that was written decides, then the value, at last the operands. V* so defined is no
upper bound of V^π: repairs and luck succeed outside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from stepviz.types import Problem
from stepviz.world.expressions import Canonical, canonical, evaluate, leaves, number_text, parse, refs
from stepviz.world.graph import Graph
from stepviz.world.reading import NUMBER, number, read

_ANSWER = re.compile(rf"^\s*####\s*\$?\s*({NUMBER})\s*\.?\s*$")


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a step claims: quantity (None where it cannot be told), expression, value, and what is wrong with it."""

    expression: str
    value: Fraction
    quantity: int | None
    valid: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepJudgement:
    correct: bool
    valid: bool
    progress: bool
    inherited: bool
    readable: bool
    solvable: bool  # after this step
    reason: str
    assertions: tuple[Assertion, ...] = ()
    repair: bool = False  # a later, true value has replaced a false one here


@dataclass(frozen=True, slots=True)
class Judgement:
    """A chain against its graph; step numbers are 1…n, solvable0 belongs to the bare question."""

    steps: tuple[StepJudgement, ...]
    finished: bool
    right: bool  # finished, and the answer is the target's value

    solvable0: bool = True

    @property
    def solvable(self) -> tuple[bool, ...]:
        """n + 1 entries, like V."""
        return (self.solvable0, *(s.solvable for s in self.steps))

    @property
    def first_error(self) -> int | None:
        return next((i for i, s in enumerate(self.steps, 1) if s.readable and not s.correct), None)

    @property
    def exact_pit(self) -> int | None:
        """None for a right chain, and for an unfinished one that could still be solved at its end."""
        if self.right or (not self.finished and self.solvable[-1]):
            return None
        return 1 + max(i for i, ok in enumerate(self.solvable) if ok)

    @property
    def first_unsolvable(self) -> int | None:
        return next((i for i, ok in enumerate(self.solvable) if not ok), None)

    @property
    def lucky(self) -> bool:
        """A wrong step and a right answer; no pit."""
        return self.right and self.first_error is not None


class ExactJudge:
    """Judges chains of one problem of the embedded world. Pure, and fast enough to call on every redraw."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph = graph.in_either_order()
        self.misread = [(d.target, tree) for d in graph.derivations for wrong in d.misread if (tree := parse(wrong))]
        self.names = sorted(
            ((q.name.lower(), i) for i, q in enumerate(graph.quantities) if not q.given), key=lambda n: -len(n[0])
        )

    def judge(self, steps: Sequence[str]) -> Judgement:
        held: dict[int, Fraction] = {}
        judged: list[StepJudgement] = []
        answer: Fraction | None = None
        for text in steps:
            match = _ANSWER.match(text)
            stated = number(match[1]) if match and answer is None else None
            if stated is not None:
                answer = stated
                judged.append(self._answer_line(answer, held))
            else:
                judged.append(self._step(text, held, answer))
        right = answer is not None and answer == self.graph.truth[self.graph.target]
        return Judgement(tuple(judged), finished=answer is not None, right=right)

    def solvable_from(self, held: dict[int, Fraction]) -> bool:
        truth = self.graph.truth
        true = {q for q, v in held.items() if v == truth[q]}
        false = held.keys() - true
        return self.graph.target in self.graph.derivable(self.graph.givens | true, without=false)

    def _answer_line(self, answer: Fraction, held: dict[int, Fraction]) -> StepJudgement:
        graph, target = self.graph, self.graph.target
        right = answer == graph.truth[target]
        kept = held.get(target)
        inherited = not right and kept == answer
        if right:
            reason = "states the target's true value" if kept == answer else "right, but no step has derived it"
        elif inherited:
            reason = f"copies the wrong value {number_text(answer)} faithfully"
        else:
            named = [graph.quantities[q].name for q, v in {**graph.truth, **held}.items() if v == answer]
            reason = f"premature stop: {number_text(answer)} is {named[0]}" if named else "no quantity has this value"
        correct = right and kept == answer
        return StepJudgement(correct, correct or inherited, correct, inherited, True, right, reason)

    def _step(self, text: str, held: dict[int, Fraction], answer: Fraction | None) -> StepJudgement:
        truth = self.graph.truth
        before = dict(held)
        assertions = []
        for expression, written, shown, named in read(text, self.names):
            assertion = self._assertion(expression, written, shown, named, held)
            assertions.append(assertion)
            if assertion.quantity is not None and answer is None:
                held[assertion.quantity] = assertion.value
        # What stands behind the answer changes nothing: the chain is finished, right or wrong.
        solvable = self.solvable_from(held) if answer is None else answer == truth[self.graph.target]
        if not assertions:
            return StepJudgement(False, False, False, False, False, solvable, "no equation to judge")
        valid = all(a.valid for a in assertions)
        true = all(a.quantity is not None and a.value == truth[a.quantity] for a in assertions)
        correct = valid and true
        fresh = [
            a.quantity for a in assertions if a.quantity is not None and before.get(a.quantity) != truth[a.quantity]
        ]
        useful = any(quantity in self.graph.on_route for quantity in fresh)
        repair = any(
            a.quantity in before and before[a.quantity] != truth[a.quantity] == a.value
            for a in assertions
            if a.quantity is not None and a.valid
        )
        reasons = [a.reason for a in assertions if a.reason]
        if correct and not useful:
            reasons.append("true, but on no route to the answer" if fresh else "true, but already known")
        if repair:
            reasons.append("repairs an earlier error")
        inherited = valid and not true
        progress = correct and useful
        why = "; ".join(reasons)
        return StepJudgement(correct, valid, progress, inherited, True, solvable, why, tuple(assertions), repair)

    def _assertion(
        self, expression: str, written: Fraction, shown: Fraction | None, named: int | None, held: dict[int, Fraction]
    ) -> Assertion:
        graph, truth = self.graph, self.graph.truth
        tree = parse(expression)
        computed = evaluate(tree) if tree is not None else None
        value = shown if shown is not None else written
        if tree is None or computed is None:
            return Assertion(expression, value, named, False, f"{expression} cannot be computed")
        now = {i: v for i, v in truth.items() if i in graph.givens} | held
        form = canonical(tree)
        matches = [
            i
            for i, (t, operands) in enumerate(zip(graph.trees, graph.operands, strict=True))
            if operands <= now.keys() and canonical(t, now) == form
        ]
        matches.sort(
            key=lambda i: (graph.derivations[i].target != named, any(now[o] != truth[o] for o in graph.operands[i]))
        )
        holds = computed == written == value
        if matches and holds and self._claims_more(named, {graph.derivations[i].target for i in matches}):
            assert named is not None
            step = graph.quantities[graph.derivations[matches[0]].target].name
            reason = f"{number_text(value)} is {step}, not yet {graph.quantities[named].name}"
            return Assertion(expression, value, named, False, reason)
        if matches:
            d = graph.derivations[matches[0]]
            name = graph.quantities[d.target].name
            if not holds:
                right = number_text(computed)
                return Assertion(
                    expression, value, d.target, False, f"{expression} is {right}, not {number_text(value)}"
                )
            if value != truth[d.target]:
                wrong = next(o for o in refs(graph.trees[matches[0]]) if now[o] != truth[o])
                return Assertion(
                    expression, value, d.target, True,
                    f"{name}: follows from the wrong {graph.quantities[wrong].name}",
                )  # fmt: skip
            # the text may say another name, or one that the problem has not: say what the numbers were taken for
            return Assertion(expression, value, d.target, True, "" if named == d.target else f"its numbers are {name}")
        quantity = named if named is not None else self._meant(form, value, now)
        return Assertion(expression, value, quantity, False, self._why(expression, computed, value, quantity, held))

    def _claims_more(self, named: int | None, matched: set[int]) -> bool:
        """Whether the name says a later quantity than the expression gives: one derived from what matched."""
        if named is None or named in matched:
            return False
        derived = [o for d, o in zip(self.graph.derivations, self.graph.operands, strict=True) if d.target == named]
        return any(operands & matched for operands in derived)

    def _meant(self, form: Canonical, value: Fraction, now: Mapping[int, Fraction]) -> int | None:
        """The quantity that an unnamed expression in no derivation stands for, None where that cannot be told."""
        graph = self.graph
        misread = {t for t, tree in self.misread if set(refs(tree)) <= now.keys() and canonical(tree, now) == form}
        if len(misread) == 1:
            return misread.pop()
        same = [i for i, v in graph.truth.items() if v == value and i not in graph.givens]
        if len(same) == 1:
            return same[0]
        numbers = sorted(leaves(form))
        same_operands = {
            d.target
            for d, tree, operands in zip(graph.derivations, graph.trees, graph.operands, strict=True)
            if operands <= now.keys() and sorted(leaves(canonical(tree, now))) == numbers
        }
        return same_operands.pop() if len(same_operands) == 1 else None

    def _why(
        self, expression: str, computed: Fraction, value: Fraction, quantity: int | None, held: dict[int, Fraction]
    ) -> str:
        """What a person would say of an expression that is in no derivation."""
        graph = self.graph
        if computed != value:
            return f"{expression} is {number_text(computed)}, not {number_text(value)}"
        numbers = {Fraction(n) for n in re.findall(r"\d+(?:\.\d+)?", expression)}
        used = [q.name for q in graph.quantities if q.distractor and q.value in numbers]
        known = {graph.truth[g] for g in graph.givens} | set(held.values()) | {Fraction(60), Fraction(100)}
        constants = {Fraction(n) for d in graph.derivations for n in re.findall(r"(?<![#\d])\d+", d.expr)}
        strange = [number_text(n) for n in sorted(numbers - known - constants)]
        name = f" for {graph.quantities[quantity].name}" if quantity is not None else ""
        if used:
            return f"a distractor was used: {used[0]}"
        if strange:
            return f"{', '.join(strange)} is neither given nor derived"
        return f"{expression} is not the way{name}"


def exact_for(problem: Problem) -> ExactJudge | None:
    """The judge of an embedded problem; None for problems of which no graph is known."""
    world = problem.meta.get("world")
    return ExactJudge(Graph.from_json(world)) if isinstance(world, dict) else None
