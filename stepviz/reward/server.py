"""vLLM's server of a pooling model, as its client: the logits of sequences by `POST /pooling`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from stepviz.engines.openai_calls import failure
from stepviz.engines.openai_client import library
from stepviz.engines.server import Served
from stepviz.errors import StepvizError
from stepviz.reward.logits import TASK

if TYPE_CHECKING:
    import openai

START = "was vLLM's server started with --runner pooling? (docs/reward-models.md)"


async def logits(client: openai.AsyncOpenAI, served: Served, sequences: Sequence[Sequence[int]]) -> list[Any]:
    """What is returned for each sequence of token ids; StepvizError for any failure."""
    asked = {"model": served.model, "input": list(map(list, sequences)), "task": TASK, "use_activation": False}
    url = f"{served.url.removesuffix('/v1')}/pooling"  # it lies beside /v1, not in it
    said = await _said(client.post(url, body=asked, cast_to=object), served, url)
    try:
        rows = {int(item["index"]): item["data"] for item in said["data"]}
        return [rows[i] for i in range(len(sequences))]
    except (TypeError, KeyError, ValueError):
        raise StepvizError(f"{url} answered something else than logits: {START}") from None


async def _said(answer: Awaitable[Any], served: Served, url: str) -> Any:
    openai = library()
    try:
        return await answer
    except openai.NotFoundError as error:
        raise StepvizError(f"{url} is not there, or not for {served.model!r}: {START}") from error
    except (openai.OpenAIError, ValueError) as error:
        raise StepvizError(failure(error, served).said) from error
