"""Points for Winograd's F(m, r) along one axis, and the transforms of lines that may lie outside of an image.

    y = A' [ (G w) . (B' d) ]        m outputs of r taps over side = m + r - 1 lines: `side` products

The points are 0, pairs +-a and, in some forms, infinity, whose value is the highest coefficient: it costs a product as the others
do and rounds less than one more pair, and taps that lack that coefficient have no product there. One form serves any number of
taps: what they do not take of `side` is left to the outputs.

    A (side, m) and, but for a factor in each row, G (side, r)    powers of the points: `evaluate`; transposed: `collect`
    B' (side, side)    row e: the coefficients of the polynomial that is zero at all points but the e-th: `separate`

Errors    beside those of the direct sums, root mean square: SIX 1.2 to 1.8 times, EIGHT 2.5 to 4, NINE 3.3 to 4.4, for 7 to 2
          taps; a few units of 1e-6 of the largest output at most. All numbers in A and B are exact in float32

Source: Lavin & Gray, Fast algorithms for convolutional neural networks, arXiv:1509.09308, in one dimension; the points were
found by trying, as in Barabasz et al., arXiv:1803.10986.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from striate.kernel.language import Builder, Num

Maybe = Num | None
"""A line of pixels, or none where a line lies outside of the image."""


def weighted(k: Builder, factors: Sequence[float], values: Sequence[Maybe]) -> Maybe:
    """The sum of factor * value over the values that there are."""
    total: Maybe = None
    for factor, value in zip(factors, values, strict=True):
        if value is not None:
            times = k.constant(factor, value.lanes)
            total = (value if factor == 1 else value * times) if total is None else k.fma(value, times, total)
    return total


def around(k: Builder, even: Maybe, odd: Maybe) -> list[Maybe]:
    """The values at a and -a: even + odd, even - odd."""
    if even is None or odd is None:
        return [even, even] if odd is None else [odd, -odd]
    return [even + odd, even - odd]


def symmetric(roots: Sequence[float]) -> list[float]:
    """Coefficients of the product of (z - root), highest power first.

    >>> symmetric((1, 2))
    [1, -3, 2]
    """
    return [(-1) ** n * sum(map(math.prod, combinations(roots, n))) for n in range(len(roots) + 1)]


@dataclass(frozen=True)
class Form:
    """The transforms with the points 0, +-pairs[0], +-pairs[1], ..., and infinity or not.

    >>> NINE.side, NINE.tile(5), EIGHT.side, EIGHT.tile(4), EIGHT.products([4, 3])
    (9, 5, 8, 5, 15)
    """

    pairs: tuple[float, ...]
    infinity: bool = False

    @property
    def points(self) -> tuple[float, ...]:
        """Those that are finite."""
        return (0.0, *(sign * a for a in self.pairs for sign in (1, -1)))

    @property
    def side(self) -> int:
        """Points, and lines under a tile."""
        return len(self.points) + self.infinity

    def tile(self, taps: int) -> int:
        """Outputs of a tile."""
        return self.side - taps + 1

    def products(self, taps: Sequence[int]) -> int:
        """Of a tile that sums over filters with so many taps: those with fewer than the first have none at infinity."""
        return sum(self.side - (self.infinity and count < taps[0]) for count in taps)

    @property
    def scale(self) -> tuple[float, ...]:
        """The factor in each row of G: 1 / (the value of row e of B' at point e)."""
        found = [1 / math.prod(p - other for other in self.points if other != p) for p in self.points]
        return (*found, 1.0) if self.infinity else tuple(found)

    def separate(self, k: Builder, lines: Sequence[Maybe]) -> list[Maybe]:
        """B' x: the lines under a tile at the points. Row e has the coefficients of the polynomial that is zero at all others."""
        squares, last = [a * a for a in self.pairs], 2 * len(self.pairs)
        found = [weighted(k, symmetric(squares), lines[last::-2])]
        for a in self.pairs:
            others = symmetric([b for b in squares if b != a * a])
            odd = weighted(k, [a * c for c in others], lines[last - 1::-2])
            found += around(k, weighted(k, others, lines[last:1:-2]), odd)
        return [*found, weighted(k, symmetric(squares), lines[last + 1::-2])] if self.infinity else found

    def evaluate(self, k: Builder, c: Sequence[Maybe]) -> list[Maybe]:
        """The polynomial with these coefficients at the points: A c, and G c without its scale."""
        found = [c[0]]
        for a in self.pairs:
            even, odd = ([a**n for n in range(first, len(c), 2)] for first in (0, 1))
            found += around(k, weighted(k, even, c[0::2]), weighted(k, odd, c[1::2]))
        return [*found, c[-1]] if self.infinity else found

    def collect(self, k: Builder, m: Sequence[Num], count: int) -> list[Num]:
        """A' m, and G' m where m was scaled: out_j = sum_e point_e^j m_e, and the last one what is at infinity."""
        last = len(self.points)
        pairs = list(zip(m[1:last:2], m[2:last:2], strict=True))
        sums, differences = [a + b for a, b in pairs], [a - b for a, b in pairs]
        found: list[Num] = []
        for j in range(count):
            total = m[0] if j == 0 else None
            for a, value in zip(self.pairs, differences if j % 2 else sums, strict=True):
                times = k.constant(a**j, value.lanes)
                total = value * times if total is None else total + value if a**j == 1 else k.fma(value, times, total)
            found.append(total)  # type: ignore[arg-type]
        return [*found[:-1], found[-1] + m[-1]] if self.infinity else found


SIX, EIGHT, NINE = Form((5 / 8, 11 / 8), True), Form((1 / 2, 1.0, 2.0), True), Form((1 / 2, 7 / 8, 3 / 2, 3.0))
FORMS = (SIX, EIGHT, NINE)
