"""Regions of interest, channels last: parts of a map, each pooled to one size, and the gradients.

    roi_pool   y[b, p, q, c] = chain( max of x[n, h, w, c] over bin (p, q) of box b ), index = h*W + w or -1
               dx[n, h, w, c] = sum of the dy[b, p, q, c] whose index names the pixel, over the boxes of image n
    roi_align  y[b, p, q, c] = chain( mean over the points (y, x) of bin (p, q) of x[n] between four pixels )
               dx[n, h, w, c] = sum over the points near row h of their parts of dy[b, p, q, c]

Layouts   x dx (N, H, W, C)   boxes (B, 5)   y dy index (B, P, Q, C)
Tasks     rows of y, or of dx: each row goes through all boxes in their order, so nothing depends on the threads
Registers eight accumulators for the points of a bin

What the bins and points are stands in `striate.ops.roi`, with the sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from striate import ops
from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import groups
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import choose
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.window import span

VECTORS = 8
Edges = tuple[IntLike, IntLike]
"""First and last + 1."""


@dataclass(frozen=True)
class Regions(Kernel):
    """Sizes of the map and of the output, and what reads a box."""

    C: int
    H: int
    W: int
    P: int
    Q: int
    scale: float

    def map(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("N"), self.H, self.W, self.C))

    def regions(self, k: Builder, name: str, dtype: str = "f32") -> Tensor:
        return k.tensor(name, (k.int("B"), self.P, self.Q, self.C), dtype)

    def boxes(self, k: Builder) -> Tensor:
        return k.tensor("boxes", (k.int("B"), 5))

    def image(self, k: Builder, boxes: Tensor, b: IntLike) -> tuple[IntLike, IntLike]:
        """The number of a box's image, and whether there is such an image: 1 or 0, with the number 0."""
        number, zero = boxes[b, 0], k.constant(0.0)
        valid = (number >= zero) & (number < k.from_int(k.int("N"), "f32"))
        n = k.to_int(k.unary("to_i32", k.where(valid, number, zero)))
        return n, k.to_int(k.unary("to_i32", k.where(valid, k.constant(1.0), zero)))

    def corners(self, k: Builder, boxes: Tensor, b: IntLike, axis: int) -> tuple[Num, Num]:
        """Both ends of a box on the map; axis: 0 for columns, 1 for rows."""
        far = ops.RoIPool.far
        low, high = (k.minimum(k.maximum(boxes[b, i] * self.scale, -far), far) for i in (1 + axis, 3 + axis))
        return low, high

    def cleared(self, k: Builder, dx: Tensor) -> Iterator[tuple[IntLike, IntLike]]:
        """(n, h) of the rows of dx, which are zero."""
        for task in k.share(k.int("N") * self.H):
            n, h = task // self.H, task % self.H
            for w in k.range(self.W):
                for c, lanes, count in k.vectors(self.C):
                    dx.store(k.constant(0.0, lanes), n, h, w, c, count=count)
            yield n, h

    def boxes_of(self, k: Builder, boxes: Tensor, n: IntLike) -> Iterator[IntLike]:
        """The boxes of image n."""
        for b in k.range(k.int("B")):
            for _ in k.when(boxes[b, 0] >= k.from_int(n, "f32")):
                for _ in k.when(boxes[b, 0] < k.from_int(n + 1, "f32")):
                    yield b


class Pixels(NamedTuple):
    """One axis of a box in whole pixels: the first, and how many."""

    first: IntLike
    count: IntLike

    def bin(self, k: Builder, p: IntLike, out: int, n: IntLike) -> Edges:
        """The pixels of bin p that lie on the map of n pixels."""
        low, high = (k.min(k.max(edge + self.first, 0), n) for edge in span(p, self.count, out))
        return low, high


def whole_pixels(k: Builder, corners: tuple[Num, Num]) -> Pixels:
    """Corners to the nearest pixel, a half away from zero."""
    first, last = (k.to_int(k.unary("to_i32", k.where(c < 0.0, c - 0.5, c + 0.5))) for c in corners)
    return Pixels(first, k.max(last - first + 1, 1))


