"""Reference solutions in GSM8K's style: a route through the graph, terse or fine-grained, now and then with a detour.

A step asserts a quantity by name: `24*6=<<24*6=144>>144 beads on Monday`. Detours, in about a tenth of the
solutions, are what makes the papers' corner cases happen in samples: a *redundant* step (true, not needed),
a *bypass* (a misread step on a route that the rest does not take), a *repair* (a misread step, then taken back).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from stepviz.world.expressions import evaluate, number_text, parse, show
from stepviz.world.graph import Graph

REDUNDANT, BYPASS, REPAIR = 0.03, 0.06, 0.07  # share of the solutions that try each detour
TERSE, MERGED = 0.4, 0.25  # share of the terse solutions; of their lines, those that hold two assertions
REPAIR_MARK = "No, that is wrong. "


@dataclass(frozen=True, slots=True)
class Planned:
    """One assertion to be written: derivation `index`, or a misreading of it."""

    index: int
    wrong: str | None = None
    repairs: bool = False


def reference(graph: Graph, rng: random.Random) -> str:
    """A solution that ends in `#### N` with the true answer."""
    plan = with_detour(graph, route(graph, rng), rng)
    lines = write(graph, plan, rng)
    return "\n".join([*lines, f"#### {number_text(graph.truth[graph.target])}"])


def route(graph: Graph, rng: random.Random) -> list[int]:
    """Derivations from the givens to the target, in an order that works; at a fork any route, by a coin."""
    plan: list[int] = []
    done: set[int] = set(graph.givens)

    def reach(quantity: int) -> None:
        if quantity in done:
            return
        options = [i for i, d in enumerate(graph.derivations) if d.target == quantity]
        index = rng.choice(options)
        operands = sorted(graph.operands[index])
        rng.shuffle(operands)
        for operand in operands:
            reach(operand)
        done.add(quantity)
        plan.append(index)

    reach(graph.target)
    return plan


def with_detour(graph: Graph, plan: list[int], rng: random.Random) -> list[Planned]:
    steps = [Planned(i) for i in plan]
    dice = rng.random()
    unused = [i for i, d in enumerate(graph.derivations) if d.target not in {graph.derivations[j].target for j in plan}]
    if dice < REDUNDANT:
        return _insert(graph, steps, list(unused), rng, wrong=False)
    if dice < REDUNDANT + BYPASS:
        return _insert(graph, steps, unused, rng, wrong=True)
    if dice < REDUNDANT + BYPASS + REPAIR:
        options = [n for n, s in enumerate(steps) if graph.derivations[s.index].misread]
        if options:
            at = rng.choice(options)
            misread = rng.choice(graph.derivations[steps[at].index].misread)
            if _looks_wrong(misread, graph):
                repaired = Planned(steps[at].index, repairs=True)
                return [*steps[:at], Planned(steps[at].index, wrong=misread), repaired, *steps[at + 1 :]]
    return steps


def _insert(graph: Graph, steps: list[Planned], unused: list[int], rng: random.Random, wrong: bool) -> list[Planned]:
    """A step off the route, true or with its sign turned, at a place where its operands are known."""
    rng.shuffle(unused)
    for index in unused:
        known, place = set(graph.givens), 0
        while not graph.operands[index] <= known and place < len(steps):
            known.add(graph.derivations[steps[place].index].target)
            place += 1
        if not graph.operands[index] <= known or place >= len(steps):
            continue
        turned = turn(graph.derivations[index].expr) if wrong else None
        if wrong and not (turned and _looks_wrong(turned, graph)):
            continue
        at = rng.randint(place, len(steps) - 1)
        return [*steps[:at], Planned(index, wrong=turned), *steps[at:]]
    return steps


def _looks_wrong(expr: str, graph: Graph) -> bool:
    """Whether a misreading gives a number that could stand in a text and belongs to no quantity."""
    value = evaluate_text(expr, graph)
    return value is not None and value > 0 and value not in graph.truth.values()


def turn(expr: str) -> str | None:
    """The expression with its one operation turned round: + and −, × and + are mistaken for each other."""
    for symbol, other in (("+", "-"), ("-", "+"), ("*", "+")):
        if expr.count(symbol) == 1 and expr.count("#") == 2 and "/" not in expr:
            return expr.replace(symbol, other)
    return None


def evaluate_text(expr: str, graph: Graph) -> Fraction | None:
    tree = parse(expr)
    return evaluate(tree, graph.truth) if tree else None


def write(graph: Graph, plan: list[Planned], rng: random.Random) -> list[str]:
    """The steps' lines. Terse puts two assertions into a line and says little; fine-grained one, in a sentence."""
    terse = rng.random() < TERSE
    lines: list[str] = []
    waiting = ""
    for step in plan:
        d = graph.derivations[step.index]
        text = equation(step.wrong or d.expr, graph)
        name = graph.quantities[d.target].name
        mark = REPAIR_MARK if step.repairs else ""
        if not terse:
            lines.append(mark + sentence(text, name, rng))
        elif waiting and not mark:
            lines.append(f"{waiting}; {text} {name}")
            waiting = ""
        else:
            lines += [waiting] if waiting else []
            waiting = f"{mark}{text} {name}"
            if rng.random() > MERGED:
                lines.append(waiting)
                waiting = ""
    return [*lines, waiting] if waiting else lines


def equation(expr: str, graph: Graph) -> str:
    """24*6=<<24*6=144>>144; operands are true values, since a detour never feeds a later step."""
    tree = parse(expr)
    assert tree is not None, expr
    left, value = show(tree, graph.truth), evaluate(tree, graph.truth)
    assert value is not None, expr
    right = number_text(value)
    return f"{left}=<<{left}={right}>>{right}"


def sentence(text: str, name: str, rng: random.Random) -> str:
    variants = [f"The {name}: {text}.", f"The number of {name} is {text}.", f"Now the {name} are {text}."]
    if "'s " in name:
        owner, noun = name.split("'s ", 1) if not name.startswith("dollars") else ("", "")
        variants = [f"{name}: {text}.", f"The number of {name} is {text}."]
        if owner:
            variants.append(f"So {owner}'s {noun} are {text}.")
    if name.startswith("percent"):
        variants = [f"The {name} is {text}.", f"The {name}: {text}."]
    return rng.choice(variants)
