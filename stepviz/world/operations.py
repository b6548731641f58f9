"""The operations a story is made of, and how often each is tried.

An operation adds sentences, givens, derived quantities and their derivations to a story. Kinds (the `kind` of a
derivation): add, take, times, share, fraction, percent, rate, unit, compare.
"""

from __future__ import annotations

from collections.abc import Callable

from stepviz.world.counting import (
    compare_fewer,
    compare_more,
    compare_times,
    day_add,
    day_take,
    day_times,
    pack,
    percent_part,
    share_out,
    take_two,
    together,
    trait_part,
)
from stepviz.world.money import pay_cost, sell, tip, to_minutes, two_costs, wages, work_hours
from stepviz.world.openings import (
    root_bags,
    root_crates,
    root_empty_bags,
    root_has,
    root_mixed,
    root_sum,
    root_two_packs,
)
from stepviz.world.story import Story

Operation = Callable[[Story], None]

ROOTS: tuple[tuple[Operation, int], ...] = (
    (root_has, 3), (root_sum, 1), (root_bags, 2), (root_crates, 10), (root_mixed, 12), (root_empty_bags, 12),
    (root_two_packs, 2),
)  # fmt: skip

MIDDLE: tuple[tuple[Operation, int], ...] = (
    (day_add, 3), (day_take, 3), (take_two, 2), (day_times, 1), (compare_more, 3), (compare_fewer, 3),
    (compare_times, 2), (together, 4), (trait_part, 4), (percent_part, 3), (share_out, 2), (pack, 2), (sell, 8),
    (pay_cost, 2), (tip, 1), (two_costs, 2), (work_hours, 2), (to_minutes, 2), (wages, 3),
)  # fmt: skip
