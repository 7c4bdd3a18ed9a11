"""Direct convolution, channels last: forward, and the input gradient as a convolution of dy.

    y[n, p, q, k] = chain( sum_{i,j,c} x[n, p*step_h + row_i, q*step_w + col_j, c] * w[k, i, j, c] )

A convolution in space has a third axis (`Depth`): one more sum over its taps, one more loop over its outputs.

Rows and columns of taps are arithmetic progressions (`Taps`). A forward convolution has offsets r*dilation - low and moves
by the stride. The input gradient with stride s falls into s*s phases, the pixels h = s*p + phase: each is a convolution of
dy with the taps that meet the phase, and writes every s-th pixel (`out_step`, `out_first`).

Layouts   x (N, D, H, W, C)   w (G, K/G/lanes, T, R, S, C/G, lanes) packed, zero past K/G   y (N, O', P', Q', K)
Registers `pixels` x `vectors` accumulators + `vectors` weights + 1 broadcast pixel
Borders   which taps of a tile of columns fall into the padding is known when the kernel is written, so they cost nothing;
          the taps of a row are bounded when it runs

Source: Georganas et al., Anatomy of high-performance deep learning convolutions on SIMD architectures, arXiv:1808.05567.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from striate.cpu.kernels.base import Tallying
from striate.cpu.kernels.loops import widths
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.tally import Tally
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor, narrow
from striate.kernel.machine import Machine
from striate.kernel.sharing import part_of


@dataclass(frozen=True)
class Taps:
    """One axis: tap i reads pixel p*step + first + i*gap, and its weight is number weight + i*turn."""

    count: int
    first: int
    gap: int
    step: int
    weight: int = 0
    turn: int = 1

    def inside(self, p: int, n: int) -> tuple[int, ...]:
        """The taps of position p that read a pixel in 0..n-1."""
        return tuple(i for i in range(self.count) if 0 <= p * self.step + self.first + i * self.gap < n)

    def always_inside(self, positions: int, n: int) -> bool:
        last = (positions - 1) * self.step + self.first + (self.count - 1) * self.gap
        return self.first >= 0 and last < n

    def bounds(self, k: Builder, p: IntLike, positions: int, n: int) -> tuple[IntLike, IntLike]:
        """(first, stop) of the taps of position p that read a pixel in 0..n-1, when the kernel runs."""
        if self.always_inside(positions, n):
            return 0, self.count
        start = p * self.step + self.first
        low = (k.max(start * -1, 0) + (self.gap - 1)) // self.gap
        high = (k.max(start * -1 + n, 0) + (self.gap - 1)) // self.gap
        return k.min(low, self.count), k.min(high, self.count)


@dataclass(frozen=True)
class Depth:
    """The third axis of a convolution in space: D slices in, O out; results go to slices first, first + step, ... of out_size."""

    D: int = 1
    O: int = 1
    window: int = 1
    taps: Taps = Taps(1, 0, 1, 1)
    out_size: int = 1
    out_step: int = 1
    out_first: int = 0


@dataclass(frozen=True)
class Blocks:
    """Groups of output channels alike: `groups` of them from vector `first` on, each of so many vectors and channels.

    ragged: the last vector is partly filled.
    """

    first: int
    groups: int
    vectors: int
    channels: int
    ragged: bool


@dataclass(frozen=True)
class ConvDirect(Tallying):
    """Sizes and choices of one direct convolution; see the head of this file."""

    C: int
    H: int
    W: int
    K: int
    P: int
    Q: int
    window: tuple[int, int]
    rows: Taps
    columns: Taps
    groups: int = 1
    out_size: tuple[int, int] = (0, 0)
    out_step: tuple[int, int] = (1, 1)
    out_first: tuple[int, int] = (0, 0)
    lanes: int = 16
    pixels: int = 14
    vectors: int = 2
    chain: Chain = Chain()
    depth: Depth = Depth()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "w", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        N, G = k.int("N"), self.groups
        Cg, blocks = self.C // G, -(-(self.K // G) // self.lanes)
        x = k.tensor("x", (N, self.depth.D, self.H, self.W, self.C))
        w = k.tensor("w", (G, blocks, self.depth.window, *self.window, Cg, self.lanes))
        end = self.chain.bind(k, (N, *self.written))

        def tile_rows(line: IntLike, g: IntLike, kb: IntLike, kind: Blocks, spot: Spot) -> None:
            row, (part, seen) = self.row_of(line), spot
            for q0, pixels, valid, repeat in self.column_tiles():
                for step in k.range(repeat):
                    q = q0 + step * pixels
                    self.tile(k, x, w, end, row, q, pixels, valid, g, kb, kind.vectors, kind.ragged, (part, seen + q))

        if self.weight_bytes() <= SMALL_WEIGHTS or G > 1:
            for part, first, last in end.parts(N * self.depth.O * self.P, self.Q):
                for line in k.range(first, last):
                    for g in k.range(G):
                        for kind in self.kinds():
                            for b in k.range(kind.groups):
                                tile_rows(line, g, b * kind.vectors + kind.first, kind, (part, (line - first) * self.Q))
            return
        for kind in self.kinds():  # heavy weights: those of a group stay in cache during a task
            for b, part, first, last in self.tasks(k, N, kind.groups, end):
                kb = b * kind.vectors + kind.first
                end.begin(part, (last - first) * self.Q, kb * self.lanes, kind.channels)
                for line in k.range(first, last):
                    tile_rows(line, 0, kb, kind, (part, (line - first) * self.Q))

    def kinds(self) -> list[Blocks]:
        """The groups of output channels, whole ones first.

        >>> conv = ConvDirect(8, 9, 9, 70, 9, 9, (1, 1), Taps(1, 0, 1, 1), Taps(1, 0, 1, 1))
        >>> [(kind.groups, kind.vectors, kind.channels, kind.ragged) for kind in conv.kinds()]
        [(2, 2, 32, False), (1, 1, 6, True)]
        """
        Kg, V = self.K // self.groups, self.vectors
        whole = Kg // self.lanes // V
        rest = Kg - whole * V * self.lanes
        found = (Blocks(0, whole, V, V * self.lanes, False),
                 Blocks(whole * V, 1, -(-rest // self.lanes), rest, rest % self.lanes != 0))
        return [kind for kind in found if kind.groups and kind.channels]

    def tasks(self, k: Builder, N: IntLike, groups: int, end: End) -> Iterator[tuple[IntLike, IntLike, IntLike, IntLike]]:
        """(group, part, first line, last) of this thread's tasks: a group of output channels for some lines.

        Images that stay in cache are gone through for one group after the other; all groups take a few lines of larger ones.
        With sums the lines are a part of all.
        """
        images, lines = N * self.depth.O, self.lines()
        if self.chain.tally:
            for task in k.share(groups * end.cuts):
                part = task % end.cuts
                yield task // end.cuts, part, *part_of(part, end.cuts, images * self.P)
            return
        blocks = -(-self.P // lines)
        for task in k.share(images * blocks * groups):
            group, image = (task // images, task % images) if blocks == 1 else (task % groups, task // (groups * blocks))
            first = task // groups % blocks * lines if blocks > 1 else 0
            yield group, 0, image * self.P + first, image * self.P + k.min(first + lines, self.P)

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """Where it writes every pixel."""
        return self.out_step == (1, 1) and self.depth.out_step == 1

    @property
    def written(self) -> tuple[int, int, int, int]:
        """The output beside N: (O', P', Q', K), of which the input gradient's phases write every `out_step`-th pixel."""
        height, width = self.out_size if self.out_size != (0, 0) else (self.P, self.Q)
        return self.depth.out_size, height, width, self.K

    def row_of(self, task: IntLike) -> tuple[IntLike, IntLike, IntLike]:
        """(image, output slice, output row) out of the number of a row."""
        slices = task // self.P
        return slices // self.depth.O, slices % self.depth.O, task % self.P

    def lines(self) -> int:
        """Output rows of a task: as many as read pixels that stay in a core's second-level cache beside a group's weights.

        Or more, so that a group's weights serve a few dozen pixels before others take their place.
        """
        row = self.W * self.C * 4
        if self.H * row <= SMALL_PIXELS:
            return self.P
        return min(self.P, max(-(-56 // self.Q), (SMALL_PIXELS // row - self.rows.count + 1) // self.rows.step))

    def weight_bytes(self) -> int:
        return self.K * (self.C // self.groups) * self.depth.window * self.window[0] * self.window[1] * 4

    def column_tiles(self) -> list[tuple[int, int, tuple[tuple[int, ...], ...], int]]:
        """(first column, pixels, for each tap the pixels that it serves, tiles alike that follow one another)."""
        tiles = []
        for q0 in range(0, self.Q, self.pixels):
            pixels = min(self.pixels, self.Q - q0)
            served = [self.columns.inside(q0 + t, self.W) for t in range(pixels)]
            valid = tuple(tuple(t for t in range(pixels) if j in served[t]) for j in range(self.columns.count))
            tiles.append((q0, pixels, valid))
        grouped = []
        for (pixels, valid), run in groupby(tiles, key=lambda tile: tile[1:]):
            same = list(run)
            grouped.append((same[0][0], pixels, valid, len(same)))
        return grouped

    def row_range(self, k: Builder, p: IntLike) -> tuple[IntLike, IntLike]:
        """The row taps that read real pixels for output row p."""
        return self.rows.bounds(k, p, self.P, self.H)

    def slice_range(self, k: Builder, o: IntLike) -> tuple[IntLike, IntLike]:
        """The depth taps that read real slices for output slice o."""
        return self.depth.taps.bounds(k, o, self.depth.O, self.depth.D)

    def tile(self, k: Builder, x: Tensor, w: Tensor, end: End, row: tuple[IntLike, IntLike, IntLike], q: IntLike, pixels: int,
             valid: Sequence[Sequence[int]], g: IntLike, kb: IntLike, vectors: int, last: bool, spot: Spot) -> None:
        """A tile of pixels x vectors of one output row."""
        Cg, Kg = self.C // self.groups, self.K // self.groups
        wide = widths(vectors, Kg % self.lanes if last else 0, self.lanes)
        for t in range(pixels if any(valid) else 0):
            for v in range(vectors):
                end.fetch(*self.place(row, q + t), g * Kg + (kb + v) * self.lanes)
        cells = [[k.cell(0.0, lanes) for lanes in wide] for _ in range(pixels)]
        for image, h, tap in self.rows_read(k, row):
            for c in range(Cg) if Cg <= 4 else k.range(Cg):
                self.channel(k, cells, valid, q, lambda column, image=image, h=h, c=c: x[(*image, h, column, g * Cg + c)],
                             lambda s, v, tap=tap, c=c: w.vec(g, kb + v, *tap, s, c, 0, lanes=wide[v]))
        self.write(end, cells, row, q, g, kb, last, spot)

    def channel(self, k: Builder, cells: list[list[Cell]], valid: Sequence[Sequence[int]], q: IntLike,
                pixel: Callable[[IntLike], Num], weight: Callable[[int, int], Num]) -> None:
        """Add one channel of a row of taps to a tile's sums: pixel(column) times weight(tap, vector)."""
        columns = self.columns
        for j, served in enumerate(valid):
            if not served:
                continue
            weights = [weight(j * columns.turn + columns.weight, v) for v in range(len(cells[0]))]
            for t in served:
                one = pixel((q + t) * columns.step + columns.first + j * columns.gap)
                for cell, taken in zip(cells[t], weights, strict=True):
                    cell.fma(k.splat(one, taken.lanes), taken)

    def rows_read(self, k: Builder, row: tuple[IntLike, IntLike, IntLike]) -> Iterator[tuple[Any, IntLike, Any]]:
        """((image, slice), input row, (depth tap, row tap)) for every row of x that an output row reads; a loop that runs."""
        (n, o, p), slices, rows = row, self.depth.taps, self.rows
        for e in k.range(*self.slice_range(k, o)):
            d, t = o * slices.step + slices.first + e * slices.gap, e * slices.turn + slices.weight
            for i in k.range(*self.row_range(k, p)):
                yield (n, d), p * rows.step + rows.first + i * rows.gap, (t, i * rows.turn + rows.weight)

    def place(self, row: tuple[IntLike, IntLike, IntLike], q: IntLike) -> tuple[IntLike, IntLike, IntLike, IntLike]:
        """(image, slice, row, column) where the result of a position is written."""
        (n, o, p), (step_h, step_w), (first_h, first_w) = row, self.out_step, self.out_first
        return n, o * self.depth.out_step + self.depth.out_first, p * step_h + first_h, q * step_w + first_w

    def write(self, end: End, cells: list[list[Cell]], row: tuple[IntLike, IntLike, IntLike], q: IntLike, g: IntLike, kb: IntLike,
              last: bool, spot: Spot) -> None:
        Kg, rest = self.K // self.groups, self.K // self.groups % self.lanes
        counts: list[int | None] = [None for _ in cells[0]]
        if last and rest < cells[0][-1].lanes:
            counts[-1] = rest
        channels = [g * Kg + (kb + v) * self.lanes for v in range(len(counts))]
        found = [[end(cell.value, *self.place(row, q + t), c, count=count)
                  for cell, c, count in zip(sums, channels, counts, strict=True)] for t, sums in enumerate(cells)]
        for v, (c, count) in enumerate(zip(channels, counts, strict=True)):
            end.note([values[v] for values in found], spot, c, count)


SMALL_WEIGHTS = 384 * 1024  # bytes that stay in a core's second-level cache beside the pixels
SMALL_PIXELS = 256 * 1024  # the same the other way round


def tile_for(machine: Machine, Q: int, channels: int, taps: int) -> tuple[int, int, int]:
    """(lanes, pixels, vectors) of the register tile: the fewest loads for each product that still fit the registers.

    A tile keeps pixels * vectors sums, `vectors` weights, and every pixel that its taps share: pixels + taps - 1.
    Measured: one register too many costs half of the speed, while 14 sums are enough to hide the latency of the FMA.
    """
    lanes = narrow(channels, machine.lanes)
    blocks = -(-channels // lanes)
    best = (0.0, 1, 1)
    for vectors in (v for v in ((1, 2) if Q > 3 else (1, 2, 4)) if v <= blocks):
        for pixels in range(1, min(Q, 14) + 1):
            if pixels * vectors + vectors + pixels + min(taps, 3) - 1 > machine.registers and pixels * vectors > 1:
                break
            used = Q / (-(-Q // pixels) * pixels) * blocks / (-(-blocks // vectors) * vectors)
            work = pixels * vectors
            score = used * work / (work + 0.3 * (pixels + vectors)) * min(1.0, work / 8)
            best = max(best, (score, pixels, vectors))
    return lanes, best[1], best[2]
