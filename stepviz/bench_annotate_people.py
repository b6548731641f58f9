"""The people of `bench annotate`: HTTP clients that sign in, take an item, label a step a second, submit, go on.

They run on one event loop in the process of the benchmark, apart from the app's, each with its own cookies and its own
connections. A label is due at a fixed second: who waits for an answer longer than that labels late, not less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stepviz.errors import StepvizError

PATIENCE_S = 60.0  # as long as a write waits for its turn (db.session)
RATINGS = (1, 0, -1, None)


@dataclass(frozen=True, slots=True)
class Label:
    """note: different for every label that anybody gives."""

    slot: int
    step: int
    value: int | None
    note: str


@dataclass
class Diary:
    """What one person did. labels, submitted: as acknowledged; doubtful: sent without an answer; ms: by request."""

    name: str
    labels: list[Label] = field(default_factory=list)
    doubtful: list[Label] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    submitted: list[int] = field(default_factory=list)
    ms: dict[str, list[float]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)  # refusals, broken connections, answers that are not as sent
    over: bool = False


def work(url: str, study: int, accounts: Mapping[str, str], seconds: float) -> list[Diary]:
    """Everybody's, after so many seconds; signing in comes before."""
    return asyncio.run(_work(url, study, accounts, seconds))


async def _work(url: str, study: int, accounts: Mapping[str, str], seconds: float) -> list[Diary]:
    people = [Annotator(url, study, name) for name in accounts]
    try:
        await asyncio.gather(*(person.sign_in(accounts[person.diary.name]) for person in people))
        begin = time.monotonic() + 0.5
        turns = [person.label_until(begin + i / len(people), begin + seconds) for i, person in enumerate(people)]
        await asyncio.gather(*turns)
    finally:
        await asyncio.gather(*(person.client.aclose() for person in people))
    return [person.diary for person in people]


class Annotator:
    def __init__(self, url: str, study: int, name: str) -> None:
        import httpx  # Gradio brings it

        self.client = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False)
        self.study, self.diary, self.rng = study, Diary(name), Random(name)
        self.broken: tuple[type[Exception], ...] = (httpx.HTTPError,)

    async def sign_in(self, password: str) -> None:
        started = time.perf_counter()
        answer = await self.client.post("/login", data={"username": self.diary.name, "password": password})
        self._took("sign in", started)
        if answer.status_code != 200:
            raise StepvizError(f"{self.diary.name} could not sign in: {answer.text[:200]}")

    async def label_until(self, due: float, end: float) -> None:
        """A label at `due` and a second apart, until `end` (time.monotonic)."""
        slot = step = n = 0
        while due < end and not self.diary.over:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if step == n:
                slot, n = await self._next(slot)
                step = 0
            if n:
                step += 1
                await self._label(slot, step)
            due += 1.0

    async def _next(self, before: int) -> tuple[int, int]:
        """Submit the item that is done and take another: (slot, steps); (0, 0) where that failed or none is left."""
        if before:
            sent = {"slot": before, "finish": "solution", "seconds": 10.0}
            if await self._ask("submit", sent) is not None:
                self.diary.submitted.append(before)
        turn = await self._ask("next", {"study": self.study})
        if turn is None or turn.get("over"):
            self.diary.over = turn is not None
            return 0, 0
        self.diary.slots.append(turn["slot"])
        return turn["slot"], len(turn["steps"])

    async def _label(self, slot: int, step: int) -> None:
        made = len(self.diary.labels) + len(self.diary.doubtful)
        label = Label(slot, step, self.rng.choice(RATINGS), f"{self.diary.name}/{made}")
        sent = {"slot": slot, "question": "correct", "step": step, "value": label.value, "note": label.note}
        try:
            told = await self._ask("label", sent, again=False)
        except self.broken as error:
            self.diary.doubtful.append(label)
            self.diary.troubles.append(f"label: {type(error).__name__}")
            return
        if told is None:
            return
        self.diary.labels.append(label)
        if told["labels"].get("correct", {}).get(str(step), "nothing") != label.value:
            self.diary.troubles.append(f"label: step {step} of turn {slot} is not told as it was sent")

    async def _ask(self, name: str, sent: Mapping[str, Any], *, again: bool = True) -> dict[str, Any] | None:
        """None where it was refused; a broken connection is a trouble, too, or the caller's."""
        started = time.perf_counter()
        try:
            answer = await self.client.post(f"/stepviz/annotate/{name}", json=sent)
        except self.broken as error:
            if not again:
                raise
            self.diary.troubles.append(f"{name}: {type(error).__name__}")
            return None
        self._took(name, started)
        if answer.status_code != 200:
            self.diary.troubles.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer.json()

    def _took(self, name: str, started: float) -> None:
        self.diary.ms.setdefault(name, []).append(1000 * (time.perf_counter() - started))
