"""The gated linear unit and its gradient.

    y[r, c] = a * s(b)        dx = (dy * s(b), dy * a * s(b) * (1 - s(b)))        a = x[r, 0, c], b = x[r, 1, c], s the sigmoid

Layouts   x dx (rows, 2, B)   y dy (rows, B)
Tasks     up to `BLOCK` vectors of a row

Source: Dauphin et al., arXiv:1612.08083, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.kernel import math
from striate.kernel.language import Builder, IntLike, Num, Tensor, narrow

BLOCK = 64


@dataclass(frozen=True)
class Gate(Kernel):
    """x -> y."""

    B: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        x, y = self.halves(k, "x"), self.half(k, "y")
        for row, c, lanes, count in self.vectors(k):
            a, b = (x.vec(row, i, c, lanes=lanes, count=count) for i in range(2))
            y.store(a * math.sigmoid(k, b), row, c, count=count)

    def halves(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("rows"), 2, self.B))

    def half(self, k: Builder, name: str) -> Tensor:
        return k.tensor(name, (k.int("rows"), self.B))

    def vectors(self, k: Builder) -> Iterator[tuple[IntLike, IntLike, int, IntLike | None]]:
        """(row, first, lanes, count) of this thread's vectors; count is None for whole ones."""
        lanes = narrow(self.B, k.lanes)
        size = BLOCK * lanes
        blocks = -(-self.B // size)
        for task in k.share(k.int("rows") * blocks):
            row, first = task // blocks, task % blocks * size
            last = k.min(first + size, self.B)
            whole = first + (last - first) // lanes * lanes
            for c in k.range(first, whole, lanes):
                yield row, c, lanes, None
            if self.B % lanes:
                for _ in k.when(k.int_compare("lt", whole, last)):
                    yield row, whole, lanes, last - whole


@dataclass(frozen=True)
class GateGradient(Gate):
    """dy, x -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "x", "dx")

    def build(self, k: Builder) -> None:
        x, dx, dy = self.halves(k, "x"), self.halves(k, "dx"), self.half(k, "dy")
        for row, c, lanes, count in self.vectors(k):
            a, b = (x.vec(row, i, c, lanes=lanes, count=count) for i in range(2))
            s: Num = math.sigmoid(k, b)
            da = dy.vec(row, c, lanes=lanes, count=count) * s
            dx.store(da, row, 0, c, count=count)
            dx.store(da * a * (1.0 - s), row, 1, c, count=count)
