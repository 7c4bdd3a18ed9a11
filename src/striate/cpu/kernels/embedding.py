"""Rows of a table by number, and the sum of rows by number.

    y[i, d] = weight[index[i], d]        a row of NaN where index[i] is no row of the table, which is not read then
    dweight[v, d] = sum of dy[i, d] over all i with index[i] = v, in their order; 0 for v = padding

Layouts   weight dweight (V, D)   y dy (rows, D)   index (rows) of type dtype
Tasks     rows; for the gradient blocks of columns, so that no two threads add to one number
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.kernel.language import Builder


@dataclass(frozen=True)
class Embedding(Kernel):
    """index, weight -> y; dtype: that of the index, 'i64', 'i32' or 'u8'."""

    V: int
    D: int
    dtype: str = "i64"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "index", "weight", "y")

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        index, weight = k.tensor("index", (rows,), self.dtype), k.tensor("weight", (self.V, self.D))
        y = k.tensor("y", (rows, self.D))
        for i in k.share(rows):
            number = index.int(i)
            row = k.min(k.max(number, 0), self.V - 1)
            known = k.int_compare("eq", number, row)
            offset = k.where(known, k.constant(0.0), k.constant(math.nan))
            for c, lanes, count in k.vectors(self.D):
                y.store(weight.vec(row, c, lanes=lanes, count=count) + k.splat(offset, lanes), i, c, count=count)


@dataclass(frozen=True)
class EmbeddingGradient(Kernel):
    """dy, index -> dweight; padding is -1 where every row counts."""

    V: int
    D: int
    padding: int = -1
    dtype: str = "i64"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "index", "dweight")

    def build(self, k: Builder) -> None:
        rows, lanes = k.int("rows"), k.lanes
        index, dy = k.tensor("index", (rows,), self.dtype), k.tensor("dy", (rows, self.D))
        dweight = k.tensor("dweight", (self.V, self.D))
        vectors = -(-self.D // lanes)
        wide = max(1, min(4, vectors // 4))
        for task in k.share(-(-vectors // wide)):
            columns = [task * (wide * lanes) + v * lanes for v in range(wide)]
            whole = self.D % (wide * lanes) == 0
            places = [(c, None if whole else k.max(0, k.min(self.D - c, lanes))) for c in columns]
            for row in k.range(self.V):
                for c, count in places:
                    dweight.store(k.constant(0.0, lanes), row, c, count=count)
            for i in k.range(rows):
                number = index.int(i)
                row = k.min(k.max(number, 0), self.V - 1)
                for _ in k.when(k.int_compare("eq", number, row)):
                    for c, count in places:
                        old, new = (t.vec(at, c, lanes=lanes, count=count) for t, at in ((dweight, row), (dy, i)))
                        dweight.store(old + new, row, c, count=count)
            for c, count in places if self.padding >= 0 else ():
                dweight.store(k.constant(0.0, lanes), self.padding, c, count=count)
