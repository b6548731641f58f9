"""The one contract between the project and whatever produces text (design.md, section 4, Engine).

`generate` continues prefixes: a request is a question, the text of a solution so far, and a seed. All
engines see the same text, because prompts are rendered on our side (`stepviz.engines.prompts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stepviz.types import Completion, Request, Sampling

OnBatch = Callable[[int, int], None]  # (requests done, tokens decoded), both so far
OnCompletion = Callable[[int, Completion], None]  # (index of the request, what became of it)
Cancelled = Callable[[], bool]

CANCELLED = "cancelled"  # the error of a completion that was given up because somebody cancelled


class Engine(Protocol):
    """A loaded model. Calls come from one thread; `generate` may be called from inside `on_batch`.

    One that has something to say to people meanwhile (that a batch was halved, that a server was asked again) may have
    a list `notes`: whoever reads it takes the notes away (stepviz.costs), and they stand in the run's log. One that
    works on many requests at the same time may say on how many, `at_once: int`: a call then brings it many times as
    many (stepviz.job_draws), since towards the end of a call it runs empty.
    """

    spec: str  # as the user wrote it: "embedded", "hf:…"
    model_id: str  # the weights' identity: same id, same draws
    device: str
    context: int  # tokens, prompt and continuation together

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: OnBatch | None = None,
        on_completion: OnCompletion | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Completion]:
        """One completion a request, in the order of the requests.

        A request that cannot be served (a prompt longer than the context) becomes a completion with
        finish_reason "error" and the reason in `error`; the others are unharmed. `on_completion` is
        called as each request ends, `on_batch` and `cancelled` at most a second apart while decoding.
        After a cancel the unfinished requests are completions with error "cancelled".
        """
        ...

    def close(self) -> None:
        """Frees the model's memory."""
        ...
