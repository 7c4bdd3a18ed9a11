"""Max unpooling and places of maxima, channels last: whole numbers that say where values go.

    unpool    y[n, index[n, i, c], c] = x[n, i, c], in order of i, into an array of zeros
    pick      dx[n, i, c] = chain( dy[n, index[n, i, c], c] )                  an index outside reads and writes nothing
    place     index[n, i, c] = the pixel that the tap of output i reads

Layouts   x index tap dx (N, P, c)   y dy (N, H, C): all spatial axes as one, or three for `TapIndex`
Tasks     unpool: one channel of one image, so that no two threads write to one number; pick, place: rows

Sources: those of `striate.ops.unpool` and `striate.ops.pool`.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import Pool, cube
from striate.kernel.language import Builder, IntLike, Num


@dataclass(frozen=True)
class MaxUnpool(Kernel):
    """x, index -> y, which is zero before. P values go to H places; dtype: that of the index, 'i32' or 'i64'."""

    C: int
    P: int
    H: int
    dtype: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "index", "y")

    def build(self, k: Builder) -> None:
        N, shape = k.int("N"), (k.int("N"), self.P, self.C)
        x, index, y = k.tensor("x", shape), k.tensor("index", shape, self.dtype), k.tensor("y", (N, self.H, self.C))
        block = min(self.C, k.lanes)
        for task in k.share(N * -(-self.C // block)):
            n, first = task // -(-self.C // block), task % -(-self.C // block) * block
            for i in k.range(self.P):
                for c in k.range(first, k.min(first + block, self.C)):
                    place = index.int(n, i, c)
                    for _ in k.when(inside(k, place, self.H)):
                        y.store(x[n, i, c], n, place, c)


@dataclass(frozen=True)
class MaxUnpoolGradient(Kernel):
    """dy, index -> dx."""

    C: int
    P: int
    H: int
    dtype: str
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "dy", "index", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        N, shape = k.int("N"), (k.int("N"), self.P, self.C)
        dy, index, finish = k.tensor("dy", (N, self.H, self.C)), k.tensor("index", shape, self.dtype), self.chain.bind(k, shape)
        for task in k.share(N * self.P):
            n, i = task // self.P, task % self.P
            for c in k.range(self.C):
                place, value = index.int(n, i, c), k.cell(0.0)
                for _ in k.when(inside(k, place, self.H)):
                    value.set(dy[n, place, c])
                finish(value.value, n, i, c)


def inside(k: Builder, place: IntLike, n: int) -> Num:
    """Whether 0 <= place < n."""
    return k.int_compare("ge", place, 0) & k.int_compare("lt", place, n)


@dataclass(frozen=True)
class TapIndex(Pool):
    """tap -> index; tap: the type of the taps, 'u8' or 'i32'."""

    tap: str = "u8"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "tap", "index")

    def build(self, k: Builder) -> None:
        taps, index = self.pooled(k, "tap", self.tap), self.pooled(k, "index", "i32")
        (_, H, W), (depth, height, width) = cube(self.size), self.windows
        for at, (c, lanes, count), _, _ in self.outputs(k, lambda q: None):
            _, o, p, q = at
            tap = taps.vec(*at, c, lanes=lanes, count=count)
            s, rows = divided(k, tap, width.size)
            r, t = divided(k, rows, height.size)
            first = (depth.read(o, 0) * H + height.read(p, 0)) * W + width.read(q, 0)
            place = t * (depth.dilation * H * W) + r * (height.dilation * W) + s * width.dilation
            index.store(place + k.splat(k.from_int(first), lanes), *at, c, count=count)


def divided(k: Builder, a: Num, by: int) -> tuple[Num, Num]:
    """(rest, quotient) of small whole numbers from 0 up: exact, as a * (1/by) + 1/(2 by) is cut off."""
    if by == 1:
        return a * 0, a
    quotient = k.unary("to_i32", (k.unary("to_f32", a) + 0.5) * (1.0 / by))
    return a - quotient * by, quotient
