"""Batched product of two matrices that are both computed, so neither is packed.

    y[b, m, k] = chain( sum_c x[b, m, c] * w[b, c, k] )          B matrices   M rows   C summed   K columns

Layouts   x (B, M, C)   w (B, C, K)   y (B, M, K); one x or one w may serve all B
Tasks     a register tile: `rows` rows by `vectors` vectors of columns, along all of C
Registers rows x vectors accumulators + `vectors` of w + 1 broadcast
Rows that are left over: the last tile starts earlier and computes some rows twice.

Source: Goto & van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Tensor


@dataclass(frozen=True)
class BatchMatMul(Kernel):
    """Sizes and tile; x_moves, w_moves: whether each matrix of the batch has its own x, its own w."""

    M: int
    C: int
    K: int
    lanes: int = 16
    rows: int = 7
    vectors: int = 2
    x_moves: bool = True
    w_moves: bool = True
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("B", "x", "w", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        B, M, C, K = k.int("B"), self.M, self.C, self.K
        x = k.tensor("x", (B, M, C), strides=(M * C if self.x_moves else 0, C, 1))
        w = k.tensor("w", (B, C, K), strides=(C * K if self.w_moves else 0, K, 1))
        finish = self.chain.bind(k, (B, M, K))
        tiles = -(-M // self.rows)
        for first, groups, counts in self.column_groups():
            for task in k.share(B * groups * tiles):
                b, group, tile = task // (groups * tiles), task // tiles % groups, task % tiles
                m = k.min(tile * self.rows, M - self.rows)
                self.tile(k, x, w, finish, b, m, first + group * (len(counts) * self.lanes), counts)

    def column_groups(self) -> list[tuple[int, int, list[int | None]]]:
        """(first column, groups, count of each vector): groups of whole vectors, then one with what is left."""
        wide = self.lanes * self.vectors
        whole, rest = divmod(self.K, wide)
        last: list[int | None] = [None] * (rest // self.lanes) + ([rest % self.lanes] if rest % self.lanes else [])
        groups: list[tuple[int, int, list[int | None]]] = [(0, whole, [None] * self.vectors)] if whole else []
        return groups + ([(whole * wide, 1, last)] if rest else [])

    def tile(self, k: Builder, x: Tensor, w: Tensor, finish, b: IntLike, m: IntLike, column: IntLike,
             counts: list[int | None]) -> None:
        places = [(column + v * self.lanes, count) for v, count in enumerate(counts)]
        cells = [[k.cell(0.0, self.lanes) for _ in places] for _ in range(self.rows)]
        for c in k.range(self.C):
            vectors = [w.vec(b, c, at, lanes=self.lanes, count=count) for at, count in places]
            for row in range(self.rows):
                number = k.splat(x[b, m + row, c], self.lanes)
                for cell, vector in zip(cells[row], vectors, strict=True):
                    cell.fma(number, vector)
        for row in range(self.rows):
            for cell, (at, count) in zip(cells[row], places, strict=True):
                finish(cell.value, b, m + row, at, count=count)
