"""Workers to be killed: a process that has read all code and forks them, so that each is there in a moment.

Each is `python -m stepviz.worker` in all but its start. `hashing` puts models in the place of the real ones that a test
can know: what they write, and the scores they give, are hashes of what they are asked, so that two runs of the same
draws must leave the same rows. Leases are short, or ten kills take minutes.

`python -m tests.killed_worker` reads a line of JSON for each worker and prints its process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from stepviz.types import Completion, Request, Sampling, digest

ROOT = Path(__file__).parents[1]
BATCH = 4  # requests, or chains


class HashingEngine:
    """Writes two to four lines and an answer, 15 in half of the cases, as the request's hash falls."""

    device, context = "cpu", 4096

    def __init__(self, spec: str, pause: float) -> None:
        self.spec, self.pause, self.model_id = spec, pause, f"{spec}@hash"

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: Any = None,
        on_completion: Any = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        done, tokens = [], 0
        for i, request in enumerate(requests):
            stop = cancelled()
            made = Completion("", "error", 0, error="cancelled") if stop else self._complete(request)
            done.append(made)
            tokens += made.tokens
            on_completion(i, made)
            if i % BATCH == BATCH - 1 and not stop:
                time.sleep(self.pause)
                on_batch(i + 1, tokens)
        return done

    def _complete(self, request: Request) -> Completion:
        random = Random(digest(request.question, request.prefix, str(request.seed)))
        lines = [f"{(a := random.randint(1, 99))}+12={a + 12}" for _ in range(random.randint(2, 4))]
        text = "\n".join([*lines, f"#### {random.choice((15, random.randint(16, 30)))}", ""])
        return Completion(text, "stop", len(text), prompt_tokens=len(request.question + request.prefix))

    def close(self) -> None: ...


class HashingScorer:
    """A probability for each step, by the hash of the question and the steps up to it."""

    kind, device, context = "lines", "cpu", 4096

    def __init__(self, spec: str, pause: float) -> None:
        self.spec, self.pause, self.model_id = spec, pause, f"{spec}@hash"
        self.role = spec.rpartition(":")[2]
        self.tokens_read = 0

    def score(
        self,
        chains: Sequence[tuple[str, Sequence[str]]],
        on_scores: Any = None,
        on_refused: Any = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[list[float]]:
        scores: list[list[float]] = [[] for _ in chains]
        for start in range(0, len(chains), BATCH):
            if cancelled is not None and cancelled():
                break
            time.sleep(self.pause)
            for i in range(start, min(start + BATCH, len(chains))):
                question, steps = chains[i]
                self.tokens_read += sum(map(len, steps))
                scores[i] = [Random(digest(self.spec, question, *steps[: n + 1])).random() for n in range(len(steps))]
                if on_scores is not None:
                    on_scores(i, scores[i])
        return scores

    def close(self) -> None: ...


# ---- the process that forks them


def serve() -> None:
    """A worker for each line, until there are no more."""
    from stepviz import job_draws, refine_job, worker
    from stepviz.engines import decode

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who was killed
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["short"]:
            worker.LEASE_S, worker.BEAT_S = 0.5, 0.1
        if asked["hashing"]:
            job_draws.CHUNK, refine_job.CHUNK = 128, 16
        else:
            decode.CHUNK_S = 0.05  # a batch is stored ten times as often
        process = os.fork()
        if not process:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _be_a_worker(asked)
        print(process, flush=True)


def _be_a_worker(asked: dict[str, Any]) -> None:
    from stepviz import worker

    made = worker.Worker
    if asked["hashing"]:

        def load(spec: str, device: str | None = None, tokenizer: str | None = None) -> HashingEngine:
            return HashingEngine(spec, asked["pause"])

        def load_scorer(spec: str, device: str | None = None) -> HashingScorer:
            return HashingScorer(spec, asked["pause"])

        worker.Worker = lambda store: made(store, load, load_scorer)  # type: ignore[assignment,misc]
    try:
        worker.main(["--db", asked["db"]])
    finally:
        os._exit(1)


# ---- the test's side of it


class Workers:
    """Starts workers one after the other, and ends what is left of them."""

    def __init__(self, template: subprocess.Popen[str], hashing: bool, short: bool) -> None:
        self.template, self.hashing, self.short = template, hashing, short
        self.last: int | None = None

    def start(self, url: str, pause: float = 0.0) -> int:
        """One at a time; its process id."""
        self.kill()
        assert self.template.stdin is not None
        assert self.template.stdout is not None
        asked = {"db": url, "pause": pause, "hashing": self.hashing, "short": self.short}
        print(json.dumps(asked), file=self.template.stdin, flush=True)
        self.last = int(self.template.stdout.readline())
        return self.last

    def kill(self) -> None:
        """With signal 9."""
        if self.last is not None:
            with suppress(ProcessLookupError):
                os.kill(self.last, signal.SIGKILL)
            self.last = None


@contextmanager
def workers(hashing: bool = True, short: bool = True) -> Iterator[Workers]:
    """short: leases; else they are what they are."""
    command = [sys.executable, "-m", "tests.killed_worker", *([] if hashing else ["torch"])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    template = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    made = Workers(template, hashing, short)
    try:
        yield made
    finally:
        made.kill()
        template.kill()
        template.wait()


if __name__ == "__main__":
    if "torch" in sys.argv:  # once, for all that are forked
        import torch  # noqa: F401
        import transformers.models.llama.modeling_llama  # noqa: F401
    serve()
