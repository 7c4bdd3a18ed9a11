"""Resampling: each spatial axis is mapped by a sparse matrix of its own. Padding by what the image holds, and resizing.

    y = A_1 x A_2' ...         y[n,c,p,q] = sum_{h,w} A_1[p,h] * A_2[q,w] * x[n,c,h,w]
    dx = A_1' dy A_2 ...       the same operator with every matrix transposed

An output pixel p looks at the position s(p) = first + step * p of the input, n pixels long. Rows of A by kind:

    reflect     1 at s mirrored at the centres of the edge pixels         n=4, s=-2..5:  2 1 [0 1 2 3] 2 1
    replicate   1 at the nearest pixel                                                   0 0 [0 1 2 3] 3 3
    circular    1 at s mod n                                                             2 3 [0 1 2 3] 0 1
    nearest     1 at floor(s), s = step * (p + first)
    linear      1 - t at floor(s), t at floor(s) + 1                      t = s - floor(s), s cut to 0 .. n - 1
    cubic       the convolution kernel with a = -0.75 at floor(s) - 1 .. floor(s) + 2       pixels outside are the edge's

Source: Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 1981; PyTorch's `pad` and `interpolate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float
from striate.ops.sight import Sight, View, images, whole

CUBIC = -0.75
"""The slope of the cubic kernel at distance 1: PyTorch's and OpenCV's."""


@dataclass(frozen=True)
class ResampleAxis:
    """One axis of n pixels as `size` pixels; first (for 'nearest' in output pixels) and step in input pixels.

    >>> ResampleAxis("reflect", 4, 8, -2).index()[:, 0].tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    >>> ResampleAxis("linear", 2, 4, -0.25, 0.5).matrix().tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """

    kind: str
    n: int
    size: int
    first: float = 0.0
    step: float = 1.0

    def index(self) -> Array:
        """(size, taps): the input pixels that each output pixel reads."""
        at, last = self._floor(), self.n - 1
        if self.kind == "reflect":
            period = max(1, 2 * last)
            return (last - np.abs(at % period - last))[:, None]
        if self.kind == "circular":
            return (at % self.n)[:, None]
        reach = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}.get(self.kind, (0,))
        return np.clip(at[:, None] + np.array(reach), 0, last)

    def weight(self) -> Array:
        """(size, taps): by what each of these pixels is multiplied, float64."""
        t = (self._position() - self._floor())[:, None]
        if self.kind == "linear":
            return np.hstack([1 - t, t])
        if self.kind == "cubic":
            near, far = (_cubic_near(d) for d in (t, 1 - t)), (_cubic_far(d) for d in (1 + t, 2 - t))
            (b, c), (a, d) = near, far
            return np.hstack([a, b, c, d])
        return np.ones_like(t)

    def matrix(self) -> Array:
        """A, (size, n)."""
        full = np.zeros((self.size, self.n))
        np.add.at(full, (np.arange(self.size)[:, None], self.index()), self.weight())
        return full

    def sight(self) -> Sight:
        """The law of this axis: floor(s) .. floor(s) + the reach of its kind, as if the image went on past its edges.

        >>> ResampleAxis("linear", 2, 4, -0.25, 0.5).sight().first(0)
        -1
        """
        step = Fraction(self.step).limit_denominator(2 * self.size)
        first = Fraction(self.first).limit_denominator(4 * self.size) * (step if self.kind == "nearest" else 1)
        den = math.lcm(step.denominator, first.denominator)
        at, below = int(first * den), den - 1
        reach = {"linear": (below, below), "cubic": (below + den, below + den)}.get(self.kind, (below, 0))
        return Resampled(int(step * den), den, at - reach[0], at + reach[1], self)

    def _position(self) -> Array:
        if self.kind == "nearest":  # in single precision, where PyTorch rounds
            return np.float32(self.step) * (np.arange(self.size, dtype=np.float32) + np.float32(self.first))
        s = self.first + self.step * np.arange(self.size)
        return np.clip(s, 0, self.n - 1) if self.kind == "linear" else s

    def _floor(self) -> Array:
        return np.floor(self._position()).astype(np.int64)


@dataclass(frozen=True)
class Resampled(Sight):
    """A resampled axis's law; it knows where the pixels past the edges come from."""

    axis: ResampleAxis = ResampleAxis("nearest", 1, 1)

    def seen(self, outputs: Array, n: int) -> Array:
        mask = np.zeros(n, bool)
        mask[self.axis.index()[outputs][self.axis.weight()[outputs] != 0]] = True
        return mask


def _cubic_near(d: Array) -> Array:
    """The kernel at distances up to 1."""
    return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1


def _cubic_far(d: Array) -> Array:
    """The kernel at distances from 1 to 2."""
    return CUBIC * (((d - 5) * d + 8) * d - 4)


@dataclass(frozen=True)
class Resample(Op):
    """x (N, C, ...) -> y, each axis after the channels mapped by its matrix A; transposed: by A', the gradient.

    >>> op = Resample((ResampleAxis("replicate", 2, 4, -1),))
    >>> op.reference(np.array([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """

    axes: tuple[ResampleAxis, ...]
    transposed: bool = False
    name = "resample"
    linear_in = ("x",)

    def infer(self, x: Spec) -> Spec:
        want_float(x=x)
        ends = [(a.size, a.n) if self.transposed else (a.n, a.size) for a in self.axes]
        wanted = tuple(n for n, _ in ends)
        if len(x.shape) != len(ends) + 2 or x.shape[2:] != wanted:
            raise ShapeError(f"x {x.shape} does not fit the {len(ends)} axes {wanted} that are resampled",
                             fix="give it the shape (N, C, ...) with these axes")
        return Spec(x.shape[:2] + tuple(m for _, m in ends), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [whole(inputs[0].shape) if self.transposed else images([axis.sight() for axis in self.axes])]

    def reference(self, x: Array) -> Array:
        for i, axis in enumerate(self.axes):
            matrix = axis.matrix().astype(x.dtype)
            x = np.moveaxis(np.tensordot(x, matrix.T if self.transposed else matrix, (i + 2, 1)), -1, i + 2)
        return x

    def gradient(self, g, x, y, dy):
        return [g.apply(Resample(self.axes, not self.transposed), dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        large = outputs[0] if not self.transposed else inputs[0]
        taps = int(np.prod([axis.index().shape[1] for axis in self.axes]))
        return Cost(macs=large.size * taps if taps > 1 else 0, **traffic(inputs, outputs))

    def attributes(self) -> str:
        text = " ".join(f"{a.kind} {a.n}->{a.size}" for a in self.axes)
        return text + (" transposed" if self.transposed else "")
