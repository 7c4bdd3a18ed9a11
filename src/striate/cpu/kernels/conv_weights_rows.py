"""Weight gradient of a convolution as one matrix product for each tap, over rows that are copied side by side first.

    dw[k, r, s, c] = sum_m x[row(m, r, s), c] * dy[m, k]        m = (n, p, q), an output pixel
    row(m, r, s) = (n, p*stride + r*dilation - low, q*stride + s*dilation - low); pixels outside the image are left out

Layouts   x (N, D, H, W, C)   dy (N, O, P, Q, K)   dw (parts, K/lanes, T, R, S, C, lanes), zero past K; D, O and T are 1 but for
          convolution in space
Scratch   of each thread: of x what a row of taps reads for `lines` output lines, a block of channels; of dy these lines, `GROUP`
          columns of tiles
Registers `channels` x `vectors` sums; an output pixel gives `vectors` loads of dy and `channels` broadcasts of x
Work      a task is a row of taps, a part of the output lines for which it lies inside the image, a block of input channels and
          `wide` columns of tiles; all taps of the row multiply the same copies

Why rows are copied: tiles read down the pixels, a few channels of each. With 64, 128, ... channels the pixels of a column share
very few sets of a cache, so a tile would find nothing of what its neighbour has just read; and the first touch of an array
would jump over the memory. The copies read memory in its order; those of x are an odd number of cache lines apart.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4 (packing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import widths
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.kernel.language import Builder, IntLike, Tensor
from striate.kernel.machine import LINE
from striate.kernel.sharing import part_of
from striate.window import Window, Window2d

ROWS = 128
"""Output pixels that a thread copies at once, or one line where that is longer."""
GROUP = 8
"""Columns of tiles of dy that are copied at once: with a block of x they stay in a core's second-level cache."""

Ask = Callable[[IntLike, IntLike], None]
"""Asks the memory for something while tile number ... is at line number ..."""


@dataclass(frozen=True)
class Lines:
    """The output lines for which a row of taps lies inside the image: `slices` x `rows` of each image, from (front, top) on."""

    front: IntLike
    slices: IntLike
    top: IntLike
    rows: IntLike

    @property
    def of_image(self) -> IntLike:
        return self.slices * self.rows

    def __getitem__(self, line: IntLike) -> tuple[IntLike, IntLike, IntLike]:
        """(image, output slice, output row) of a line's number."""
        return line // self.of_image, line // self.rows % self.slices + self.front, line % self.rows + self.top


@dataclass(frozen=True)
class Task:
    """What one task computes: all of it indices that are known when it runs, but for `channels`."""

    part: IntLike
    t: IntLike
    r: IntLike
    first: IntLike
    channels: int
    column: IntLike


