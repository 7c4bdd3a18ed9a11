"""Elementary functions in the kernel language: exp, log, erf to about two units in the last place, tanh to five.

    exp x  = 2^n * e^r,  n = round(x / ln 2),  r = x - n ln 2 in two parts, e^r by a polynomial of degree 6; n is added to the
             exponent of e^r, which is in bounds for every x whose exponential is
    log x  = e ln 2 + log m,  x = 2^e m with m in [1/sqrt 2, sqrt 2), log m by a polynomial
    tanh x = x P(x^2) / Q(x^2) for abs x < 9, else +-1: one division and no exponential
    erf x  = x + x P(x^2) for abs x < 0.93, else +-(1 - e^(polynomial of abs x))
    the share of a normal distribution above x >= 0 = e^(-x^2/2) P(x) / Q(x)
    sin x  = +-sin r or +-cos r,  r = x - n pi/2 in three parts, for abs x up to 8000

Sources: Moshier, Cephes mathematical library, expf, logf, sinf; Cody & Waite, Software Manual for the Elementary Functions.
P and Q are weighted least-squares fits of tanh x / x and, weights moved until the error is even, of the share over e^(-x^2/2)
(relative errors 7e-9 and 5e-9 before rounding).
"""

from __future__ import annotations

from collections.abc import Sequence

from striate.kernel.language import Builder, Num

LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
EXP_LOW, EXP_HIGH = -87.33654, 88.72283
LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
       2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
ERF_NEAR = 0.927734375
ERF = (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
ERFC = (-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1)
NORMAL_P = (4.011658950699587e-3, 3.99263023614105e-2, 0.1811343555118174, 0.4354522680303762, 0.5000000024460229)
NORMAL_Q = (1.0055592272083243e-2, 0.10008786792835385, 0.4639253424792518, 1.193765967010148, 1.6687894499030043, 1.0)
NORMAL_HIGH = 13.2
HALF_PI = (1.5703125, 4.837512969970703e-4, 7.549789948768648e-8)
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
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
    tail, n = _reduced_exp(k, x)
    value = k.unary("from_bits", k.unary("bits", tail + 1.0) + (n << 23))
    return _bounded_exp(k, x, value, 0.0)


def expm1(k: Builder, x: Num) -> Num:
    """e^x - 1, without cancellation near 0."""
    tail, n = _reduced_exp(k, x)
    one = k.constant(1.0, x.lanes)
    return _bounded_exp(k, x, _scale(k, tail, n) + (_scale(k, one, n) - one), -1.0)


def _reduced_exp(k: Builder, x: Num) -> tuple[Num, Num]:
    """e^r - 1 and n; anything where x is out of bounds."""
    n = k.unary("round", x * 1.4426950408889634)
    r = k.fma(n, k.constant(-LN2_LOW, x.lanes), k.fma(n, k.constant(-LN2_HIGH, x.lanes), x))
    return k.fma(polynomial(k, r, EXP), r * r, r), k.unary("to_i32", n)


def _scale(k: Builder, value: Num, n: Num) -> Num:
    """value * 2^n in two factors, so that n = 128 does not overflow the exponent."""
    half = n >> 1
    half = half | (n & -(2**31))  # the shift is logical; keep the sign of n
    return value * power_of_two(k, half) * power_of_two(k, n - half)


def _bounded_exp(k: Builder, x: Num, value: Num, lowest: float) -> Num:
    above = k.where(x < EXP_LOW, k.constant(lowest, x.lanes), value)
    return k.where(x <= EXP_HIGH, above, x + float("inf"))  # NaN too


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


def log1p(k: Builder, x: Num) -> Num:
    """ln(1 + x) for x from 0 up; what rounding 1 + x loses is put back."""
    one = k.constant(1.0, x.lanes)
    whole = one + x
    return log(k, whole) + (x - (whole - one)) / whole


def softplus(k: Builder, x: Num) -> Num:
    """ln(1 + e^x)"""
    return k.maximum(k.constant(0.0, x.lanes), x) + log1p(k, exp(k, -k.unary("abs", x)))


def erf(k: Builder, x: Num) -> Num:
    """Odd, within -1..1, NaN stays NaN."""
    size = k.unary("abs", x)
    far = 1.0 - _erfc(k, size)
    return k.where(size > ERF_NEAR, k.where(x < 0.0, -far, far), _erf_near(k, x))


def normal_tail(k: Builder, x: Num) -> tuple[Num, Num]:
    """The share of a standard normal distribution above x, over e^(-x^2/2), and e^(-x^2/2), for x from 0 to NORMAL_HIGH."""
    tail, n = _reduced_exp(k, x * x * -0.5)
    power = k.unary("from_bits", k.unary("bits", tail + 1.0) + (n << 23))
    return polynomial(k, x, NORMAL_P) / polynomial(k, x, NORMAL_Q), power


def _erf_near(k: Builder, x: Num) -> Num:
    """erf for abs x up to 0.93."""
    return k.fma(x, polynomial(k, x * x, ERF), x)


def _erfc(k: Builder, x: Num) -> Num:
    """1 - erf x for x from 0.93 up: e to a polynomial."""
    bounded = k.minimum(k.constant(10.0, x.lanes), x)
    return exp(k, k.fma(polynomial(k, bounded, ERFC), bounded, -bounded))


def sin(k: Builder, x: Num) -> Num:
    return _wave(k, x, 0)


def cos(k: Builder, x: Num) -> Num:
    return _wave(k, x, 1)


def _wave(k: Builder, x: Num, turns: int) -> Num:
    """sin(x + turns * pi/2): the quarter turn n decides sine or cosine of the rest r, and the sign."""
    n = k.unary("round", x * 0.6366197723675814)
    r = x
    for part in HALF_PI:
        r = k.fma(n, k.constant(-part, x.lanes), r)
    quarter = k.unary("to_i32", n) + turns
    z = r * r
    sine = k.fma(polynomial(k, z, SIN) * z, r, r)
    cosine = k.fma(polynomial(k, z, COS), z * z, 1.0 - 0.5 * z)
    value = k.where((quarter & 1).equals(0), sine, cosine)
    return k.where((quarter & 2).equals(0), value, -value)
