"""Arithmetic and elementary functions, one element at a time; two inputs broadcast as in NumPy.

    add        y = a + b          subtract   y = a - b          multiply   y = a * b          divide     y = a / b
    negate     y = -x             abs        y = |x|            exp        y = e^x            log        y = ln x
    power      y = x^exponent     clamp      y = min(max(x, low), high)                       erf sin cos

The gradient of clamp is 1 at both limits, as in PyTorch.

Sources: NumPy's broadcasting rules; Griewank & Walther, Evaluating Derivatives, chapter 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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


class Curve(Unary):
    """y = f(x) with a slope f' of its own, which `CurveGradient` multiplies by dy."""

    of_output: ClassVar[bool] = False
    """Whether the slope is written in y, so that x need not be kept."""

    def slope(self, z: Array) -> Array:
        """f' at z: the input, or the output if `of_output`."""
        raise NotImplementedError

    def gradient(self, g, x, y, dy):
        return [g.apply(CurveGradient(self), dy[0], y[0] if self.of_output else x[0])]


@dataclass(frozen=True)
class CurveGradient(Op):
    """dx = dy * f'(z); z is the input of f, or its output where the slope is written in that.

    >>> CurveGradient(Clamp(0.0, 6.0)).reference(np.array([2.0, 2.0]), np.array([-1.0, 1.0]))
    array([0., 2.])
    """

    f: Curve
    name = "curve_gradient"
    inputs = ("dy", "z")
    linear_in = ("dy",)

    def infer(self, dy: Spec, z: Spec) -> Spec:
        want_float(dy=dy, z=z)
        want_same(dy=dy, z=z)
        return dy

    def reference(self, dy: Array, z: Array) -> Array:
        return dy * self.f.slope(z).astype(z.dtype)


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
class Clamp(Curve):
    """y = min(max(x, low), high); the slope is 1 within the limits and at them."""

    low: float = -math.inf
    high: float = math.inf
    name = "clamp"

    def reference(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, self.low), self.high)

    def slope(self, z: Array) -> Array:
        return (z >= self.low) & (z <= self.high)


@dataclass(frozen=True)
class Erf(Curve):
    """y = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x."""

    name = "erf"

    def reference(self, x: Array) -> Array:
        return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)

    def slope(self, z: Array) -> Array:
        return 2 / math.sqrt(math.pi) * np.exp(-z * z)


@dataclass(frozen=True)
class Sin(Curve):
    """y = sin x."""

    name = "sin"

    def reference(self, x: Array) -> Array:
        return np.sin(x)

    def slope(self, z: Array) -> Array:
        return np.cos(z)


@dataclass(frozen=True)
class Cos(Curve):
    """y = cos x."""

    name = "cos"

    def reference(self, x: Array) -> Array:
        return np.cos(x)

    def slope(self, z: Array) -> Array:
        return -np.sin(z)


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
