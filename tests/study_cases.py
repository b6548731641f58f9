"""Studies in which people have labelled: turns taken, labels given and submitted, as the app's routes do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from db.store import Store
from db.study_values import SlotRow
from stepviz.studies import StudyConfig
from stepviz.types import Annotation

LEASE_S = 600.0


def made(
    store: Store,
    chains: Sequence[str],
    name: str = "first",
    gold: Sequence[str] = (),
    people: int = 3,
    **config: object,
) -> int:
    """Of these chains in their order; gold ones are marked."""
    told = StudyConfig(people=people, order="given", **config).told()  # type: ignore[arg-type]
    return store.add_study(name, told, "Be fair.", [(chain, chain in gold) for chain in chains], "root")


def taken(store: Store, study: int, who: str, arm: str = "blind") -> SlotRow:
    slot = store.next_slot(study, who, 9, LEASE_S, lambda _: arm)  # type: ignore[arg-type,return-value]
    assert slot is not None
    return slot


def labelled(
    store: Store,
    study: int,
    who: str,
    ratings: Mapping[int, int | None],
    *,
    finish: str = "solution",
    question: str = "correct",
    flags: Sequence[str] = (),
    note: str = "",
    arm: str = "blind",
    seconds: float = 12.5,
) -> SlotRow:
    """This person's next item, rated and submitted."""
    slot = taken(store, study, who, arm)
    said = [Annotation(slot.chain_id, who, question, step, value) for step, value in ratings.items()]  # type: ignore[arg-type]
    if said:
        store.label_in_slot(slot.id, who, said, LEASE_S)
    store.end_slot(slot.id, who, finish=finish, seconds=seconds, flags=flags, note=note)
    return slot


def settled(store: Store, study: int, chain: str, ratings: Mapping[int, int | None]) -> None:
    store.settle(study, chain, [Annotation("", "", "correct", step, value) for step, value in ratings.items()], "root")
