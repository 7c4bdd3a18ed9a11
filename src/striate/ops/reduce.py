"""Reductions over some axes A of an input.

    sum    y = sum_A x               dx = dy, repeated over A
    mean   y = sum_A x / |A|         dx = dy / |A|, repeated over A
    max    y = max_A x               dx = dy * [x = y] / (number of x = y in A): ties share equally, as in torch.amax

With keepdims the reduced axes stay, with size 1. Source: NumPy's ufunc.reduce.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, reduce_axes, traffic, want_float
from striate.ops.sight import SAME, View


@dataclass(frozen=True)
class Reduction(Op):
    """Axes counted from the front and sorted; see `reduce_axes`."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self, x: Spec) -> Spec:
        want_float(x=x)
        reduce_axes(self.axes, len(x.shape))
        kept = self.kept(x.shape)
        return Spec(kept if self.keepdims else tuple(n for i, n in enumerate(x.shape) if i not in self.axes), x.dtype)

    def kept(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The input's shape with 1 for the reduced axes."""
        return tuple(1 if i in self.axes else n for i, n in enumerate(shape))

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        kept = [i for i in range(len(inputs[0].shape)) if i not in self.axes]
        place = {i: i if self.keepdims else at for at, i in enumerate(kept)}
        return [tuple((place[i], SAME) if i in place else None for i in range(len(inputs[0].shape)))]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class Sum(Reduction):
    """y = sum of x over the axes.

    >>> Sum((0, 2, 3)).infer(Spec((8, 16, 5, 5)))
    Spec(shape=(16,), dtype='float32')
    """

    name = "sum"
    linear_in = ("x",)

    def reference(self, x: Array) -> Array:
        return x.sum(self.axes, keepdims=self.keepdims)

    def gradient(self, g, x, y, dy):
        return [dy[0].reshape(self.kept(x[0].shape)).expand(x[0].shape)]


@dataclass(frozen=True)
class Mean(Reduction):
    """y = mean of x over the axes."""

    name = "mean"
    linear_in = ("x",)

    def reference(self, x: Array) -> Array:
        return x.mean(self.axes, keepdims=self.keepdims)

    def gradient(self, g, x, y, dy):
        count = math.prod(x[0].shape[i] for i in self.axes)
        return [(dy[0] / count).reshape(self.kept(x[0].shape)).expand(x[0].shape)]


@dataclass(frozen=True)
class Max(Reduction):
    """y = largest x over the axes."""

    name = "max"

    def infer(self, x: Spec) -> Spec:
        if any(x.shape[i] == 0 for i in reduce_axes(self.axes, len(x.shape))):
            raise ShapeError(f"x {x.shape} has no elements along the axes {self.axes}, so there is no maximum",
                             fix="give every axis at least one element")
        return super().infer(x)

    def reference(self, x: Array) -> Array:
        return x.max(self.axes, keepdims=self.keepdims)

    def gradient(self, g, x, y, dy):
        return [g.apply(MaxGradient(self.axes, self.keepdims), dy[0], x[0], y[0])]


@dataclass(frozen=True)
class MaxGradient(Reduction):
    """dx = dy where x is the maximum y, shared equally among ties."""

    name = "max_gradient"
    inputs = ("dy", "x", "y")
    linear_in = ("dy",)

    def infer(self, dy: Spec, x: Spec, y: Spec) -> Spec:
        return x

    def reference(self, dy: Array, x: Array, y: Array) -> Array:
        kept = self.kept(x.shape)
        largest = x == y.reshape(kept)
        return np.where(largest, dy.reshape(kept) / largest.sum(self.axes, dy.dtype, keepdims=True), 0)

    def gradient(self, g, x, y, dy):
        share = g.apply(self, np.ones(x[0].shape, np.float32), x[1], x[2])
        return [(dy[0] * share).sum(self.axes, self.keepdims), None, None]
