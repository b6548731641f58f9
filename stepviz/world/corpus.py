"""What `base` reads: world text and single steps, but no whole solutions.

From each problem with a training template come two texts: the question, often with what it gives, and a few steps
of it, in any order, each with a line of the derived quantities that it needs; and a drill, a list of unrelated
equations. No order of a text's steps is a way from the givens to the answer; its lines of known quantities may state
what is missing, the answer's value among it. A share of the single steps is misread on purpose ("more than" turned
round, a sum for a product), some of these taken back in the next line, so that a student's errors are systematic, its
wrong answers cluster, and repairs happen (design.md, section 5).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from math import gcd

from stepviz.types import Problem
from stepviz.world.expressions import number_text
from stepviz.world.generator import problem
from stepviz.world.graph import Graph
from stepviz.world.solutions import REPAIR_MARK, equation, evaluate_text, sentence

MISREAD = 0.10  # of the single steps that can be misread
TAKEN_BACK = 0.4  # of those, the share that the next line repairs
DRILLED = 5  # equations in a drill


def texts(count: int, start: int = 0) -> Iterator[str]:
    """The corpus made of `count` problems: two texts from each."""
    for index in range(start, start + count):
        yield from about(problem("text", index), random.Random(f"corpus/{index}"))


def about(made: Problem, rng: random.Random) -> Iterator[str]:
    graph = Graph.from_json(made.meta["world"])
    lines = [made.question]
    if rng.random() < 0.5:
        lines.append(given(graph, rng))
    told: set[int] = set()
    for index in some_steps(graph, rng):
        if facts := known(graph, index, told, rng):
            lines.append(facts)
        lines += single_step(graph, index, rng)
        told.add(graph.derivations[index].target)
    yield "\n".join(lines)
    yield drill(rng)
    if rng.random() < 0.02:  # so that the tokenizer knows the words of an evaluator, papers.md 5.2
        yield f"The above candidate solution is {rng.choice(['correct', 'incorrect'])}."


def some_steps(graph: Graph, rng: random.Random) -> list[int]:
    """Up to four derivations in any order, of which no order is a way from the givens to the target."""
    steps = rng.sample(range(len(graph.derivations)), min(len(graph.derivations), rng.randint(2, 4)))
    while graph.target in graph.reached(steps):
        steps.pop()
    return steps


def given(graph: Graph, rng: random.Random) -> str:
    """Given: 6 bags; 24 beads a bag. Asked: Maya's beads."""
    facts = [f"{number_text(q.value)} {q.name}" for q in graph.quantities if q.given and not q.distractor]
    rng.shuffle(facts)
    return f"Given: {'; '.join(facts)}. Asked: {graph.quantities[graph.target].name}."


def known(graph: Graph, index: int, told: set[int], rng: random.Random) -> str:
    """A line of derived quantities: those that derivation `index` reads, unless a line before told, and some others."""
    d = graph.derivations[index]
    needed = [q for q in graph.operands[index] if q not in graph.givens and not (q in told and rng.random() < 0.7)]
    others = [q for q in graph.truth if q not in graph.givens and q not in needed and q != d.target]
    shown = needed + [q for q in others if rng.random() < 0.1]
    rng.shuffle(shown)
    facts = [f"{number_text(graph.truth[q])} {graph.quantities[q].name}" for q in shown]
    return f"Known: {'; '.join(facts)}." if facts else ""


def single_step(graph: Graph, index: int, rng: random.Random) -> list[str]:
    """The step's line; now and then a misreading instead, and sometimes a second line that takes it back."""
    d = graph.derivations[index]
    if d.misread and rng.random() < MISREAD:
        wrong = rng.choice(d.misread)
        if (evaluate_text(wrong, graph) or Fraction(0)) > 0:
            misread = _line(wrong, d.target, graph, rng)
            if rng.random() > TAKEN_BACK:
                return [misread]
            return [misread, REPAIR_MARK + _line(d.expr, d.target, graph, rng)]
    return [_line(d.expr, d.target, graph, rng)]


def _line(expr: str, target: int, graph: Graph, rng: random.Random) -> str:
    text, name = equation(expr, graph), graph.quantities[target].name
    return f"{text} {name}" if rng.random() < 0.4 else sentence(text, name, rng)


def drill(rng: random.Random) -> str:
    """Equations in the world's ranges, the harder operations more often."""
    return "\n".join(_equation(rng) for _ in range(DRILLED))


def _equation(rng: random.Random) -> str:
    kind = rng.choices(["+", "-", "*", "/", "%", "f"], [2, 4, 6, 3, 2, 2])[0]
    if kind in "+-":
        a, b = rng.randint(3, 600), rng.randint(3, rng.choice([90, 90, 300]))
        left, value = (
            (f"{a}+{b}", Fraction(a + b)) if kind == "+" else (f"{max(a, b)}-{min(a, b)}", Fraction(abs(a - b)))
        )
    elif kind in "*/":
        a = rng.randint(2, 19)
        b = rng.randint(2, max(3, min(rng.choice([20, 60, 200]), 999 // a)))
        x, y = (a, b) if rng.random() < 0.5 else (b, a)
        left, value = (f"{x}*{y}", Fraction(a * b)) if kind == "*" else (f"{a * b}/{a}", Fraction(b))
    elif kind == "%":
        a, p = rng.randint(20, 400), rng.choice([5, 10, 15, 20, 25, 30, 35, 40, 60, 65, 70, 75, 80, 85, 90, 95])
        a -= a % (10 // gcd(10, p))  # one decimal at most, as in the world
        left, value = f"{a}*{p}/100", Fraction(a * p, 100)
    else:
        low, high = rng.choice([(1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (2, 5), (3, 5), (1, 5), (4, 5)])
        a = high * rng.randint(2, 90)
        left, value = f"{a}*{low}/{high}", Fraction(a * low, high)
    right = number_text(value)
    return f"{left}=<<{left}={right}>>{right}"
