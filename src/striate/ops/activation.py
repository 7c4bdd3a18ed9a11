"""Smooth activations, one element at a time; those made of straight pieces stand in rectifier.py.

    tanh         tanh x                              sigmoid      1 / (1 + e^-x)
    silu         x * sigmoid(beta * x)               log_sigmoid  -ln(1 + e^-x)
    softplus     ln(1 + e^(beta * x)) / beta         softsign     x / (1 + |x|)
    mish         x * tanh(softplus(x))               tanhshrink   x - tanh x
    gelu         x * Phi(x), Phi(x) the share of a standard normal distribution below x
    elu          scale * x where x > 0, else scale * alpha * (e^(x * input_scale) - 1)

dx = dy * f'. Where the slope can be written in the output y, the input need not be kept: tanh 1 - y^2, sigmoid y * (1 - y),
softsign (1 - |y|)^2, elu y + alpha.

Sources: Clevert et al., arXiv:1511.07289 (elu); Barron, arXiv:1704.07483 (celu); Klambauer et al., arXiv:1706.02515 (selu);
Hendrycks & Gimpel, arXiv:1606.08415 (gelu, silu); Ramachandran et al., arXiv:1710.05941 (swish); Misra, arXiv:1908.08681 (mish).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError
from striate.ops.base import Array
from striate.ops.elementwise import Curve, Derivative, Unary


@dataclass(frozen=True)
class Tanh(Unary):
    """y = tanh x."""

    name = "tanh"

    def reference(self, x: Array) -> Array:
        return np.tanh(x)

    def gradient(self, g, x, y, dy):
        return [g.apply(TanhGradient(), dy[0], y[0])]


@dataclass(frozen=True)
class TanhGradient(Derivative):
    """dx = dy * (1 - y^2)."""

    name = "tanh_gradient"

    def reference(self, dy: Array, y: Array) -> Array:
        return dy * (1 - y * y)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], x[1]), -2 * dy[0] * x[0] * x[1]]


@dataclass(frozen=True)
class Sigmoid(Unary):
    """y = 1 / (1 + e^-x), with an exponent that never overflows.

    >>> Sigmoid().reference(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    name = "sigmoid"
    operations = 4  # negate, exp, add, divide

    def reference(self, x: Array) -> Array:
        return sigmoid(x)

    def gradient(self, g, x, y, dy):
        return [g.apply(SigmoidGradient(), dy[0], y[0])]


@dataclass(frozen=True)
class SigmoidGradient(Derivative):
    """dx = dy * y * (1 - y)."""

    name = "sigmoid_gradient"

    def reference(self, dy: Array, y: Array) -> Array:
        return dy * y * (1 - y)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], x[1]), dy[0] * x[0] * (1 - 2 * x[1])]


@dataclass(frozen=True)
class ELU(Curve):
    """y = scale * x where x > 0, else scale * alpha * (e^(x * input_scale) - 1). CELU and SELU are ELUs by other numbers."""

    alpha: float = 1.0
    scale: float = 1.0
    input_scale: float = 1.0
    name = "elu"
    of_output = True

    def __post_init__(self):
        if self.alpha < 0:
            raise ArgumentError(f"elu's alpha must not be negative, got {self.alpha}; its slope is read from the output's sign")

    def reference(self, x: Array) -> Array:
        return self.scale * np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0) * self.input_scale))

    def slope(self, z: Array) -> Array:
        return np.where(z > 0, self.scale, self.input_scale * (z + self.scale * self.alpha))


@dataclass(frozen=True)
class SiLU(Curve):
    """y = x * sigmoid(beta * x): swish, with beta 1."""

    beta: float = 1.0
    name = "silu"

    def reference(self, x: Array) -> Array:
        return x * sigmoid(self.beta * x)

    def slope(self, z: Array) -> Array:
        s = sigmoid(self.beta * z)
        return s * (1 + self.beta * z * (1 - s))


@dataclass(frozen=True)
class GELU(Curve):
    """y = x * Phi(x); approximate 'tanh': x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))."""

    approximate: str = "none"
    name = "gelu"

    def __post_init__(self):
        if self.approximate not in ("none", "tanh"):
            raise ArgumentError(f"approximate must be 'none' or 'tanh', got {self.approximate!r}")

    def reference(self, x: Array) -> Array:
        if self.approximate == "tanh":
            return 0.5 * x * (1 + np.tanh(self.inner(x)))
        return x * normal(x)

    def inner(self, x: Array) -> Array:
        return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)

    def slope(self, z: Array) -> Array:
        if self.approximate == "tanh":
            t = np.tanh(self.inner(z))
            return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
        return normal(z) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Mish(Curve):
    """y = x * tanh(softplus(x))."""

    name = "mish"

    def reference(self, x: Array) -> Array:
        return x * np.tanh(np.logaddexp(0, x))

    def slope(self, z: Array) -> Array:
        t = np.tanh(np.logaddexp(0, z))
        return t + z * (1 - t * t) * sigmoid(z)


@dataclass(frozen=True)
class Softplus(Curve):
    """y = ln(1 + e^(beta * x)) / beta, and x itself where beta * x > threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    name = "softplus"

    def reference(self, x: Array) -> Array:
        return np.where(self.beta * x > self.threshold, x, np.logaddexp(0, self.beta * x) / self.beta)

    def slope(self, z: Array) -> Array:
        return np.where(self.beta * z > self.threshold, 1, sigmoid(self.beta * z))


@dataclass(frozen=True)
class LogSigmoid(Curve):
    """y = ln sigmoid(x) = -ln(1 + e^-x)."""

    name = "log_sigmoid"

    def reference(self, x: Array) -> Array:
        return -np.logaddexp(0, -x)

    def slope(self, z: Array) -> Array:
        return sigmoid(-z)


@dataclass(frozen=True)
class Softsign(Curve):
    """y = x / (1 + |x|)."""

    name = "softsign"
    of_output = True

    def reference(self, x: Array) -> Array:
        return x / (1 + np.abs(x))

    def slope(self, z: Array) -> Array:
        return (1 - np.abs(z)) ** 2


@dataclass(frozen=True)
class Tanhshrink(Curve):
    """y = x - tanh x."""

    name = "tanhshrink"

    def reference(self, x: Array) -> Array:
        return x - np.tanh(x)

    def slope(self, z: Array) -> Array:
        return np.tanh(z) ** 2


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), with an exponent that never overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def normal(x: Array) -> Array:
    """The share of a standard normal distribution below x, without cancellation in its lower tail."""
    return (0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2))).astype(x.dtype)
