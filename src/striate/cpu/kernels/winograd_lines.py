"""Winograd's algorithm down the lines of an image, channels last: F(m, r) with the height alone at the points.

    y[n, p0 + i, q, k] = chain( sum_e A[e, i] ( sum_{f,s,c} u[e, f, s, c, k] * v[f, e, q*step + s, c] ) )      e: points
    v_f = B' x_f: lines of x at the points        u_f = G w_f: the lines of the filter at the points         f: phases

With a stride t of the height the sum over the rows of the filter falls into t phases: row t*j + f meets line t*(p + j) + f - pad,
so each phase is a convolution at stride 1 down every t-th line. All phases take the same points and add up there, as channels do.

Only the height is transformed: a line of x, or of sums, is added to another as it lies in memory, whatever its channels, and
along a line of points the taps s are those of a direct convolution. So this pays for a few channels already, where transforms of
both axes would cost more than the products that they save: LeNet's 5x5 takes 9 products for 25, a first layer of 7x7 with
stride 2 15 for 35.

The input gradient is the same convolution of dy, with the lines of the filter in the opposite order.

Layouts   x (N, H, W, C)   w (K/lanes, R, S, C, lanes)   u (K/lanes, points, phases, S, C, lanes)   y (N, P, Q, K)
Work      a tile of lines is brought to the points once by each thread that works on it; a task is a group of `vectors` output
          vectors of one tile
Scratch   a thread's own: v, and m, the sums at the points
Registers those of the direct kernels, whose tiles these are

The points and their source stand in winograd_lines_form.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Self

from striate.cpu.kernels.base import Kernel, Tallying
from striate.cpu.kernels.conv_direct import ConvDirect, Taps
from striate.cpu.kernels.loops import widths
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.cpu.kernels.tally import Tally
from striate.cpu.kernels.winograd_lines_form import FORMS, NINE, Form, Maybe
from striate.kernel.language import Builder, IntLike, Tensor, narrow
from striate.kernel.machine import LINE
from striate.kernel.sharing import part_of

Scratch = dict[str, Tensor]
Tile = tuple[IntLike, IntLike]
"""(image, tile of it)."""
Matrix = Callable[[Builder, Sequence[Maybe]], list[Maybe]]


@dataclass(frozen=True)
class Lines:
    """How tiles lie on the lines of an image: tile t makes `tile` outputs of P out of `side` lines of H in each phase.

    >>> lines = Lines(10, 14, Taps(5, -4, 1, 1))
    >>> [(at, stop, list(inside)) for at, stop, inside in lines.inside(0)]
    [(0, 1, [4, 5, 6, 7, 8]), (1, 2, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (2, 3, [0, 1, 2, 3])]
    >>> lines = Lines(224, 112, Taps(7, -3, 1, 2))
    >>> lines.taps, lines.tile, lines.count, lines.inside(1)
    ([4, 3], 6, 19, [(0, 1, range(1, 9)), (1, 18, range(0, 9)), (18, 19, range(0, 5))])
    """

    H: int
    P: int
    rows: Taps
    form: Form = NINE

    @property
    def taps(self) -> list[int]:
        """Of each phase, the most first."""
        count, step = self.rows.count, self.rows.step
        return [-(-(count - phase) // step) for phase in range(min(count, step))]

    @property
    def tile(self) -> int:
        """Outputs of a tile."""
        return self.form.tile(self.taps[0])

    @property
    def count(self) -> int:
        """Tiles of an image."""
        return -(-self.P // self.tile)

    @property
    def lines(self) -> int:
        """Of a tile at the points."""
        return len(self.taps) * self.form.side

    def first(self, t: IntLike, phase: int) -> IntLike:
        """The first line under a tile; the others follow, `rows.step` lines apart."""
        return t * (self.tile * self.rows.step) + (self.rows.first + phase)

    def inside(self, phase: int) -> list[tuple[int, int, range]]:
        """(first tile, last + 1, which of the lines are inside): tiles that follow one another and are alike."""
        step, side = self.rows.step, self.form.side
        starts = [self.rows.first + phase + t * self.tile * step for t in range(self.count)]
        return runs([range(max(0, -(start // step)), min(side, -((start - self.H) // step))) for start in starts])

    @property
    def outputs(self) -> list[tuple[int, int, range]]:
        """The same for the lines of outputs."""
        return runs([range(min(self.tile, self.P - start)) for start in range(0, self.P, self.tile)])

    def phases(self, e: IntLike) -> IntLike:
        """How many phases have a product at a point: at infinity only those with the most taps."""
        whole = self.taps.count(self.taps[0])
        if not self.form.infinity or whole == len(self.taps):
            return len(self.taps)
        return len(self.taps) - e // (self.form.side - 1) * (len(self.taps) - whole)


@dataclass(frozen=True)
class LinesFilter(Kernel):
    """u = G w for w (blocks, R, S, C, lanes); the lines of the filter are taken in the order of `lines.rows`."""

    blocks: int
    R: int
    S: int
    C: int
    lanes: int
    lines: Lines

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("w", "u")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of u."""
        return self.blocks, self.lines.form.side, len(self.lines.taps), self.S * self.C, self.lanes

    def floats(self) -> int:
        """Floats of u."""
        return math.prod(self.shape)

    def build(self, k: Builder) -> None:
        inner, rows, form, most = self.S * self.C, self.lines.rows, self.lines.form, self.lines.taps[0]
        w, u = k.tensor("w", (self.blocks, self.R, inner, self.lanes)), k.tensor("u", self.shape)
        for task in k.share(self.blocks * inner):
            b, at = task // inner, task % inner
            for phase, count in enumerate(self.lines.taps):
                read = [rows.weight + (phase + j * rows.step) * rows.turn for j in range(count)]
                taps: list[Maybe] = [w.vec(b, row, at, 0, lanes=self.lanes) for row in read]
                for e, value in enumerate(form.evaluate(k, taps + [None] * (most - count))):
                    if value is not None:
                        u.store(value * form.scale[e], b, e, phase, at, 0)


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


def to_points(k: Builder, matrix: Matrix, image: Tensor, n: IntLike, lines: Sequence[IntLike | None], size: int,
              target: Tensor, place: IntLike = 0) -> None:
    """target[place + e] out of lines of image n, `size` numbers each; those that are None are zero."""
    for at, lanes, count in k.vectors(size):
        read = [None if line is None else image.vec(n, line, at, lanes=lanes, count=count) for line in lines]
        for e, value in enumerate(matrix(k, read)):
            target.store(k.constant(0.0, lanes) if value is None else value, place + e, at, count=count)


def into(k: Builder, form: Form, lines: Lines, x: Tensor, tile: Tile, size: int, v: Tensor, place: IntLike = 0) -> None:
    """The lines under a tile at the points, phase after phase."""
    n, t = tile
    for phase in range(len(lines.taps)):
        start = lines.first(t, phase)
        for inside in chosen(k, t, lines.inside(phase)):
            read = [start + i * lines.rows.step if i in inside else None for i in range(form.side)]
            to_points(k, form.separate, x, n, read, size, v, place + phase * form.side)


@dataclass(frozen=True)
class WinogradLines(Tallying):
    """The direct convolution `conv` by way of the points."""

    conv: ConvDirect
    form: Form = NINE

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "u", "scratch", *self.conv.chain.arguments)

    @property
    def lines(self) -> Lines:
        return Lines(self.conv.H, self.conv.P, self.conv.rows, self.form)

    @property
    def blocks(self) -> int:
        return -(-self.conv.K // self.conv.lanes)

    @property
    def filter(self) -> LinesFilter:
        """What makes u."""
        return LinesFilter(self.blocks, *self.conv.window, self.conv.C, self.conv.lanes, self.lines)

    def scratch(self) -> dict[str, Shape]:
        """Pixels at the points, and the sums of a group of output channels."""
        conv = self.conv
        return {
            "v": lines_shape(self.lines.lines, conv.W * conv.C),
            "m": packed_shape(self.form.side, conv.Q, conv.vectors, conv.lanes),
        }

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N, conv, lines = k.int("N"), self.conv, self.lines
        x = k.tensor("x", (N, conv.H, conv.W * conv.C))
        u = k.tensor("u", (self.blocks, self.form.side, len(lines.taps), conv.window[1], conv.C, conv.lanes))
        own, end = private(k, self.scratch()), conv.chain.bind(k, (N, *conv.written))
        kinds = conv.kinds()
        for tile, low, high, spot in self.tasks(k, N, sum(kind.groups for kind in kinds), end):
            into(k, self.form, lines, x, tile, conv.W * conv.C, own["v"])
            before = 0
            for kind in kinds:
                for group in k.range(k.max(low, before), k.min(high, before + kind.groups)):
                    kb = (group - before) * kind.vectors + kind.first
                    self.group(k, own, u, end, tile, spot, kb, kind.vectors, conv.K % conv.lanes if kind.ragged else 0)
                before += kind.groups

    def tasks(self, k: Builder, N: IntLike, groups: int, end: End) -> Iterator[tuple[Tile, IntLike, IntLike, Spot]]:
        """(tile, first group, last + 1, spot) of this thread's share: whole tiles of a part where there are sums."""
        count, pixels = self.lines.count, self.conv.Q

        def before(number: IntLike) -> IntLike:
            """Pixels before a tile."""
            return (number // count * self.conv.P + number % count * self.lines.tile) * pixels

        if not self.conv.chain.tally:
            for begin, stop in k.stretches(N * count * groups, unit=groups):
                number = begin // groups
                yield (number // count, number % count), number * -groups + begin, number * -groups + stop, (0, 0)
            return
        for part in k.share(end.cuts):
            first, last = part_of(part, end.cuts, N * count)
            end.begin(part, before(last) - before(first))
            for number in k.range(first, last):
                yield (number // count, number % count), 0, groups, (part, before(number) - before(first))

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """As the direct convolution."""
        return self.conv.tallies(kind, arguments)

    def ending(self, chain: Chain) -> Self:
        return replace(self, conv=self.conv.ending(chain))

    @property
    def chain(self) -> Chain:
        return self.conv.chain

    def group(self, k: Builder, own: Scratch, u: Tensor, end: End, tile: Tile, spot: Spot, kb: IntLike, vectors: int,
              filled: int) -> None:
        """Output vectors kb .. kb + vectors - 1 of a tile, the last one with so many lanes filled or with all of them (0): the
        sums at the points, then the way back, for two columns at a time where these give sums."""
        conv, wide = self.conv, widths(vectors, filled, self.conv.lanes)
        for e in k.range(self.form.side):
            self.products(k, own["v"], u, own["m"], e, kb, wide)
        columns = 2 if conv.chain.tally and conv.Q % 2 == 0 else 1
        for outputs in chosen(k, tile[1], self.lines.outputs):
            for q in k.range(0, conv.Q, columns):
                several, part = range(columns), (spot[0], spot[1] + q * len(outputs))
                for i in k.range(vectors - (filled > 0)):
                    self.back(k, own["m"], end, tile, outputs, [q + j for j in several], part, kb, i, conv.lanes, None)
                if filled:
                    self.back(k, own["m"], end, tile, outputs, [q + j for j in several], part, kb, vectors - 1, wide[-1], filled)

    def products(self, k: Builder, v: Tensor, u: Tensor, m: Tensor, e: IntLike, kb: IntLike, wide: Sequence[int]) -> None:
        """m[e] = the direct convolution of the lines of a tile at a point."""
        conv = self.conv
        for q0, pixels, valid, repeat in conv.column_tiles():
            for step in k.range(repeat):
                q = q0 + step * pixels
                cells = [[k.cell(0.0, lanes) for lanes in wide] for _ in range(pixels)]
                for phase in k.range(self.lines.phases(e)):
                    line = phase * self.form.side + e
                    for c in range(conv.C) if conv.C <= 4 else k.range(conv.C):
                        conv.channel(k, cells, valid, q, lambda column, line=line, c=c: v[line, column * conv.C + c],
                                     lambda s, i, phase=phase, c=c: u.vec(kb + i, e, phase, s, c, 0, lanes=wide[i]))
                for p, sums in enumerate(cells):
                    for i, cell in enumerate(sums):
                        m.store(cell.value, e, q + p, i, 0)

    def back(self, k: Builder, m: Tensor, end: End, tile: Tile, outputs: range, columns: Sequence[IntLike], spot: Spot,
             kb: IntLike, i: IntLike, lanes: int, count: int | None) -> None:
        """The outputs of some columns out of their sums at the points, for vector kb + i."""
        (n, t), channel, found = tile, (kb + i) * self.conv.lanes, []
        for q in columns:
            sums = [m.vec(e, q, i, 0, lanes=lanes) for e in range(self.form.side)]
            for p, value in zip(outputs, self.form.collect(k, sums, self.lines.tile), strict=False):
                found.append(end(value, *self.conv.place((n, 0, t * self.lines.tile + p), q), channel, count=count))
        end.note(found, spot, channel, count)


def lines_for(conv: ConvDirect, batch: int, fixed: bool) -> WinogradLines | None:
    """The way by the points where it beats the direct one by an eighth at least, or nothing.

    Of two forms the larger one, which rounds more, has to save a twelfth. fixed: u is made once for all runs, as in inference.

    >>> taps, strided = Taps(5, 0, 1, 1), Taps(7, -3, 1, 2)
    >>> convs = [ConvDirect(C, 14, 14, 6, 10, 10, (5, 5), taps, taps, lanes=8) for C in (1, 6)]
    >>> first = ConvDirect(3, 224, 224, 64, 112, 112, (7, 7), strided, strided)
    >>> [kernel and kernel.lines.tile for kernel in (lines_for(conv, 64, False) for conv in (*convs, first))]
    [None, 5, 5]
    """
    rows = conv.rows
    if conv.depth.D != 1 or conv.depth.out_size != 1 or conv.groups != 1 or rows.gap != 1 or rows.count <= rows.step:
        return None
    forms = [form for form in FORMS if form.tile(-(-rows.count // rows.step)) > 1]
    best, limit = None, width(conv) * sum(len(rows.inside(p, conv.H)) for p in range(conv.P)) / 1.125
    for form in forms:
        cost = lines_cost(conv, form, batch, fixed)
        if cost < limit:
            best, limit = form, 11 / 12 * cost
    return WinogradLines(conv, best) if best else None


def width(conv: ConvDirect) -> float:
    """Cycles of a row of taps for a line of outputs: a product takes one, half of one in at most half of the lanes."""
    full, filled = divmod(conv.K, conv.lanes)
    vectors = full + (narrow(filled, conv.lanes) / conv.lanes if filled else 0)
    return conv.C * vectors * sum(len(conv.columns.inside(q, conv.W)) for q in range(conv.Q))


def lines_cost(conv: ConvDirect, form: Form, batch: int, fixed: bool) -> float:
    """Cycles for an image, as measured: a product takes one, 7 a vector of v or of outputs on its way for each point.

    A vector of u takes 16 where it is made anew, or 8 where it comes from memory, once for a batch; and for each tile what it
    takes to come from the caches below the second one.
    """
    kernel = WinogradLines(conv, form)
    lines, blocks, u = kernel.lines, kernel.blocks, kernel.filter.floats() / conv.lanes
    ways = 7 * (lines.lines * conv.W * conv.C / conv.lanes + form.side * conv.Q * blocks)
    again = 0 if u <= NEAR else 1 if u <= FAR else 6
    return lines.count * (form.products(lines.taps) * width(conv) + ways + again * u) + (8 if fixed else 16) * u / batch


NEAR, FAR = 2**14, 2**18
"""Vectors of u that stay in a core's second-level cache, and in the last one beside other arrays."""
