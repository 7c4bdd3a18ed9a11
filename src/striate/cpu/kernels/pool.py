"""2-D pooling, channels last: maxima and averages of windows, and their gradients.

    y[n, p, q, c]  = chain( max or average over (r, s) of x[n, p*stride + r*dilation - low, q*stride + s*dilation - low, c] )
    tap            = r*S + s of the first maximum                          NaN wins, padding never
    dx[n, h, w, c] = chain( sum of dy[n, p, q, c] over the windows that read the pixel )
                     max: those whose tap names it        average: each divided by its count of taps

Adaptive pooling has windows floor(p*H/P) .. ceil((p+1)*H/P) - 1, and index = h*W + w in place of the tap.

Layouts   x dx (N, H, W, C)   y dy tap index (N, P, Q, C)
Tasks     rows of y, or of dx: a gradient gathers, so that each pixel is written once
Columns   which taps of a column lie in the padding, and which windows read a column of dx, is known when the kernel is
          written; columns alike run in one loop. The taps of a row are bounded when it runs
Disjoint  windows that neither overlap nor leave gaps give their gradient tile by tile, and read dy once

Source: LeCun et al., Gradient-based learning applied to document recognition, 1998, section II.B; He et al., arXiv:1406.4729.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.reduce import largest, reduce_middle
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor
from striate.window import Window, Window2d, span

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
    few = isinstance(first, int) and isinstance(last, int) and last - first <= UNROLLED
    return iter(range(first, last)) if few else k.range(first, last)


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
    """First and last tap of output p that reads real pixels: `Window.taps_inside` for an index of a running loop."""
    positions = {(t.start, t.stop) for t in (window.taps_inside(i, n) for i in range(window.out(n)))}
    if len(positions) == 1:
        return positions.pop()
    first, gap = window.read(p, 0), window.dilation
    low, high = (k.max(edge - first, 0) + (gap - 1) for edge in (0, n))
    return k.min(low // gap, window.size), k.min(high // gap, window.size)


def tap_count(k: Builder, window: Window, p: IntLike, n: int, include_pad: bool) -> int | Num:
    """What the average of row p divides by, as `Window.count`: an int where all rows have the same."""
    counts = {window.count(i, n, include_pad) for i in range(window.out(n))}
    if len(counts) == 1:
        return counts.pop()
    own, size = (replace(window, pads=(0, 0)), n + sum(window.pads)) if include_pad else (window, n)
    first, gap = own.read(p, 0), own.dilation
    low, high = (k.min((k.max(edge - first, 0) + (gap - 1)) // gap, own.size) for edge in (0, size))
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
            reduce_middle(k, "sum", images, lambda v, n, c, count=None: finish(v, n, 0, 0, c, count=count), 1.0 / (self.divisor or pixels))
            return
        for n, p, q, vector, rows, (columns, across) in self.outputs(k, self.rows(k), lambda q: (width.taps_inside(q, self.W), self.across(q))):
            c, lanes, count = vector
            total = k.cell(0.0, lanes)
            for r in each(k, *rows):
                for s in each(k, columns.start, columns.stop):
                    total.add(x.vec(n, height.read(p, r), width.read(q, s), c, lanes=lanes, count=count))
            finish(total.value * self.share(k, p, across, lanes), n, p, q, c, count=count)


Share = Callable[[IntLike], Callable[[IntLike], Num]]
"""share(r)(s): what one window gives to the pixel under its tap (r, s)."""


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


def gradient(k: Builder, pool: Pool, chain: Chain, across: Callable[[int], int], shares: Callable[..., Share]) -> None:
    """dx out of what each window, shares(n, p, q, vector, across(q)), gives to its pixels."""
    finish = chain.bind(k, (k.int("N"), pool.H, pool.W, pool.C))
    sizes = pool.H, pool.W
    # a window that is alone on its axis may move by any stride
    height, width = (replace(w, stride=w.size) if w.out(n) == 1 else w for w, n in zip(pool.window, sizes))
    alike = replace(pool, window=(height, width))
    (scatter if disjoint(height) and disjoint(width) else gather)(k, alike, finish, across, shares)


def scatter(k: Builder, pool: Pool, finish: Callable[..., None], across: Callable[[int], int], shares: Callable[..., Share]) -> None:
    """Disjoint windows: each writes its own tile; tiles past the last window are zero."""
    (height, width), (P, Q) = pool.window, pool.out
    rows = runs(-(-pool.H // height.stride), lambda i: (min(height.stride, pool.H - i * height.stride), i < P))
    columns = runs(-(-pool.W // width.stride), lambda j: (min(width.stride, pool.W - j * width.stride), across(j) if j < Q else 0))
    for first_i, length_i, (high, seen) in rows:
        for task in k.share(k.int("N") * length_i):
            n, i = task // length_i, task % length_i + first_i
            for first_j, length_j, (wide, divisor) in columns:
                for j in k.range(first_j, first_j + length_j):
                    for r in each(k, 0, high):
                        for s in each(k, 0, wide):
                            for vector in k.vectors(pool.C):
                                c, lanes, count = vector
                                value = shares(n, i, j, vector, divisor)(r)(s) if seen and divisor else k.constant(0.0, lanes)
                                finish(value, n, i * height.stride + r, j * width.stride + s, c, count=count)


def gather(k: Builder, pool: Pool, finish: Callable[..., None], across: Callable[[int], int], shares: Callable[..., Share]) -> None:
    """Windows of any kind: each pixel of dx adds what the windows that read it give; a block of `stride` columns at a time."""
    height, width = pool.window
    steps = range(width.stride)

    def readers(j: int) -> tuple:
        """(windows from j on, with their divisors and the (pixel of the block, tap) that they read)."""
        met = [(q - j, t, s) for t in steps if j * width.stride + t < pool.W for q, s in width.readers(j * width.stride + t, pool.W)]
        pixels = min(width.stride, pool.W - j * width.stride)
        return pixels, tuple((o, across(o + j), tuple((t, s) for q, t, s in met if q == o)) for o in sorted({q for q, _, _ in met}))

    for task in k.share(k.int("N") * pool.H):
        n, h = task // pool.H, task % pool.H
        low, high = windows_over(k, height, h, pool.out[0])
        for first, length, (pixels, windows) in runs(-(-pool.W // width.stride), readers):
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


def windows_over(k: Builder, window: Window, pixel: IntLike, out: int) -> tuple[IntLike, IntLike]:
    """First and last output whose window reaches over a pixel."""
    last = pixel + window.pads[0]
    first = k.max(last - (window.extent - 1), 0)
    return (first + (window.stride - 1)) // window.stride, k.min(last // window.stride + 1, out)


def met_rows(k: Builder, window: Window, pixel: IntLike, low: IntLike, high: IntLike) -> Iterator[tuple[IntLike, IntLike]]:
    """(output, tap) for the windows that read the pixel: those of low .. high - 1 that do not step over it."""
    for p in k.range(low, high):
        distance = pixel - window.read(p, 0)
        if window.dilation == 1:
            yield p, distance
        else:
            for _ in k.when(k.int_compare("eq", distance % window.dilation, 0)):
                yield p, distance // window.dilation


@dataclass(frozen=True)
class Adaptive(Kernel):
    """x or dx (N, H, W, C), y or dy (N, P, Q, C)."""

    C: int
    H: int
    W: int
    P: int
    Q: int
    chain: Chain = Chain()

    @property
    def window(self) -> Window2d | None:
        """The equal windows that adaptive pooling has where the sizes divide."""
        if self.H % self.P or self.W % self.Q:
            return None
        height, width = self.H // self.P, self.W // self.Q
        return Window(height, height), Window(width, width)

    def outputs(self, k: Builder) -> Iterator[tuple]:
        """(n, p, q, vector, first and last row, first and last column) of all vectors of y."""
        for task in k.share(k.int("N") * self.P):
            n, p = task // self.P, task % self.P
            rows = span(p, self.H, self.P)
            for q in k.range(self.Q):
                columns = span(q, self.W, self.Q)
                for vector in k.vectors(self.C):
                    yield n, p, q, vector, rows, columns

    def pixels(self, k: Builder) -> Iterator[tuple]:
        """(n, h, w, vector, first and last p, first and last q) of all vectors of dx."""
        for task in k.share(k.int("N") * self.H):
            n, h = task // self.H, task % self.H
            rows = span(h, self.P, self.H)
            for w in k.range(self.W):
                columns = span(w, self.Q, self.W)
                for vector in k.vectors(self.C):
                    yield n, h, w, vector, rows, columns


@dataclass(frozen=True)
class AdaptiveAvgPool(Adaptive):
    """x -> y."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        if self.window is not None:
            AvgPool(self.C, self.H, self.W, self.window, chain=self.chain).build(k)
            return
        x, finish = k.tensor("x", (k.int("N"), self.H, self.W, self.C)), self.chain.bind(k, (k.int("N"), self.P, self.Q, self.C))
        for n, p, q, (c, lanes, count), rows, columns in self.outputs(k):
            total = k.cell(0.0, lanes)
            for h in k.range(*rows):
                for w in k.range(*columns):
                    total.add(x.vec(n, h, w, c, lanes=lanes, count=count))
            finish(total.value * one_over(k, rows, columns, lanes), n, p, q, c, count=count)


