"""Layer normalisation of rows of D numbers.

    forward   mean = sum x / D    variance = sum (x - mean)^2 / D    y = chain( (x - mean) * rstd * weight + bias )
    backward  g = weight * dy    xhat = (x - mean) * rstd    dx = chain( rstd * (g - sum g / D - xhat * sum(g * xhat) / D) )
              part[i] = sums of dy and of dy * xhat over rows i*rows/parts .. (i+1)*rows/parts, where somebody reads them
    columns   the same parts alone, for rows so long that parts of rows would be few: tasks are parts and blocks of columns

rstd = 1 / sqrt(variance + eps). Each pass over a row but the first reads it from a cache.

Layouts   x y dy dx (rows, D)   weight bias (D)   mean variance (rows)   part (parts, 2, D)
Tasks     rows, or parts of them

Source: Ba, Kiros & Hinton, arXiv:1607.06450, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.norm import deviation
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Num, Tensor, narrow
from striate.kernel.sharing import part_of

VECTORS = 4
BLOCK = 64
"""Vectors of columns in one task of `LayerNormColumns`."""


@dataclass(frozen=True)
class Row:
    """The vectors of a row of D numbers, all of the same lanes."""

    k: Builder
    D: int

    @property
    def lanes(self) -> int:
        return narrow(self.D, self.k.lanes)

    def spread(self, value: Num) -> Num:
        return self.k.splat(value, self.lanes)

    def vectors(self) -> Iterator[tuple[IntLike, int | None]]:
        """(first, count); count is None for whole vectors."""
        whole = self.D // self.lanes * self.lanes
        for first in self.k.range(0, whole, self.lanes):
            yield first, None
        if whole < self.D:
            yield whole, self.D - whole

    def means(self, number: int, terms: Callable[[IntLike, int | None], Sequence[Num]]) -> list[Num]:
        """The means over the row of each of terms(first, count): four vectors at a time, then one, then a part of one."""
        k, lanes = self.k, self.lanes
        cells = [[k.cell(0.0, lanes) for _ in range(VECTORS)] for _ in range(number)]

        def gather(first: IntLike, turn: int, count: int | None = None) -> None:
            for own, term in zip(cells, terms(first, count), strict=True):
                inside = None if count is None else k.iota(lanes) < count
                own[turn].add(term if inside is None else k.where(inside, term, k.constant(0.0, lanes)))

        blocks, whole = (self.D // step * step for step in (VECTORS * lanes, lanes))
        for first in k.range(0, blocks, VECTORS * lanes):
            for turn in range(VECTORS):
                gather(first + turn * lanes, turn)
        for turn, first in enumerate(range(blocks, whole, lanes)):
            gather(first, turn)
        if whole < self.D:
            gather(whole, VECTORS - 1, self.D - whole)
        sums = [(a.value + b.value) + (c.value + d.value) for a, b, c, d in cells]
        return [k.reduce("add", total) * (1.0 / self.D) for total in sums]


@dataclass(frozen=True)
class LayerNorm(Kernel):
    """x, weight, bias -> y, mean, variance."""

    D: int
    eps: float
    centred: bool = True
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "weight", "bias", "mean", "variance", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows, row = k.int("rows"), Row(k, self.D)
        x, finish = k.tensor("x", (rows, self.D)), self.chain.bind(k, (rows, self.D))
        weight, bias = (k.tensor(name, (self.D,)) for name in ("weight", "bias"))
        means, variances = (k.tensor(name, (rows,)) for name in ("mean", "variance"))
        for i in k.share(rows):
            mean, variance = self.moments(k, row, x, i)
            means.store(mean, i)
            variances.store(variance, i)
            centre, rstd = row.spread(mean), row.spread(deviation(k, variance, self.eps))
            for first, count in row.vectors():
                value = x.vec(i, first, lanes=row.lanes, count=count)
                scale, shift = (t.vec(first, lanes=row.lanes, count=count) for t in (weight, bias))
                finish(k.fma((value - centre) * rstd, scale, shift), i, first, count=count)

    def moments(self, k: Builder, row: Row, x: Tensor, i: IntLike) -> tuple[Num, Num]:
        """Mean and variance of a row, in two passes."""

        def read(first: IntLike, count: int | None) -> list[Num]:
            return [x.vec(i, first, lanes=row.lanes, count=count)]

        mean = row.means(1, read)[0] if self.centred else k.constant(0.0)
        centre = row.spread(mean)

        def squares(first: IntLike, count: int | None) -> list[Num]:
            distance = read(first, count)[0] - centre
            return [distance * distance]

        return mean, row.means(1, squares)[0]


class Given:
    """What the gradient's kernels read: dy, and xhat out of x, mean and variance."""

    def __init__(self, k: Builder, row: Row, eps: float):
        self.k, self.row, self.eps, rows = k, row, eps, k.int("rows")
        self.x, self.dy = (k.tensor(name, (rows, row.D)) for name in ("x", "dy"))
        self.mean, self.variance = (k.tensor(name, (rows,)) for name in ("mean", "variance"))

    def of(self, i: IntLike) -> tuple[Num, Callable[[IntLike, Any], tuple[Num, Num]]]:
        """A row's rstd, and a function that reads (dy, xhat) at (first, count)."""
        lanes, rstd = self.row.lanes, self.row.spread(deviation(self.k, self.variance[i], self.eps))
        mean = self.row.spread(self.mean[i])

        def read(first: IntLike, count: Any) -> tuple[Num, Num]:
            x, dy = (t.vec(i, first, lanes=lanes, count=count) for t in (self.x, self.dy))
            return dy, (x - mean) * rstd

        return rstd, read


