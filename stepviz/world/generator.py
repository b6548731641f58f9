"""Problems: stories with numbers in general position, split by solution template.

A problem's seed is derived from its split and index, so that the frozen sets are functions of this file:
`problem("test", 17)` is the same everywhere. Templates are dealt to splits by their hash: what a test
problem asks for, no training problem did.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from fractions import Fraction

from stepviz.types import Problem, digest
from stepviz.world import operations, words
from stepviz.world.expressions import number_text
from stepviz.world.graph import Graph
from stepviz.world.story import Story, Unusable
from stepviz.world.thinning import KEPT

WORLD = "world/2"  # part of every seed: raise it when anything here changes
POINTS_BACK = re.compile(r"\b(them|That|That's|it|he|she|He|She|They|those|ones|others|more|This|this)\b")
COMMON = 0.0006  # a path of operations more likely than this is thinned from three steps on: no template dominates
STEPS = ((2, 8), (3, 16), (4, 27), (5, 24), (6, 15), (7, 10))  # steps of a shortest solution: weight
TEXT_STEPS = ((2, 10), (3, 20), (4, 28), (5, 22), (6, 12), (7, 8))  # the same for what base reads


SPLITS_OF_TEMPLATES = {"train": "train", "text": "train", "dev": "dev", "test": "test"}  # "text": what base reads


def template_split(template: str) -> str:
    """Two templates in ten are test's, one is dev's."""
    return ("test", "test", "dev")[b] if (b := int(digest("split", template)[:6], 16) % 10) < 3 else "train"


def problem(split: str, index: int) -> Problem:
    """Problem number `index` of a split; the world graph lies in meta["world"]."""
    wanted = SPLITS_OF_TEMPLATES[split]
    rng = random.Random(f"{WORLD}/{split}/{index}")
    steps = TEXT_STEPS if split == "text" else STEPS
    n_steps = rng.choices([n for n, _ in steps], [w for _, w in steps])[0]
    while True:
        made = attempt(rng, n_steps)
        if made is not None:
            graph, question = made
            # Two steps have few templates: only from three on can a split be asked for without a long search.
            if template_split(graph.template) == wanted and rng.random() < KEPT.get(graph.template, 1.0):
                break
    from stepviz.world.solutions import reference

    answer = number_text(graph.truth[graph.target])
    return Problem(
        question=question,
        answer=answer,
        solution=reference(graph, random.Random(f"{WORLD}/{split}/{index}/solution")),
        source="embedded",
        key=f"{split}/{index}",
        split=split,
        meta={"world": graph.to_json(), "template": graph.template, "steps": graph.n_steps},
    )


def embedded_problems(split: str, count: int, start: int = 0) -> Iterator[Problem]:
    """The frozen sequence of a split, without repeats of a question (of which there are hardly any)."""
    seen: set[str] = set()
    index = start
    while len(seen) < count:
        made = problem(split, index)
        index += 1
        if made.id not in seen:
            seen.add(made.id)
            yield made


def attempt(rng: random.Random, n_steps: int) -> tuple[Graph, str] | None:
    """One try at a problem of `n_steps` steps: (graph, question), or None where numbers or words do not fit."""
    story = Story.new(rng)
    try:
        roots = [w for _, w in operations.ROOTS]
        root, weight = rng.choices(operations.ROOTS, roots)[0]
        story.chance = weight / sum(roots)
        root(story)
        while (depth := current(story).n_steps if story.derivations else 0) < n_steps:
            extend(story)
        if depth != n_steps or (n_steps > 2 and rng.random() > COMMON / story.chance):
            return None
        sentences = with_distractors(story)
    except Unusable:
        return None
    graph = current(story)
    if not general_position(graph):
        return None
    return graph, " ".join([*sentences, ask(story)])


def extend(story: Story, tries: int = 12) -> None:
    """Adds one operation that fits."""
    weights = [w for _, w in operations.MIDDLE]
    for _ in range(tries):
        operation, weight = story.rng.choices(operations.MIDDLE, weights)[0]
        before = story.snapshot()
        try:
            operation(story)
            story.chance *= weight / sum(weights)
            return
        except Unusable:
            story.restore(before)
    raise Unusable("nothing fits")


def current(story: Story) -> Graph:
    return Graph(tuple(story.quantities), tuple(story.derivations), story.at)


def with_distractors(story: Story) -> list[str]:
    """The sentences with none, one or two that matter nothing; never before one that points back."""
    rng = story.rng
    sentences = list(story.sentences)
    for _ in range(rng.choices([0, 1, 2], [45, 40, 15])[0]):
        number = rng.randint(3, 90)
        who = rng.choice([p for p, _ in words.PEOPLE if p not in {n for n, _ in story.people}])
        what = rng.choice(words.ITEMS)
        kind = rng.randrange(3)
        if kind == 0:
            sentence, name = f"{who} has {number} {what}.", f"{who}'s {what}"
        elif kind == 1:
            sentence, name = f"{who} saw {number} {story.items} in a shop.", f"{story.items} in a shop"
        else:
            sentence, name = f"{who} is {number} years old.", f"{who}'s years"
        if any(q.name == name for q in story.quantities):
            raise Unusable(name)
        story.given(name, number, distractor=True)
        places = [i for i in range(1, len(sentences)) if not POINTS_BACK.search(sentences[i])]
        sentences.insert(rng.choice([*places, len(sentences)]), sentence)
    return sentences


def general_position(graph: Graph) -> bool:
    """Whether a number names its quantity, in every chain with at most one misreading.

    All true values differ; what a misreading changes (its own value and those that follow from it) looks like no
    true value and differs pairwise; and no two misreadings give the same value or the same wrong answer.
    """
    true = set(graph.truth.values())
    if len(true) < len(graph.truth):
        return False
    misread: set[Fraction] = set()
    answers: set[Fraction] = set()
    for value, values in graph.misread_values():
        changed = [v for q, v in values.items() if v != graph.truth[q]]
        if len(set(changed)) < len(changed) or not true.isdisjoint(changed) or value in misread or value in true:
            return False
        misread.add(value)
        answer = values.get(graph.target)
        if answer is None or answer == graph.truth[graph.target]:  # this misreading lies off the answer's first route
            continue
        if answer in answers:
            return False
        answers.add(answer)
    return True


def ask(story: Story) -> str:
    """The question for the quantity that the story has arrived at."""
    name = story.quantities[story.at].name
    first, _, rest = name.partition(" ")
    if first.endswith("'s"):
        owner, noun = name.split("'s ")
        return story.rng.choice([f"How many {noun} does {owner} have?", f"What is the number of {owner}'s {noun}?"])
    if name.endswith("of work"):
        return story.rng.choice([f"How many {name} is that?", f"How many {name} does it take?"])
    if first not in (story.items, "dollars"):
        return story.rng.choice([f"How many {name} are there?", f"What is the number of {name}?"])
    verb = "are" if rest.split()[0] in ("left", "earned", "kept", "together", "still", "not") else "are there"
    return story.rng.choice([f"How many {first} {verb} {rest}?", f"What is the number of {name}?"])