@dataclass(frozen=True)
class ConvWeightsRows(Kernel):
    """Sizes and choices of one weight gradient without groups."""

    C: int
    H: int
    W: int
    K: int
    window: Window2d
    lanes: int = 16
    channels: int = 8
    vectors: int = 2
    block: int = 256
    wide: int = 4
    parts: int = 1
    D: int = 1
    slices: Window = Window(1)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw", "scratch")

    @property
    def out(self) -> tuple[int, int, int]:
        return self.slices.out(self.D), self.window[0].out(self.H), self.window[1].out(self.W)

    @property
    def lines(self) -> int:
        return max(1, ROWS // self.out[2])

    @property
    def blocks(self) -> int:
        return -(-self.K // self.lanes)

    @property
    def columns(self) -> int:
        return -(-self.blocks // self.vectors)

    def pixels(self) -> tuple[int, int, int]:
        """(first, count, step): pixels of a line that are copied, those that any tap reads; one tap reads every step-th."""
        width, Q = self.window[1], self.out[2]
        if width.size == 1:
            left, right = width.positions(0, self.W)
            return width.read(left, 0), right - left, width.stride
        first = max(0, width.read(0, 0))
        return first, min(self.W, width.read(Q - 1, width.size - 1) + 1) - first, 1

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch: rows of x, an odd number of cache lines each, and rows of dy for each column."""
        deep, group = min(self.block, self.C), min(GROUP, self.wide)
        stride = (-(-deep // LINE) | 1) * LINE
        return {"x": ((self.lines * self.pixels()[1], deep), (stride, 1)),
                "dy": packed_shape(group, self.lines * self.out[2], self.vectors * self.lanes)}

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        (O, P, Q), R, T, N = self.out, self.window[0].size, self.slices.size, k.int("N")
        runs = -(-self.columns // self.wide)
        x, dy = k.tensor("x", (N, self.D, self.H, self.W, self.C)), k.tensor("dy", (N, O, P, Q, self.K))
        dw = k.tensor("dw", (self.parts, self.blocks, T, R, self.window[1].size, self.C, self.lanes))
        own = private(k, self.scratch())
        for first, count, channels in self.channel_blocks():
            for task in k.share(self.parts * T * R * count * runs):
                run, rest = task % runs, task // runs
                tap, place = rest // count, (rest % count) * self.block + first
                job = Task(tap // (T * R), tap // R % T, tap % R, place, channels, run * self.wide)
                self.compute(k, x, dy, dw, own, job, self.lines_of(k, job))

    def channel_blocks(self) -> list[tuple[int, int, int]]:
        """(first channel, blocks, channels of each): whole blocks, then the rest."""
        whole, rest = divmod(self.C, self.block)
        found = [(0, whole, self.block)] if whole else []
        return found + ([(whole * self.block, 1, rest)] if rest else [])

    def lines_of(self, k: Builder, job: Task) -> Lines:
        front, back = self.slices.positions(job.t, self.D, k.min, k.max)
        top, bottom = self.window[0].positions(job.r, self.H, k.min, k.max)
        return Lines(front, back - front, top, bottom - top)

    def compute(self, k: Builder, x: Tensor, dy: Tensor, dw: Tensor, own: dict[str, Tensor], job: Task, lines: Lines) -> None:
        last = k.min(job.column + self.wide, self.columns)
        self.clear(k, dw, job, k.min(last * self.vectors, self.blocks))
        begin, end = part_of(job.part, self.parts, k.int("N") * lines.of_image)
        for line in k.range(begin, end, self.lines):
            count = k.min(end - line, self.lines)
            self.bring_x(k, x, own["x"], job, lines, line, count)
            for first in k.range(job.column, last, GROUP):
                columns = first, k.min(first + GROUP, last)
                self.bring_dy(k, dy, own["dy"], lines, line, count, columns)
                ask = self.ahead(k, x, dy, job, lines[k.min(line + self.lines, end - 1)], columns)
                for s in k.range(self.window[1].size):
                    self.multiply(k, dw, own, job, s, count, columns, ask)

    def clear(self, k: Builder, dw: Tensor, job: Task, last: IntLike) -> None:
        for b in k.range(job.column * self.vectors, last):
            for s in k.range(self.window[1].size):
                for c in k.range(job.channels):
                    dw.store(k.splat(0.0, self.lanes), job.part, b, job.t, job.r, s, job.first + c, 0)

    def bring_x(self, k: Builder, x: Tensor, rows: Tensor, job: Task, lines: Lines, line: IntLike, count: IntLike) -> None:
        """Copy what the row of taps reads for some output lines."""
        first, pixels, step = self.pixels()
        for i in k.range(count):
            n, o, p = lines[line + i]
            for j in k.range(pixels):
                pixel = n, self.slices.read(o, job.t), self.window[0].read(p, job.r), j * step + first
                for c, lanes, part in k.vectors(job.channels):
                    rows.store(x.vec(*pixel, job.first + c, lanes=lanes, count=part), i * pixels + j, c, count=part)

    def bring_dy(self, k: Builder, dy: Tensor, rows: Tensor, lines: Lines, line: IntLike, count: IntLike,
                 columns: tuple[IntLike, IntLike]) -> None:
        """Copy some output lines, column after column of tiles."""
        Q = self.out[2]
        for i in k.range(count):
            pixel = lines[line + i]
            for q in k.range(Q):
                for column, vectors, ragged in self.column_kinds(k, columns):
                    for v in range(vectors):
                        grad = dy.vec(*pixel, q, (column * self.vectors + v) * self.lanes, lanes=self.lanes,
                                      count=ragged if ragged and v == vectors - 1 else None)
                        rows.store(grad, column - columns[0], i * Q + q, v * self.lanes)

    def column_kinds(self, k: Builder, columns: tuple[IntLike, IntLike]) -> Iterator[tuple[IntLike, int, int]]:
        """(column, vectors, lanes filled in the last vector or 0); the very last may be narrower or partly filled."""
        tail, ragged = self.blocks - (self.columns - 1) * self.vectors, self.K % self.lanes
        if tail == self.vectors and not ragged:
            for column in k.range(*columns):
                yield column, tail, ragged
            return
        for column in k.range(columns[0], k.min(columns[1], self.columns - 1)):
            yield column, self.vectors, 0
        for column in k.range(k.max(columns[0], self.columns - 1), columns[1]):
            yield column, tail, ragged

    def ahead(self, k: Builder, x: Tensor, dy: Tensor, job: Task, line: tuple[IntLike, IntLike, IntLike],
              columns: tuple[IntLike, IntLike]) -> Ask:
        """What asks the memory for the lines that will be copied next, while tiles multiply: each a share of every line."""
        (n, o, p), (_, P, Q), (first, pixels, step) = line, self.out, self.pixels()
        tiles = (columns[1] - columns[0]) * (self.window[1].size * -(-job.channels // self.channels))
        deep, wide = -(-job.channels // LINE), -(-min(self.K, GROUP * self.vectors * self.lanes) // LINE)

        def share(tile: IntLike, lines: int) -> Iterator[IntLike]:
            each = (tiles + (lines - 1)) // tiles
            return k.range(tile * each, k.min(tile * each + each, lines))

        def ask(tile: IntLike, i: IntLike) -> None:
            row = k.min(self.window[0].read(p, job.r) + i * self.window[0].stride, self.H - 1)
            for at in share(tile, pixels * deep):
                k.prefetch(x, (n, self.slices.read(o, job.t), row, at // deep * step + first, at % deep * LINE + job.first))
            for at in share(tile, Q * wide):
                channel = k.min(columns[0] * (self.vectors * self.lanes) + at % wide * LINE, self.K - 1)
                k.prefetch(dy, (n, o, k.min(p + i, P - 1), at // wide, channel))

        return ask

    def multiply(self, k: Builder, dw: Tensor, own: dict[str, Tensor], job: Task, s: IntLike, lines: IntLike,
                 columns: tuple[IntLike, IntLike], ask: Ask) -> None:
        """All tiles of one tap for the lines that were copied."""
        tiles, rest = divmod(job.channels, self.channels)
        for column, vectors, ragged in self.column_kinds(k, columns):
            wide = widths(vectors, ragged, self.lanes)
            above = (s * (columns[1] - columns[0]) + column - columns[0]) * -(-job.channels // self.channels)

            def tile(i: IntLike, channels: int, column: IntLike = column, wide: Sequence[int] = wide,
                     above: IntLike = above) -> None:
                c = i * self.channels
                rows = ((pixel, c, column - columns[0], m) for pixel, m in self.rows_of(k, s, lines, above + i, ask))
                place = job.part, column * self.vectors, job.t, job.r, s, job.first + c
                self.tile(k, dw, own, place, wide, channels, rows)

            for i in k.range(tiles):
                tile(i, self.channels)
            if rest:
                tile(tiles, rest)

    def rows_of(self, k: Builder, s: IntLike, lines: IntLike, tile: IntLike, ask: Ask) -> Iterator[tuple[IntLike, IntLike]]:
        """(row of x, row of dy) of every output pixel for which tap s reads a real one; a loop that runs."""
        (first, pixels, step), width = self.pixels(), self.window[1]
        left, right = width.positions(s, self.W, k.min, k.max)
        for i in k.range(lines):
            ask(tile, i)
            for q in k.range(left, right):
                yield i * pixels + (width.read(q, s) - first) // step, i * self.out[2] + q

    def tile(self, k: Builder, dw: Tensor, own: dict[str, Tensor], place: tuple[IntLike, ...], wide: Sequence[int],
             channels: int, rows: Iterator[tuple[IntLike, ...]]) -> None:
        part, b, *tap, first = place
        at = [[(part, b + v, *tap, first + t, 0) for v in range(len(wide))] for t in range(channels)]
        sums = [[k.cell(dw.vec(*index, lanes=lanes)) for index, lanes in zip(row, wide, strict=True)] for row in at]
        for pixel, c, column, m in rows:
            grads = [own["dy"].vec(column, m, v * self.lanes, lanes=lanes) for v, lanes in enumerate(wide)]
            for t in range(channels):
                value = own["x"][pixel, c + t]
                for cell, grad in zip(sums[t], grads, strict=True):
                    cell.fma(k.splat(value, grad.lanes), grad)
        for indices, cells in zip(at, sums, strict=True):
            for index, cell in zip(indices, cells, strict=True):
                dw.store(cell.value, *index)
