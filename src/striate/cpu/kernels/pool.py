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
from striate.cpu.kernels.reduce import Reduce, largest
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor
from striate.window import Window, Window2d

UNROLLED = 4
"""Taps of one axis that are written out; more run in a loop."""

Read = Callable[[IntLike, IntLike], Num]


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


def each(k: Builder, taps: range) -> Iterator[Any]:
    """The taps, written out if they are few."""
    return iter(taps) if len(taps) <= UNROLLED else k.range(taps.start, taps.stop)


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

    def outputs(self, k: Builder, alike: Callable[[int], Any]) -> Iterator[tuple]:
        """(n, p, q, (first channel, lanes, count), what column q shares with its neighbours) of all vectors of y."""
        P, Q = self.out
        for task in k.share(k.int("N") * P):
            for first, length, shared in runs(Q, alike):
                for q in k.range(first, first + length):
                    for vector in k.vectors(self.C):
                        yield task // P, task % P, q, vector, shared

    def taps(self, k: Builder, x: Tensor, n: IntLike, p: IntLike, q: IntLike, columns: range, vector: tuple) -> Iterator[tuple[IntLike, Num]]:
        """(tap, pixels) of a window."""
        (height, width), (c, lanes, count) = self.window, vector
        low, high = taps_inside(k, height, p, self.H)
        rows = each(k, range(low, high)) if isinstance(low, int) and isinstance(high, int) else k.range(low, high)
        for r in rows:
            for s in each(k, columns):
                yield r * width.size + s, x.vec(n, height.read(p, r), width.read(q, s), c, lanes=lanes, count=count)


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
        for n, p, q, vector, columns in self.outputs(k, lambda q: width.taps_inside(q, self.W)):
            c, lanes, count = vector
            best = k.cell(-math.inf, lanes)
            if taps is None:
                for _, pixels in self.taps(k, x, n, p, q, columns, vector):
                    best.set(largest(k, best.value, pixels))
            else:
                first = taps_inside(k, height, p, self.H)[0] * width.size + columns.start
                where = k.cell(k.splat(k.from_int(first), lanes))
                for tap, pixels in self.taps(k, x, n, p, q, columns, vector):
                    choose(k, best, where, pixels, tap)
                taps.store(where.value, n, p, q, c, count=count)
            finish(best.value, n, p, q, c, count=count)


def choose(k: Builder, best: Cell, where: Cell, value: Num, place: IntLike) -> None:
    """Keep the larger, and its place; the first NaN stays."""
    stays = (value <= best.value) | (best.value.equals(best.value) ^ 1)
    where.set(k.where(stays, where.value, k.splat(k.from_int(place), value.lanes)))
    best.set(k.where(stays, best.value, value))


@dataclass(frozen=True)
class AvgPool(Pool):
    """divisor: in place of the count of taps."""

    count_include_pad: bool = True
    divisor: int | None = None
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        N, (P, Q), width = k.int("N"), self.out, self.window[1]
        x, finish = k.tensor("x", (N, self.H, self.W, self.C)), self.chain.bind(k, (N, P, Q, self.C))
        for n, p, q, vector, (columns, across) in self.outputs(k, lambda q: (width.taps_inside(q, self.W), self.across(q))):
            c, lanes, count = vector
            total = k.cell(0.0, lanes)
            for _, pixels in self.taps(k, x, n, p, q, columns, vector):
                total.add(pixels)
            finish(total.value * share(k, self.down(k, p), across, lanes), n, p, q, c, count=count)

    def across(self, q: int) -> int:
        """What column q divides by."""
        return self.window[1].count(q, self.W, self.count_include_pad) if self.divisor is None else self.divisor

    def down(self, k: Builder, p: IntLike) -> int | Num:
        """What row p divides by."""
        return tap_count(k, self.window[0], p, self.H, self.count_include_pad) if self.divisor is None else 1


def share(k: Builder, down: int | Num, across: int, lanes: int) -> Num:
    """1 / (down * across)"""
    return k.constant(1.0 / (down * across), lanes) if isinstance(down, int) else k.splat(1.0 / (down * float(across)), lanes)
