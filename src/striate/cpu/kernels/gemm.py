"""Matrix product with packed weights: linear layers, and 1x1 convolutions with stride 1.

    y[m, k] = chain( sum_c x[m, c] * w[c, k] )            M rows (a batch, or pixels)   C/K channels in/out

Layouts   x (M, C)   w (K/lanes, C, lanes) packed, zero past K   y (M, K)
Registers `pixels` rows x `vectors` accumulators + `vectors` weights + 1 broadcast
Rows that are left over: the last tile starts earlier and computes some rows twice; fewer than a tile go by four, two and one.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.tally import Tally
from striate.cpu.kernels.update import Sgd, Update
from striate.kernel.language import Builder, IntLike, Tensor


@dataclass(frozen=True)
class Gemm(Kernel):
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
        end, columns = self.chain.bind(k, (M, self.K)), self.column_groups(blocks)

        def tile(m: IntLike, pixels: int, kb: IntLike, vectors: int, ragged: bool, spot: Spot = (0, 0)) -> None:
            self.tile(k, x, w, end, m, pixels, kb, vectors, ragged, spot)

        if self.chain.tally:
            self.by_parts(k, M, end, columns, tile)
            return
        tiles = (M + (self.pixels - 1)) // self.pixels
        rows = (tiles + (self.block - 1)) // self.block
        for _ in k.when(k.int_compare("ge", M, self.pixels)):
            for first, count, vectors, ragged in columns:
                for task in k.share(rows * count):
                    start = (task // count) * self.block
                    for t in k.range(start, k.min(start + self.block, tiles)):
                        m = k.min(t * self.pixels, M - self.pixels)
                        tile(m, self.pixels, (task % count) * vectors + first, vectors, ragged)
        for _ in k.when(k.int_compare("lt", M, self.pixels)):
            for first, count, vectors, ragged in columns:
                for task in k.share(count):
                    begin: IntLike = 0
                    for few in (n for n in (4, 2, 1) if n < self.pixels):
                        stop = begin + (M - begin) // few * few
                        for m in k.range(begin, stop, few):
                            tile(m, few, task * vectors + first, vectors, ragged)
                        begin = stop

    def by_parts(self, k: Builder, M: IntLike, end: End, columns: Sequence[tuple[int, int, int, bool]],
                 tile: Callable[..., None]) -> None:
        """All columns of a part of the rows, with sums over them: whole tiles, and what is left over row by row."""
        parts, tiles = end.cuts, M // self.pixels
        for i in k.share(parts):
            first, whole = ((tiles * j) // parts * self.pixels for j in (i, i + 1))
            last = k.min(M, whole + (i + 1) // parts * self.pixels)
            end.begin(i, last - first)
            step = self.block * self.pixels
            for start in k.range(first, whole, step):
                for column, count, vectors, ragged in columns:
                    for j in k.range(count):
                        for m in k.range(start, k.min(start + step, whole), self.pixels):
                            tile(m, self.pixels, j * vectors + column, vectors, ragged, (i, m - first))
            for m in k.range(whole, last):
                for column, count, vectors, ragged in columns:
                    for j in k.range(count):
                        tile(m, 1, j * vectors + column, vectors, ragged, (i, m - first))

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """With enough rows for parts of several blocks each; fewer are soon read again."""
        return arguments["M"] >= 1024

    def ending(self, chain: Chain) -> Self:
        return replace(self, chain=chain)

    def column_groups(self, blocks: int) -> list[tuple[int, int, int, bool]]:
        """(first block, groups, blocks in a group, whether the last vector is partly filled)."""
        ragged = self.K % self.lanes != 0
        whole, rest = divmod(blocks - (1 if ragged else 0), self.vectors)
        groups = [(0, whole, self.vectors, False)] if whole else []
        tail = rest + (1 if ragged else 0)
        return groups + ([(whole * self.vectors, 1, tail, ragged)] if tail else [])

    def tile(self, k: Builder, x: Tensor, w: Tensor, end: End, m: IntLike, pixels: int, kb: IntLike, vectors: int, ragged: bool,
             spot: Spot) -> None:
        lanes = self.lanes
        for t in range(pixels):
            for v in range(vectors):
                end.fetch(m + t, (kb + v) * lanes)
        cells = [[k.cell(0.0, lanes) for _ in range(vectors)] for _ in range(pixels)]
        for c in channels_ahead(k, x, m, pixels):
            weights = [w.vec(kb + v, c, 0, lanes=lanes) for v in range(vectors)]
            for t in range(pixels):
                pixel = k.splat(x[m + t, c], lanes)
                for v in range(vectors):
                    cells[t][v].fma(pixel, weights[v])
        counts = [self.K % lanes if ragged and v == vectors - 1 else None for v in range(vectors)]
        found = [[end(cell.value, m + t, (kb + v) * lanes, count=counts[v]) for v, cell in enumerate(row)]
                 for t, row in enumerate(cells)]
        for v, count in enumerate(counts):
            end.note([row[v] for row in found], spot, (kb + v) * lanes, count)


def channels_ahead(k: Builder, x: Tensor, m: IntLike, rows: int) -> Iterator[IntLike]:
    """The channels of x, one by one in a loop that runs; the lines of the rows that follow are asked for meanwhile.

    Those may lie behind the array: asking is no access.
    """
    C, line = x.shape[-1], 16
    for first in k.range(0, C - C % line, line):
        for t in range(rows):
            k.prefetch(x, (m + rows + t, first))
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
        groups = -(-blocks // self.vectors)
        for task in k.share(self.parts * groups):
            part, group = task // groups, task % groups
            start, stop = (M * part) // self.parts, (M * (part + 1)) // self.parts
            for kind, condition in self.group_kinds(k, group, groups, blocks):
                for _ in k.when(condition) if condition is not None else (None,):
                    over(part, start, stop, group, kind)

    def target(self, k: Builder, x: Tensor, dy: Tensor, shape: tuple[int, ...]) -> Callable[..., None]:
        """What goes over the rows start .. stop - 1 for a group of output channels."""
        dw = k.tensor("dw", shape)

        def over(part: IntLike, start: IntLike, stop: IntLike, group: IntLike, kind: tuple[int, bool]) -> None:
            self.pass_over(k, x, dy, dw.store, part, start, k.min(start + self.chunk, stop), group, kind)
            for m in k.range(start + self.chunk, stop, self.chunk):
                self.pass_over(k, x, dy, dw.store, part, m, k.min(m + self.chunk, stop), group, kind, dw)

        return over

    def pass_over(self, k: Builder, x: Tensor, dy: Tensor, store: Callable[..., None], part: IntLike, m0: IntLike, m1: IntLike,
                  group: IntLike, kind: tuple[int, bool], sums: Tensor | None = None) -> None:
        """All tiles of input channels over the rows m0 .. m1 - 1; sums: what earlier rows have come to."""
        whole = self.C - self.C % self.channels
        for c in k.range(0, whole, self.channels):
            self.tile(k, x, dy, store, part, m0, m1, c, self.channels, group, kind, sums)
        if whole < self.C:
            self.tile(k, x, dy, store, part, m0, m1, whole, self.C - whole, group, kind, sums)

    def group_kinds(self, k: Builder, group: IntLike, groups: int, blocks: int):
        """((vectors, is last), condition): the last group may be smaller and end in a partly filled vector."""
        rest = blocks - (groups - 1) * self.vectors
        if rest == self.vectors and not self.K % self.lanes:
            return [((self.vectors, False), None)]
        last = ((rest, True), k.int_compare("eq", group, groups - 1))
        return [last] if groups == 1 else [((self.vectors, False), k.int_compare("lt", group, groups - 1)), last]

    def tile(self, k: Builder, x: Tensor, dy: Tensor, store: Callable[..., None], part: IntLike, m0: IntLike, m1: IntLike,
             c0: IntLike, channels: int, group: IntLike, kind: tuple[int, bool], sums: Tensor | None) -> None:
        vectors, lanes, kb = kind[0], self.lanes, group * self.vectors
        ragged = self.K % lanes if kind[1] else 0
        cells = [[k.cell(sums.vec(part, kb + v, c0 + t, 0, lanes=lanes) if sums else 0.0, lanes) for v in range(vectors)]
                 for t in range(channels)]
        for m in k.range(m0, m1):
            grads = []
            for v in range(vectors):
                count = ragged if ragged and v == vectors - 1 else None
                grads.append(dy.vec(m, (kb + v) * lanes, lanes=lanes, count=count))
            for t in range(channels):
                pixel = k.splat(x[m, c0 + t], lanes)
                for v in range(vectors):
                    cells[t][v].fma(pixel, grads[v])
        for t in range(channels):
            for v in range(vectors):
                store(cells[t][v].value, part, kb + v, c0 + t, 0)


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
        return lambda part, start, stop, group, kind: self.pass_over(k, x, dy, finish, part, start, stop, group, kind)
