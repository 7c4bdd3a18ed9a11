"""Weight gradient of a convolution as one matrix product for each tap, over rows that are copied side by side first.

    dw[k, r, s, c] = sum_m x[row(m, r, s), c] * dy[m, k]        m = (n, p, q), an output pixel
    row(m, r, s) = (n, p*stride + r*dilation - low, q*stride + s*dilation - low), or zeros outside the image

Layouts   x (N, D, H, W, C)   dy (N, O, P, Q, K)   dw (parts, K/lanes, T, R, S, C, lanes), zero past K; D, O and T are 1 but for
          convolution in space
Scratch   of each thread: `lines` output lines of x, a block of channels of one tap, and of dy, one column of tiles
Registers `channels` x `vectors` sums; an output pixel gives `vectors` loads of dy and `channels` broadcasts of x
Work      a task is a part of the lines, a row of taps, a block of input channels and `wide` columns of tiles; the taps of the
          row follow one another for the same lines, which are in the second-level cache by then

Why rows are copied: tiles read down the pixels, a few channels of each. With 64, 128, ... channels the pixels of a column share
very few sets of a cache, so a tile would find nothing of what its neighbour has just read; and the first touch of an array
would jump over the memory. The copy reads memory in its order, and its rows are an odd number of cache lines apart.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4 (packing).
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import part_of
from striate.cpu.kernels.winograd import LINE, Shape, floats, packed_shape, private
from striate.kernel.language import Builder, IntLike, Tensor
from striate.window import Window, Window2d

ROWS = 128
"""Output pixels that a thread copies at once, or one line where that is longer."""


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
    block: int = 512
    wide: int = 4
    parts: int = 1
    D: int = 1
    slices: Window = Window(1)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw", "scratch")

    @property
    def out(self) -> tuple[int, int]:
        return self.window[0].out(self.H), self.window[1].out(self.W)

    @property
    def lines(self) -> int:
        return max(1, ROWS // self.out[1])

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch: rows of x, an odd number of cache lines each, and rows of dy."""
        rows, deep = self.lines * self.out[1], min(self.block, self.C)
        stride = (-(-deep // LINE) | 1) * LINE
        return {"x": ((rows, deep), (stride, 1)), "dy": packed_shape(rows, self.vectors * self.lanes)}

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        (P, Q), (R, S), T, O = self.out, (w.size for w in self.window), self.slices.size, self.slices.out(self.D)
        lines = k.int("N") * O * P
        blocks = -(-self.K // self.lanes)
        columns = -(-blocks // self.vectors)
        runs = -(-columns // self.wide)
        x, dy = k.tensor("x", (k.int("N"), self.D, self.H, self.W, self.C)), k.tensor("dy", (lines * Q, self.K))
        dw = k.tensor("dw", (self.parts, blocks, T, R, S, self.C, self.lanes))
        own = private(k, self.scratch())
        for first, count, channels in self.channel_blocks():
            for task in k.share(self.parts * T * R * count * runs):
                run, rest = task % runs, task // runs
                place = (rest % count) * self.block + first
                tap = rest // count
                job = Task(tap // (T * R), tap // R % T, tap % R, place, channels, run * self.wide)
                last = k.min(job.column + self.wide, columns)
                self.clear(k, dw, job, k.min(last * self.vectors, blocks))
                begin, end = part_of(job.part, self.parts, lines)
                for line in k.range(begin, end, self.lines):
                    stop = k.min(line + self.lines, end)
                    for tap in k.range(S):
                        self.bring_x(k, x, own["x"], job, tap, line, stop)
                        self.multiply(k, dy, dw, own, job, tap, (line * Q, stop * Q), last, columns, blocks)

    def channel_blocks(self) -> list[tuple[int, int, int]]:
        """(first channel, blocks, channels of each): whole blocks, then the rest."""
        whole, rest = divmod(self.C, self.block)
        found = [(0, whole, self.block)] if whole else []
        return found + ([(whole * self.block, 1, rest)] if rest else [])

    def clear(self, k: Builder, dw: Tensor, job: Task, last: IntLike) -> None:
        for b in k.range(job.column * self.vectors, last):
            for s in k.range(self.window[1].size):
                for c in k.range(job.channels):
                    dw.store(k.splat(0.0, self.lanes), job.part, b, job.t, job.r, s, job.first + c, 0)

    def bring_x(self, k: Builder, x: Tensor, rows: Tensor, job: Task, s: IntLike, line: IntLike, stop: IntLike) -> None:
        """Copy the pixels that tap s of the row reads for output lines line..stop; zeros where they lie outside of the image."""
        (P, Q), (height, width), O = self.out, self.window, self.slices.out(self.D)
        front, back = inside(k, self.slices, job.t, self.D, O)
        top, bottom = inside(k, height, job.r, self.H, P)
        left, right = inside(k, width, s, self.W, Q)
        whole = all(w.pads == (0, 0) for w in (self.slices, *self.window))
        for i in k.range(stop - line):
            n, o, p = (line + i) // (O * P), (line + i) // P % O, (line + i) % P
            read = n, self.slices.read(o, job.t), height.read(p, job.r)

            def copy(q: IntLike, read: tuple[IntLike, ...] = read, i: IntLike = i) -> None:
                for c, lanes, count in k.vectors(job.channels):
                    pixel = x.vec(*read, width.read(q, s), job.first + c, lanes=lanes, count=count)
                    rows.store(pixel, i * Q + q, c, count=count)

            def zero(q: IntLike, i: IntLike = i) -> None:
                for c, lanes, count in k.vectors(job.channels):
                    rows.store(k.splat(0.0, lanes), i * Q + q, c, count=count)

            if whole:
                for q in k.range(Q):
                    copy(q)
                continue
            real = k.int_compare("ge", p, top) & k.int_compare("lt", p, bottom)
            if self.slices != Window(1):
                real = real & k.int_compare("ge", o, front) & k.int_compare("lt", o, back)
            for _ in k.when(real):
                for q in k.range(left):
                    zero(q)
                for q in k.range(left, right):
                    copy(q)
                for q in k.range(right, Q):
                    zero(q)
            for _ in k.when(real ^ True):
                for q in k.range(Q):
                    zero(q)

    def multiply(self, k: Builder, dy: Tensor, dw: Tensor, own: dict[str, Tensor], job: Task, s: IntLike,
                 rows: tuple[IntLike, IntLike], last: IntLike, columns: int, blocks: int) -> None:
        """All tiles of a task for the rows that were copied."""
        tail = blocks - (columns - 1) * self.vectors
        ragged = self.K % self.lanes
        same = tail == self.vectors and not ragged
        kinds = [(job.column, last if same else k.min(last, columns - 1), self.vectors, 0)]
        if not same:  # the last column is narrower, or its last vector partly filled
            kinds.append((k.max(job.column, columns - 1), last, tail, ragged))
        for first, stop, vectors, filled in kinds:
            for column in k.range(first, stop):
                for m in k.range(rows[0], rows[1]):
                    for v in range(vectors):
                        grad = dy.vec(m, (column * self.vectors + v) * self.lanes, lanes=self.lanes,
                                      count=filled if filled and v == vectors - 1 else None)
                        own["dy"].store(grad, m - rows[0], v * self.lanes)
                whole = job.channels - job.channels % self.channels
                for c in k.range(0, whole, self.channels):
                    self.tile(k, dw, own, job, s, column * self.vectors, vectors, rows[1] - rows[0], c, self.channels)
                if whole < job.channels:
                    self.tile(k, dw, own, job, s, column * self.vectors, vectors, rows[1] - rows[0], whole, job.channels - whole)

    def tile(self, k: Builder, dw: Tensor, own: dict[str, Tensor], job: Task, s: IntLike, b: IntLike, vectors: int, rows: IntLike,
             c: IntLike, channels: int) -> None:
        def place(t: int, v: int) -> tuple[IntLike, ...]:
            return job.part, b + v, job.t, job.r, s, job.first + c + t, 0

        sums = [[k.cell(dw.vec(*place(t, v), lanes=self.lanes)) for v in range(vectors)] for t in range(channels)]
        for m in k.range(rows):
            grads = [own["dy"].vec(m, v * self.lanes, lanes=self.lanes) for v in range(vectors)]
            for t in range(channels):
                pixel = k.splat(own["x"][m, c + t], self.lanes)
                for v in range(vectors):
                    sums[t][v].fma(pixel, grads[v])
        for t in range(channels):
            for v in range(vectors):
                dw.store(sums[t][v].value, *place(t, v))


def inside(k: Builder, window: Window, tap: IntLike, size: int, out: int) -> tuple[IntLike, IntLike]:
    """First output, and the first after the last, at which a tap reads a real pixel."""
    start = window.pads[0] - tap * window.dilation
    low = (k.max(start, 0) + (window.stride - 1)) // window.stride
    high = (k.max(start + size, 0) + (window.stride - 1)) // window.stride
    return k.min(low, out), k.min(high, out)
