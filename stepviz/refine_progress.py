"""How far a refinement job is: drafts that are through, and inside a chunk of them the draws that batches end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from stepviz.job import LOOK_S, Job


@dataclass
class Progress:
    """Drafts done and left, draws of the chunk at work, tokens a second, time left; not our time: who is let in."""

    job: Job
    total: int  # drafts
    done: int = 0
    new: int = 0  # of those done, the ones that took time
    tokens: int = 0  # decoded by this job, in this life of its run
    drawing_s: float = 0.0  # in chunks that are through
    part: float = 0.0  # of the drafts at work, how many their draws amount to
    began: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._tell()  # so that a bar knows of how many, while the first of them are scored

    def have(self, count: int) -> None:
        """Drafts done before, or not to be done."""
        self.done += count
        self.part = max(0.0, self.part - count)
        self._tell()

    def count(self) -> None:
        """A draft that is through."""
        self.done += 1
        self.new += 1
        self.part = max(0.0, self.part - 1)  # its draws are counted with it from now on
        self._tell()
        self.pause()

    def pause(self) -> None:
        """Between two batches, of whatever: others are let in, now and then."""
        if time.monotonic() - self.looked > LOOK_S:
            self._let_in()

    def drawing(self, drafts: int, draws: int) -> Drawing:
        """A chunk of drafts goes to the refiner with so many prompts."""
        return Drawing(self, drafts, draws)

    def _let_in(self) -> float:
        """Others do what waits; the seconds that took."""
        paused = time.monotonic()
        self.job.let_in()
        self.looked = time.monotonic()
        self.began += self.looked - paused
        return self.looked - paused

    def _tell(self, **more: object) -> None:
        worked = self.new + self.part
        seconds = time.monotonic() - self.began
        left = max(0.0, self.total - self.done - self.part)
        eta = round(seconds * left / worked, 1) if worked else None
        self.job.tell(
            done=self.done, total=self.total, unit="drafts", part=round(self.part, 2), eta_s=eta, note="", **more
        )


@dataclass
class Drawing:
    """The draws of one chunk, as the engine's batches end."""

    progress: Progress
    drafts: int
    draws: int
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    def batch(self, done: int, tokens: int) -> None:
        """So many draws have ended and so many tokens are decoded, since the chunk began; lets others in."""
        p, self.tokens = self.progress, tokens
        p.part = self.drafts * done / self.draws
        seconds = max(time.monotonic() - self.began + p.drawing_s, 1e-3)
        speed = round((p.tokens + tokens) / seconds)
        p._tell(tokens=p.job.bill.sampled, tokens_per_s=speed)
        p.job.tell(note=f"{done:,} of {self.draws:,} draws for {_drafts(self.drafts)}")
        self.began += p._let_in()

    def end(self) -> None:
        """What was drawn stays counted; the drafts are concluded next."""
        p = self.progress
        p.tokens += self.tokens
        p.drawing_s += time.monotonic() - self.began
        p.job.tell(note="")


def _drafts(n: int) -> str:
    return "this draft" if n == 1 else f"{n} drafts"
