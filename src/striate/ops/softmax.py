"""Softmax and its logarithm along one axis, both shifted by the maximum so that nothing overflows.

    softmax      y_i = e^{x_i} / sum_j e^{x_j}                 dx_i = y_i * (dy_i - sum_j dy_j * y_j)
    log_softmax  y_i = x_i - ln sum_j e^{x_j}                  dx_i = dy_i - e^{y_i} * sum_j dy_j

Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, Neurocomputing 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, axis, traffic, want_float, want_same
from striate.ops.sight import View, without


@dataclass(frozen=True)
class AlongAxis(Op):
    """The axis, counted from the front, that is normalised."""

    axis: int

    def infer(self, x: Spec) -> Spec:
        want_float(x=x)
        if not x.shape:
            raise ShapeError("x is a single number and has no axis to normalise", fix="give it at least one axis")
        axis(self.axis, len(x.shape))
        return x

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [without(x.shape, [self.axis]) for x in inputs]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=5 * outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class AlongAxisGradient(AlongAxis):
    """dx out of dy and the output y."""

    inputs = ("dy", "y")
    linear_in = ("dy",)

    def infer(self, dy: Spec, y: Spec) -> Spec:
        want_same(dy=dy, y=y)
        return super().infer(dy)


@dataclass(frozen=True)
class Softmax(AlongAxis):
    """y = e^x / sum e^x.

    >>> Softmax(0).reference(np.array([0.0, 0.0, 0.0, 0.0]))
    array([0.25, 0.25, 0.25, 0.25])
    """

    name = "softmax"

    def reference(self, x: Array) -> Array:
        e = np.exp(x - x.max(self.axis, keepdims=True))
        return e / e.sum(self.axis, keepdims=True)

    def gradient(self, g, x, y, dy):
        return [g.apply(SoftmaxGradient(self.axis), dy[0], y[0])]


@dataclass(frozen=True)
class SoftmaxGradient(AlongAxisGradient):
    """dx = y * (dy - sum dy * y)."""

    name = "softmax_gradient"

    def reference(self, dy: Array, y: Array) -> Array:
        return y * (dy - (dy * y).sum(self.axis, keepdims=True))

    def gradient(self, g, x, y, dy):
        (outer, probability), inner = x, dy[0]
        mixed = outer * (inner * probability).sum(self.axis, True) + inner * (outer * probability).sum(self.axis, True)
        return [g.apply(self, inner, probability), inner * outer - mixed]


@dataclass(frozen=True)
class LogSoftmax(AlongAxis):
    """y = x - ln sum e^x."""

    name = "log_softmax"

    def reference(self, x: Array) -> Array:
        shifted = x - x.max(self.axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(self.axis, keepdims=True))

    def gradient(self, g, x, y, dy):
        return [g.apply(LogSoftmaxGradient(self.axis), dy[0], y[0])]


@dataclass(frozen=True)
class LogSoftmaxGradient(AlongAxisGradient):
    """dx = dy - e^y * sum dy."""

    name = "log_softmax_gradient"

    def reference(self, dy: Array, y: Array) -> Array:
        return dy - np.exp(y) * dy.sum(self.axis, keepdims=True)

    def gradient(self, g, x, y, dy):
        outer, probability, inner = x[0], x[1].exp(), dy[0]
        return [inner - (inner * probability).sum(self.axis, True), -(inner * probability * outer.sum(self.axis, True))]
