"""Which chains a command works on: the same options for `measure`, `score` and `refine`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store

Source = Annotated[str | None, typer.Option(help="only problems of this source")]
Split = Annotated[str | None, typer.Option(help="only problems of this split")]
Limit = Annotated[int, typer.Option(help="at most so many problems or chains")]
VERDICTS = ("correct", "wrong", "unknown")


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """Chains by their ids, else those that pass a filter. Every field is an option of the command."""

    chain: Annotated[list[str] | None, typer.Option("--chain", help="a chain's id; may be repeated")] = None
    source: Source = None
    split: Split = None
    origin: Annotated[str | None, typer.Option(help="only chains of this origin")] = None
    verdict: Annotated[str | None, typer.Option("--verdict", help="only chains judged correct or wrong")] = None
    limit: Limit = 100

    def ids(self, store: Store, without: str | None = None) -> list[str]:
        """StepvizError for an id that is not here, and where no chain fits.

        The filter passes over `without`, an origin, unless that is the origin asked for.
        """
        if self.chain:
            if unknown := [id for id in self.chain if store.chain(id) is None]:
                raise StepvizError(f"there is no chain {unknown[0]} in this store")
            return self.chain
        return self._that_fit(store, without if without != self.origin else None)

    def _that_fit(self, store: Store, without: str | None) -> list[str]:
        from itertools import islice

        from db.values import ChainFilter
        from stepviz.first_screen import seed_for

        if self.verdict not in (None, *VERDICTS):
            raise StepvizError("--verdict is correct, wrong or unknown")
        seed_for(store, self.source)
        fits = ChainFilter(source=self.source, split=self.split, origin=self.origin, verdict=self.verdict)  # type: ignore[arg-type]
        passed = (row.chain.id for row in store.chains_of(fits) if row.chain.origin != without)
        chosen = list(islice(passed, self.limit))
        if not chosen:
            raise StepvizError("no chain fits: sample or import some first, or change the filter")
        return chosen


def of_chains(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ChainChoice's fields as parameters where `command` itself has `chains`."""
    hints = get_type_hints(command, include_extras=True)
    own = get_type_hints(ChainChoice, include_extras=True)
    options = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=own[f.name])
        for f in fields(ChainChoice)
    ]
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        named = parameter.replace(annotation=hints[parameter.name])
        parameters += options if parameter.name == "chains" else [named]

    @wraps(command)
    def run(*args: Any, **given: Any) -> None:
        choice = ChainChoice(**{option.name: given.pop(option.name) for option in options if option.name in given})
        command(*args, chains=choice, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