def one_over(k: Builder, rows: Sequence[IntLike], columns: Sequence[IntLike], lanes: int) -> Num:
    """1 / pixels of a span."""
    return k.splat(1.0 / k.from_int((rows[1] - rows[0]) * (columns[1] - columns[0]), "f32"), lanes)


@dataclass(frozen=True)
class AdaptiveAvgPoolGradient(Adaptive):
    """dy -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        if self.window is not None:
            AvgPoolGradient(self.C, self.H, self.W, self.window, chain=self.chain).build(k)
            return
        dy, finish = k.tensor("dy", (k.int("N"), self.P, self.Q, self.C)), self.chain.bind(k, (k.int("N"), self.H, self.W, self.C))
        for n, h, w, (c, lanes, count), rows, columns in self.pixels(k):
            total = k.cell(0.0, lanes)
            for p in k.range(*rows):
                for q in k.range(*columns):
                    part = one_over(k, span(p, self.H, self.P), span(q, self.W, self.Q), lanes)
                    total.fma(dy.vec(n, p, q, c, lanes=lanes, count=count), part)
            finish(total.value, n, h, w, c, count=count)


@dataclass(frozen=True)
class AdaptiveMaxPool(Adaptive):
    """x -> y, index."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments, "index")

    def build(self, k: Builder) -> None:
        x, finish = k.tensor("x", (k.int("N"), self.H, self.W, self.C)), self.chain.bind(k, (k.int("N"), self.P, self.Q, self.C))
        index = k.tensor("index", (k.int("N"), self.P, self.Q, self.C), "i32")
        for n, p, q, (c, lanes, count), rows, columns in self.outputs(k):
            best = k.cell(-math.inf, lanes)
            where = k.cell(k.splat(k.from_int(rows[0] * self.W + columns[0]), lanes))
            for h in k.range(*rows):
                for w in k.range(*columns):
                    choose(k, best, where, x.vec(n, h, w, c, lanes=lanes, count=count), h * self.W + w)
            index.store(where.value, n, p, q, c, count=count)
            finish(best.value, n, p, q, c, count=count)


@dataclass(frozen=True)
class AdaptiveMaxPoolGradient(Adaptive):
    """dy, index -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", "index", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        shape = (k.int("N"), self.P, self.Q, self.C)
        dy, index, finish = k.tensor("dy", shape), k.tensor("index", shape, "i32"), self.chain.bind(k, (k.int("N"), self.H, self.W, self.C))
        for n, h, w, (c, lanes, count), rows, columns in self.pixels(k):
            total = k.cell(0.0, lanes)
            own = k.splat(k.from_int(h * self.W + w), lanes)
            for p in k.range(*rows):
                for q in k.range(*columns):
                    chosen = index.vec(n, p, q, c, lanes=lanes, count=count).equals(own)
                    total.add(k.where(chosen, dy.vec(n, p, q, c, lanes=lanes, count=count), k.constant(0.0, lanes)))
            finish(total.value, n, h, w, c, count=count)
