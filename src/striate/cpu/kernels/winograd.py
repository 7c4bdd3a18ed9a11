"""Winograd's F(4x4, 3x3): the transforms, and the memory of what they make.

A tile of 4 outputs y = w * d (3 taps over 6 pixels) is a product of polynomials, taken at six points (Toom and Cook):

    y = A' [ (G w) . (B' d) ]         in two dimensions    Y = A' [ (G W G') . (B' D B) ] A        36 products for 144

    A (6, 4) and, but for a factor in each row, G (6, 3)   powers of the points: `evaluate`; transposed: `collect`
    B' (6, 6)    row i: the coefficients of the polynomial that is zero at all points but the i-th: `separate`
    SCALE        1 / (value of row i's polynomial at point i), the factor in the rows of G

The points are 0, +-5/8, +-3/2 and infinity. The usual 0, +-1, +-2 cost three times the error; these come within twice that
of a direct convolution, and all numbers in A and B are exact in float32. A pair +-a shares its even and its odd half.

The weight gradient is the same bilinear form, transposed:    dW = G' [ sum over tiles of (B' D B) . (A DY A') ] G.

Source: Lavin & Gray, Fast algorithms for convolutional neural networks, arXiv:1509.09308; for points and errors Barabasz et
al., Error analysis and improving the accuracy of Winograd convolution for deep neural networks, arXiv:1803.10986.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from striate.kernel.language import Builder, IntLike, Num, Tensor, row_major

TILE, TAPS, SIDE = 4, 3, 6
POINTS = SIDE * SIDE
LINE = 16  # floats in a cache line; the 36 points lie a line further apart than need be, or they would share few cache sets
GAP = 1024  # floats between two threads' pieces of scratch: a page, as a core that reads in order asks for lines further on
Shape = tuple[tuple[int, ...], tuple[int, ...]]
NEAR, FAR = 5 / 8, 3 / 2
SCALE = (
    1 / (NEAR * FAR) ** 2,
    1 / (2 * NEAR**2 * (NEAR**2 - FAR**2)),
    1 / (2 * NEAR**2 * (NEAR**2 - FAR**2)),
    1 / (2 * FAR**2 * (FAR**2 - NEAR**2)),
    1 / (2 * FAR**2 * (FAR**2 - NEAR**2)),
    1.0,
)


def evaluate(k: Builder, c: Sequence[Num]) -> list[Num]:
    """The polynomial with coefficients c (three or four) at the six points: A c, and G c without its scale."""
    found = [c[0]]
    for point in (NEAR, FAR):
        even = fma(k, c[2], point**2, c[0])
        odd = c[1] if len(c) == 3 else fma(k, c[3], point**2, c[1])
        found += [fma(k, odd, point, even), fma(k, odd, -point, even)]
    return [*found, c[-1]]


def collect(k: Builder, m: Sequence[Num], count: int) -> list[Num]:
    """A' m for count = 4, G' m (scaled beforehand) for count = 3: out_j = sum_i point_i^j m_i."""
    sums, differences = (m[1] + m[2], m[3] + m[4]), (m[1] - m[2], m[3] - m[4])
    found = [m[0] + sums[0] + sums[1]]
    for j in range(1, count):
        near, far = differences if j % 2 else sums
        found.append(fma(k, far, FAR**j, near * NEAR**j))
    found[-1] = found[-1] + m[5]
    return found


def separate(k: Builder, d: Sequence[Num]) -> list[Num]:
    """B' d: six pixels at the six points."""
    both, product = -(NEAR**2 + FAR**2), (NEAR * FAR) ** 2
    found = [fma(k, d[0], product, fma(k, d[2], both, d[4]))]
    for point, other in ((NEAR, FAR), (FAR, NEAR)):
        even, odd = fma(k, d[2], -(other**2), d[4]), fma(k, d[1], -(other**2), d[3])
        found += [fma(k, odd, point, even), fma(k, odd, -point, even)]
    return [*found, fma(k, d[1], product, fma(k, d[3], both, d[5]))]


def scaled(values: Sequence[Num]) -> list[Num]:
    """The six rows of G, once `evaluate` has made them."""
    return [v if s == 1 else v * s for v, s in zip(values, SCALE, strict=True)]


def fma(k: Builder, a: Num, factor: float, b: Num) -> Num:
    """a * factor + b"""
    return k.fma(a, k.constant(factor, a.lanes), b)


def round_up(n: int, step: int) -> int:
    return -(-n // step) * step


def packed_shape(*shape: int) -> Shape:
    """(shape, strides) without gaps."""
    return shape, tuple(row_major(shape))  # type: ignore[return-value]


def points_shape(slots: int, depth: int) -> Shape:
    """(shape, strides) of an array (36, slots, channels)."""
    return (POINTS, slots, depth), (slots * depth + LINE, depth, 1)


def floats(parts: dict[str, Shape]) -> int:
    """Floats that the parts take, each a whole number of cache lines, and the gap behind them."""
    return GAP + sum(round_up(shape[0] * strides[0], LINE) for shape, strides in parts.values())


def private(k: Builder, parts: dict[str, Shape]) -> dict[str, Tensor]:
    """The parts of this thread's piece of the argument `scratch`."""
    size = floats(parts)
    whole = k.tensor("scratch", (k.threads, size))
    views, at = {}, k.thread * size
    for name, (shape, strides) in parts.items():
        views[name] = whole.view(shape, strides, at)
        at = at + round_up(shape[0] * strides[0], LINE)
    return views


def channel_vectors(k: Builder, channels: int, lanes: int, first: IntLike = 0, last: IntLike | None = None) -> Iterator[tuple]:
    """(vector, count) for the vectors first..last-1 of the channels: whole ones in a loop, then the partly filled one."""
    whole, rest = divmod(channels, lanes)
    end = -(-channels // lanes) if last is None else last
    for vector in k.range(first, k.min(end, whole)):
        yield vector, None
    if rest and (not isinstance(end, int) or end > whole):
        for _ in [0] if isinstance(end, int) else k.when(end > whole):
            yield whole, rest