@dataclass(frozen=True)
class LayerNormGradient(Kernel):
    """dx, and with parts > 0 the parts of dweight and dbias in the same pass."""

    D: int
    eps: float
    centred: bool = True
    parts: int = 0
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        part = ("part",) if self.parts else ()
        return ("rows", "dy", "x", "weight", "mean", "variance", *part, *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows, row = k.int("rows"), Row(k, self.D)
        given, weight, finish = Given(k, row, self.eps), k.tensor("weight", (self.D,)), self.chain.bind(k, (rows, self.D))
        if not self.parts:
            for i in k.share(rows):
                self.line(k, row, given, weight, finish, i, None)
            return
        part = k.tensor("part", (self.parts, 2, self.D))
        for task in k.share(self.parts):
            for first, count in row.vectors():
                for j in range(2):
                    part.store(k.constant(0.0, row.lanes), task, j, first, count=count)
            for i in k.range(*part_of(task, self.parts, rows)):
                self.line(k, row, given, weight, finish, i, part.view((2, self.D), offset=task * (2 * self.D)))

    def line(self, k: Builder, row: Row, given: Given, weight: Tensor, finish: Any, i: IntLike, sums: Tensor | None) -> None:
        """One row of dx, and its part of the sums."""
        rstd, read = given.of(i)

        def terms(first: IntLike, count: int | None) -> list[Num]:
            dy, xhat = read(first, count)
            g = dy * weight.vec(first, lanes=row.lanes, count=count)
            return [g * xhat, g] if self.centred else [g * xhat]

        slope, *shift = (row.spread(mean) for mean in row.means(2 if self.centred else 1, terms))
        for first, count in row.vectors():
            dy, xhat = read(first, count)
            g = dy * weight.vec(first, lanes=row.lanes, count=count) - xhat * slope
            finish((g - shift[0] if shift else g) * rstd, i, first, count=count)
            if sums is None:
                continue
            for j, term in enumerate((dy, dy * xhat)):
                sums.store(sums.vec(j, first, lanes=row.lanes, count=count) + term, j, first, count=count)


@dataclass(frozen=True)
class LayerNormColumns(Kernel):
    """The parts of dweight and dbias for long rows."""

    D: int
    eps: float
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "x", "mean", "variance", "part")

    def build(self, k: Builder) -> None:
        rows, row = k.int("rows"), Row(k, self.D)
        given, part = Given(k, row, self.eps), k.tensor("part", (self.parts, 2, self.D))
        step = BLOCK * row.lanes
        blocks = -(-self.D // step)
        for task in k.share(self.parts * blocks):
            p, begin = task // blocks, task % blocks * step
            for first in k.range(begin, k.min(begin + step, self.D), row.lanes):
                count = k.min(self.D - first, row.lanes) if self.D % row.lanes else None
                cells = [k.cell(0.0, row.lanes) for _ in range(2)]
                for i in k.range(*part_of(p, self.parts, rows)):
                    dy, xhat = given.of(i)[1](first, count)
                    cells[0].add(dy)
                    cells[1].fma(dy, xhat)
                for j, cell in enumerate(cells):
                    part.store(cell.value, p, j, first, count=count)
