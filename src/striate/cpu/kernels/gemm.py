"""Matrix product with packed weights: linear layers, and 1x1 convolutions with stride 1.

    y[m, k] = chain( sum_c x[m, c] * w[c, k] )            M rows (a batch, or pixels)   C/K channels in/out

Layouts   x (M, C)   w (K/lanes, C, lanes) packed, zero past K   y (M, K)
Registers `pixels` rows x `vectors` accumulators + `vectors` weights + 1 broadcast
Meanwhile the rows that follow are asked for, and of a block of several tiles by each its part of the next columns of w.
Rows that are left over: the last tile starts earlier and computes some rows twice; fewer than a tile go by four, two and one.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel, Tallying
from striate.cpu.kernels.loops import widened
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.tally import LEAST_ROWS, Tally
from striate.cpu.kernels.update import Sgd, Update
from striate.kernel.language import Builder, IntLike, Tensor, narrow
from striate.kernel.sharing import part_of

Row = tuple[Tensor, IntLike]
"""A row of an array (rows, C)."""


@dataclass(frozen=True)
class Columns:
    """Groups of output channels alike: `groups` of them from block `first` on, each of vectors of `lanes`.

    counts: for each vector of a group, how many lanes are filled, None for all.
    """

    first: int
    groups: int
    lanes: int
    counts: tuple[int | None, ...]


def columns_of(K: int, lanes: int, vectors: int) -> list[Columns]:
    """Whole vectors first. One that may be narrower stands alone, for LLVM spills sums of two widths that share a pixel.

    >>> [(columns.groups, columns.lanes, columns.counts) for columns in columns_of(99, 16, 2)]
    [(3, 16, (None, None)), (1, 4, (3,))]
    >>> [(columns.groups, columns.lanes, columns.counts) for columns in columns_of(60, 16, 2)]
    [(1, 16, (None, None)), (1, 16, (None, 12))]
    """
    full, filled = divmod(K, lanes)
    width = narrow(filled, lanes) if filled else lanes
    groups, rest = divmod(full, vectors)
    tail: tuple[int | None, ...] = (None,) * rest
    last = (filled if filled < width else None,) if filled else ()
    if width == lanes:
        tail, last = tail + last, ()
    found = Columns(0, groups, lanes, (None,) * vectors), Columns(full - rest, 1, lanes, tail), Columns(full, 1, width, last)
    return [columns for columns in found if columns.groups and columns.counts]


def group_of(k: Builder, kinds: Sequence[Columns], number: IntLike) -> Iterator[tuple[IntLike, Columns]]:
    """(first block, kind) of a group of columns; a loop that runs once."""
    start = 0
    for kind in kinds:
        here = k.int_compare("ge", number, start) & k.int_compare("lt", number, start + kind.groups)
        for _ in k.when(here) if len(kinds) > 1 else (None,):
            yield (number - start) * len(kind.counts) + kind.first if kind.groups > 1 else kind.first, kind
        start += kind.groups


@dataclass(frozen=True)
class Gemm(Tallying):
    """Sizes and choices of one product; `block` rows of tiles are worked through for all columns before the next."""

    C: int
    K: int
    lanes: int = 16
    pixels: int = 7
    vectors: int = 2
    block: int = 8
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("M", "x", "w", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        M = k.int("M")
        blocks = -(-self.K // self.lanes)
        x, w = k.tensor("x", (M, self.C)), k.tensor("w", (blocks, self.C, self.lanes))
        end, kinds = self.chain.bind(k, (M, self.K)), columns_of(self.K, self.lanes, self.vectors)

        def tile(m: IntLike, pixels: int, kb: IntLike, kind: Columns, number: IntLike = 0, spot: Spot = (0, 0)) -> None:
            behind = self.behind(w, kb, kind, number) if pixels == self.pixels else []
            self.tile(k, x, w, end, m, pixels, kb, kind, spot, [*((x, m + pixels + t) for t in range(pixels)), *behind])

        if self.chain.tally:
            self.by_parts(k, M, end, kinds, tile)
            return
        tiles, groups = (M + (self.pixels - 1)) // self.pixels, sum(kind.groups for kind in kinds)
        rows = (tiles + (self.block - 1)) // self.block
        for _ in k.when(k.int_compare("ge", M, self.pixels)):
            for task in k.share(rows * groups):
                start = (task // groups) * self.block
                for kb, kind in group_of(k, kinds, task % groups):
                    for t in k.range(start, k.min(start + self.block, tiles)):
                        tile(k.min(t * self.pixels, M - self.pixels), self.pixels, kb, kind, t - start)
        for _ in k.when(k.int_compare("lt", M, self.pixels)):
            for task in k.share(groups):
                for kb, kind in group_of(k, kinds, task):
                    begin: IntLike = 0
                    for few in (n for n in (4, 2, 1) if n < self.pixels):
                        stop = begin + (M - begin) // few * few
                        for m in k.range(begin, stop, few):
                            tile(m, few, kb, kind)
                        begin = stop

    def by_parts(self, k: Builder, M: IntLike, end: End, kinds: Sequence[Columns], tile: Callable[..., None]) -> None:
        """All columns of a part of the rows, with sums over them: whole tiles, and what is left over row by row."""
        parts, tiles = end.cuts, M // self.pixels
        for i in k.share(parts):
            first, whole = (number * self.pixels for number in part_of(i, parts, tiles))
            last = k.min(M, whole + (i + 1) // parts * self.pixels)
            end.begin(i, last - first)
            step = self.block * self.pixels
            for start in k.range(first, whole, step):
                for kind in kinds:
                    for j in k.range(kind.groups):
                        for m in k.range(start, k.min(start + step, whole), self.pixels):
                            number, kb = (m - start) // self.pixels, j * len(kind.counts) + kind.first
                            tile(m, self.pixels, kb, kind, number, (i, m - first))
            for m in k.range(whole, last):
                for kind in kinds:
                    for j in k.range(kind.groups):
                        tile(m, 1, j * len(kind.counts) + kind.first, kind, spot=(i, m - first))

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """With enough rows for parts of several blocks each."""
        return arguments["M"] >= LEAST_ROWS

    def behind(self, w: Tensor, kb: IntLike, kind: Columns, number: IntLike) -> list[Row]:
        """What tile `number` of a block asks for of the columns behind its own: those are `lines` times C numbers."""
        lines = len(kind.counts) * self.lanes
        share = -(-lines // self.block) if self.block > 1 else 0
        panel = w.view((lines, self.C), offset=w.flat((kb + len(kind.counts), 0, 0)))
        return [(panel, number * share + i) for i in range(share)]

    def tile(self, k: Builder, x: Tensor, w: Tensor, end: End, m: IntLike, pixels: int, kb: IntLike, kind: Columns,
             spot: Spot, ahead: Sequence[Row]) -> None:
        lanes, columns = kind.lanes, [((kb + v) * self.lanes, count) for v, count in enumerate(kind.counts)]
        for t in range(pixels):
            for column, _ in columns:
                end.fetch(m + t, column)
        cells = [[k.cell(0.0, lanes) for _ in columns] for _ in range(pixels)]
        for c in channels_ahead(k, self.C, ahead):
            weights = [w.vec(kb + v, c, 0, lanes=lanes) for v in range(len(columns))]
            for t, row in enumerate(cells):
                pixel = k.splat(x[m + t, c], lanes)
                for cell, weight in zip(row, weights, strict=True):
                    cell.fma(pixel, weight)
        found = [[end(cell.value, m + t, column, count=count) for cell, (column, count) in zip(row, columns, strict=True)]
                 for t, row in enumerate(cells)]
        for v, (column, count) in enumerate(columns):
            end.note([row[v] for row in found], spot, column, count)


def channels_ahead(k: Builder, C: int, ahead: Sequence[Row]) -> Iterator[IntLike]:
    """The channels, one by one in a loop that runs; meanwhile rows of as many numbers are asked for, a cache line each time.

    Those may lie behind their array: asking is no access.
    """
    line = 16
    for first in k.range(0, C - C % line, line):
        for tensor, row in ahead:
            k.prefetch(tensor, (row, first))
        for c in k.range(line):
            yield first + c
    yield from k.range(C - C % line, C)


@dataclass(frozen=True)
class GemmWeights(Kernel):
    """dw[kb, c, :] = sum_m x[m, c] * dy[m, k]: the weight gradient of a linear layer or a 1x1 convolution.

    A task is a group of output channels; rows go in chunks of `chunk`, so that x and dy stay in cache while all tiles of
    channels pass over them. parts > 1 cuts the rows instead, and each part has its own dw.
    """

    C: int
    K: int
    lanes: int = 16
    channels: int = 7
    vectors: int = 2
    chunk: int = 128
    parts: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("M", "x", "dy", "dw")

    def build(self, k: Builder) -> None:
        M = k.int("M")
        blocks = -(-self.K // self.lanes)
        x, dy = k.tensor("x", (M, self.C)), k.tensor("dy", (M, self.K))
        over = self.target(k, x, dy, (self.parts, blocks, self.C, self.lanes))
        kinds = columns_of(self.K, self.lanes, self.vectors)
        groups = sum(kind.groups for kind in kinds)
        for task in k.share(self.parts * groups):
            part = task // groups
            start, stop = part_of(part, self.parts, M)
            for kb, kind in group_of(k, kinds, task % groups):
                over(part, start, stop, kb, kind)

    def target(self, k: Builder, x: Tensor, dy: Tensor, shape: tuple[int, ...]) -> Callable[..., None]:
        """What goes over the rows start .. stop - 1 for a group of output channels."""
        dw = k.tensor("dw", shape)

        def over(part: IntLike, start: IntLike, stop: IntLike, kb: IntLike, kind: Columns) -> None:
            self.pass_over(k, x, dy, dw.store, part, start, k.min(start + self.chunk, stop), kb, kind)
            for m in k.range(start + self.chunk, stop, self.chunk):
                self.pass_over(k, x, dy, dw.store, part, m, k.min(m + self.chunk, stop), kb, kind, dw)

        return over

    def pass_over(self, k: Builder, x: Tensor, dy: Tensor, store: Callable[..., None], part: IntLike, m0: IntLike, m1: IntLike,
                  kb: IntLike, kind: Columns, sums: Tensor | None = None) -> None:
        """All tiles of input channels over the rows m0 .. m1 - 1; sums: what earlier rows have come to."""
        whole = self.C - self.C % self.channels
        for c in k.range(0, whole, self.channels):
            self.tile(k, x, dy, store, part, m0, m1, c, self.channels, kb, kind, sums)
        if whole < self.C:
            self.tile(k, x, dy, store, part, m0, m1, whole, self.C - whole, kb, kind, sums)

    def tile(self, k: Builder, x: Tensor, dy: Tensor, store: Callable[..., None], part: IntLike, m0: IntLike, m1: IntLike,
             c0: IntLike, channels: int, kb: IntLike, kind: Columns, sums: Tensor | None) -> None:
        lanes, columns = kind.lanes, range(len(kind.counts))
        cells = [[k.cell(sums.vec(part, kb + v, c0 + t, 0, lanes=lanes) if sums else 0.0, lanes) for v in columns]
                 for t in range(channels)]
        for m in k.range(m0, m1):
            grads = [dy.vec(m, (kb + v) * self.lanes, lanes=lanes, count=count) for v, count in enumerate(kind.counts)]
            for t, row in enumerate(cells):
                pixel = k.splat(x[m, c0 + t], lanes)
                for cell, grad in zip(row, grads, strict=True):
                    cell.fma(pixel, grad)
        for t, row in enumerate(cells):
            for v, cell in enumerate(row):
                store(widened(k, cell.value, self.lanes), part, kb + v, c0 + t, 0)


@dataclass(frozen=True)
class GemmUpdate(GemmWeights):
    """The weight gradient of few rows, which goes into the update of the parameters at once: it never lies in memory.

    All rows are one chunk and one part.
    """

    update: Update = Sgd()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("M", "x", "dy", *self.update.places)

    def target(self, k: Builder, x: Tensor, dy: Tensor, shape: tuple[int, ...]) -> Callable[..., None]:
        finish = self.update.bind(k, shape, self.lanes)
        return lambda part, start, stop, kb, kind: self.pass_over(k, x, dy, finish, part, start, stop, kb, kind)
