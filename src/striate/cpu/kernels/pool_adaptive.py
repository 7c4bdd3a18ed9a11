"""Adaptive 2-D pooling, channels last: windows that cover the input evenly, whatever its size.

    rows of output p    floor(p*H/P) .. ceil((p+1)*H/P) - 1                    columns in the same way
    y[n, p, q, c]       = chain( average or maximum of x[n, h, w, c] over them )        index = h*W + w of the first maximum
    dx[n, h, w, c]      = chain( sum over the outputs that see the pixel )   average: dy / pixels   max: dy where index names it

Layouts   x dx (N, H, W, C)   y dy index (N, P, Q, C)
Tasks     rows of y, or of dx: a gradient gathers, so that each pixel is written once
Where the sizes divide, averages are pooling with equal windows.

Source: He et al., Spatial pyramid pooling, arXiv:1406.4729, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import AvgPool, AvgPoolGradient, choose
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.window import Window, Window2d, span


@dataclass(frozen=True)
class Adaptive(Kernel):
    """The sizes, and the loops over both sides."""

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

    def image(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("N"), self.H, self.W, self.C))

    def pooled(self, k: Builder, name: str, dtype: str = "f32") -> Tensor:
        return k.tensor(name, (k.int("N"), self.P, self.Q, self.C), dtype)

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
        x, finish = self.image(k, "x"), self.chain.bind(k, (k.int("N"), self.P, self.Q, self.C))
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
        dy, finish = self.pooled(k, "dy"), self.chain.bind(k, (k.int("N"), self.H, self.W, self.C))
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
        x, index = self.image(k, "x"), self.pooled(k, "index", "i32")
        finish = self.chain.bind(k, index.shape)
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
        dy, index = self.pooled(k, "dy"), self.pooled(k, "index", "i32")
        finish = self.chain.bind(k, (k.int("N"), self.H, self.W, self.C))
        for n, h, w, (c, lanes, count), rows, columns in self.pixels(k):
            total = k.cell(0.0, lanes)
            own = k.splat(k.from_int(h * self.W + w), lanes)
            for p in k.range(*rows):
                for q in k.range(*columns):
                    chosen = index.vec(n, p, q, c, lanes=lanes, count=count).equals(own)
                    total.add(k.where(chosen, dy.vec(n, p, q, c, lanes=lanes, count=count), k.constant(0.0, lanes)))
            finish(total.value, n, h, w, c, count=count)
