"""A model behind any server of OpenAI's protocol, by `/v1/completions`: vLLM's, or another.

Where the tokenizer is known, prompts go out as token ids, the same ones that every engine of ours reads: it is given,
or the server runs on this machine and says where its model lies. Otherwise they go out as text. To vLLM's server goes
along what keeps it to the sampling (it would apply the model's own generation_config), and it returns the ids.

The id is MODEL, with @REVISION where its files are on this machine, and +openai: a server draws otherwise for the same
seed than our own engine does, so it is another model to the store. Its address is not in it: the same model at
another place goes on where this one stopped.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz.engines.base import Cancelled, OnBatch, OnCompletion
from stepviz.engines.call import Call
from stepviz.engines.endings import Endings, cut
from stepviz.engines.openai_calls import (
    GARBAGE,
    IN_FLIGHT,
    RETRIES,
    TIMEOUT,
    Card,
    Failure,
    Lines,
    card_of,
    failure,
    here,
    library,
    options,
    said,
    setting,
    together,
)
from stepviz.engines.prompts import render
from stepviz.engines.rows import check, rows_of
from stepviz.engines.server import Served, served
from stepviz.errors import StepvizError
from stepviz.types import Completion, FinishReason, Request, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Answers = queue.SimpleQueue[tuple[int, Completion | Failure | Exception]]

IN_A_ROW = 3  # failures without an answer between them: the server is not just stumbling over one request
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
        self._in_flight = setting(IN_FLIGHT)
        self._client = library().AsyncOpenAI(**options(self.served, max_retries=RETRIES, timeout=setting(TIMEOUT)))
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
        answers: Answers = queue.SimpleQueue()
        asks = list(self._asks(requests, sampling, call))
        self._lines = self._lines or Lines()
        work = self._lines.begin(together((self._ask(ask, answers) for ask in asks), min(self._in_flight, len(asks))))
        try:
            self._collect(call, answers)
        finally:
            work.cancel()
        call.report()
        return call.result()

    def close(self) -> None:
        if self._lines is not None:
            with contextlib.suppress(TimeoutError):
                self._lines.end(self._client.close())
            self._lines = None

    def _collect(self, call: Call, answers: Answers) -> None:
        failed = 0
        while call.going:
            if call.interrupted():
                call.give_up()
                return
            try:
                request, answer = answers.get(timeout=max(call.wait_s, 0.01))
            except queue.Empty:
                continue
            if isinstance(answer, Exception):
                self._keep(call, answers)
                raise answer
            if isinstance(answer, Failure):
                failed += answer.fate == "server"
                if answer.fate == "everything" or failed >= IN_A_ROW:
                    self._keep(call, answers)
                    raise StepvizError(f"{answer.said} (what was finished before is kept: run it again to go on)")
                answer = Completion("", "error", 0, error=answer.said)
            else:
                failed = 0
            call.end(request, answer)

    def _keep(self, call: Call, answers: Answers) -> None:
        """Before an error goes on: what came while the caller was busy is there, and paid."""
        with contextlib.suppress(queue.Empty):
            while True:
                request, answer = answers.get_nowait()
                if isinstance(answer, Completion):
                    call.end(request, answer)
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
                yield Ask(i, texts[i], self._settings(sampling, requests[i].seed, sampling.max_tokens), sampling)
            return
        endings = Endings(self.tokenizer, (), sampling.style.stop)
        for row in sorted(rows_of(self.tokenizer, self.context, requests, sampling), key=lambda row: row.prompt):
            if row.error is not None:
                call.end(row.request, Completion("", "error", 0, prompt_tokens=len(row.prompt), error=row.error))
            else:
                yield Ask(row.request, row.prompt, self._settings(sampling, row.seed, row.room), sampling, endings)

    def _settings(self, sampling: Sampling, seed: int, tokens: int) -> dict[str, Any]:
        """Parameters of one request. Servers other than vLLM's refuse what they do not know: those get the standard."""
        standard = {
            "model": self.served.model,
            "seed": seed,
            "max_tokens": tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p if sampling.temperature > 0 else 1.0,
        }
        if sampling.style.stop:
            standard["stop"] = [s for s in sampling.style.stop if s]
        if self.card.vllm:
            ours = {"top_k": sampling.top_k, "min_p": 0.0, "repetition_penalty": 1.0}
            return standard | {"extra_body": ours | {"skip_special_tokens": False, "return_token_ids": True}}
        return standard | ({"extra_body": {"top_k": sampling.top_k}} if sampling.top_k else {})

    async def _ask(self, ask: Ask, answers: Answers) -> None:
        """One request and its answer, whatever it is: nobody waits for one that never comes."""
        openai = library()
        try:
            try:
                got = await self._client.completions.create(prompt=ask.prompt, **ask.settings)
            except (openai.OpenAIError, *GARBAGE) as error:
                answers.put((ask.request, failure(error, self.served)))
            else:
                answers.put((ask.request, ask.completion(got) or _garbage(self.served, got)))
        except Exception as error:
            answers.put((ask.request, error))


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


def _garbage(asked: Served, got: Any) -> Failure:
    reason = getattr(next(iter(getattr(got, "choices", None) or ()), None), "finish_reason", None)
    if isinstance(reason, str):
        return Failure("server", f"{asked.url} gave up on this: finish_reason {said(reason, 40)}")
    return Failure("server", f"{asked.url} answered what is no completion: {said(str(got), 120)}")


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
    from stepviz.engines.transformers import commit, fingerprint

    source = here(card, asked)
    name = Path(card.id).resolve().name if Path(card.id).is_dir() else card.id
    revision = (fingerprint(Path(source)) if Path(source).is_dir() else commit(source)) if source else ""
    return f"{name}{f'@{revision}' if revision else ''}+openai"


def stamp(spec: str) -> str:
    """Changes when the server is started anew with another model under the same name; "" where it cannot be asked."""
    try:
        asked = served(spec)
        return identity(card_of(asked), asked)
    except StepvizError:
        return ""
