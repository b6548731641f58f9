"""A problem's graph: quantities with true values, a target, and all valid one-step derivations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from stepviz.types import digest
from stepviz.world.expressions import Expr, Op, Ref, evaluate, parse, refs


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number the problem speaks of; its name stands word for word in the steps that assert it."""

    name: str
    value: Fraction
    given: bool = False
    distractor: bool = False
    money: bool = False


@dataclass(frozen=True, slots=True)
class Derivation:
    """One valid step: target = expr over other quantities. `kind` is the operation's name."""

    target: int
    expr: str  # over "#i", such as "#0*#1"
    kind: str
    misread: tuple[str, ...] = ()  # expressions a hasty reader would write instead

    @property
    def tree(self) -> Expr:
        tree = parse(self.expr)
        assert tree is not None, self.expr
        return tree


@dataclass(frozen=True)
class Graph:
    quantities: tuple[Quantity, ...]
    derivations: tuple[Derivation, ...]
    target: int

    @cached_property
    def truth(self) -> dict[int, Fraction]:
        return {i: q.value for i, q in enumerate(self.quantities)}

    @cached_property
    def givens(self) -> frozenset[int]:
        return frozenset(i for i, q in enumerate(self.quantities) if q.given)

    @cached_property
    def trees(self) -> tuple[Expr, ...]:
        return tuple(d.tree for d in self.derivations)

    @cached_property
    def operands(self) -> tuple[frozenset[int], ...]:
        return tuple(frozenset(refs(t)) for t in self.trees)

    @cached_property
    def on_route(self) -> frozenset[int]:
        """Quantities on some route to the target: reached going back from it through derivations."""
        seen, frontier = {self.target}, [self.target]
        while frontier:
            at = frontier.pop()
            for d, operands in zip(self.derivations, self.operands, strict=True):
                if d.target == at:
                    frontier += operands - seen
                    seen |= operands
        return frozenset(seen)

    def derivable(self, held: Collection[int], without: Collection[int] = ()) -> frozenset[int]:
        """Everything that follows from `held` by derivations, none of them touching `without`."""
        banned = frozenset(without)
        have = set(held) - banned
        grown = True
        while grown:
            grown = False
            for d, operands in zip(self.derivations, self.operands, strict=True):
                if d.target not in have and d.target not in banned and operands <= have:
                    have.add(d.target)
                    grown = True
        return frozenset(have)

    def reached(self, steps: Collection[int]) -> frozenset[int]:
        """What these derivations alone, in any order, lead to from the givens."""
        have = set(self.givens)
        while new := {self.derivations[i].target for i in steps if self.operands[i] <= have} - have:
            have |= new
        return frozenset(have)

    @cached_property
    def depth(self) -> dict[int, int]:
        """Least number of derivations that a quantity needs (shared ones counted once on its best tree)."""
        return {i: len(needed) for i, needed in self.needs.items()}

    @cached_property
    def needs(self) -> dict[int, frozenset[int]]:
        """What must be derived for a quantity on its shortest way, itself included."""
        best: dict[int, frozenset[int]] = {i: frozenset() for i in self.givens}
        grown = True
        while grown:
            grown = False
            for d, operands in zip(self.derivations, self.operands, strict=True):
                if operands <= best.keys():
                    needed = frozenset({d.target}).union(*(best[o] for o in operands))
                    if d.target not in best or len(needed) < len(best[d.target]):
                        best[d.target] = needed
                        grown = True
        return best

    @cached_property
    def template(self) -> str:
        """The solution template: a hash of the unlabelled graph behind the target, with its operations."""
        memo: dict[int, str] = {}

        def unfold(q: int) -> str:
            if q not in memo:
                routes = sorted(
                    d.kind + shape(tree) for d, tree in zip(self.derivations, self.trees, strict=True) if d.target == q
                )
                memo[q] = "g" if self.quantities[q].given else "[" + "|".join(routes) + "]"
            return memo[q]

        def shape(tree: Expr) -> str:
            if not isinstance(tree, Op):
                return "c" if not refs(tree) else unfold(refs(tree)[0])
            parts = [shape(tree.left), shape(tree.right)]
            return tree.symbol + "(" + ",".join(sorted(parts) if tree.symbol in "+*" else parts) + ")"

        return digest("template", unfold(self.target), str(len(self.on_route)))[:12]

    @property
    def n_steps(self) -> int:
        """Steps of a shortest solution, without the answer line."""
        return self.depth[self.target]

    def in_either_order(self) -> Graph:
        """With the other way to take two things away one by one: x − z, then − y, where the story tells x − y first.

        No reference goes this way, and templates do not know it; people and other models do. Left out where the
        value between would look like another quantity's.
        """
        quantities, derivations = list(self.quantities), list(self.derivations)
        for d, tree in zip(self.derivations, self.trees, strict=True):
            taken = [
                t for e, t in zip(self.derivations, self.trees, strict=True) if _parts(tree, "-")[1:] == [e.target]
            ]
            if len(taken) != 1 or not (pair := _parts(taken[0], "+")):
                continue
            whole = _parts(tree, "-")[0]
            told = [_parts(t, "-") for t in self.trees]
            for first, last in (pair, pair[::-1]):
                between = self.truth[whole] - self.truth[first]
                if [whole, first] not in told and between > 0 and between not in self.truth.values():
                    name = f"what is left after {self.quantities[first].name}"
                    quantities.append(Quantity(name, between, money=self.quantities[whole].money))
                    derivations.append(Derivation(len(quantities) - 1, f"#{whole}-#{first}", d.kind))
                    derivations.append(Derivation(d.target, f"#{len(quantities) - 1}-#{last}", d.kind))
        return Graph(tuple(quantities), tuple(derivations), self.target)

    def to_json(self) -> dict[str, Any]:
        return {
            "quantities": [
                [q.name, str(q.value), int(q.given), int(q.distractor), int(q.money)] for q in self.quantities
            ],
            "derivations": [[d.target, d.expr, d.kind, list(d.misread)] for d in self.derivations],
            "target": self.target,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Graph:
        return Graph(
            tuple(Quantity(n, Fraction(v), bool(g), bool(d), bool(m)) for n, v, g, d, m in data["quantities"]),
            tuple(Derivation(t, e, k, tuple(m)) for t, e, k, m in data["derivations"]),
            int(data["target"]),
        )

    def misread_values(self) -> list[tuple[Fraction, dict[int, Fraction]]]:
        """(value it gives, all values that follow) for every single misreading that can be computed."""
        found = []
        for d in self.derivations:
            for wrong in d.misread:
                tree = parse(wrong)
                value = evaluate(tree, self.truth) if tree else None
                if value is not None:
                    found.append((value, self.propagate({d.target: value})))
        return found

    def propagate(self, forced: Mapping[int, Fraction]) -> dict[int, Fraction]:
        """All values when `forced` ones are taken for granted and the first derivation of each is used."""
        values = {i: self.truth[i] for i in self.givens} | dict(forced)
        grown = True
        while grown:
            grown = False
            for d, tree in zip(self.derivations, self.trees, strict=True):
                if d.target not in values:
                    value = evaluate(tree, values)
                    if value is not None:
                        values[d.target] = value
                        grown = True
        return values


def _parts(tree: Expr, symbol: str) -> list[int]:
    """[a, b] of "#a-#b" (or another operation on two quantities), else []."""
    if isinstance(tree, Op) and tree.symbol == symbol and isinstance(tree.left, Ref) and isinstance(tree.right, Ref):
        return [tree.left.quantity, tree.right.quantity]
    return []
