"""The gated linear unit: one half of an axis opens or shuts the other.

    y = a * s(b)        x = (a, b) side by side along the axis, s the sigmoid
    da = dy * s(b)      db = dy * a * s(b) * (1 - s(b))

Source: Dauphin et al., Language modeling with gated convolutional networks, arXiv:1612.08083, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Spec, traffic
from striate.ops.shape import Concat
from striate.ops.softmax import AlongAxis


@dataclass(frozen=True)
class GLU(AlongAxis):
    """y = a * sigmoid(b), half as long as x along the axis.

    >>> GLU(0).reference(np.array([2.0, 4.0, 0.0, 0.0]))
    array([1., 2.])
    """

    name = "glu"

    def infer(self, x: Spec) -> Spec:
        super().infer(x)
        size = x.shape[self.axis]
        if size % 2:
            raise ShapeError(f"x {x.shape} has {size} elements along the axis {self.axis}, which cannot be halved",
                             fix="make it even")
        return Spec((*x.shape[:self.axis], size // 2, *x.shape[self.axis + 1:]), x.dtype)

    def reference(self, x: Array) -> Array:
        a, b = np.split(x, 2, self.axis)
        return a * _sigmoid(b)

    def gradient(self, g, x, y, dy):
        return [g.apply(GLUGradient(self.axis), dy[0], x[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=5 * outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class GLUGradient(AlongAxis):
    """dx out of dy and x."""

    name = "glu_gradient"
    inputs = ("dy", "x")
    linear_in = ("dy",)

    def infer(self, dy: Spec, x: Spec) -> Spec:
        wanted = GLU(self.axis).infer(x)
        if dy != wanted:
            raise ShapeError(f"dy has shape {dy.shape}, but the output of x {x.shape} has {wanted.shape}",
                             fix="give dy the output's shape")
        return x

    def reference(self, dy: Array, x: Array) -> Array:
        a, b = np.split(x, 2, self.axis)
        s = _sigmoid(b)
        return np.concatenate([dy * s, dy * a * s * (1 - s)], self.axis)

    def gradient(self, g, x, y, dy):
        (outer, inputs), (p, q) = x, dy[0].chunk(2, self.axis)
        a, b = inputs.chunk(2, self.axis)
        s = b.sigmoid()
        slope = s * (1 - s)
        last = slope * (p + q * a * (1 - 2 * s)) * outer
        return [p * s + q * a * slope, g.apply(Concat(self.axis), q * outer * slope, last)]


def _sigmoid(b: Array) -> Array:
    """Without overflow: of the smaller exponential."""
    e = np.exp(-np.abs(b))
    return np.where(b >= 0, 1, e) / (1 + e)