@dataclass(frozen=True)
class RoIPool(Regions):
    """x, boxes -> y, index."""

    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "B", "x", "boxes", *self.chain.arguments, "index")

    def build(self, k: Builder) -> None:
        x, boxes, index = self.map(k, "x"), self.boxes(k), self.regions(k, "index", "i32")
        finish = self.chain.bind(k, index.shape)
        for task in k.share(k.int("B") * self.P):
            b, p = task // self.P, task % self.P
            n, valid = self.image(k, boxes, b)
            rows = whole_pixels(k, self.corners(k, boxes, b, 1)).bin(k, p, self.P, valid * self.H)
            columns = whole_pixels(k, self.corners(k, boxes, b, 0))
            for q in k.range(self.Q):
                inside = columns.bin(k, q, self.Q, valid * self.W)
                seen = k.int_compare("lt", *rows) & k.int_compare("lt", *inside)
                start = k.where(seen, k.from_int(rows[0] * self.W + inside[0]), k.constant(-1, 1, "i32"))
                for c, lanes, count in k.vectors(self.C):
                    best = k.cell(k.splat(k.where(seen, k.constant(-math.inf), k.constant(0.0)), lanes))
                    where = k.cell(k.splat(start, lanes))
                    for h in k.range(*rows):
                        for w in k.range(*inside):
                            choose(k, best, where, x.vec(n, h, w, c, lanes=lanes, count=count), h * self.W + w)
                    index.store(where.value, b, p, q, c, count=count)
                    finish(best.value, b, p, q, c, count=count)


