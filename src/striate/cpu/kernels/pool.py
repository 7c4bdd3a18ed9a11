"""2-D pooling, channels last: maxima and averages of windows, and their gradients.

    y[n, p, q, c]  = chain( max or average over (r, s) of x[n, p*stride + r*dilation - low, q*stride + s*dilation - low, c] )
    tap            = r*S + s of the first maximum                          NaN wins, padding never
    dx[n, h, w, c] = chain( sum of dy[n, p, q, c] over the windows that read the pixel )
                     max: those whose tap names it        average: each divided by its count of taps

Layouts   x dx (N, H, W, C)   y dy tap (N, P, Q, C)
Tasks     rows of y, or of dx: a gradient gathers, so that each pixel is written once
Columns   which taps of a column lie in the padding, and which windows read a column of dx, is known when the kernel is
          written; columns alike run in one loop. The taps of a row are bounded when it runs
Disjoint  windows that neither overlap nor leave gaps give their gradient tile by tile, and read dy once

Source: LeCun et al., Gradient-based learning applied to document recognition, 1998, section II.B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.reduce import largest, reduce_middle
from striate.kernel.language import Builder, Cell, IntLike, Num
from striate.window import Window, Window2d

UNROLLED = 4
"""Taps of one axis that are written out; more run in a loop."""

Vector = tuple[IntLike, int, IntLike | None]
"""First channel, lanes, count."""



def runs(n: int, alike: Callable[[int], Any]) -> list[tuple[int, int, Any]]:
    """(first, length, what they share) of neighbours in 0 .. n - 1 that are alike.

    >>> runs(5, lambda i: 0 < i < 4)
    [(0, 1, False), (1, 3, True), (4, 1, False)]
    """
    found, first = [], 0
    for value, same in groupby(alike(i) for i in range(n)):
        length = len(list(same))
        found.append((first, length, value))
        first += length
    return found


def each(k: Builder, first: IntLike, last: IntLike) -> Iterator[Any]:
    """first .. last - 1, written out if they are few."""
    if isinstance(first, int) and isinstance(last, int) and last - first <= UNROLLED:
        return iter(range(first, last))
    return k.range(first, last)


def repeated(k: Builder, size: int, low: IntLike, high: IntLike) -> Iterator[IntLike]:
    """The taps low .. high - 1; where the bounds are known only when the kernel runs, every tap, those outside moved inside.

    So few taps are written out with neither loop nor branch; a maximum may see a pixel twice.
    """
    if isinstance(low, int) and isinstance(high, int):
        yield from each(k, low, high)
    else:
        for r in each(k, 0, size):
            yield k.min(k.max(r, low), high - 1)


def whole(window: Window, n: int) -> bool:
    """One window that sees every pixel and nothing else."""
    return window.size == n and window.dilation == 1 and window.pads == (0, 0)


def disjoint(window: Window) -> bool:
    """Every pixel is read by one window at most, and those lie side by side from the first pixel on."""
    return window.size == window.stride and window.dilation == 1 and window.pads[0] == 0


def taps_inside(k: Builder, window: Window, p: IntLike, n: int) -> tuple[IntLike, IntLike]:
    """First and last + 1 tap of output p that reads real pixels: numbers where they are the same for all outputs."""
    known = {window.bounds(i, n) for i in range(window.out(n))}
    return known.pop() if len(known) == 1 else window.bounds(p, n, k.min, k.max)


def tap_count(k: Builder, window: Window, p: IntLike, n: int, include_pad: bool) -> int | Num:
    """What the average of row p divides by: an int where all rows have the same."""
    known = {window.count(i, n, include_pad) for i in range(window.out(n))}
    if len(known) == 1:
        return known.pop()
    own, pixels = window.counted(n, include_pad)
    low, high = own.bounds(p, pixels, k.min, k.max)
    return k.from_int(high - low, "f32")


@dataclass(frozen=True)
class Pool(Kernel):
    """What windows over an image share."""

    C: int
    H: int
    W: int
    window: Window2d

    @property
    def out(self) -> tuple[int, int]:
        return self.window[0].out(self.H), self.window[1].out(self.W)

    def rows(self, k: Builder) -> Callable[[IntLike], tuple[IntLike, IntLike]]:
        """First and last tap of row p that reads real pixels."""
        return lambda p: taps_inside(k, self.window[0], p, self.H)

    def outputs(self, k: Builder, prepare: Callable[[IntLike], Any], alike: Callable[[int], Any]) -> Iterator[tuple]:
        """(n, p, q, vector, prepare(p), what column q shares with its neighbours) of all vectors of y."""
        P, Q = self.out
        for task in k.share(k.int("N") * P):
            row = prepare(task % P)
            for first, length, column in runs(Q, alike):
                for q in k.range(first, first + length):
                    for vector in k.vectors(self.C):
                        yield task // P, task % P, q, vector, row, column


@dataclass(frozen=True)
class MaxPool(Pool):
    """tap: '' without taps, or their type: 'u8' or 'i32'."""

    chain: Chain = Chain()
    tap: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments, *(("tap",) if self.tap else ()))

    def build(self, k: Builder) -> None:
        N, (P, Q), (height, width) = k.int("N"), self.out, self.window
        x, finish = k.tensor("x", (N, self.H, self.W, self.C)), self.chain.bind(k, (N, P, Q, self.C))
        taps = k.tensor("tap", (N, P, Q, self.C), self.tap) if self.tap else None
        for n, p, q, vector, (low, high), columns in self.outputs(k, self.rows(k), lambda q: width.taps_inside(q, self.W)):
            c, lanes, count = vector
            best, where = k.cell(-math.inf, lanes), k.cell(k.splat(k.from_int(low * width.size + columns.start), lanes))
            for r in repeated(k, height.size, low, high):
                for s in each(k, columns.start, columns.stop):
                    pixels = x.vec(n, height.read(p, r), width.read(q, s), c, lanes=lanes, count=count)
                    if taps is None:
                        best.set(largest(k, best.value, pixels))
                    else:
                        choose(k, best, where, pixels, r * width.size + s)
            if taps is not None:
                taps.store(where.value, n, p, q, c, count=count)
            finish(best.value, n, p, q, c, count=count)


def choose(k: Builder, best: Cell, where: Cell, value: Num, place: IntLike) -> None:
    """Keep the larger, and its place; the first NaN stays."""
    better = ((value <= best.value) ^ 1) & best.value.equals(best.value)
    where.set(k.where(better, k.splat(k.from_int(place), value.lanes), where.value))
    best.set(k.where(better, value, best.value))


@dataclass(frozen=True)
class Average(Pool):
    """What an average and its gradient share. divisor: in place of the count of taps."""

    count_include_pad: bool = True
    divisor: int | None = None
    chain: Chain = Chain()

    def across(self, q: int) -> int:
        """What column q divides by."""
        return self.window[1].count(q, self.W, self.count_include_pad) if self.divisor is None else self.divisor

    def down(self, k: Builder, p: IntLike) -> int | Num:
        """What row p divides by."""
        return tap_count(k, self.window[0], p, self.H, self.count_include_pad) if self.divisor is None else 1

    def share(self, k: Builder, p: IntLike, across: int, lanes: int) -> Num:
        """1 / (down * across)"""
        down = self.down(k, p)
        return k.constant(1.0 / (down * across), lanes) if isinstance(down, int) else k.splat(1.0 / (down * float(across)), lanes)


@dataclass(frozen=True)
class AvgPool(Average):
    """x -> y."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        N, (P, Q), (height, width) = k.int("N"), self.out, self.window
        x, finish = k.tensor("x", (N, self.H, self.W, self.C)), self.chain.bind(k, (N, P, Q, self.C))
        if all(whole(w, n) for w, n in zip(self.window, (self.H, self.W))):
            pixels = self.H * self.W
            images = x.view((N, pixels, self.C))
            scale = 1.0 / (self.divisor or pixels)
            reduce_middle(k, "sum", images, self.C, lambda v, n, c, count=None: finish(v, n, 0, 0, c, count=count), scale)
            return

        def alike(q: int) -> tuple[range, int]:
            return width.taps_inside(q, self.W), self.across(q)

        for n, p, q, vector, rows, (columns, across) in self.outputs(k, self.rows(k), alike):
            c, lanes, count = vector
            total = k.cell(0.0, lanes)
            for r in each(k, *rows):
                for s in each(k, columns.start, columns.stop):
                    total.add(x.vec(n, height.read(p, r), width.read(q, s), c, lanes=lanes, count=count))
            finish(total.value * self.share(k, p, across, lanes), n, p, q, c, count=count)


