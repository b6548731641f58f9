"""A model behind any server of OpenAI's protocol, by `/v1/completions`: vLLM's, or another.

Where the tokenizer is known, prompts go out as token ids, the same ones that every engine of ours reads: it is given,
or the server runs on this machine and says where its model lies. Otherwise they go out as text. What keeps a server to
the sampling goes along (openai_sampling.py); vLLM's returns the ids.

The id is MODEL, with @REVISION where its server and its files are on this machine, and +openai: a server draws
otherwise for the same seed than our own engine does, so it is another model to the store. Its address is not in it: the
same model at another place goes on where this one stopped.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz.engines.base import Cancelled, OnBatch, OnCompletion
from stepviz.engines.call import Call
from stepviz.engines.endings import Endings, cut
from stepviz.engines.openai_calls import (
    GARBAGE,
    Card,
    Failure,
    Lines,
    Trouble,
    card_of,
    failure,
    here,
    said,
    together,
)
from stepviz.engines.openai_client import TIMEOUT, client_of, in_flight, library, setting
from stepviz.engines.openai_sampling import parameters
from stepviz.engines.prompts import render
from stepviz.engines.rows import check, rows_of
from stepviz.engines.server import Served, served
from stepviz.errors import StepvizError
from stepviz.types import Completion, FinishReason, Request, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SLOW_S = 60.0  # without an answer, until people are told
UNKNOWN = 1 << 20  # tokens of context, where nobody says how many
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class OpenAIEngine:
    """See stepviz.engines.base.Engine."""

    def __init__(self, spec: str, tokenizer: str | None = None) -> None:
        self.served = served(spec)
        self.spec, self.device = self.served.spec, "server"
        self.card = card_of(self.served)
        self.tokenizer = _tokenizer(self.card, self.served, tokenizer)
        longest = self.tokenizer.model_max_length if self.tokenizer is not None else UNKNOWN
        self.context = int(min(self.card.context or UNKNOWN, longest))
        self.model_id = identity(self.card, self.served) + (f"+{Path(tokenizer).name}" if tokenizer else "")
        self.at_once, fewer = in_flight()
        self.notes: list[str] = [fewer] if fewer else []
        self._answered = False  # whether a request was ever answered
        self._client = client_of(self.served, self.at_once)
        self._lines: Lines | None = None

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: OnBatch | None = None,
        on_completion: OnCompletion | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Completion]:
        """What ends everything is a StepvizError; what had ended before it was reported."""
        call = Call(len(requests), on_batch, on_completion, cancelled)
        asks = list(self._asks(requests, sampling, call))
        if again := self._round(call, asks):
            self._round(call, again)
        call.report()
        return call.result()

    def close(self) -> None:
        if self._lines is not None:
            with contextlib.suppress(TimeoutError):
                self._lines.end(self._client.close())
            self._lines = None

    def _round(self, call: Call, asks: Sequence[Ask]) -> list[Ask]:
        """Each of these once. What comes back are those that the server failed at: it may have stumbled for a while."""
        answers: Answers = queue.SimpleQueue()
        self._lines = self._lines or Lines()
        work = self._lines.begin(together((self._ask(ask, answers) for ask in asks), min(self.at_once, len(asks))))
        try:
            return self._collect(call, len(asks), answers)
        finally:
            work.cancel()

    def _collect(self, call: Call, due: int, answers: Answers) -> list[Ask]:
        again: list[Ask] = []
        trouble, heard = Trouble(self._answered), time.monotonic()
        while due:
            if call.interrupted():
                call.give_up()
                return []
            try:
                ask, answer = answers.get(timeout=max(call.wait_s, 0.01))
            except queue.Empty:
                heard = self._waited(heard)
                continue
            due, heard = due - 1, time.monotonic()
            if isinstance(answer, Exception):
                self._keep(call, answers)
                raise answer
            if isinstance(answer, Completion):
                trouble.over()
                self._answered = True
                call.end(ask.request, answer)
                continue
            if why := trouble.hear(answer, ask.tried):
                self._keep(call, answers)
                raise StepvizError(f"{why} (what was finished before is kept: run it again to go on)")
            if answer.fate == "server" and not ask.tried:
                ask.tried = True
                again.append(ask)
            else:
                call.end(ask.request, Completion("", "error", 0, error=answer.said))
        return again

    def _waited(self, heard: float) -> float:
        """Since `heard`; once it is long, people are told, and it counts from then."""
        if time.monotonic() - heard < SLOW_S:
            return heard
        most = f"each answer is waited for {setting(TIMEOUT):,} s ({TIMEOUT})"
        self.notes.append(f"{self.served.url} has not answered any request for {SLOW_S:.0f} s: {most}")
        return float("inf")

    def _keep(self, call: Call, answers: Answers) -> None:
        """Before an error goes on: what came while the caller was busy is there, and paid."""
        with contextlib.suppress(queue.Empty):
            while True:
                ask, answer = answers.get_nowait()
                if isinstance(answer, Completion):
                    call.end(ask.request, answer)
        call.report()  # who records completions does it now

    def _asks(self, requests: Sequence[Request], sampling: Sampling, call: Call) -> Iterator[Ask]:
        """What goes out, prompts that begin alike one after the other; what cannot go out has ended."""
        check(sampling)
        if self.tokenizer is None:
            if sampling.style.chat:
                raise StepvizError(
                    "a chat style needs the model's tokenizer: name it, a hub id or folder (--tokenizer)"
                )
            texts = [render(sampling.style, r.question) + r.prefix for r in requests]
            for i in sorted(range(len(requests)), key=texts.__getitem__):
                yield Ask(i, texts[i], self._asked(sampling, requests[i].seed, sampling.max_tokens), sampling)
            return
        endings = Endings(self.tokenizer, (), sampling.style.stop)
        for row in sorted(rows_of(self.tokenizer, self.context, requests, sampling), key=lambda row: row.prompt):
            if row.error is not None:
                call.end(row.request, Completion("", "error", 0, prompt_tokens=len(row.prompt), error=row.error))
            else:
                yield Ask(row.request, row.prompt, self._asked(sampling, row.seed, row.room), sampling, endings)

    def _asked(self, sampling: Sampling, seed: int, tokens: int) -> dict[str, Any]:
        return parameters(self.card.owner, self.served.model, sampling, seed, tokens)

    async def _ask(self, ask: Ask, answers: Answers) -> None:
        """One request and its answer, whatever it is: nobody waits for one that never comes."""
        openai = library()
        try:
            try:
                # not by completions.create, which looks at each token id of a prompt in Python, a millisecond a request
                body = {**ask.settings, "prompt": ask.prompt}
                got = await self._client.post("/completions", body=body, cast_to=openai.types.Completion)
            except (openai.OpenAIError, *GARBAGE) as error:
                answers.put((ask, failure(error, self.served)))
            else:
                answers.put((ask, ask.completion(got) or _garbage(self.served, got)))
        except Exception as error:
            answers.put((ask, error))


class Ask:
    """A request on its way: what goes out, and how its answer is read."""

    def __init__(
        self,
        request: int,
        prompt: str | tuple[int, ...],
        settings: dict[str, Any],
        sampling: Sampling,
        endings: Endings | None = None,
    ) -> None:
        self.request, self.settings, self.stop, self.endings = request, settings, sampling.style.stop, endings
        self.tried = False  # the server has failed at it
        self.ids = () if isinstance(prompt, str) else prompt
        self.prompt: str | list[int] = prompt if isinstance(prompt, str) else list(prompt)

    def completion(self, got: Any) -> Completion | None:
        """None for an answer that is none."""
        choices, usage = getattr(got, "choices", None), getattr(got, "usage", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        text, reason = getattr(choice, "text", None), _FINISH.get(str(getattr(choice, "finish_reason", None)))
        if not isinstance(text, str) or reason is None:
            return None
        ids = _ids(getattr(choice, "token_ids", None))
        prompt_tokens = len(self.ids) or _count(getattr(usage, "prompt_tokens", None))
        if ids and self.endings is not None:
            ended = reason == "stop" and not isinstance(getattr(choice, "stop_reason", None), str)
            return self.endings.completion(self.ids, ids, reason, ended)
        tokens = len(ids) or _count(getattr(usage, "completion_tokens", None))
        return Completion(cut(text, self.stop, reason), reason, tokens, ids or None, prompt_tokens)


Answers = queue.SimpleQueue[tuple[Ask, Completion | Failure | Exception]]


def _garbage(server: Served, got: Any) -> Failure:
    reason = getattr(next(iter(getattr(got, "choices", None) or ()), None), "finish_reason", None)
    if isinstance(reason, str):
        return Failure("server", f"{server.url} gave up on this: finish_reason {said(reason, 40)}")
    return Failure("server", f"{server.url} answered what is no completion: {said(str(got), 120)}")


def _ids(found: Any) -> tuple[int, ...]:
    """Token ids as vLLM returns them; () where there are none."""
    if not isinstance(found, list) or not all(isinstance(i, int) and 0 <= i < 1 << 31 for i in found):
        return ()
    return tuple(found)


def _count(found: Any) -> int:
    return found if isinstance(found, int) and found >= 0 else 0


def _tokenizer(card: Card, asked: Served, given: str | None) -> PreTrainedTokenizerBase | None:
    from stepviz.engines.transformers import load_tokenizer

    source = given or here(card, asked)
    if not source:
        return None
    try:
        return load_tokenizer(source)
    except StepvizError:
        if given:
            raise
        return None


def identity(card: Card, asked: Served) -> str:
    """What is elsewhere is called as its server calls it: whose files those are cannot be seen from here."""
    from stepviz.engines.transformers import commit, fingerprint

    source = here(card, asked)
    name = Path(card.id).resolve().name if asked.here and Path(card.id).is_dir() else card.id
    revision = (fingerprint(Path(source)) if Path(source).is_dir() else commit(source)) if source else ""
    return f"{name}{f'@{revision}' if revision else ''}+openai"


def stamp(spec: str) -> str:
    """Changes when the server is started anew with another model under the same name; "" where it cannot be asked."""
    try:
        asked = served(spec)
        return identity(card_of(asked), asked)
    except StepvizError:
        return ""
