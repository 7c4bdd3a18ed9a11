"""Winograd's F(5, 5) down the lines of an image: windows five pixels high at stride 1, channels last.

    y[n, p0 + i, q, k] = chain( sum_e A[e, i] ( sum_{s,c} u[e, s, c, k] * v[e, q + s, c] ) )      e: nine points
    v = B' x: nine lines of x at the points        u = G w: the five lines of the filter at the points

Five lines of outputs take 9 products where there were 25. Only the height is transformed: a line of x, or of sums, is added to
another as it lies in memory, whatever its channels, and along a line of points the taps s are those of a direct convolution.
So this pays for a few channels already, where transforms of both axes would cost more than the products that they save.

The input gradient is the same convolution of dy, with the lines of the filter in the opposite order.

Points    0, +-1/2, +-7/8, +-3/2, +-3: errors come to four times those of the direct sums, a few units of 1e-6 beside the
          largest output. All numbers in A and B are exact in float32. A pair +-a shares its even and its odd half
Layouts   x (N, H, W, C)   w (K/lanes, 5, S, C, lanes)   u (K/lanes, 9, S, C, lanes)   y (N, P, Q, K)
Work      a task is a tile of five lines of outputs
Scratch   a thread's own: v, and m, the sums at the points
Registers those of the direct kernels, whose tiles these are

Source: Lavin & Gray, Fast algorithms for convolutional neural networks, arXiv:1509.09308, in one dimension; the points were
found by trying, as in Barabasz et al., arXiv:1803.10986.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.conv_direct import ConvDirect, Taps
from striate.cpu.kernels.loops import channel_vectors
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.machine import LINE

PAIRS = (1 / 2, 7 / 8, 3 / 2, 3.0)
POINTS = (0.0, *(sign * a for a in PAIRS for sign in (1, -1)))
TILE, TAPS, SIDE = 5, 5, 9
SCALE = tuple(1 / math.prod(p - other for other in POINTS if other != p) for p in POINTS)
"""The factor in each row of G: 1 / (the value of row e of B' at point e)."""

Scratch = dict[str, Tensor]
Finish = Callable[..., Any]
Matrix = Callable[[Builder, Sequence["Maybe"]], list["Maybe"]]
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


def separate(k: Builder, lines: Sequence[Maybe]) -> list[Maybe]:
    """B' x: nine lines of pixels at the points. Row e has the coefficients of the polynomial that is zero at all others."""
    squares = [a * a for a in PAIRS]
    found = [weighted(k, symmetric(squares), lines[8::-2])]
    for a in PAIRS:
        others = symmetric([b for b in squares if b != a * a])
        found += around(k, weighted(k, others, lines[8:1:-2]), weighted(k, [a * c for c in others], lines[7::-2]))
    return found


def evaluate(k: Builder, c: Sequence[Maybe]) -> list[Maybe]:
    """The polynomial with the first five coefficients at the points: A c, and G c without its scale."""
    found = [c[0]]
    for a in PAIRS:
        found += around(k, weighted(k, (1, a**2, a**4), c[0:5:2]), weighted(k, (a, a**3), c[1:5:2]))
    return found


def collect(k: Builder, m: Sequence[Num]) -> list[Num]:
    """A' m, and G' m where m was scaled: out_j = sum_e point_e^j m_e."""
    pairs = list(zip(m[1::2], m[2::2], strict=True))
    sums, differences = [a + b for a, b in pairs], [a - b for a, b in pairs]
    found = []
    for j in range(TILE):
        total = m[0] if j == 0 else None
        for a, value in zip(PAIRS, differences if j % 2 else sums, strict=True):
            times = k.constant(a**j, value.lanes)
            total = value * times if total is None else total + value if j == 0 else k.fma(value, times, total)
        found.append(total)
    return found  # type: ignore[return-value]


@dataclass(frozen=True)
class LinesFilter(Kernel):
    """u = G w for w (blocks, 5, S, C, lanes); the lines of the filter are taken in the order of `rows`."""

    blocks: int
    S: int
    C: int
    lanes: int
    rows: Taps

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("w", "u")

    def floats(self) -> int:
        """Floats of u."""
        return self.blocks * SIDE * self.S * self.C * self.lanes

    def build(self, k: Builder) -> None:
        inner = self.S * self.C
        w, u = (k.tensor(name, (self.blocks, n, inner, self.lanes)) for name, n in (("w", TAPS), ("u", SIDE)))
        for task in k.share(self.blocks * inner):
            b, at = task // inner, task % inner
            taps = [w.vec(b, self.rows.weight + i * self.rows.turn, at, 0, lanes=self.lanes) for i in range(TAPS)]
            for e, value in enumerate(evaluate(k, taps)):
                u.store(value * SCALE[e], b, e, at, 0)  # type: ignore[operator]


@dataclass(frozen=True)
class Lines:
    """How tiles lie on the lines of an image: tile t makes outputs 5t .. 5t + 4 of P out of lines 5t + first .. + 8 of H.

    >>> [(at, stop, list(inside)) for at, stop, inside in Lines(10, 14, -4).kinds]
    [(0, 1, [4, 5, 6, 7, 8]), (1, 2, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (2, 3, [0, 1, 2, 3])]
    """

    H: int
    P: int
    first: int

    @property
    def count(self) -> int:
        return -(-self.P // TILE)

    @property
    def kinds(self) -> list[tuple[int, int, range]]:
        """(first tile, last + 1, which of the nine lines are inside): tiles that follow one another and are alike."""
        inside = [range(max(0, -start), min(SIDE, self.H - start)) for start in range(self.first, self.first + self.P, TILE)]
        return runs(inside)

    @property
    def outputs(self) -> list[tuple[int, int, range]]:
        """The same for the five lines of outputs."""
        return runs([range(min(TILE, self.P - start)) for start in range(0, self.P, TILE)])


def runs(of: Sequence[range]) -> list[tuple[int, int, range]]:
    """(first, last + 1, value) of neighbours that are equal."""
    found, at = [], 0
    for value, alike in groupby(of):
        stop = at + len(list(alike))
        found.append((at, stop, value))
        at = stop
    return found


def chosen(k: Builder, t: IntLike, kinds: Sequence[tuple[int, int, range]]) -> Iterator[range]:
    """What is true of tile t, under the condition that it is."""
    for first, stop, value in kinds:
        for _ in [0] if len(kinds) == 1 else k.when(k.int_compare("ge", t, first) & k.int_compare("lt", t, stop)):
            yield value


def lines_shape(count: int, size: int) -> Shape:
    """(shape, strides) of lines at the points: a cache line further apart than need be, or they might share few cache sets."""
    return (count, size), (size + LINE, 1)


def to_points(k: Builder, matrix: Matrix, image: Tensor, n: IntLike, start: IntLike, inside: range, size: int,
              target: Tensor, place: IntLike = 0) -> None:
    """target[place + e] out of the lines start, start + 1, ... of image n, `size` numbers each; those not inside are zero."""
    for at, lanes, count in k.vectors(size):
        lines = [image.vec(n, start + i, at, lanes=lanes, count=count) if i in inside else None for i in range(SIDE)]
        for e, value in enumerate(matrix(k, lines)):
            target.store(k.constant(0.0, lanes) if value is None else value, place + e, at, count=count)


@dataclass(frozen=True)
class WinogradLines(Kernel):
    """The direct convolution `conv`, with a window five pixels high at stride 1, by way of the points."""

    conv: ConvDirect

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "u", "scratch", *self.conv.chain.arguments)

    @property
    def lines(self) -> Lines:
        return Lines(self.conv.H, self.conv.P, self.conv.rows.first)

    @property
    def blocks(self) -> int:
        return -(-self.conv.K // self.conv.lanes)

    @property
    def filter(self) -> LinesFilter:
        """What makes u."""
        return LinesFilter(self.blocks, self.conv.window[1], self.conv.C, self.conv.lanes, self.conv.rows)

    def scratch(self) -> dict[str, Shape]:
        """Pixels at the points, and the sums of a group of output channels."""
        conv = self.conv
        return {"v": lines_shape(SIDE, conv.W * conv.C), "m": packed_shape(SIDE, conv.Q, conv.vectors, conv.lanes)}

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N, conv, lines = k.int("N"), self.conv, self.lines
        x = k.tensor("x", (N, conv.H, conv.W * conv.C))
        u = k.tensor("u", (self.blocks, SIDE, conv.window[1], conv.C, conv.lanes))
        own, finish = private(k, self.scratch()), conv.chain.bind(k, (N, *conv.written))
        for task in k.share(N * lines.count):
            n, t = task // lines.count, task % lines.count
            for inside in chosen(k, t, lines.kinds):
                to_points(k, separate, x, n, t * TILE + lines.first, inside, conv.W * conv.C, own["v"])
            for first in k.range(0, self.blocks - self.blocks % conv.vectors, conv.vectors):
                self.group(k, own, u, finish, n, t, first, conv.vectors)
            if self.blocks % conv.vectors:
                self.group(k, own, u, finish, n, t, self.blocks // conv.vectors * conv.vectors, self.blocks % conv.vectors)

    def group(self, k: Builder, own: Scratch, u: Tensor, finish: Finish, n: IntLike, t: IntLike, kb: IntLike,
              vectors: int) -> None:
        """Output vectors kb .. kb + vectors - 1 of a tile: the sums at the points, then the way back."""
        for e in k.range(SIDE):
            self.products(k, own, u, e, kb, vectors)
        for outputs in chosen(k, t, self.lines.outputs):
            for q in k.range(self.conv.Q):
                for vector, count in channel_vectors(k, self.conv.K, self.conv.lanes, kb, kb + vectors):
                    sums = [own["m"].vec(e, q, vector - kb, 0, lanes=self.conv.lanes) for e in range(SIDE)]
                    for p, value in zip(outputs, collect(k, sums), strict=False):
                        finish(value, n, 0, t * TILE + p, q, vector * self.conv.lanes, count=count)

    def products(self, k: Builder, own: Scratch, u: Tensor, e: IntLike, kb: IntLike, vectors: int) -> None:
        """m[e] = the direct convolution of a line of points."""
        conv, lanes = self.conv, self.conv.lanes
        for q0, pixels, valid, repeat in conv.column_tiles():
            for step in k.range(repeat):
                q = q0 + step * pixels
                cells = [[k.cell(0.0, lanes) for _ in range(vectors)] for _ in range(pixels)]
                for c in range(conv.C) if conv.C <= 4 else k.range(conv.C):
                    conv.channel(k, cells, valid, q, lambda column, c=c: own["v"][e, column * conv.C + c],
                                 lambda s, i, c=c: u.vec(kb + i, e, s, c, 0, lanes=lanes))
                for p, sums in enumerate(cells):
                    for i, cell in enumerate(sums):
                        own["m"].store(cell.value, e, q + p, i, 0)


def lines_pay(conv: ConvDirect) -> bool:
    """Whether a convolution has such windows, and the way by the points beats the direct one by an eighth at least.

    In cycles for an image, as measured: a product takes one, and 60 a vector of v or of outputs on its way.

    >>> taps = Taps(5, 0, 1, 1)
    >>> [lines_pay(ConvDirect(C, 14, 14, 6, 10, 10, (5, 5), taps, taps, lanes=8)) for C in (1, 6)]
    [False, True]
    """
    rows = conv.rows
    flat = conv.depth.D == conv.depth.out_size == conv.groups == 1 and conv.out_step == (1, 1)
    if not flat or (rows.count, rows.gap, rows.step) != (TAPS, 1, 1):
        return False
    lines, blocks = Lines(conv.H, conv.P, rows.first), -(-conv.K // conv.lanes)
    products = conv.C * blocks * sum(len(conv.columns.inside(q, conv.W)) for q in range(conv.Q))
    direct = products * sum(len(rows.inside(p, conv.H)) for p in range(conv.P))
    return direct > 1.125 * lines.count * (SIDE * products + 60 * (conv.W * conv.C / conv.lanes + conv.Q * blocks))
