"""The world's promises: general position, splits by template, variety, references that the judge accepts."""

from __future__ import annotations

import random
import re
from collections import Counter
from fractions import Fraction
from itertools import permutations

import pytest

from stepviz.types import Problem
from stepviz.world import Graph, embedded_problems, exact_for, problem
from stepviz.world.corpus import about
from stepviz.world.expressions import number_text
from stepviz.world.generator import template_split
from stepviz.world.solutions import evaluate_text, reference


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return list(embedded_problems("train", 600))


def graph_of(p: Problem) -> Graph:
    return Graph.from_json(p.meta["world"])


def test_a_problem_is_a_function_of_split_and_index() -> None:
    assert problem("test", 5) == problem("test", 5)
    assert problem("test", 5).question != problem("dev", 5).question


def test_numbers_are_in_general_position(problems: list[Problem]) -> None:
    for p in problems[:200]:
        graph = graph_of(p)
        values = list(graph.truth.values())
        assert len(set(values)) == len(values), p.question
        wrong: list[Fraction] = []
        for d in graph.derivations:
            for expr in d.misread:
                value = evaluate_text(expr, graph)
                if value is None:
                    continue
                wrong.append(value)
                assert value not in values, p.question
                after = graph.propagate({d.target: value})
                changed = [v for q, v in after.items() if v != graph.truth[q]]
                assert not set(changed) & set(values), p.question
                assert len(set(changed)) == len(changed), p.question
        assert len(set(wrong)) == len(wrong), p.question


def test_every_opening_occurs_and_most_have_routes(problems: list[Problem]) -> None:
    """A general position asked of the wrong numbers once shut two openings out altogether."""
    names = [" ".join(q.name for q in graph_of(p).quantities) for p in problems]
    crates = sum(" in each c" in n and " in all " in n for n in names)
    empty = sum(" if all were full" in n for n in names)
    assert crates >= 6
    assert empty >= 6


def test_every_given_number_stands_in_the_question(problems: list[Problem]) -> None:
    for p in problems[:200]:
        numbers = Counter(re.findall(r"\d+(?:\.\d+)?", p.question))
        for q in graph_of(p).quantities:
            if q.given:
                assert numbers[number_text(q.value)] >= 1, (q, p.question)


def test_the_answer_does_not_stand_in_the_question(problems: list[Problem]) -> None:
    assert sum(bool(re.search(rf"(?<![\d.]){re.escape(p.answer or '')}(?![\d.])", p.question)) for p in problems) <= 6


def test_references_are_right_and_a_tenth_takes_a_detour(problems: list[Problem]) -> None:
    detours = 0
    for p in problems:
        judge = exact_for(p)
        assert judge is not None
        j = judge.judge((p.solution or "").split("\n"))
        assert j.right, p.solution
        assert j.steps[-1].correct, p.solution
        assert all(s.readable for s in j.steps), p.solution
        plain = all(s.progress for s in j.steps)
        needed = sum(len(s.assertions) for s in j.steps)
        detours += not plain or needed > _shortest_by_same_route(p)
    assert 0.05 <= detours / len(problems) <= 0.15


def _shortest_by_same_route(p: Problem) -> int:
    """The most assertions that a solution without a detour can have: every quantity on a route once."""
    graph = graph_of(p)
    return len([q for q in graph.on_route if q not in graph.givens])


def test_all_six_kinds_of_operation_and_the_number_of_steps(problems: list[Problem]) -> None:
    kinds = Counter(d.kind for p in problems for d in graph_of(p).derivations)
    assert {"add", "take", "times", "share", "fraction", "percent", "rate", "unit", "compare"} <= kinds.keys()
    assert {p.meta["steps"] for p in problems} == {2, 3, 4, 5, 6, 7}
    assert any(q.distractor for p in problems for q in graph_of(p).quantities)
    values = [q.value for p in problems for q in graph_of(p).quantities]
    assert any(v.denominator > 1 for v in values)
    assert any("/" in d.expr and "#" in d.expr for p in problems for d in graph_of(p).derivations)


def test_test_templates_are_unseen_in_training() -> None:
    train = {p.meta["template"] for p in embedded_problems("train", 300)}
    test = {p.meta["template"] for p in embedded_problems("test", 150)}
    text = {problem("text", i).meta["template"] for i in range(150)}
    assert not train & test
    assert not text & test
    assert all(template_split(t) == "test" for t in test)


def test_the_template_forgets_names_and_numbers_but_not_operations() -> None:
    one = {"quantities": [["a", "2", 1, 0, 0], ["b", "3", 1, 0, 0], ["c", "6", 0, 0, 0]], "target": 2}
    times = Graph.from_json({**one, "derivations": [[2, "#0*#1", "times", []]]})
    turned = Graph.from_json({**one, "derivations": [[2, "#1*#0", "times", []]]})
    rate = Graph.from_json({**one, "derivations": [[2, "#0*#1", "rate", []]]})
    assert times.template == turned.template
    assert times.template != rate.template


@pytest.mark.slow
def test_no_template_is_above_one_percent_of_ten_thousand_problems() -> None:
    counts: Counter[str] = Counter()
    index = 0
    while counts.total() < 10_000:
        p = problem("train", index)
        index += 1
        if p.meta["steps"] >= 3:
            counts[p.meta["template"]] += 1
    assert counts.most_common(1)[0][1] <= 100, counts.most_common(3)


def test_the_corpus_has_no_whole_solution() -> None:
    """Judged as a solution of its own question, no text of the corpus goes the whole way, step by correct step."""
    for index in range(150):
        p = problem("text", index)
        judge = exact_for(p)
        assert judge is not None
        text, drill, *_ = about(p, random.Random(index))
        assert text.startswith(p.question)
        steps = [line for line in text.split("\n")[1:] if "<<" in line]
        assert "####" not in text + drill
        for order in permutations(steps):
            judged = judge.judge(order).steps
            reached = {a.quantity for s in judged for a in s.assertions}
            assert judge.graph.target not in reached or not all(s.correct for s in judged), text
        assert "?" not in drill


def test_graphs_survive_json(problems: list[Problem]) -> None:
    graph = graph_of(problems[0])
    assert Graph.from_json(graph.to_json()) == graph
    assert graph.truth[graph.target] == Fraction(problems[0].answer or "0")


def test_routes_vary_between_references() -> None:
    forked = next(p for p in embedded_problems("train", 200) if len(set(_targets(p))) < len(_targets(p)))
    written = {reference(graph_of(forked), random.Random(i)) for i in range(30)}
    assert len(written) > 5


def _targets(p: Problem) -> list[int]:
    graph = graph_of(p)
    return [d.target for d in graph.derivations if d.target in graph.on_route]
