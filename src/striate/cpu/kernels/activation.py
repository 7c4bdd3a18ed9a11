"""Activations and their gradients in the kernel language, a vector at a time.

`ACTIVATIONS` says how each is computed, `SLOPES` how dy is taken through a `Curve`: dx = dy * f'(z). Equations and sources stand
in `striate.ops.activation` and `striate.ops.rectifier`. Each is one exponential or less.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from striate import ops
from striate.kernel import math
from striate.kernel.language import Builder, Num
from striate.ops.base import Op

TANHSHRINK = (-21844 / 6081075, 1382 / 155925, -62 / 2835, 17 / 315, -2 / 15, 1 / 3)
TANH_SCALE, CUBE = sqrt(2 / pi), 0.044715


def zero(k: Builder, x: Num) -> Num:
    return k.constant(0.0, x.lanes)


def limit(k: Builder, x: Num, low: float, high: float) -> Num:
    """x within low..high; NaN stays NaN."""
    return k.minimum(k.constant(high, x.lanes), k.maximum(k.constant(low, x.lanes), x))




def _curve_gradient(k: Builder, op: ops.CurveGradient, at: Any, dy: Num, z: Num) -> Num:
    return SLOPES[type(op.f)](k, op.f, dy, z)


def _elu(k: Builder, op: ops.ELU, at: Any, x: Num) -> Num:
    below = math.expm1(k, x * op.input_scale) * (op.alpha * op.scale)
    return k.where(x > 0.0, x * op.scale, below)


def _elu_slope(k: Builder, f: ops.ELU, dy: Num, y: Num) -> Num:
    return dy * k.where(y > 0.0, k.constant(f.scale, y.lanes), (y + f.scale * f.alpha) * f.input_scale)


def _silu_slope(k: Builder, f: ops.SiLU, dy: Num, x: Num) -> Num:
    z = x * f.beta
    s = math.sigmoid(k, z)
    return dy * (s * (1.0 + z * (1.0 - s)))


def _gelu(k: Builder, op: ops.GELU, at: Any, x: Num) -> Num:
    if op.approximate == "none":
        size, share, density = _normal(k, x)
        return k.maximum(zero(k, x), x) - size * share * density
    return x * math.sigmoid(k, _inner(x))


def _normal(k: Builder, x: Num) -> tuple[Num, Num, Num]:
    """a = abs x, no larger than where the tail of a normal distribution vanishes; s and d, with s * d the share above a."""
    size = k.minimum(k.constant(math.NORMAL_HIGH, x.lanes), k.unary("abs", x))
    return size, *math.normal_tail(k, size)


def _inner(x: Num) -> Num:
    """What the sigmoid takes: (1 + tanh u) / 2 is sigmoid(2 u), and loses nothing where it is small."""
    return x * (2 * TANH_SCALE) * (1.0 + x * x * CUBE)


def _gelu_slope(k: Builder, f: ops.GELU, dy: Num, x: Num) -> Num:
    if f.approximate == "none":
        size, share, density = _normal(k, x)
        below = density * (share - size * (1 / sqrt(2 * pi)))
        return dy * k.where(x < 0.0, below, 1.0 - below)
    s = math.sigmoid(k, _inner(x))
    inner = (1.0 + x * x * (3 * CUBE)) * (2 * TANH_SCALE)
    return dy * (s + x * (s * (1.0 - s)) * inner)


def _tanh_of_softplus(k: Builder, x: Num) -> tuple[Num, Num]:
    """tanh(ln(1 + e)) = n / (n + 2) with n = e * (e + 2), and e = e^x; x above 20 counts as 20, where it is 1."""
    e = math.exp(k, k.minimum(k.constant(20.0, x.lanes), x))
    n = e * (e + 2.0)
    return n / (n + 2.0), e


def _mish(k: Builder, op: ops.Mish, at: Any, x: Num) -> Num:
    return x * _tanh_of_softplus(k, x)[0]


def _mish_slope(k: Builder, f: ops.Mish, dy: Num, x: Num) -> Num:
    t, e = _tanh_of_softplus(k, x)
    return dy * (t + x * (1.0 - t * t) * (e / (1.0 + e)))


def _softplus(k: Builder, op: ops.Softplus, at: Any, x: Num) -> Num:
    z = x * op.beta
    return k.where(z > op.threshold, x, math.softplus(k, z) * (1 / op.beta))


def _softplus_slope(k: Builder, f: ops.Softplus, dy: Num, x: Num) -> Num:
    z = x * f.beta
    return k.where(z > f.threshold, dy, dy * math.sigmoid(k, z))


def _softsign_slope(k: Builder, f: ops.Softsign, dy: Num, y: Num) -> Num:
    rest = 1.0 - k.unary("abs", y)
    return dy * (rest * rest)


def _tanhshrink(k: Builder, op: ops.Tanhshrink, at: Any, x: Num) -> Num:
    """Near 0, where x - tanh x cancels, by Taylor's series."""
    z = x * x
    return k.where(k.unary("abs", x) < 0.4, x * z * math.polynomial(k, z, TANHSHRINK), x - math.tanh(k, x))


def _tanhshrink_slope(k: Builder, f: ops.Tanhshrink, dy: Num, x: Num) -> Num:
    t = math.tanh(k, x)
    return dy * (t * t)


def _within(k: Builder, dy: Num, inside: Num) -> Num:
    return k.where(inside, dy, zero(k, dy))


def _hardswish(k: Builder, op: ops.Hardswish, at: Any, x: Num) -> Num:
    return x * (limit(k, x + 3.0, 0.0, 6.0) * (1 / 6))