Share = Callable[[IntLike], Callable[[IntLike], Num]]
"""share(r)(s): what one window gives to the pixel under its tap (r, s)."""

Shares = Callable[..., Share]
"""shares(n, p, q, vector, divisor of column q): one window."""


@dataclass(frozen=True)
class MaxPoolGradient(Pool):
    """dy, tap -> dx."""

    tap: str = "u8"
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", "tap", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        shape = (k.int("N"), *self.out, self.C)
        dy, taps = k.tensor("dy", shape), k.tensor("tap", shape, self.tap)

        def shares(n: IntLike, p: IntLike, q: IntLike, vector: Vector, across: int) -> Share:
            c, lanes, count = vector
            value, tap = (t.vec(n, p, q, c, lanes=lanes, count=count) for t in (dy, taps))

            def row(r: IntLike) -> Callable[[IntLike], Num]:
                column = tap - k.splat(k.from_int(r * self.window[1].size), lanes)
                return lambda s: k.where(column.equals(k.splat(k.from_int(s), lanes)), value, k.constant(0.0, lanes))

            return row

        gradient(k, self, self.chain, lambda q: 1, shares)


@dataclass(frozen=True)
class AvgPoolGradient(Average):
    """dy -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        dy = k.tensor("dy", (k.int("N"), *self.out, self.C))

        def shares(n: IntLike, p: IntLike, q: IntLike, vector: Vector, across: int) -> Share:
            c, lanes, count = vector
            value = dy.vec(n, p, q, c, lanes=lanes, count=count) * self.share(k, p, across, lanes)
            return lambda r: lambda s: value

        gradient(k, self, self.chain, self.across, shares)


def gradient(k: Builder, pool: Pool, chain: Chain, across: Callable[[int], int], shares: Shares) -> None:
    """dx out of what each window gives to its pixels; across(q) is the divisor of column q."""
    finish = chain.bind(k, (k.int("N"), pool.H, pool.W, pool.C))
    sizes = pool.H, pool.W
    # a window that is alone on its axis may move by any stride
    height, width = (replace(w, stride=w.size) if w.out(n) == 1 else w for w, n in zip(pool.window, sizes))
    alike = replace(pool, window=(height, width))
    write = scatter if disjoint(height) and disjoint(width) else gather
    write(k, alike, finish, across, shares)


def scatter(k: Builder, pool: Pool, finish: Callable[..., None], across: Callable[[int], int], shares: Shares) -> None:
    """Disjoint windows: each writes its own tile; tiles past the last window are zero."""
    (high, wide), (P, Q) = (w.size for w in pool.window), pool.out
    rows = runs(-(-pool.H // high), lambda i: (min(high, pool.H - i * high), i < P))
    columns = runs(-(-pool.W // wide), lambda j: (min(wide, pool.W - j * wide), across(j) if j < Q else 0))
    for first_i, length_i, (pixels_h, seen) in rows:
        for task in k.share(k.int("N") * length_i):
            n, i = task // length_i, task % length_i + first_i
            for first_j, length_j, (pixels_w, divisor) in columns:
                for j in k.range(first_j, first_j + length_j):
                    for r, s, vector in tile(k, pixels_h, pixels_w, pool.C):
                        c, lanes, count = vector
                        value = shares(n, i, j, vector, divisor)(r)(s) if seen and divisor else k.constant(0.0, lanes)
                        finish(value, n, i * high + r, j * wide + s, c, count=count)


def tile(k: Builder, high: int, wide: int, C: int) -> Iterator[tuple[IntLike, IntLike, Vector]]:
    """(row, column, vector) of a tile, in the order of memory."""
    for r in each(k, 0, high):
        for s in each(k, 0, wide):
            for vector in k.vectors(C):
                yield r, s, vector


def gather(k: Builder, pool: Pool, finish: Callable[..., None], across: Callable[[int], int], shares: Shares) -> None:
    """Windows of any kind: each pixel of dx adds what the windows that read it give; a block of `stride` columns at a time."""
    height, width = pool.window
    for task in k.share(k.int("N") * pool.H):
        n, h = task // pool.H, task % pool.H
        low, high = height.over(h, pool.H, k.min, k.max)
        for first, length, (pixels, windows) in runs(-(-pool.W // width.stride), lambda j: block_of(width, pool.W, j, across)):
            for j in k.range(first, first + length):
                for vector in k.vectors(pool.C):
                    c, lanes, count = vector
                    cells = [k.cell(0.0, lanes) for _ in range(pixels)]
                    for p, r in met_rows(k, height, h, low, high):
                        for offset, divisor, met in windows:
                            share = shares(n, p, j + offset, vector, divisor)(r)
                            for t, s in met:
                                cells[t].add(share(s))
                    for t, cell in enumerate(cells):
                        finish(cell.value, n, h, j * width.stride + t, c, count=count)


def block_of(window: Window, n: int, j: int, across: Callable[[int], int]) -> tuple[int, tuple]:
    """What a block of `stride` pixels from j * stride on needs.

    (pixels, windows): (window from j on, its divisor, ((pixel of the block, tap), ...)) for all windows that read them.

    >>> block_of(Window(3, stride=2, pads=(1, 1)), 28, 5, lambda q: 1)
    (2, ((0, 1, ((0, 1), (1, 2))), (1, 1, ((1, 0),))))
    """
    first = j * window.stride
    pixels = range(min(window.stride, n - first))
    met = [(q - j, t, s) for t in pixels for q, s in window.readers(first + t, n)]
    offsets = sorted({offset for offset, _, _ in met})
    return len(pixels), tuple((o, across(o + j), tuple((t, s) for q, t, s in met if q == o)) for o in offsets)


def met_rows(k: Builder, window: Window, pixel: IntLike, low: IntLike, high: IntLike) -> Iterator[tuple[IntLike, IntLike]]:
    """(output, tap) for the windows that read the pixel: those of low .. high - 1 that do not step over it."""
    for p in k.range(low, high):
        distance = pixel - window.read(p, 0)
        if window.dilation == 1:
            yield p, distance
        else:
            for _ in k.when(k.int_compare("eq", distance % window.dilation, 0)):
                yield p, distance // window.dilation
