"""Matrix product with the transpose of packed weights, for few rows: the input gradient of a linear layer.

    y[m, c] = chain( sum_k x[m, k] * w[k, c] )            M rows (a batch)   C/K channels in/out of the layer

The weights lie as the layer's forward pass reads them, with k along the lanes, so a sum over k ends with a sum over lanes. That
takes a few shuffles for each result, where another copy of the weights would take as much time and memory as the weights
themselves: three times what the product of a few rows takes.

Layouts   x (M, K)   w (K/lanes, C, lanes) packed, zero past K   y (M, C)
Registers `rows` rows x `columns` results, each a vector of sums, + 1 vector of weights + `rows` of x
Columns and rows that are left over: the last tile of columns starts earlier and computes some twice; rows go one by one.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import add, tree
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor
from striate.kernel.machine import Machine

FEW_ROWS = 16


@dataclass(frozen=True)
class GemmTurned(Kernel):
    """Sizes and choices of one product; `columns` is half of the lanes, and at most C."""

    C: int
    K: int
    lanes: int = 16
    columns: int = 8
    rows: int = 2
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("M", "x", "w", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        M = k.int("M")
        x, w = k.tensor("x", (M, self.K)), k.tensor("w", (-(-self.K // self.lanes), self.C, self.lanes))
        finish = self.chain.bind(k, (M, self.C))
        whole = M // self.rows * self.rows
        for task in k.share(-(-self.C // self.columns)):
            c = k.min(task * self.columns, self.C - self.columns)
            for m in k.range(0, whole, self.rows):
                self.tile(k, x, w, finish, m, c, self.rows)
            for m in k.range(whole, M):
                self.tile(k, x, w, finish, m, c, 1)

    def tile(self, k: Builder, x: Tensor, w: Tensor, finish: Callable[..., Any], m: IntLike, c: IntLike, rows: int) -> None:
        """`rows` rows by `columns` columns, along all of K."""
        cells = [[k.cell(0.0, self.lanes) for _ in range(self.columns)] for _ in range(rows)]
        full = self.K // self.lanes
        for block in k.range(full):
            self.add(k, x, w, cells, m, c, block, None)
        if self.K % self.lanes:
            self.add(k, x, w, cells, m, c, full, self.K % self.lanes)
        for t, sums in enumerate(cells):
            finish(self.across(k, [cell.value for cell in sums]), m + t, c)

    def add(self, k: Builder, x: Tensor, w: Tensor, cells: list[list[Cell]], m: IntLike, c: IntLike, block: IntLike,
            count: int | None) -> None:
        """One vector of output channels."""
        parts = [x.vec(m + t, block * self.lanes, lanes=self.lanes, count=count) for t in range(len(cells))]
        for j in range(self.columns):
            weights = w.vec(block, c + j, 0, lanes=self.lanes)
            for sums, part in zip(cells, parts, strict=True):
                sums[j].fma(part, weights)

    def across(self, k: Builder, sums: list[Num]) -> Num:
        """The sum of the lanes of each vector, as the lanes of one."""
        half = self.columns
        folded = [k.shuffle(v, v, range(half)) + k.shuffle(v, v, range(half, 2 * half)) for v in sums]
        return tree(k.transpose(folded), add)


def turned_pays(machine: Machine, C: int, lanes: int, rows: int) -> bool:
    """Few rows, and vectors of full width: then it reads the weights once, where turning them writes them besides.

    >>> from striate.kernel.machine import named
    >>> turned_pays(named("avx2"), 512, lanes=8, rows=16), turned_pays(named("avx2"), 512, lanes=8, rows=64)
    (True, False)
    """
    return rows <= FEW_ROWS and lanes == machine.lanes and lanes // 2 <= C
