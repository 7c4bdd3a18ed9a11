"""Comparisons and choices, one element at a time; the inputs broadcast as in NumPy.

    maximum  y = max(a, b)        minimum  y = min(a, b)        compare  y = 1 where a > b (>=, <, <=, =, !=), else 0
    where    y = a where the mask is not 0, else b

A comparison is a mask of float32, so it can be multiplied by; it has no gradient. Of two equal numbers each takes half of a
maximum's gradient, as in PyTorch.

Source: NumPy's ufuncs and numpy.where.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from striate.errors import ArgumentError
from striate.ops.base import Array, Op, Spec, want_float
from striate.ops.elementwise import Binary, broadcast, unbroadcast

if TYPE_CHECKING:
    from striate.graph import Graph, Value


@dataclass(frozen=True)
class Maximum(Binary):
    """y = the larger of a and b."""

    name = "maximum"

    def reference(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def gradient(self, g, x, y, dy):
        return shared(g, "gt", x, dy[0])


@dataclass(frozen=True)
class Minimum(Binary):
    """y = the smaller of a and b."""

    name = "minimum"

    def reference(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)

    def gradient(self, g, x, y, dy):
        return shared(g, "lt", x, dy[0])


def shared(g: Graph, verb: str, x: Sequence[Value], dy: Value) -> list[Value]:
    """dy to the input that won, half of it to each of two equal ones."""
    won = g.apply(Compare(verb), *x) + 0.5 * g.apply(Compare("eq"), *x)
    return [unbroadcast(dy * won, x[0].shape), unbroadcast(dy * (1 - won), x[1].shape)]


@dataclass(frozen=True)
class Compare(Binary):
    """y = 1 where `a verb b` holds, else 0, as float32; verb is gt, ge, lt, le, eq or ne. It has no gradient.

    >>> Compare("ge").reference(np.array([1.0, 2.0, 3.0]), np.array(2.0))
    array([0., 1., 1.])
    """

    verb: str
    name = "compare"

    def __post_init__(self):
        if self.verb not in ("gt", "ge", "lt", "le", "eq", "ne"):
            raise ArgumentError(f"a comparison is gt, ge, lt, le, eq or ne, got '{self.verb}'")

    def reference(self, a: Array, b: Array) -> Array:
        return np.asarray(getattr(operator, self.verb)(a, b)).astype(np.result_type(a))

    def gradient(self, g, x, y, dy):
        return [None, None]


@dataclass(frozen=True)
class Where(Op):
    """y = a where the mask is not 0, else b; all three broadcast."""

    name = "where"
    inputs = ("mask", "a", "b")
    linear_in = ("a", "b")

    def infer(self, mask: Spec, a: Spec, b: Spec) -> Spec:
        want_float(mask=mask, a=a, b=b)
        return Spec(broadcast(mask.shape, broadcast(a.shape, b.shape)), a.dtype)

    def reference(self, mask: Array, a: Array, b: Array) -> Array:
        return np.where(mask != 0, a, b)

    def gradient(self, g, x, y, dy):
        mask, a, b = x
        taken = g.apply(self, mask, dy[0], 0.0), g.apply(self, mask, 0.0, dy[0])
        return [None, unbroadcast(taken[0], a.shape), unbroadcast(taken[1], b.shape)]
