"""Pooling over one, two or three axes, channels last: maxima and averages of windows, and their gradients.

    y[n, p, q, c]  = chain( max or average over (r, s) of x[n, p*stride + r*dilation - low, q*stride + s*dilation - low, c] )
    tap            = r*S + s of the first maximum                          NaN wins, padding never
    dx[n, h, w, c] = chain( sum of dy[n, p, q, c] over the windows that read the pixel )
                     max: those whose tap names it        average: each divided by its count of taps

Axes      always three here: a line is an image of one row, an image a volume of one plane (D, H, W; T, R, S; O, P, Q)
Layouts   x dx (N, D, H, W, C)   y dy tap (N, O, P, Q, C)
Tasks     rows of y, or of dx: a gradient gathers, so that each pixel is written once
Columns   which taps of a column lie in the padding, and which windows read a column of dx, is known when the kernel is
          written; columns alike run in one loop. The taps of a row or plane are bounded when it runs
Disjoint  windows that neither overlap nor leave gaps give their gradient tile by tile, and read dy once

Source: LeCun et al., Gradient-based learning applied to document recognition, 1998, section II.B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import groups
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.reduce import largest, reduce_middle
from striate.cpu.kernels.sliding import block_of, disjoint, each, met_rows, repeated, runs, tap_count, taps_inside, whole
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor
from striate.window import Window

Vector = tuple[IntLike, int, IntLike | None]
"""First channel, lanes, count."""

Window3d = tuple[Window, Window, Window]


def cube(size: tuple[int, ...]) -> tuple[int, int, int]:
    """(D, H, W) of one to three extents: missing ones are 1."""
    d, h, w = (1,) * (3 - len(size)) + size
    return d, h, w


def split(k: Builder, task: IntLike, D: int, H: int) -> tuple[IntLike, IntLike, IntLike]:
    """(image, plane, row) out of the number of a row."""
    return task // (D * H), task // H % D if D > 1 else 0, task % H


@dataclass(frozen=True)
class Pool(Kernel):
    """What windows over an image share: its size and a window for each of its axes."""

    C: int
    size: tuple[int, ...]
    window: tuple[Window, ...]

    @property
    def windows(self) -> Window3d:
        """Those of depth, height and width."""
        depth, height, width = (Window(1),) * (3 - len(self.window)) + self.window
        return depth, height, width

    @property
    def out(self) -> tuple[int, int, int]:
        o, p, q = (w.out(n) for w, n in zip(self.windows, cube(self.size)))
        return o, p, q

    @property
    def alone(self) -> bool:
        """One window that sees the whole image."""
        return all(whole(w, n) for w, n in zip(self.windows, cube(self.size)))

    def image(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("N"), *cube(self.size), self.C))

    def pooled(self, k: Builder, name: str, dtype: str = "f32") -> Tensor:
        return k.tensor(name, (k.int("N"), *self.out, self.C), dtype)

    def reduce_all(self, k: Builder, kind: str, x: Tensor, finish: Callable[..., Any], scale: float = 1.0) -> None:
        """One window over the whole image: many rows at once."""
        rows = x.view((k.int("N"), math.prod(self.size), self.C))
        reduce_middle(k, kind, rows, self.C, lambda v, n, c, count=None: finish(v, n, 0, 0, 0, c, count=count), scale)

    def outputs(self, k: Builder, alike: Callable[[int], Any]) -> Iterator[tuple]:
        """((n, o, p, q), vector, bounds of the taps of plane o and row p, what column q shares with its neighbours)."""
        (O, P, Q), (depth, height, _), (D, H, _) = self.out, self.windows, cube(self.size)
        for task in k.share(k.int("N") * (O * P)):
            n, o, p = split(k, task, O, P)
            bounds = taps_inside(k, depth, o, D), taps_inside(k, height, p, H)
            for first, length, column in runs(Q, alike):
                for q in k.range(first, first + length):
                    for vector in k.vectors(self.C):
                        yield (n, o, p, q), vector, bounds, column


@dataclass(frozen=True)
class MaxPool(Pool):
    """tap: '' without taps, or their type: 'u8' or 'i32'."""

    chain: Chain = Chain()
    tap: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments, *(("tap",) if self.tap else ()))

    def build(self, k: Builder) -> None:
        x, (depth, height, width) = self.image(k, "x"), self.windows
        finish, columns = self.chain.bind(k, (k.int("N"), *self.out, self.C)), cube(self.size)[2]
        taps = self.pooled(k, "tap", self.tap) if self.tap else None
        if self.alone:
            self.reduce_all(k, "max", x, finish) if taps is None else self.largest_of_all(k, x, taps, finish)
            return
        for at, (c, lanes, count), (planes, rows), inside in self.outputs(k, lambda q: width.taps_inside(q, columns)):
            n, o, p, q = at
            first = (planes[0] * height.size + rows[0]) * width.size + inside.start
            best, where = k.cell(-math.inf, lanes), k.cell(k.splat(k.from_int(first), lanes))
            for t in k.range(*planes):
                for r in repeated(k, height.size, *rows):
                    for s in each(k, inside.start, inside.stop):
                        pixels = x.vec(n, depth.read(o, t), height.read(p, r), width.read(q, s), c, lanes=lanes, count=count)
                        if taps is None:
                            best.set(largest(k, best.value, pixels))
                        else:
                            choose(k, best, where, pixels, (t * height.size + r) * width.size + s)
            if taps is not None:
                taps.store(where.value, *at, c, count=count)
            finish(best.value, *at, c, count=count)

    def largest_of_all(self, k: Builder, x: Tensor, taps: Tensor, finish: Callable[..., Any]) -> None:
        """One window over the whole image, and where its maximum is: as many vectors of each pixel at once as registers allow."""
        rows, at = x.view((k.int("N"), math.prod(self.size), self.C)), (0, 0, 0)
        for n in k.share(k.int("N")):
            for first, vectors in groups(k, self.C, k.machine.registers // 4):
                cells = [(k.cell(-math.inf, lanes), k.cell(k.constant(0, lanes, "i32"))) for _, lanes, _ in vectors]
                for i in k.range(math.prod(self.size)):
                    for (best, where), (c, lanes, count) in zip(cells, vectors, strict=True):
                        choose(k, best, where, rows.vec(n, i, first + c, lanes=lanes, count=count), i)
                for (best, where), (c, _, count) in zip(cells, vectors, strict=True):
                    taps.store(where.value, n, *at, first + c, count=count)
                    finish(best.value, n, *at, first + c, count=count)


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
        return self.window[-1].count(q, self.size[-1], self.count_include_pad) if self.divisor is None else self.divisor

    def down(self, k: Builder, o: IntLike, p: IntLike) -> int | Num:
        """What row p of plane o divides by."""
        if self.divisor is not None:
            return 1
        (depth, height, _), (D, H, _) = self.windows, cube(self.size)
        return tap_count(k, depth, o, D, self.count_include_pad) * tap_count(k, height, p, H, self.count_include_pad)

    def share(self, k: Builder, o: IntLike, p: IntLike, across: int, lanes: int) -> Num:
        """1 / (down * across)"""
        down = self.down(k, o, p)
        return k.constant(1.0 / (down * across), lanes) if isinstance(down, int) else k.splat(1.0 / (down * float(across)), lanes)


@dataclass(frozen=True)
class AvgPool(Average):
    """x -> y."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        x, (depth, height, width) = self.image(k, "x"), self.windows
        finish, pixels = self.chain.bind(k, (k.int("N"), *self.out, self.C)), math.prod(self.size)
        if self.alone:
            self.reduce_all(k, "sum", x, finish, 1.0 / (self.divisor or pixels))
            return

        def alike(q: int) -> tuple[range, int]:
            return width.taps_inside(q, self.size[-1]), self.across(q)

        for at, (c, lanes, count), (planes, rows), (columns, across) in self.outputs(k, alike):
            n, o, p, q = at
            total = k.cell(0.0, lanes)
            for t in k.range(*planes):
                for r in each(k, *rows):
                    for s in each(k, columns.start, columns.stop):
                        place = n, depth.read(o, t), height.read(p, r), width.read(q, s)
                        total.add(x.vec(*place, c, lanes=lanes, count=count))
            finish(total.value * self.share(k, o, p, across, lanes), *at, c, count=count)


