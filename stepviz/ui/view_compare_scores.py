"""What the Compare page shows of two judges of steps: how far each agrees with what is known, and whose pits moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepviz.compare_scored import FoundScores
from stepviz.compare_scores import Agreement, Move, Scored, agreements, moves
from stepviz.compare_spec import role_of
from stepviz.refinement import THRESHOLD
from stepviz.ui.compare_at import ROWS, At


@dataclass(frozen=True, slots=True)
class Judges:
    """rows: the chains of the class that is shown, those of this page, of `listed` in all."""

    found: FoundScores
    agreements: tuple[Agreement, ...]
    moves: Mapping[Move, int]
    rows: tuple[Scored, ...]
    listed: int
    threshold: float
    roles: tuple[str, str] = ("prm", "prm")  # what each estimates


def judges_of(found: FoundScores, at: At) -> Judges:
    t = threshold_of(at)
    shown = that_show(found.chains, at)
    skip = at.skipped if at.skipped < len(shown) else 0
    return Judges(
        found,
        tuple(agreements(found.chains, t)),
        moves(found.chains, t),
        tuple(shown[skip : skip + ROWS]),
        len(shown),
        t,
        (role_of(at.before), role_of(at.after)),
    )


def that_show(chains: Sequence[Scored], at: At) -> list[Scored]:
    """Those of the class that the address filters by."""
    return [c for c in chains if not at.show or c.move(threshold_of(at)) == at.show]


def threshold_of(at: At) -> float:
    """A number from 0 to 1, else the paper's."""
    plain = len(at.t) < 8 and at.t.isascii() and at.t.replace(".", "", 1).isdigit()
    return float(at.t) if plain and float(at.t) <= 1 else THRESHOLD
