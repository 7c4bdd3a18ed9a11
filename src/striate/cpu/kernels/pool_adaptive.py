"""Adaptive pooling, channels last: windows that cover the input evenly, whatever its size.

    rows of output p    floor(p*H/P) .. ceil((p+1)*H/P) - 1                    planes and columns in the same way
    y[n, p, q, c]       = chain( average or maximum of x[n, h, w, c] over them )        index = h*W + w of the first maximum
    dx[n, h, w, c]      = chain( sum over the outputs that see the pixel )   average: dy / pixels   max: dy where index names it

Axes      always three, as in pool.py
Registers four accumulators, or four maxima and four places
Layouts   x dx (N, D, H, W, C)   y dy index (N, O, P, Q, C)
Tasks     rows of y, or of dx: a gradient gathers, so that each pixel is written once
Where the sizes divide, averages are pooling with equal windows.

Source: He et al., Spatial pyramid pooling, arXiv:1406.4729, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import groups
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import AvgPool, AvgPoolGradient, choose, cube, split
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.window import Window, span

VECTORS = 4
"""Vectors of a pixel that are walked over at once."""

Spans = Sequence[tuple[IntLike, IntLike]]
"""(first, stop) on each of the three axes."""


@dataclass(frozen=True)
class Adaptive(Kernel):
    """The sizes of input and output, and the loops over both sides."""

    C: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    chain: Chain = Chain()

    @property
    def window(self) -> tuple[Window, ...] | None:
        """The equal windows that adaptive pooling has where the sizes divide."""
        if any(n % out for n, out in zip(self.size, self.out, strict=True)):
            return None
        return tuple(Window(n // out, n // out) for n, out in zip(self.size, self.out, strict=True))

    def image(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("N"), *cube(self.size), self.C))

    def pooled(self, k: Builder, name: str, dtype: str = "f32") -> Tensor:
        return k.tensor(name, (k.int("N"), *cube(self.out), self.C), dtype)

    def walk(self, k: Builder, own: tuple[int, ...], other: tuple[int, ...]) -> Iterator[tuple]:
        """((n, d, h, w), vectors, spans on the other side) of all pixels of one side, a few vectors at a time."""
        (D, H, W), others = cube(own), cube(other)
        for task in k.share(k.int("N") * (D * H)):
            n, d, h = split(k, task, D, H)
            planes, rows = span(d, others[0], D), span(h, others[1], H)
            for w in k.range(W):
                columns = span(w, others[2], W)
                for first, vectors in groups(k, self.C, VECTORS):
                    shifted = [(first + c, lanes, count) for c, lanes, count in vectors]
                    yield (n, d, h, w), shifted, (planes, rows, columns)

    def places(self, k: Builder, spans: Spans) -> Iterator[tuple[IntLike, IntLike, IntLike]]:
        """All places of three spans."""
        for d in k.range(*spans[0]):
            for h in k.range(*spans[1]):
                for w in k.range(*spans[2]):
                    yield d, h, w

    def number(self, place: Sequence[IntLike]) -> IntLike:
        """Which pixel of the input a place is, in row-major order."""
        (_, H, W), (d, h, w) = cube(self.size), place
        return (d * H + h) * W + w


@dataclass(frozen=True)
class AdaptiveAvgPool(Adaptive):
    """x -> y."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        if self.window is not None:
            AvgPool(self.C, self.size, self.window, chain=self.chain).build(k)
            return
        x, finish = self.image(k, "x"), self.chain.bind(k, (k.int("N"), *cube(self.out), self.C))
        for at, vectors, spans in self.walk(k, self.out, self.size):
            totals = [k.cell(0.0, lanes) for _, lanes, _ in vectors]
            for place in self.places(k, spans):
                for total, (c, lanes, count) in zip(totals, vectors, strict=True):
                    total.add(x.vec(at[0], *place, c, lanes=lanes, count=count))
            part = one_over(k, spans)
            for total, (c, lanes, count) in zip(totals, vectors, strict=True):
                finish(total.value * k.splat(part, lanes), *at, c, count=count)


def one_over(k: Builder, spans: Spans) -> Num:
    """1 / pixels of a part."""
    (d, d_stop), (h, h_stop), (w, w_stop) = spans
    pixels = (d_stop - d) * (h_stop - h) * (w_stop - w)
    return 1.0 / k.from_int(pixels, "f32")


@dataclass(frozen=True)
class AdaptiveAvgPoolGradient(Adaptive):
    """dy -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        if self.window is not None:
            AvgPoolGradient(self.C, self.size, self.window, chain=self.chain).build(k)
            return
        dy, finish = self.pooled(k, "dy"), self.chain.bind(k, (k.int("N"), *cube(self.size), self.C))
        sizes = list(zip(cube(self.size), cube(self.out), strict=True))
        for at, vectors, spans in self.walk(k, self.size, self.out):
            totals = [k.cell(0.0, lanes) for _, lanes, _ in vectors]
            for place in self.places(k, spans):
                part = one_over(k, [span(p, *both) for p, both in zip(place, sizes, strict=True)])
                for total, (c, lanes, count) in zip(totals, vectors, strict=True):
                    total.fma(dy.vec(at[0], *place, c, lanes=lanes, count=count), k.splat(part, lanes))
            for total, (c, _, count) in zip(totals, vectors, strict=True):
                finish(total.value, *at, c, count=count)


@dataclass(frozen=True)
class AdaptiveMaxPool(Adaptive):
    """x -> y, index."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", *self.chain.arguments, "index")

    def build(self, k: Builder) -> None:
        x, index = self.image(k, "x"), self.pooled(k, "index", "i32")
        finish = self.chain.bind(k, index.shape)
        for at, vectors, spans in self.walk(k, self.out, self.size):
            first = k.from_int(self.number([first for first, _ in spans]))
            cells = [(k.cell(-math.inf, lanes), k.cell(k.splat(first, lanes))) for _, lanes, _ in vectors]
            for place in self.places(k, spans):
                for (best, where), (c, lanes, count) in zip(cells, vectors, strict=True):
                    choose(k, best, where, x.vec(at[0], *place, c, lanes=lanes, count=count), self.number(place))
            for (best, where), (c, _, count) in zip(cells, vectors, strict=True):
                index.store(where.value, *at, c, count=count)
                finish(best.value, *at, c, count=count)


@dataclass(frozen=True)
class AdaptiveMaxPoolGradient(Adaptive):
    """dy, index -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", "index", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        dy, index = self.pooled(k, "dy"), self.pooled(k, "index", "i32")
        finish = self.chain.bind(k, (k.int("N"), *cube(self.size), self.C))
        for at, vectors, spans in self.walk(k, self.size, self.out):
            totals = [k.cell(0.0, lanes) for _, lanes, _ in vectors]
            own = k.from_int(self.number(at[1:]))
            for place in self.places(k, spans):
                for total, (c, lanes, count) in zip(totals, vectors, strict=True):
                    chosen = index.vec(at[0], *place, c, lanes=lanes, count=count).equals(k.splat(own, lanes))
                    total.add(k.where(chosen, dy.vec(at[0], *place, c, lanes=lanes, count=count), k.constant(0.0, lanes)))
            for total, (c, _, count) in zip(totals, vectors, strict=True):
                finish(total.value, *at, c, count=count)
