"""A scorer behind a server: vLLM's pooling runner over HTTP (`POST /pooling`, task token_classify).

The server computes and this side encodes, so tokenizer and config are read here: from the model's name where that is
a folder or a hub id, else from where the server says that its weights lie. Several requests are under way at once, so
that a server, or several behind one URL, always have something to do; retries are the client library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz.engines.openai_calls import card_of, of_hub
from stepviz.engines.openai_client import client_of
from stepviz.engines.server import Served
from stepviz.engines.transformers import identity
from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded
from stepviz.reward.logits import at_ends
from stepviz.reward.probe import refuse_looking_ahead
from stepviz.reward.recognise import Recognised, recognise
from stepviz.reward.scorer import TOKENS, Cancelled, Scorer
from stepviz.reward.server import logits
from stepviz.reward.specs import Place, named

if TYPE_CHECKING:
    import openai

IN_FLIGHT = 16  # requests
LOOK_S = 0.2  # how often a cancel is heard
CLOSE = 2e-2  # what a server's precision, which it does not tell, may make of the same number
Results = Iterator[tuple[list[int], list[list[float]]]]


def connect(spec: str, where: Place) -> ServedScorer:
    """StepvizError where the server does not answer, does not know the model, or gives no score after a step."""
    import torch

    served = Served(where.runs, where.served_as)
    card = card_of(served)
    here = served.here
    found = _recognise(spec, where, card.root, here)
    made = ServedScorer(
        spec=spec,
        model_id=f"{identity(found.source, found.name, torch.float32) if here else found.name}+openai",
        role=found.role,
        kind=found.kind,
        device=served.url,
        context=min(found.context, card.context or found.context),
        encode=found.encode,
        served=served,
    )
    if found.source != where.source:
        made.notes.append(
            f"tokenizer and config of {spec} are those of {found.source}: the server says that it runs it"
        )
    refuse_looking_ahead(made, found.config.get_text_config().vocab_size, CLOSE)
    return made


@dataclass
class ServedScorer(Scorer):
    """`device` is the server's URL: nothing of the model lies in this process."""

    served: Served

    def probabilities(self, batch: Sequence[Encoded]) -> list[list[float]]:
        ((_, found),) = self._answers([(list(range(len(batch))), batch)], lambda: False)
        return found

    def close(self) -> None:
        """There is nothing to free."""

    def _room(self) -> int:
        return TOKENS["cpu"]

    def _results(self, encoded: Mapping[int, Encoded], cancelled: Cancelled) -> Results:
        return self._answers(((batch, [encoded[i] for i in batch]) for batch in self._batches(encoded)), cancelled)

    def _answers(self, batches: Iterable[tuple[list[int], Sequence[Encoded]]], cancelled: Cancelled) -> Results:
        """As they come. After a failure what has come by then is given, then it is raised."""
        waiting, tasks = iter(batches), {}
        loop, client = asyncio.new_event_loop(), client_of(self.served, IN_FLIGHT)
        try:
            while not cancelled():
                while len(tasks) < IN_FLIGHT and (batch := next(waiting, None)) is not None:
                    tasks[loop.create_task(self._ask(client, batch[1]))] = batch[0]
                if not tasks:
                    return
                some = asyncio.wait(tasks, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                ended, _ = loop.run_until_complete(some)
                for task in sorted(ended, key=lambda t: t.exception() is not None):
                    yield tasks.pop(task), task.result()
        finally:
            loop.run_until_complete(_give_up(client, tasks))
            loop.close()

    async def _ask(self, client: openai.AsyncOpenAI, batch: Sequence[Encoded]) -> list[list[float]]:
        returned = await logits(client, self.served, [chain.ids for chain in batch])
        try:
            return [at_ends(rows, chain, self.kind) for rows, chain in zip(returned, batch, strict=True)]
        except StepvizError as error:
            what = f"{self.served.url} does not serve {self.served.model} so that steps can be scored"
            raise StepvizError(f"{what}: {error}") from None


async def _give_up(client: openai.AsyncOpenAI, tasks: Collection[asyncio.Task[Any]]) -> None:
    """Closes the connections of what is still under way, by which the server hears of it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


def _recognise(spec: str, where: Place, root: str, same_machine: bool) -> Recognised:
    """By the files of the folder that the model is called by or that the server has them in, else by the hub's.

    A path of another machine is none of this one: of a server there only a hub id is taken.
    """
    folders = [where.source, *([root] if same_machine else [])]
    folder = next((source for source in folders if source and Path(source).is_dir()), None)
    here = folder or next(filter(of_hub, (root, where.source)), None)
    try:
        if here is None:
            raise StepvizError("there is no folder and no hub id of this name")
        return recognise(where if here == where.source else where._replace(source=here, name=named(here)), spec)
    except StepvizError as error:
        if folder is not None:
            raise
        raise StepvizError(
            f"{where.runs} computes, but tokenizer and config of {where.served_as!r} are read on this machine, where "
            f"they are not: serve it (--served-model-name) as a folder of this machine or a hub id ({error})"
        ) from error
