"""Activations made of straight pieces, one element at a time.

    relu         max(x, 0)                           hardtanh     min(max(x, low), high); relu6 has 0 and 6
    leaky_relu   x where x > 0, else slope * x       hardsigmoid  min(max(x / 6 + 1/2, 0), 1)
    prelu        the same, the slope is learned      hardswish    x * hardsigmoid(x)
    rrelu        the same, the slope is drawn
    threshold    x where x > threshold, else value   shrink       x - sign(x) * shift where |x| > width, else 0

At a kink the slope is PyTorch's, mostly the one on the left: relu'(0) = 0, hardtanh' = 0 at both limits, hardswish'(-3) = 0.

Sources: Nair & Hinton, ICML 2010 (relu); Maas et al., ICML 2013 (leaky); He et al., arXiv:1502.01852 (prelu); Xu et al.,
arXiv:1505.00853 (rrelu); Howard et al., arXiv:1905.02244 (hardswish); Donoho, De-noising by soft-thresholding, 1995 (shrink).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError
from striate.ops.base import Array, Op, Spec, want_float, want_same
from striate.ops.dropout import Drawn
from striate.ops.elementwise import Curve, Derivative, Unary, unbroadcast


@dataclass(frozen=True)
class ReLU(Unary):
    """y = max(x, 0)."""

    name = "relu"

    def reference(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def gradient(self, g, x, y, dy):
        return [g.apply(ReLUGradient(), dy[0], y[0])]


@dataclass(frozen=True)
class ReLUGradient(Derivative):
    """dx = dy where y > 0, else 0."""

    name = "relu_gradient"

    def reference(self, dy: Array, y: Array) -> Array:
        return np.where(y > 0, dy, 0)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], x[1]), None]


@dataclass(frozen=True)
class LeakyReLU(Curve):
    """y = x where x > 0, else negative_slope * x."""

    negative_slope: float = 0.01
    name = "leaky_relu"

    @property
    def of_output(self) -> bool:  # type: ignore[override]
        """With a slope below 0 the output's sign does not tell the input's."""
        return self.negative_slope >= 0

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, self.negative_slope * x)

    def slope(self, z: Array) -> Array:
        return np.where(z > 0, 1, self.negative_slope)


@dataclass(frozen=True)
class PReLU(Op):
    """y = x where x > 0, else weight * x; the weight broadcasts: one for all, or (C, 1, ...) for each channel."""

    name = "prelu"
    inputs = ("x", "weight")
    linear_in = ("weight",)

    def infer(self, x: Spec, weight: Spec) -> Spec:
        want_float(x=x, weight=weight)
        return x

    def reference(self, x: Array, weight: Array) -> Array:
        return np.where(x > 0, x, weight * x)

    def gradient(self, g, x, y, dy):
        below = g.apply(Hardtanh(-math.inf, 0.0), x[0])
        return [g.apply(PReLUGradient(), dy[0], *x), unbroadcast(dy[0] * below, x[1].shape)]


@dataclass(frozen=True)
class PReLUGradient(Op):
    """dx = dy where x > 0, else weight * dy."""

    name = "prelu_gradient"
    inputs = ("dy", "x", "weight")
    linear_in = ("dy", "weight")

    def infer(self, dy: Spec, x: Spec, weight: Spec) -> Spec:
        want_same(dy=dy, x=x)
        return dy

    def reference(self, dy: Array, x: Array, weight: Array) -> Array:
        return np.where(x > 0, dy, weight * dy)

    def gradient(self, g, x, y, dy):
        outer, at, weight = x
        return [g.apply(self, dy[0], at, weight), None, unbroadcast(dy[0] * outer * (at <= 0), weight.shape)]


@dataclass(frozen=True)
class RReLU(Drawn):
    """y = x where x > 0, else a * x, with a slope a of its own between lower and upper for each element."""

    lower: float
    upper: float
    stream: int
    name = "rrelu"

    def reference(self, x: Array, random: Array) -> Array:
        return np.where(x > 0, x, self.slopes(x, random) * x)

    def slopes(self, x: Array, random: Array) -> Array:
        return (self.lower + (self.upper - self.lower) * (self.draw(x.shape, random) / 2**24)).astype(x.dtype)

    def gradient(self, g, x, y, dy):
        return [g.apply(RReLUGradient(self.lower, self.upper, self.stream), dy[0], *x), None]


@dataclass(frozen=True)
class RReLUGradient(RReLU):
    """dx = dy where x > 0, else a * dy, with the slopes of the forward pass."""

    name = "rrelu_gradient"
    inputs = ("dy", "x", "random")
    linear_in = ("dy",)

    def infer(self, dy: Spec, x: Spec, random: Spec) -> Spec:  # type: ignore[override]
        want_same(dy=dy, x=x)
        return super().infer(x, random)

    def reference(self, dy: Array, x: Array, random: Array) -> Array:  # type: ignore[override]
        return np.where(x > 0, dy, self.slopes(x, random) * dy)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], *x[1:]), None, None]


@dataclass(frozen=True)
class Hardtanh(Curve):
    """y = min(max(x, low), high); the slope is 1 strictly between the limits. relu6 has 0 and 6."""

    low: float = -1.0
    high: float = 1.0
    name = "hardtanh"
    of_output = True

    def __post_init__(self):
        if self.low > self.high:
            raise ArgumentError(f"min_val must not be larger than max_val, got {self.low} and {self.high}")

    def reference(self, x: Array) -> Array:
        return np.clip(x, self.low, self.high)

    def slope(self, z: Array) -> Array:
        return (z > self.low) & (z < self.high)


@dataclass(frozen=True)
class Hardsigmoid(Curve):
    """y = min(max(x / 6 + 1/2, 0), 1)."""

    name = "hardsigmoid"

    def reference(self, x: Array) -> Array:
        return np.clip(x / 6 + 0.5, 0, 1)

    def slope(self, z: Array) -> Array:
        return (np.abs(z) < 3) / 6


@dataclass(frozen=True)
class Hardswish(Curve):
    """y = x * min(max(x + 3, 0), 6) / 6."""

    name = "hardswish"

    def reference(self, x: Array) -> Array:
        return x * np.clip(x + 3, 0, 6) / 6

    def slope(self, z: Array) -> Array:
        return np.where(z <= -3, 0, np.where(z < 3, z / 3 + 0.5, 1))


@dataclass(frozen=True)
class Shrink(Curve):
    """y = x - sign(x) * shift where |x| > width, else 0: hard with shift 0, soft with shift = width."""

    width: float = 0.5
    shift: float = 0.0
    name = "shrink"
    of_output = True

    def __post_init__(self):
        if self.width < 0:
            raise ArgumentError(f"lambda must not be negative, got {self.width}")

    def reference(self, x: Array) -> Array:
        return np.where(np.abs(x) <= self.width, 0, x - np.sign(x) * self.shift)

    def slope(self, z: Array) -> Array:
        return z != 0


@dataclass(frozen=True)
class Threshold(Curve):
    """y = x where x > threshold, else value."""

    threshold: float
    value: float
    name = "threshold"

    def reference(self, x: Array) -> Array:
        return np.where(x > self.threshold, x, self.value).astype(x.dtype)

    def slope(self, z: Array) -> Array:
        return z > self.threshold
