"""What a server of OpenAI's protocol answers, through the `openai` client: asked many at a time, told apart by fate.

An answer concerns one request (it is too long), the server for now (it failed), or everything that is asked of it (it
is gone, it does not know us). The client tries again by itself what may pass: 408, 409, 429, 500 and a connection that
was refused or broke. An answer that does not come is waited for once, as long as people have set.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stepviz.engines.openai_client import HOSTS, IN_FLIGHT, KEY, TIMEOUT, library, looking, setting, trusted
from stepviz.engines.server import FORM, Served
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from concurrent.futures import Future

    import openai

GARBAGE = (ValueError, TypeError, AttributeError)  # the client's, over a body that it does not understand
IN_A_ROW = 3  # failures without an answer between them: the server is not just stumbling over one request
REFUSED = 8  # requests in the same words, before any is answered: it is not about one of them
_REFUSED = (400, 413, 422)
_LENGTH = re.compile(r"\b(context|tokens?|length|too (long|large|big)|longer|exceeds?)\b", re.I)  # of one prompt
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
VLLM, SGLANG, LLAMACPP = "vllm", "sglang", "llamacpp"  # as servers say whose they are


@dataclass(frozen=True, slots=True)
class Failure:
    """`fate`: what it is the end of. What was "refused" is one request, or all of them where all are refused alike."""

    fate: Literal["request", "refused", "server", "everything"]
    said: str


@dataclass(slots=True)
class Trouble:
    """The failures of a call, and when they are more than those of single requests."""

    answered: bool = False  # a request, ever: then the server takes what we ask
    in_a_row: int = 0
    refused: list[str] = field(default_factory=list)

    def over(self) -> None:
        """An answer came."""
        self.answered, self.in_a_row = True, 0

    def hear(self, failure: Failure, tried: bool) -> str:
        """Why the call ends here; "" where it goes on. tried: it is not the first time with this request."""
        self.in_a_row += failure.fate == "server" and not tried
        if failure.fate == "everything" or self.in_a_row >= IN_A_ROW:
            return failure.said
        if failure.fate == "refused" and not self.answered:
            self.refused.append(failure.said)
            if len(self.refused) >= REFUSED and len(set(self.refused)) == 1:
                return f"{failure.said}. It said so to {len(self.refused)} requests and answered none"
        return ""


@dataclass(frozen=True, slots=True)
class Card:
    """What a server says of a model. Not every one says whose server it is, where the model lies, what it reads."""

    id: str
    owner: str = ""
    root: str = ""
    context: int | None = None


def card_of(served: Served) -> Card:
    """The model's card. StepvizError where nobody answers, or it is not served: with those that are."""
    openai = library()
    client = looking(served)
    try:
        listed = client.models.list()
        cards = [_card(model) for model in getattr(listed, "data", None) or ()]
    except openai.NotFoundError:
        raise StepvizError(f"{served.url} lists no models: does the URL end in /v1? ({FORM})") from None
    except (openai.OpenAIError, *GARBAGE) as error:
        raise StepvizError(failure(error, served).said) from None
    finally:
        client.close()
    found = next((card for card in cards if card and card.id == served.model), None)
    if found is None:
        names = ", ".join(card.id[:80] for card in cards[:20] if card) or "none"
        raise StepvizError(f"{served.url} does not serve {served.model!r}; it serves: {said(names, 600)}")
    return found


def _card(model: Any) -> Card | None:
    id, root, owner = (getattr(model, name, None) for name in ("id", "root", "owned_by"))
    context = getattr(model, "max_model_len", None)
    if not isinstance(id, str):
        return None
    known = isinstance(context, int) and context > 0
    return Card(
        id,
        owner=owner if isinstance(owner, str) else "",
        root=root if isinstance(root, str) else "",
        context=context if known else None,
    )


def failure(error: Exception, served: Served) -> Failure:
    """What the client's exception says, and of what it is the end."""
    openai, url = library(), served.url
    from httpx2 import ConnectTimeout

    if isinstance(error, openai.APITimeoutError):
        if isinstance(error.__cause__, ConnectTimeout):
            return Failure("everything", f"{url} cannot be reached (it takes no connection): is the server running?")
        wait = f"{TIMEOUT}, now {setting(TIMEOUT)} s"
        return Failure("everything", f"{url} did not answer in time: wait longer ({wait}) or ask less ({IN_FLIGHT})")
    if isinstance(error, openai.APIConnectionError):
        why = said(str(error.__cause__ or error), 120)
        return Failure("everything", f"{url} cannot be reached, or breaks off ({why}): is the server running?")
    if not isinstance(error, openai.APIStatusError):
        return Failure("server", f"{url} answered what is not of OpenAI's protocol: {said(str(error))}")
    status, words = error.status_code, said(_message(error))
    if status in _REFUSED:
        too_long = status == 413 or _LENGTH.search(words)
        return Failure("request" if too_long else "refused", f"the server refused this: {words}")
    if status >= 500:
        return Failure("server", f"{url} failed ({status}): {words}")
    set_key = f"set {KEY} before stepviz (or the app) is started"
    if not trusted(served):
        set_key = f"name {served.host} in {HOSTS} and {set_key}, which goes to no other host than this machine"
    do = {
        401: f"it wants a key: {set_key}",
        403: f"this key may not do that: set another {KEY} before stepviz (or the app) is started",
        404: f"it does not know {served.model!r} or no /completions: does the URL end in /v1? ({FORM})",
        429: f"too many requests: lower {IN_FLIGHT}, or run this again later",
    }.get(status, "it does not take this request")
    return Failure("everything", f"{url} answered {status}, {do} ({words})")


def _message(error: openai.APIStatusError) -> str:
    """The server's own words: OpenAI's form of an error, vLLM's, or whatever text came."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error")
        body = body.get("message") or (inner.get("message") if isinstance(inner, dict) else inner) or body
    return str(body or error.message)


def said(text: str, most: int = 300) -> str:
    """Words of a server as one line, without our key and without what a terminal would obey."""
    key = os.environ.get(KEY, "").strip()
    text = text.replace(key, "…") if key else text
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:most] or "no words"


def here(card: Card, served: Served) -> str:
    """Folder or hub id of the served model where that is on this machine; "" elsewhere."""
    if not served.here or not card.root:
        return ""
    if (Path(card.root) / "config.json").is_file():
        return card.root
    from stepviz.engines.transformers import commit

    return card.root if of_hub(card.root) and commit(card.root) else ""


def of_hub(source: str) -> bool:
    """Whether a hub id is all that this can be: OWNER/NAME, and no path of this machine."""
    return _HUB_ID.fullmatch(source) is not None and ".." not in source and not Path(source).exists()


class Lines:
    """An event loop in a thread of its own, where requests wait for their answers."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="requests in flight")
        self.thread.start()

    def begin(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def end(self, last: Coroutine[Any, Any, None]) -> None:
        """After `last`, which closes what is open."""
        try:
            self.begin(last).result(timeout=5)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(timeout=5)
            if not self.thread.is_alive():
                self.loop.close()


async def together(work: Iterable[Coroutine[Any, Any, None]], most: int) -> None:
    """All of these, at most `most` at a time, begun in their order; a cancel ends them all."""
    waiting = iter(work)

    async def line() -> None:
        for one in waiting:
            await one

    lines = [asyncio.ensure_future(line()) for _ in range(most)]
    try:
        await asyncio.gather(*lines)
    finally:
        for one in lines:
            one.cancel()
        for one in waiting:
            one.close()
