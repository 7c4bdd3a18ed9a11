"""Arithmetic and activations, one element at a time; two inputs broadcast as in NumPy.

    add        y = a + b          subtract   y = a - b          multiply   y = a * b          divide     y = a / b
    negate     y = -x             abs        y = |x|            exp        y = e^x            log        y = ln x
    power      y = x^exponent     relu       y = max(x, 0)      tanh       y = tanh x         sigmoid    y = 1 / (1 + e^-x)

The gradients of the activations read the output y, so that the input need not be kept:

    relu  dx = dy where y > 0        tanh  dx = dy * (1 - y^2)        sigmoid  dx = dy * y * (1 - y)

Sources: NumPy's broadcasting rules; Griewank & Walther, Evaluating Derivatives, chapter 2; Nair & Hinton, Rectified
linear units improve restricted Boltzmann machines, ICML 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Op, Spec, want_float, want_same

if TYPE_CHECKING:
    from striate.graph import Value


class Unary(Op):
    """One input, one output of its shape."""

    def infer(self, x: Spec) -> Spec:
        want_float(x=x)
        return x


class Binary(Op):
    """Two inputs that broadcast."""

    inputs = ("a", "b")

    def infer(self, a: Spec, b: Spec) -> Spec:
        want_float(a=a, b=b)
        return Spec(broadcast(a.shape, b.shape), a.dtype)


class Derivative(Op):
    """dy times the derivative, written in the output y: linear in dy."""

    inputs = ("dy", "y")
    linear_in = ("dy",)

    def infer(self, dy: Spec, y: Spec) -> Spec:
        want_float(dy=dy, y=y)
        want_same(dy=dy, y=y)
        return dy


@dataclass(frozen=True)
class Add(Binary):
    """y = a + b."""

    name = "add"
    linear_in = ("a", "b")

    def reference(self, a: Array, b: Array) -> Array:
        return a + b

    def gradient(self, g, x, y, dy):
        return [unbroadcast(dy[0], v.shape) for v in x]


@dataclass(frozen=True)
class Subtract(Binary):
    """y = a - b."""

    name = "subtract"
    linear_in = ("a", "b")

    def reference(self, a: Array, b: Array) -> Array:
        return a - b

    def gradient(self, g, x, y, dy):
        return [unbroadcast(dy[0], x[0].shape), unbroadcast(-dy[0], x[1].shape)]


@dataclass(frozen=True)
class Multiply(Binary):
    """y = a * b."""

    name = "multiply"
    linear_in = ("a", "b")

    def reference(self, a: Array, b: Array) -> Array:
        return a * b

    def gradient(self, g, x, y, dy):
        return [unbroadcast(dy[0] * x[1], x[0].shape), unbroadcast(dy[0] * x[0], x[1].shape)]


@dataclass(frozen=True)
class Divide(Binary):
    """y = a / b."""

    name = "divide"
    linear_in = ("a",)

    def reference(self, a: Array, b: Array) -> Array:
        return a / b

    def gradient(self, g, x, y, dy):
        return [unbroadcast(dy[0] / x[1], x[0].shape), unbroadcast(-(dy[0] * y[0] / x[1]), x[1].shape)]


@dataclass(frozen=True)
class Negate(Unary):
    """y = -x."""

    name = "negate"
    linear_in = ("x",)

    def reference(self, x: Array) -> Array:
        return -x

    def gradient(self, g, x, y, dy):
        return [-dy[0]]


@dataclass(frozen=True)
class Abs(Unary):
    """y = |x|."""

    name = "abs"

    def reference(self, x: Array) -> Array:
        return np.abs(x)

    def gradient(self, g, x, y, dy):
        return [g.apply(AbsGradient(), dy[0], x[0])]


@dataclass(frozen=True)
class AbsGradient(Op):
    """dx = dy * sign(x), 0 at x = 0."""

    name = "abs_gradient"
    inputs = ("dy", "x")
    linear_in = ("dy",)

    def infer(self, dy: Spec, x: Spec) -> Spec:
        want_same(dy=dy, x=x)
        return dy

    def reference(self, dy: Array, x: Array) -> Array:
        return dy * np.sign(x)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], x[1]), None]


@dataclass(frozen=True)
class Exp(Unary):
    """y = e^x."""

    name = "exp"

    def reference(self, x: Array) -> Array:
        return np.exp(x)

    def gradient(self, g, x, y, dy):
        return [dy[0] * y[0]]


@dataclass(frozen=True)
class Log(Unary):
    """y = ln x."""

    name = "log"

    def reference(self, x: Array) -> Array:
        return np.log(x)

    def gradient(self, g, x, y, dy):
        return [dy[0] / x[0]]


@dataclass(frozen=True)
class Power(Unary):
    """y = x^exponent for a constant exponent."""

    exponent: float
    name = "power"

    def reference(self, x: Array) -> Array:
        return x**self.exponent

    def gradient(self, g, x, y, dy):
        return [dy[0] * (self.exponent * x[0] ** (self.exponent - 1))]


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

    def reference(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, small) / (1 + small)

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


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a and b together: from the last axis on, sizes are equal or one of them is 1.

    >>> broadcast((2, 3, 1), (4,))
    (2, 3, 4)
    """
    rank = max(len(a), len(b))
    sizes = []
    for i, (m, n) in enumerate(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b)):
        if m != n and 1 not in (m, n):
            raise ShapeError(f"a {a} and b {b} do not broadcast: axis {i - rank} has {m} and {n}",
                             fix="make the sizes equal, or one of them 1")
        sizes.append(n if m == 1 else m)
    return tuple(sizes)


def unbroadcast(dy: Value, shape: tuple[int, ...]) -> Value:
    """The transpose of broadcasting: dy summed over the axes along which `shape` was repeated."""
    lead = dy.ndim - len(shape)
    repeated = tuple(i for i, n in enumerate(dy.shape) if i < lead or (shape[i - lead] == 1 and n != 1))
    total = dy.sum(repeated) if repeated else dy
    return total if total.shape == shape else total.reshape(shape)