Share = Callable[[IntLike, IntLike], Callable[[IntLike], Num]]
"""share(t, r)(s): what one window gives to the pixel under its tap (t, r, s)."""

Shares = Callable[..., Share]
"""shares((n, o, p, q), vector, divisor of column q): one window."""


@dataclass(frozen=True)
class MaxPoolGradient(Pool):
    """dy, tap -> dx."""

    tap: str = "u8"
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", "tap", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        dy, taps, (_, height, width) = self.pooled(k, "dy"), self.pooled(k, "tap", self.tap), self.windows

        def shares(at: tuple[IntLike, ...], vector: Vector, across: int) -> Share:
            c, lanes, count = vector
            value, tap = (tensor.vec(*at, c, lanes=lanes, count=count) for tensor in (dy, taps))

            def row(t: IntLike, r: IntLike) -> Callable[[IntLike], Num]:
                column = tap - k.splat(k.from_int((t * height.size + r) * width.size), lanes)
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
        dy = self.pooled(k, "dy")

        def shares(at: tuple[IntLike, ...], vector: Vector, across: int) -> Share:
            c, lanes, count = vector
            value = dy.vec(*at, c, lanes=lanes, count=count) * self.share(k, at[1], at[2], across, lanes)
            return lambda t, r: lambda s: value

        gradient(k, self, self.chain, self.across, shares)


