"""What a label may say, and what becomes of it when its chain is cut into other steps.

One rule for those who read labels from a file and for the store that keeps them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from stepviz.errors import StepvizError
from stepviz.types import Annotation, Span


def check_label(label: Annotation, n_steps: int | None) -> None:
    """StepvizError for a label that cannot be: of no chain, of a step the chain has not, of a value unheard of."""
    if n_steps is None:
        raise StepvizError(f"a label of a chain that nobody has: {label.chain_id}. Import the chain first.")
    if label.question in ("correct", "solvable"):
        if not 0 <= label.step <= n_steps:
            raise StepvizError(f"a label of step {label.step}, of a chain of {n_steps} steps")
        allowed: Iterable[int | None] = (1, 0, -1, None)
    elif label.question in ("decides", "first_error", "verdict"):
        if label.step != 0:
            raise StepvizError(f'"{label.question}" is said of the whole chain: step must be 0, not {label.step}')
        allowed = (1, -1, None) if label.question == "verdict" else (None, *range(1, n_steps + 1))
    else:
        raise StepvizError(f"unknown question {label.question!r}")
    if label.value not in allowed:
        raise StepvizError(f'"{label.question}" cannot be {label.value} on a chain of {n_steps} steps')


def moved(label: Annotation, given: tuple[Span, ...], stored: tuple[Span, ...]) -> Annotation:
    """A label of the steps `given`, on the same steps of the same text among `stored`, whatever their numbers.

    StepvizError where the step that it judges is no step there.
    """
    numbers = {(span.start, span.end): number for number, span in enumerate(stored, 1)}

    def number(step: int) -> int:
        span = given[step - 1]
        if (span.start, span.end) not in numbers:
            raise StepvizError(
                f"a label of step {step}, and the stored chain is cut into other steps there: cut it as the file does"
            )
        return numbers[span.start, span.end]

    if label.question in ("decides", "first_error"):
        return label if label.value is None else replace(label, value=number(label.value))
    return label if label.step == 0 else replace(label, step=number(label.step))


def carried(
    labels: Sequence[Annotation], text: str, old: tuple[Span, ...], new: tuple[Span, ...]
) -> tuple[Annotation, ...]:
    """The labels that stand of a chain's steps `old`, each as it reads on the steps `new`; two may become one.

    A label follows the text of its step. Steps that become one keep a label that its annotator gave to all of them
    alike, and a first error or a deciding step lies in the step that its own went into. StepvizError, naming the
    steps, where a label would have to be guessed: a step was cut up, or labels differ that become one.
    """
    places = _places(text, old, new)
    said = {(label.annotator, label.question, label.step): label for label in labels}
    targets: list[Annotation] = []
    lost, unlike = _Trouble(), _Trouble()
    for label in labels:
        names_one = label.question in ("decides", "first_error")
        step = label.value if names_one else label.step
        place = places.get(step) if step else None
        if not step:
            targets.append(label)  # of the whole chain
        elif place is None:
            lost.add([step], label)
        elif names_one:
            targets.append(replace(label, value=place.number))
        else:
            beside = [said.get((label.annotator, label.question, i)) for i in place.steps]
            if any(x is None or (x.value, x.meta) != (label.value, label.meta) for x in beside):
                unlike.add(place.steps, label)
            notes = dict.fromkeys(x.note for x in beside if x and x.note)
            targets.append(replace(label, step=place.number, note=" / ".join(notes)))
    if lost.steps:
        raise StepvizError(f"{lost} would be cut up, and to which part the labels belong cannot be told. {_WAY_OUT}")
    if unlike.steps:
        raise StepvizError(f"{unlike} would become one step, but are not labelled alike. {_WAY_OUT}")
    return tuple(targets)


def carried_beneath(
    labels: Sequence[Annotation], text: str, old: tuple[Span, ...], new: tuple[Span, ...]
) -> tuple[Annotation, ...]:
    """Labels that an undo would bring back, as they read on the steps `new`.

    One whose step is no step any more, cut up or become a part of another, is left out: what was said of a part is
    not said of the whole.
    """
    places, found = _places(text, old, new), []
    for label in labels:
        names_one = label.question in ("decides", "first_error")
        step = label.value if names_one else label.step
        place = places.get(step) if step else None
        if not step:
            found.append(label)
        elif place is not None and names_one:
            found.append(replace(label, value=place.number))
        elif place is not None and place.steps == (step,):
            found.append(replace(label, step=place.number))
    return tuple(found)


_WAY_OUT = "Take the labels back first, or edit a step to branch a copy and cut that."


@dataclass(slots=True)
class _Trouble:
    """Steps whose labels cannot be carried, and whose labels these are."""

    steps: set[int] = field(default_factory=set)
    people: set[str] = field(default_factory=set)

    def add(self, steps: Iterable[int], label: Annotation) -> None:
        self.steps.update(steps)
        self.people.add(label.annotator)

    def __str__(self) -> str:
        numbers = [str(step) for step in sorted(self.steps)]
        listed = " and ".join(", ".join(numbers).rsplit(", ", 1))
        people = ", ".join(sorted(self.people)[:3]) + (", …" if len(self.people) > 3 else "")
        return f"Step{'s' if len(numbers) > 1 else ''} {listed} (labelled by {people})"


@dataclass(frozen=True, slots=True)
class _Place:
    """A step's new number, and the old steps that its new step consists of."""

    number: int
    steps: tuple[int, ...]


def _places(text: str, old: tuple[Span, ...], new: tuple[Span, ...]) -> dict[int, _Place]:
    """Where each of the old steps went; those that were cut up are missing. White space at a step's ends is nothing."""
    before, after = [_extent(text, span) for span in old], [_extent(text, span) for span in new]
    starts, ends = [start for start, _ in before], [end for _, end in before]
    places = {}
    for number, (start, end) in enumerate(after, 1):
        first, last = bisect_left(starts, start), bisect_right(ends, end)  # the old steps that lie in it
        if first < last and (starts[first], ends[last - 1]) == (start, end):
            steps = tuple(range(first + 1, last + 1))
            places |= {step: _Place(number, steps) for step in steps}
    return places


def _extent(text: str, span: Span) -> tuple[int, int]:
    piece = text[span.start : span.end]
    if not piece.strip():
        return span.start, span.end
    return span.start + len(piece) - len(piece.lstrip()), span.start + len(piece.rstrip())
