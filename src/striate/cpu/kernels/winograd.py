"""Winograd's F(m x m, 3x3): the transforms, and the memory of what they make.

A tile of m outputs y = w * d (3 taps over m + 2 pixels) is a product of polynomials, taken at m + 2 points (Toom and Cook):

    y = A' [ (G w) . (B' d) ]         in two dimensions    Y = A' [ (G W G') . (B' D B) ] A

    A (side, m) and, but for a factor in each row, G (side, 3)    powers of the points: `evaluate`; transposed: `collect`
    B' (side, side)    row i: the coefficients of the polynomial that is zero at all points but the i-th: `separate`
    scale              1 / (value of row i's polynomial at point i), the factor in the rows of G

m = 4 takes 36 products for 144, m = 6 takes 64 for 324. The points are 0, pairs +-a, and infinity; a pair shares its even and its
odd half. For m = 4 the usual 0, +-1, +-2 cost three times the error of +-5/8, +-3/2, which come within twice that of a direct
convolution; m = 6 costs six times as much, with +-1/2, +-1, +-2. All numbers in A and B are exact in float32.

The weight gradient is the same bilinear form, transposed:    dW = G' [ sum over tiles of (B' D B) . (A DY A') ] G.

Source: Lavin & Gray, Fast algorithms for convolutional neural networks, arXiv:1509.09308; for points and errors Barabasz et
al., Error analysis and improving the accuracy of Winograd convolution for deep neural networks, arXiv:1803.10986.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from striate.cpu.kernels.scratch import Shape
from striate.kernel.language import Builder, Num
from striate.kernel.machine import LINE

TAPS = 3


@dataclass(frozen=True)
class Form:
    """The transforms with the points 0, +-pairs[0], +-pairs[1], ... and infinity.

    >>> FOUR.tile, FOUR.side, SIX.tile, SIX.side
    (4, 6, 6, 8)
    """

    pairs: tuple[float, ...]

    @property
    def side(self) -> int:
        """Points along an axis, and pixels under a tile."""
        return 2 * len(self.pairs) + 2

    @property
    def tile(self) -> int:
        """Outputs of a tile along an axis."""
        return self.side - TAPS + 1

    @property
    def points(self) -> int:
        """Products of a tile."""
        return self.side**2

    @property
    def squares(self) -> list[float]:
        return [point**2 for point in self.pairs]

    @property
    def scale(self) -> list[float]:
        found = [1 / prod(-square for square in self.squares)]
        for square in self.squares:
            found += [1 / (2 * square * prod(square - other for other in self.squares if other != square))] * 2
        return [*found, 1.0]

    def evaluate(self, k: Builder, c: Sequence[Num]) -> list[Num]:
        """The polynomial with coefficients c (three, or as many as a tile has outputs) at the points: A c, G c without scale."""
        found = [c[0]]
        for point in self.pairs:
            even, odd = (combine(k, part[::-1], powers(point**2, len(part))[::-1]) for part in (c[::2], c[1::2]))
            found += [fma(k, odd, point, even), fma(k, odd, -point, even)]
        return [*found, c[-1]]

    def collect(self, k: Builder, m: Sequence[Num], count: int) -> list[Num]:
        """A' m for as many outputs as a tile has, G' m (scaled beforehand) for count = 3: out_j = sum_i point_i^j m_i."""
        plus, minus = m[1:-1:2], m[2:-1:2]
        sums, differences = ([f(a, b) for a, b in zip(plus, minus, strict=True)] for f in (Num.__add__, Num.__sub__))
        found = [sum(sums, m[0])]
        for j in range(1, count):
            found.append(combine(k, differences if j % 2 else sums, [point**j for point in self.pairs]))
        found[-1] = found[-1] + m[-1]
        return found

    def separate(self, k: Builder, d: Sequence[Num]) -> list[Num]:
        """B' d: the pixels under a tile at the points."""
        all_pairs = polynomial(self.squares)
        found = [combine(k, d[0::2], all_pairs)]
        for point in self.pairs:
            others = polynomial([square for square in self.squares if square != point**2])
            even, odd = combine(k, d[2::2], others), combine(k, d[1:-1:2], others)
            found += [fma(k, odd, point, even), fma(k, odd, -point, even)]
        return [*found, combine(k, d[1::2], all_pairs)]

    def scaled(self, values: Sequence[Num]) -> list[Num]:
        """The rows of G, once `evaluate` has made them."""
        return [v if s == 1 else v * s for v, s in zip(values, self.scale, strict=True)]


FOUR, SIX = Form((5 / 8, 3 / 2)), Form((1 / 2, 1.0, 2.0))


def powers(x: float, count: int) -> list[float]:
    return [x**i for i in range(count)]


def polynomial(roots: Sequence[float]) -> list[float]:
    """The coefficients of (y - root) (y - root) ..., the constant first."""
    found = [1.0]
    for root in roots:
        found = [a - root * b for a, b in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


def combine(k: Builder, values: Sequence[Num], factors: Sequence[float]) -> Num:
    """The sum of all values[i] * factors[i], the last one first."""
    *rest, last = zip(values, factors, strict=True)
    total = last[0] if last[1] == 1 else last[0] * last[1]
    for value, factor in reversed(rest):
        total = fma(k, value, factor, total)
    return total


def fma(k: Builder, a: Num, factor: float, b: Num) -> Num:
    """a * factor + b"""
    if abs(factor) == 1:
        return b + a if factor > 0 else b - a
    return k.fma(a, k.constant(factor, a.lanes), b)


def points_shape(form: Form, slots: int, depth: int) -> Shape:
    """(shape, strides) of an array (points, slots, channels), the points a cache line further apart than need be."""
    return (form.points, slots, depth), (slots * depth + LINE, depth, 1)
