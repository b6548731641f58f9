"""What a label may say: one rule for those who read labels from a file and for the store that keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

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