def gradient(k: Builder, pool: Pool, chain: Chain, across: Callable[[int], int], shares: Shares) -> None:
    """dx out of what each window gives to its pixels; across(q) is the divisor of column q."""
    finish = chain.bind(k, (k.int("N"), *cube(pool.size), pool.C))
    # a window that is alone on its axis may move by any stride
    free = tuple(replace(w, stride=w.size) if w.out(n) == 1 else w for w, n in zip(pool.window, pool.size, strict=True))
    write = scatter if all(map(disjoint, free)) else gather
    write(k, replace(pool, window=free), finish, across, shares)


def scatter(k: Builder, pool: Pool, finish: Callable[..., Any], across: Callable[[int], int], shares: Shares) -> None:
    """Disjoint windows: each writes its own tile; tiles past the last window are zero."""
    sizes, (O, P, Q), (D, H, W) = tuple(w.size for w in pool.windows), pool.out, cube(pool.size)
    deep, high, wide = sizes
    planes = runs(-(-D // deep), lambda i: (min(deep, D - i * deep), i < O))
    rows = runs(-(-H // high), lambda i: (min(high, H - i * high), i < P))
    columns = runs(-(-W // wide), lambda j: (min(wide, W - j * wide), across(j) if j < Q else 0))
    for (o, O_alike, (pixels_d, seen_d)), (p, P_alike, (pixels_h, seen_h)) in product(planes, rows):
        for task in k.share(k.int("N") * (O_alike * P_alike)):
            n, plane, row = split(k, task, O_alike, P_alike)
            for q, Q_alike, (pixels_w, divisor) in columns:
                for column in k.range(q, q + Q_alike):
                    at = n, plane + o, row + p, column
                    for taps, (c, lanes, count) in tile(k, pixels_d, pixels_h, pixels_w, pool.C):
                        t, r, s = taps
                        seen = seen_d and seen_h and divisor
                        value = shares(at, (c, lanes, count), divisor)(t, r)(s) if seen else k.constant(0.0, lanes)
                        pixel = (i * size + tap for i, size, tap in zip(at[1:], sizes, taps, strict=True))
                        finish(value, n, *pixel, c, count=count)


def tile(k: Builder, deep: int, high: int, wide: int, C: int) -> Iterator[tuple[tuple[IntLike, IntLike, IntLike], Vector]]:
    """((plane, row, column), vector) of a tile, in the order of memory."""
    for t in k.range(deep):
        for r in each(k, 0, high):
            for s in each(k, 0, wide):
                for vector in k.vectors(C):
                    yield (t, r, s), vector


def gather(k: Builder, pool: Pool, finish: Callable[..., Any], across: Callable[[int], int], shares: Shares) -> None:
    """Windows of any kind: each pixel of dx adds what the windows that read it give; a block of `stride` columns at a time."""
    (depth, height, width), (D, H, W) = pool.windows, cube(pool.size)
    for task in k.share(k.int("N") * (D * H)):
        n, d, h = split(k, task, D, H)
        planes, rows = depth.over(d, D, k.min, k.max), height.over(h, H, k.min, k.max)
        for first, length, (pixels, windows) in runs(-(-W // width.stride), lambda j: block_of(width, W, j, across)):
            for j in k.range(first, first + length):
                for vector in k.vectors(pool.C):
                    c, lanes, count = vector
                    cells = [k.cell(0.0, lanes) for _ in range(pixels)]
                    for o, t in met_rows(k, depth, d, *planes):
                        for p, r in met_rows(k, height, h, *rows):
                            for offset, divisor, met in windows:
                                share = shares((n, o, p, j + offset), vector, divisor)(t, r)
                                for i, s in met:
                                    cells[i].add(share(s))
                    for i, cell in enumerate(cells):
                        finish(cell.value, n, d, h, j * width.stride + i, c, count=count)