def _hardswish_slope(k: Builder, f: ops.Hardswish, dy: Num, x: Num) -> Num:
    middle = dy * (x * (1 / 3) + 0.5)
    return k.where(x >= 3.0, dy, k.where(x > -3.0, middle, zero(k, dy)))


def _shrink(k: Builder, op: ops.Shrink, at: Any, x: Num) -> Num:
    near = k.where(x < 0.0, x + op.shift, x - op.shift) if op.shift else x
    return k.where(k.unary("abs", x) <= op.width, zero(k, x), near)


def _huber(k: Builder, op: ops.Huber, at: Any, x: Num) -> Num:
    size = k.unary("abs", x)
    near = k.minimum(k.constant(op.delta, x.lanes), size)
    return near * (size - 0.5 * near)


def _binary_cross_entropy(k: Builder, op: Op, at: Any, x: Num, target: Num) -> Num:
    lowest = k.constant(-100.0, x.lanes)
    yes, no = k.maximum(lowest, math.log(k, x)), k.maximum(lowest, math.log(k, 1.0 - x))
    return -(target * yes + (1.0 - target) * no)


def _binary_cross_entropy_gradient(k: Builder, op: Op, at: Any, dy: Num, x: Num, target: Num) -> Num:
    return dy * (x - target) / k.maximum(k.constant(1e-12, x.lanes), x * (1.0 - x))


ACTIVATIONS: dict[type[Op], Callable[..., Num]] = {
    ops.CurveGradient: _curve_gradient,
    ops.ReLU: lambda k, op, at, x: k.where(x < 0.0, zero(k, x), x),  # NaN stays NaN
    ops.ReLUGradient: lambda k, op, at, dy, y: k.where(y > 0.0, dy, zero(k, y)),
    ops.Tanh: lambda k, op, at, x: math.tanh(k, x),
    ops.TanhGradient: lambda k, op, at, dy, y: dy * (1.0 - y * y),
    ops.Sigmoid: lambda k, op, at, x: math.sigmoid(k, x),
    ops.SigmoidGradient: lambda k, op, at, dy, y: dy * (y * (1.0 - y)),
    ops.LeakyReLU: lambda k, op, at, x: k.where(x > 0.0, x, x * op.negative_slope),
    ops.PReLU: lambda k, op, at, x, weight: k.where(x > 0.0, x, x * weight),
    ops.PReLUGradient: lambda k, op, at, dy, x, weight: k.where(x > 0.0, dy, dy * weight),
    ops.ELU: _elu,
    ops.SiLU: lambda k, op, at, x: x * math.sigmoid(k, x * op.beta),
    ops.GELU: _gelu,
    ops.Mish: _mish,
    ops.Softplus: _softplus,
    ops.LogSigmoid: lambda k, op, at, x: -math.softplus(k, -x),
    ops.Softsign: lambda k, op, at, x: x / (1.0 + k.unary("abs", x)),
    ops.Hardtanh: lambda k, op, at, x: limit(k, x, op.low, op.high),
    ops.Hardsigmoid: lambda k, op, at, x: limit(k, x * (1 / 6) + 0.5, 0.0, 1.0),
    ops.Hardswish: _hardswish,
    ops.Tanhshrink: _tanhshrink,
    ops.Shrink: _shrink,
    ops.Threshold: lambda k, op, at, x: k.where(x > op.threshold, x, k.constant(op.value, x.lanes)),
    ops.Clamp: lambda k, op, at, x: limit(k, x, op.low, op.high),
    ops.Erf: lambda k, op, at, x: math.erf(k, x),
    ops.Sin: lambda k, op, at, x: math.sin(k, x),
    ops.Cos: lambda k, op, at, x: math.cos(k, x),
    ops.Huber: _huber,
    ops.BinaryCrossEntropy: _binary_cross_entropy,
    ops.BinaryCrossEntropyGradient: _binary_cross_entropy_gradient,
}

SLOPES: dict[type[ops.Curve], Callable[..., Num]] = {
    ops.LeakyReLU: lambda k, f, dy, z: k.where(z > 0.0, dy, dy * f.negative_slope),
    ops.ELU: _elu_slope,
    ops.SiLU: _silu_slope,
    ops.GELU: _gelu_slope,
    ops.Mish: _mish_slope,
    ops.Softplus: _softplus_slope,
    ops.LogSigmoid: lambda k, f, dy, x: dy * math.sigmoid(k, -x),
    ops.Softsign: _softsign_slope,
    ops.Hardtanh: lambda k, f, dy, y: _within(k, dy, (y > f.low) & (y < f.high)),
    ops.Hardsigmoid: lambda k, f, dy, x: _within(k, dy * (1 / 6), k.unary("abs", x) < 3.0),
    ops.Hardswish: _hardswish_slope,
    ops.Tanhshrink: _tanhshrink_slope,
    ops.Shrink: lambda k, f, dy, y: k.where(y.equals(0.0), zero(k, dy), dy),
    ops.Threshold: lambda k, f, dy, x: _within(k, dy, x > f.threshold),
    ops.Clamp: lambda k, f, dy, x: _within(k, dy, (x >= f.low) & (x <= f.high)),
    ops.Erf: lambda k, f, dy, x: dy * math.exp(k, -(x * x)) * (2 / sqrt(pi)),
    ops.Sin: lambda k, f, dy, x: dy * math.cos(k, x),
    ops.Cos: lambda k, f, dy, x: -(dy * math.sin(k, x)),
    ops.Huber: lambda k, f, dy, x: dy * limit(k, x, -f.delta, f.delta),
}
