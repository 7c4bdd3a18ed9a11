"""Elementary functions in the kernel language: exp and log to about two units in the last place, tanh to five.

    exp x  = 2^n * e^r,  n = round(x / ln 2),  r = x - n ln 2 in two parts, e^r by a polynomial of degree 6
    log x  = e ln 2 + log m,  x = 2^e m with m in [1/sqrt 2, sqrt 2), log m by a polynomial
    tanh x = x P(x^2) / Q(x^2) for abs x < 9, else +-1: one division and no exponential

Sources: Moshier, Cephes mathematical library, expf and logf; Cody & Waite, Software Manual for the Elementary Functions.
P and Q are a weighted least-squares fit of tanh x / x (relative error 7e-9 before rounding).
"""

from __future__ import annotations

from collections.abc import Sequence

from striate.kernel.language import Builder, Num

LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
       2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
TANH_P = (-8.489009772777958e-14, 5.278169890486154e-11, -2.022590399732987e-08, 1.1154520897829028e-05, 3.1039792298833504e-3,
          0.13084031512497715, 0.9999999934416725)
TANH_Q = (2.5461771315758816e-4, 2.449527258847154e-2, 0.4641735863878902, 1.0)


def polynomial(k: Builder, x: Num, coefficients: Sequence[float]) -> Num:
    """Horner's rule, highest power first."""
    total = k.constant(coefficients[0], x.lanes)
    for c in coefficients[1:]:
        total = k.fma(total, x, k.constant(c, x.lanes))
    return total


def exp(k: Builder, x: Num) -> Num:
    """e to the x; 0 below -87.3, infinity above 88.7, NaN stays NaN."""
    low, high = k.constant(-87.33654, x.lanes), k.constant(88.72283, x.lanes)
    inside = k.minimum(k.maximum(x, low), high)
    n = k.unary("round", inside * 1.4426950408889634)
    r = k.fma(n, k.constant(-LN2_LOW, x.lanes), k.fma(n, k.constant(-LN2_HIGH, x.lanes), inside))
    value = k.fma(polynomial(k, r, EXP), r * r, r + 1.0)
    half = k.unary("to_i32", n) >> 1  # 2^n in two factors, so that n = 128 does not overflow the exponent
    half = half | (k.unary("to_i32", n) & -(2**31))  # the shift is logical; keep the sign of n
    rest = k.unary("to_i32", n) - half
    scaled = value * power_of_two(k, half) * power_of_two(k, rest)
    bounded = k.where(x > high, k.constant(float("inf"), x.lanes), k.where(x < low, k.constant(0.0, x.lanes), scaled))
    return k.where(x.equals(x), bounded, x)


def power_of_two(k: Builder, n: Num) -> Num:
    """2 to a whole number between -126 and 127: the number goes into the exponent's bits."""
    return k.unary("from_bits", (n + 127) << 23)


def log(k: Builder, x: Num) -> Num:
    """Natural logarithm; -infinity at 0, NaN below."""
    bits = k.unary("bits", k.maximum(x, k.constant(1.17549435e-38, x.lanes)))
    exponent = k.unary("to_f32", (bits >> 23) - 126)
    m = k.unary("from_bits", (bits & 0x007FFFFF) | 0x3F000000)  # [0.5, 1)
    small = m < 0.70710678
    exponent = k.where(small, exponent - 1.0, exponent)
    m = k.where(small, m + m, m) - 1.0
    z = m * m
    value = polynomial(k, m, LOG) * m * z
    value = k.fma(exponent, k.constant(LN2_LOW, x.lanes), value) - z * 0.5
    value = k.fma(exponent, k.constant(LN2_HIGH, x.lanes), value + m)
    infinity = k.constant(float("inf"), x.lanes)
    value = k.where(x < infinity, value, x)
    value = k.where(x.equals(0.0), -infinity, value)
    return k.where(x >= 0.0, value, k.constant(float("nan"), x.lanes))


def tanh(k: Builder, x: Num) -> Num:
    """Odd, within -1..1, NaN stays NaN."""
    inside = clamp(k, x, 9.0)
    z = inside * inside
    return clamp(k, inside * polynomial(k, z, TANH_P) / polynomial(k, z, TANH_Q), 1.0)


def clamp(k: Builder, x: Num, limit: float) -> Num:
    """x within -limit..limit; the comparison lets NaN pass."""
    return k.maximum(k.constant(-limit, x.lanes), k.minimum(k.constant(limit, x.lanes), x))


def sigmoid(k: Builder, x: Num) -> Num:
    return 1.0 / (1.0 + exp(k, -x))
