"""What the store takes and gives of people and studies: frozen rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from stepviz.types import Arm

Role = Literal["annotator", "admin"]
SlotState = Literal["open", "submitted", "released"]


def adjudicator(study: str) -> str:
    """The annotator under whose name a study's conflicts are settled; no account can be called so (`:` is refused)."""
    return f"adjudicated:{study}"


@dataclass(frozen=True, slots=True)
class UserRow:
    """Who may sign in. password: argon2's encoded hash, never shown."""

    name: str
    role: Role
    password: str = field(repr=False)
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StudyRow:
    """guideline: the newest version's text, and its number; items, submitted: how many there are, and how many
    of them are gold, where counted."""

    id: int
    name: str
    open: bool
    config: Mapping[str, Any]
    created_by: str
    created_at: datetime
    guideline: str
    version: int
    items: int | None
    submitted: int | None
    gold: int | None = 0
    gold_submitted: int | None = 0


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One person's turn at one item."""

    id: int
    study_id: int
    item_id: int
    chain_id: str
    position: int
    gold: bool
    annotator: str
    arm: Arm
    guideline: int
    state: SlotState
    opened_at: datetime
    lease_until: datetime
    ended_at: datetime | None = None
    seconds: float | None = None
    finish: str | None = None
    flags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A chain of a study at its place, from 0. gold: its labels are known, and everybody gets it; n: its steps."""

    id: int
    position: int
    chain_id: str
    gold: bool
    n: int


@dataclass(frozen=True, slots=True)
class GuidelineRow:
    version: int
    text: str
    created_by: str
    created_at: datetime
