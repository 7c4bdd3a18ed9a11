"""Stochastic pooling, channels last: one pixel of each window, drawn in proportion to its value.

    total          = sum over the taps of max(x, 0), in their order
    tap            = the last tap with x > 0 whose taps before it add up to at most u * total         R*S where there is none
    y[n, p, q, c]  = chain( x at the tap, or 0 )           u = 24 bits of Threefry by seed, step, output element and stream

Layouts   x (N, D, H, W, C)   y tap (N, O, P, Q, C)          Tasks   rows of y
Two passes over a window; the second finds it in the cache.

Source: Zeiler & Fergus, arXiv:1301.3557, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import Pool
from striate.cpu.kernels.random import words
from striate.cpu.kernels.sliding import each
from striate.kernel.language import Builder, IntLike, Num, Tensor


@dataclass(frozen=True)
class StochasticPool(Pool):
    """x -> y, tap; tap: the type of the taps, 'u8' or 'i32'."""

    stream: int
    chain: Chain = Chain()
    tap: str = "u8"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "random", *self.chain.arguments, "tap")

    def build(self, k: Builder) -> None:
        x, taps, (_, height, width) = self.image(k, "x"), self.pooled(k, "tap", self.tap), self.windows
        finish, random = self.chain.bind(k, taps.shape), k.tensor("random", (2,), "i64")
        key, columns = (random[0], random[1]), self.size[-1]
        for at, vector, bounds, inside in self.outputs(k, lambda q: width.taps_inside(q, columns)):
            c, lanes, count = vector
            total = k.cell(0.0, lanes)
            for _, value in self.values(k, x, at, vector, bounds[1], inside):
                total.add(value)
            word = words(k, key, taps.flat((*at, c)), self.stream, lanes) >> 8
            limit, before = k.unary("to_f32", word) * 2.0**-24 * total.value, k.cell(0.0, lanes)
            best = k.cell(0.0, lanes)
            place = k.cell(k.constant(height.size * width.size, lanes, "i32"))
            for tap, value in self.values(k, x, at, vector, bounds[1], inside):
                drawn = (value > 0.0) & (before.value <= limit)
                best.set(k.where(drawn, value, best.value))
                place.set(k.where(drawn, k.splat(k.from_int(tap), lanes), place.value))
                before.add(value)
            taps.store(place.value, *at, c, count=count)
            finish(best.value, *at, c, count=count)

    def values(self, k: Builder, x: Tensor, at: tuple[IntLike, ...], vector: tuple, rows: tuple[IntLike, IntLike],
               columns: range) -> Iterator[tuple[IntLike, Num]]:
        """(tap, max(x, 0) under it) of the taps of one window that lie inside."""
        (n, o, p, q), (c, lanes, count), (_, height, width) = at, vector, self.windows
        for r in each(k, *rows):
            for s in each(k, columns.start, columns.stop):
                pixels = x.vec(n, o, height.read(p, r), width.read(q, s), c, lanes=lanes, count=count)
                yield r * width.size + s, k.maximum(pixels, k.constant(0.0, lanes))
