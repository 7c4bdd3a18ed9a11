"""Matrix product by Strassen's algorithm in Winograd's form: 7 products of quarters for 8.

    y = chain( x w )      rows in two halves, above and below, channels in two, left and right:    A = x, B = w, C = y in quarters

    S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 - S2        U = A11 B11 + S2 T2    V = U + S1 T1
    T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = B21 - T2

    C11 = A11 B11 + A12 B21    C12 = V + S4 B22    C22 = V + S3 T3    C21 = U + S3 T3 + A22 T4

One level, on blocks of rows: the sums S stay in the second-level cache, those of the weights are made once for all blocks. The
products of a tile follow each other, so U and V wait in the first-level cache and most sums begin where others end. Of an odd
number of rows the half above has one more, which meets zeros below.

Layouts   x (M, C)   w (K/lanes, C, lanes)   u (groups, 7, C/2, vectors * lanes): in the order in which a tile reads   y (M, K)
          M a multiple of `rows`, half of them (rounded up) of `pixels`, C of 4, K of 2 * vectors * lanes
          rows of x may be the pixels that a strided convolution meets, those of a tile in one line
Work      a task is a group of columns of both halves in one block of rows; S is made by each thread that works on the block.
          Meanwhile the rows of the next block are asked for, the next group's part of a u that is large, and what the chain
          reads at the next tile: a few lines at a time, as a core has room for about 24 requests.
Scratch   S1 to S4, U and V: a thread's own
Registers `pixels` rows x `vectors` sums + `vectors` weights + 1 broadcast
Errors    measured two to three times those of a plain product, beside the largest number of a block: S4 and T4 are sums of four
          numbers, which cancel. A row is rounded as its larger partner in the other half is, and made infinite by it: pixels
          of one image may see each other so, tokens of a sequence should not, and linear layers stay plain

Sources: Strassen, Gaussian elimination is not optimal, Numerische Mathematik 13, 1969; Winograd's form as in Higham, Accuracy and
stability of numerical algorithms, section 23.1, errors in 23.2; Huang et al., Strassen's algorithm reloaded, SC 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel, Tallying
from striate.cpu.kernels.loops import once
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.cpu.kernels.tally import LEAST_ROWS, PARTS, Tally
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor
from striate.kernel.machine import LINE

PRODUCTS = 7
A11_B11, A12_B21, S2_T2, S1_T1, S4_B22, S3_T3, A22_T4 = range(PRODUCTS)
U, V = range(2)
LARGE = 2**17
"""Floats of a u that the second-level cache does not keep beside the rows."""
Place = tuple[IntLike, IntLike, IntLike]


@dataclass(frozen=True)
class StrassenWeights(Kernel):
    """w (K/lanes, C, lanes) -> u: what the rows are multiplied with, group after group of columns."""

    C: int
    K: int
    lanes: int = 16
    vectors: int = 2

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("w", "u")

    def u_floats(self) -> int:
        """Floats that u needs."""
        return PRODUCTS * self.C * self.K // 4

    def build(self, k: Builder) -> None:
        C, blocks = self.C // 2, self.K // self.lanes // 2
        w = k.tensor("w", (2, blocks, 2, C, self.lanes))
        u = k.tensor("u", (blocks // self.vectors, PRODUCTS, C, self.vectors, self.lanes))
        for task in k.share(blocks * C):
            block, c = task // C, task % C
            b11, b12, b21, b22 = (w.vec(right, block, low, c, 0, lanes=self.lanes) for low in range(2) for right in range(2))
            t1 = b12 - b11
            t2 = b22 - t1
            for number, value in enumerate((b11, b21, t2, t1, b22, b22 - b12, b21 - t2)):
                u.store(value, block // self.vectors, number, c, block % self.vectors, 0)


@dataclass(frozen=True)
class Met:
    """The pixels that a strided 1x1 convolution meets: images of `size` pixels, lines `down` pixels apart, P of Q pixels each
    `along` apart."""

    P: int
    Q: int
    size: int
    down: int
    along: int

    def __call__(self, row: IntLike) -> IntLike:
        """The pixel that is a row of the product."""
        return row // (self.P * self.Q) * self.size + row // self.Q % self.P * self.down + row % self.Q * self.along


@dataclass(frozen=True)
class GemmStrassen(Tallying):
    """Sizes and choices of one product; see the head of this file and strassen_cost.py. rows: of a block.

    >>> GemmStrassen(512, 512, rows=98).scratch_floats() * 4 // 1024
    214
    """

    C: int
    K: int
    rows: int
    lanes: int = 16
    pixels: int = 7
    vectors: int = 2
    chain: Chain = Chain()
    met: Met | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("M", "x", "u", "scratch", *self.chain.arguments)

    @property
    def half(self) -> int:
        """Rows of the half above."""
        return -(-self.rows // 2)

    @property
    def tiles(self) -> int:
        """Of a group of columns in a block."""
        return self.half // self.pixels

    @property
    def groups(self) -> int:
        """Of columns."""
        return self.K // 2 // (self.vectors * self.lanes)

    @property
    def u_lines(self) -> int:
        """Lines of u that a group of columns reads."""
        return PRODUCTS * self.C // 2 * self.vectors

    @property
    def rows_asked(self) -> int:
        """Rows of the next tile for which a product asks."""
        return -(-self.pixels // PRODUCTS)

    @property
    def asking(self) -> tuple[int, int]:
        """Up to which product a tile asks for lines of u, and then of x, one for two channels: all tiles for all lines."""
        of_u = self.u_lines / self.tiles if self.u_lines * self.groups * self.lanes > LARGE else 0
        of_x = 0 if self.met else self.rows * self.C / LINE / self.groups / self.tiles
        first, more = (math.ceil(lines / (self.C // 4)) for lines in (of_u, of_x))
        return min(first, PRODUCTS), min(first + more, PRODUCTS)

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch; rows of sums are an odd number of cache lines apart, or they would share few sets."""
        stride = (-(-self.C // 2 // LINE) | 1) * LINE
        sums = (4, self.half, self.C // 2), (self.half * stride, stride, 1)
        return {"sums": sums, "aside": packed_shape(2, self.pixels, self.vectors, self.lanes)}

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        M, groups = k.int("M"), self.groups
        blocks = M // self.rows
        x = k.tensor("x", (M // self.met.P // self.met.Q * self.met.size if self.met else M, 2, self.C // 2))
        u = k.tensor("u", (groups, PRODUCTS, self.C // 2, self.vectors, self.lanes))
        end, own = self.chain.bind(k, (M, self.K)), private(k, self.scratch())

        def work(block: IntLike, first: IntLike, last: IntLike, spot: Spot = (0, 0)) -> None:
            self.work(k, (x, u), own, end, block, (first, last), spot)

        if self.chain.tally:
            for part, first, last in end.parts(blocks, self.rows):
                for block in k.range(first, last):
                    work(block, 0, groups, (part, (block - first) * self.rows))
            return
        for begin, stop in k.stretches(blocks * groups, unit=groups):
            block = begin // groups
            work(block, block * -groups + begin, block * -groups + stop)

    def work(self, k: Builder, read: tuple[Tensor, Tensor], own: dict[str, Tensor], end: End, block: IntLike,
             groups: tuple[IntLike, IntLike], spot: Spot) -> None:
        """Some groups of columns of a block of rows; spot: its part, and the rows of the part before it."""
        for t in k.range(self.rows // 2):
            self.add_quarters(k, read[0], own["sums"], block, t)
        if self.rows % 2:
            self.add_quarters(k, read[0], own["sums"], block, self.half - 1, alone=True)
        for group in k.range(*groups):
            for t in k.range(0, self.half, self.pixels):
                Tile(self, k, read, own, end, (block, group, t), spot).build()

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """With a block at least for each part."""
        return arguments["M"] >= max(LEAST_ROWS, PARTS * self.rows)

    def pixel(self, row: IntLike) -> IntLike:
        """Where a row lies in x."""
        return self.met(row) if self.met else row

    def add_quarters(self, k: Builder, x: Tensor, sums: Tensor, block: IntLike, t: IntLike, alone: bool = False) -> None:
        """A row of S1 to S4; alone: there is none below it."""
        above, below = (self.pixel(block * self.rows + t + low * self.half) for low in range(2))
        for c, lanes, count in k.vectors(self.C // 2):
            a11, a12 = (x.vec(above, right, c, lanes=lanes, count=count) for right in range(2))
            a21, a22 = (k.constant(0.0, lanes) if alone else x.vec(below, right, c, lanes=lanes, count=count)
                        for right in range(2))
            s1 = a21 + a22
            s2 = s1 - a11
            for number, value in enumerate((s1, s2, a11 - a21, a12 - s2)):
                sums.store(value, number, t, c, count=count)


class Tile:
    """`pixels` rows of each half by a group of columns of each; its sums are in registers."""

    def __init__(self, sizes: GemmStrassen, k: Builder, read: tuple[Tensor, Tensor], own: dict[str, Tensor], end: End, at: Place,
                 spot: Spot):
        (self.x, self.u), (self.block, self.group, self.t), self.spot = read, at, spot
        self.sizes, self.k, self.end, self.sums, self.aside = sizes, k, end, own["sums"], own["aside"]
        self.panel = self.u.view(self.u.shape[1:], offset=once(k, self.u.flat((self.group, 0, 0, 0, 0))))
        self.next = self.following()
        self.cells = [[k.cell(0.0, sizes.lanes) for _ in range(sizes.vectors)] for _ in range(sizes.pixels)]

    def build(self) -> None:
        """All seven products."""
        s1, s2, s3, s4 = (self.of_sums(i) for i in range(4))
        self.multiply(A11_B11, self.of_x(0, 0))
        self.keep(U)
        self.multiply(A12_B21, self.of_x(0, 1))
        self.finish(0, 0)
        self.resume(U)
        self.multiply(S2_T2, s2)
        self.keep(U)
        self.multiply(S1_T1, s1)
        self.keep(V)
        self.multiply(S4_B22, s4)
        self.finish(0, 1)
        self.clear()
        self.multiply(S3_T3, s3)
        self.finish(1, 1, plus=V)
        self.add(U)
        self.multiply(A22_T4, self.of_x(1, 1))
        self.finish(1, 0)

    def following(self) -> tuple[IntLike, IntLike]:
        """The first row and column of the next tile."""
        k, sizes = self.k, self.sizes
        tile = (self.block * sizes.groups + self.group) * sizes.tiles + self.t // sizes.pixels + 1
        group, t = once(k, tile // sizes.tiles), tile % sizes.tiles
        row, column = group // sizes.groups * sizes.rows + t * sizes.pixels, group % sizes.groups * (sizes.vectors * sizes.lanes)
        return once(k, row), once(k, column)

    def of_sums(self, number: int) -> list[Tensor]:
        """The tile's rows of S1, S2, S3 or S4, counted from 0."""
        sums, sizes = self.sums, self.sizes
        first = once(self.k, sums.flat((number, self.t, 0)) - sums.offset)
        return [sums.view((sizes.C // 2,), offset=first + i * sums.strides[1]) for i in range(sizes.pixels)]

    def of_x(self, low: int, right: int) -> list[Tensor]:
        """The tile's rows of a quarter of x. Where the last one has none below it, it is read again, for nothing."""
        k, x, sizes = self.k, self.x, self.sizes
        row, step = self.block * sizes.rows + self.t + low * sizes.half, sizes.C * (sizes.met.along if sizes.met else 1)
        starts = [once(k, x.flat((sizes.pixel(row), right, 0))) + i * step for i in range(sizes.pixels)]
        if low and sizes.rows % 2:
            last = k.min(row + (sizes.pixels - 1), self.block * sizes.rows + (sizes.rows - 1))
            starts[-1] = once(k, x.flat((last, right, 0)))
        return [x.view((sizes.C // 2,), offset=start) for start in starts]

    def each(self) -> Iterator[tuple[int, int, Cell]]:
        """(row, vector, sum)"""
        return ((i, v, cell) for i, row in enumerate(self.cells) for v, cell in enumerate(row))

    def found(self, which: int, i: int, v: int) -> Num:
        """What was put aside."""
        return self.aside.vec(which, i, v, 0, lanes=self.sizes.lanes)

    def keep(self, which: int) -> None:
        """Put the sums aside, as U or V."""
        for i, v, cell in self.each():
            self.aside.store(cell.value, which, i, v, 0)

    def resume(self, which: int) -> None:
        """Go on from U or V."""
        for i, v, cell in self.each():
            cell.set(self.found(which, i, v))

    def add(self, which: int) -> None:
        """Add U or V."""
        for i, v, cell in self.each():
            cell.add(self.found(which, i, v))

    def clear(self) -> None:
        """Begin anew."""
        for _, _, cell in self.each():
            cell.set(0.0)

    def multiply(self, number: int, rows: list[Tensor]) -> None:
        """Add one of the seven products to the sums; meanwhile ask for what the chain will read, a share in each stretch."""
        k, sizes, ahead, lines = self.k, self.sizes, self.ahead(number), self.lines(number)
        stretches = math.gcd(lines, sizes.C // 4)
        share, size = lines // stretches, sizes.C // 2 // stretches
        for stretch in k.range(stretches):
            for line in range(share):
                self.fetch(number, stretch * share + line)
            for first in k.range(stretch * size, stretch * size + size, 2):
                if ahead:
                    k.prefetch(ahead, (first // 2, 0))
                for c in (first, first + 1):
                    self.add_channel(number, rows, c)

    def add_channel(self, number: int, rows: list[Tensor], c: IntLike) -> None:
        """One channel of a product."""
        k, sizes = self.k, self.sizes
        weights = [self.panel.vec(number, c, v, 0, lanes=sizes.lanes) for v in range(sizes.vectors)]
        for row, cells in zip(rows, self.cells, strict=True):
            pixel = k.splat(row[c], sizes.lanes)
            for cell, weight in zip(cells, weights, strict=True):
                cell.fma(pixel, weight)

    def ahead(self, number: int) -> Tensor | None:
        """The lines that a product asks for, of the next group's u or of the next block of x; each tile has its own."""
        sizes, (first, last), lines = self.sizes, self.sizes.asking, self.sizes.C // 4
        tile = self.t // sizes.pixels
        if number < first:
            after, part = self.u.flat(((self.group + 1) % sizes.groups, 0, 0, 0, 0)), tile * first + number
            return self.u.view((lines, sizes.lanes), offset=once(self.k, after + part * (lines * sizes.lanes)))
        if number < last:
            part = (self.group * sizes.tiles + tile) * (last - first) + (number - first)
            after = self.x.flat(((self.block + 1) * sizes.rows, 0, 0))
            return self.x.view((lines, LINE), offset=once(self.k, after + part * (lines * LINE)))
        return None

    def lines(self, number: int) -> int:
        """Lines of an array that the chain reads for which a product asks: those of one row or two of the next tile."""
        sizes = self.sizes
        rows = min(sizes.rows_asked, sizes.pixels - number * sizes.rows_asked)
        return max(rows, 0) * 4 * sizes.vectors if self.end.asked else 0

    def fetch(self, number: int, line: IntLike) -> None:
        """Ask for one of them; they are counted along a row, which has lines in all quarters."""
        sizes, (row, column) = self.sizes, self.next
        i, side, v = line // (4 * sizes.vectors), line // sizes.vectors, line % sizes.vectors
        row = row + (number * sizes.rows_asked + i + side // 2 % 2 * sizes.half)
        self.end.fetch(row, column + (side % 2 * (sizes.K // 2) + v * sizes.lanes))

    def finish(self, *quarter: int, plus: int | None = None) -> None:
        """The sums, with U or V, are a quarter of y. Below the last row of an odd number there is none."""
        sizes = self.sizes
        sure = sizes.pixels - 1 if quarter[0] and sizes.rows % 2 else sizes.pixels
        self.write(quarter, 0, sure, plus)
        if sure < sizes.pixels:
            for _ in self.k.when(self.k.int_compare("lt", self.t, sizes.half - sizes.pixels)):
                self.write(quarter, sure, sizes.pixels, plus)

    def write(self, quarter: tuple[int, ...], first: int, last: int, plus: int | None) -> None:
        """Some rows of a quarter of y, and what is noted of them."""
        (part, before), sizes = self.spot, self.sizes
        seen = before + self.t * 2 + (quarter[0] * sizes.pixels + first)
        for v in range(sizes.vectors):
            values = [self.cells[i][v].value if plus is None else self.cells[i][v].value + self.found(plus, i, v)
                      for i in range(first, last)]
            found = [self.end(value, *self.place(quarter, i, v)) for i, value in enumerate(values, first)]
            self.end.note(found, (part, seen), self.place(quarter, 0, v)[1], None)

    def place(self, quarter: tuple[int, ...], i: int, v: int) -> tuple[IntLike, IntLike]:
        """(row, column) of y."""
        (low, right), sizes = quarter, self.sizes
        row = self.block * sizes.rows + self.t + (low * sizes.half + i)
        return row, (self.group * sizes.vectors + v) * sizes.lanes + right * (sizes.K // 2)