@dataclass(frozen=True)
class RoIPoolGradient(Regions):
    """dy, index, boxes -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "B", "dy", "index", "boxes", "dx")

    def build(self, k: Builder) -> None:
        dy, index, boxes, dx = self.regions(k, "dy"), self.regions(k, "index", "i32"), self.boxes(k), self.map(k, "dx")
        for n, h in self.cleared(k, dx):
            for b in self.boxes_of(k, boxes, n):
                first, count = whole_pixels(k, self.corners(k, boxes, b, 1))
                columns = whole_pixels(k, self.corners(k, boxes, b, 0))
                for _ in k.when(k.int_compare("ge", h, first) & k.int_compare("lt", h, first + count)):
                    for p in k.range(*span(h - first, self.P, count)):
                        for q in k.range(self.Q):
                            for w in k.range(*columns.bin(k, q, self.Q, self.W)):
                                self.add(k, dx, dy, index, (n, h, w), (b, p, q))

    def add(self, k: Builder, dx: Tensor, dy: Tensor, index: Tensor, pixel: Sequence[IntLike], at: Sequence[IntLike]) -> None:
        """Those dy of one bin that chose the pixel."""
        own = k.from_int(pixel[1] * self.W + pixel[2])
        for c, lanes, count in k.vectors(self.C):
            chosen = index.vec(*at, c, lanes=lanes, count=count).equals(k.splat(own, lanes))
            part = k.where(chosen, dy.vec(*at, c, lanes=lanes, count=count), k.constant(0.0, lanes))
            dx.store(dx.vec(*pixel, c, lanes=lanes, count=count) + part, *pixel, c, count=count)


class Points(NamedTuple):
    """One axis of a box as points: where it begins, the length of a bin, points of a bin, and their number as at least 1."""

    first: Num
    bin: Num
    count: IntLike
    divisor: Num

    def read(self, k: Builder, p: IntLike, i: IntLike, n: int) -> tuple[IntLike, IntLike, Num, Num]:
        """Point i of bin p on n pixels: two pixels, and how much of each."""
        place = self.first + (k.from_int(p, "f32") + (k.from_int(i, "f32") + 0.5) / self.divisor) * self.bin
        inside = k.where((place >= -1.0) & (place <= float(n)), k.constant(1.0), k.constant(0.0))
        at = k.minimum(k.maximum(place, 0.0), float(n - 1))
        low = k.min(k.to_int(k.unary("to_i32", at)), max(n - 2, 0))
        part = (at - k.from_int(low, "f32")) * inside
        return low, k.min(low + 1, n - 1), inside - part, part


@dataclass(frozen=True)
class Aligned(Regions):
    """sampling: points along a side of a bin, 0 for as many as it has pixels; aligned: pixels have their centre at a half."""

    sampling: int
    aligned: bool

    def points(self, k: Builder, corners: tuple[Num, Num], out: int) -> Points:
        half = 0.5 if self.aligned else 0.0
        first, last = corners[0] - half, corners[1] - half
        length = last - first if self.aligned else k.maximum(last - first, 1.0)
        each = length * (1.0 / out)
        if self.sampling:
            return Points(first, each, self.sampling, k.constant(float(self.sampling)))
        down = k.unary("to_i32", length / float(out))
        up = k.where(length / float(out) > k.unary("to_f32", down), down + 1, down)
        count = k.max(k.to_int(up), 0)
        return Points(first, each, count, k.from_int(k.max(count, 1), "f32"))


@dataclass(frozen=True)
class RoIAlign(Aligned):
    """x, boxes -> y."""

    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "B", "x", "boxes", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        x, boxes = self.map(k, "x"), self.boxes(k)
        finish = self.chain.bind(k, (k.int("B"), self.P, self.Q, self.C))
        for task in k.share(k.int("B") * self.P):
            b, p = task // self.P, task % self.P
            n, valid = self.image(k, boxes, b)
            rows = self.points(k, self.corners(k, boxes, b, 1), self.P)
            columns = self.points(k, self.corners(k, boxes, b, 0), self.Q)
            share = k.from_int(valid, "f32") / (rows.divisor * columns.divisor)
            for q in k.range(self.Q):
                for first, vectors in groups(k, self.C, VECTORS):
                    cells = [k.cell(0.0, lanes) for _, lanes, _ in vectors]
                    for i in k.range(rows.count):
                        *lines, up, down = rows.read(k, p, i, self.H)
                        for j in k.range(columns.count):
                            *pixels, left, right = columns.read(k, q, j, self.W)
                            for h, part in zip(lines, (up, down), strict=True):
                                for w, other in zip(pixels, (left, right), strict=True):
                                    for cell, (c, lanes, count) in zip(cells, vectors, strict=True):
                                        value = x.vec(n, h, w, first + c, lanes=lanes, count=count)
                                        cell.fma(value, k.splat(part * other, lanes))
                    for cell, (c, lanes, count) in zip(cells, vectors, strict=True):
                        finish(cell.value * k.splat(share, lanes), b, p, q, first + c, count=count)


@dataclass(frozen=True)
class RoIAlignGradient(Aligned):
    """dy, boxes -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "B", "dy", "boxes", "dx")

    def build(self, k: Builder) -> None:
        dy, boxes, dx = self.regions(k, "dy"), self.boxes(k), self.map(k, "dx")
        for n, h in self.cleared(k, dx):
            row = k.from_int(h, "f32")
            for b in self.boxes_of(k, boxes, n):
                rows = self.points(k, self.corners(k, boxes, b, 1), self.P)
                columns = self.points(k, self.corners(k, boxes, b, 0), self.Q)
                last = rows.first + rows.bin * float(self.P)
                for _ in k.when((row >= rows.first - 2.0) & (row <= last + 2.0)):  # a point reads less than two rows away
                    for p in k.range(self.P):
                        for i in k.range(rows.count):
                            part = weight_of(k, h, rows.read(k, p, i, self.H)) / (rows.divisor * columns.divisor)
                            for _ in k.when(part > 0.0):
                                self.add(k, dx, dy, (n, h), (b, p), columns, part)

    def add(self, k: Builder, dx: Tensor, dy: Tensor, row: Sequence[IntLike], at: Sequence[IntLike], columns: Points,
            part: Num) -> None:
        """What the points of one line of a region give to a row."""
        for q in k.range(self.Q):
            for j in k.range(columns.count):
                *pixels, left, right = columns.read(k, q, j, self.W)
                for w, other in zip(pixels, (left, right), strict=True):
                    for c, lanes, count in k.vectors(self.C):
                        value = dy.vec(*at, q, c, lanes=lanes, count=count)
                        held = dx.vec(*row, w, c, lanes=lanes, count=count)
                        dx.store(k.fma(value, k.splat(part * other, lanes), held), *row, w, c, count=count)


def weight_of(k: Builder, h: IntLike, read: tuple[IntLike, IntLike, Num, Num]) -> Num:
    """How much a point reads of row h."""
    low, high, up, down = read
    zero = k.constant(0.0)
    return k.where(k.int_compare("eq", low, h), up, zero) + k.where(k.int_compare("eq", high, h), down, zero)
