"""Softmax and its logarithm along rows of C numbers, and their gradients.

    m = max_c x_c    s = sum_c e^(x_c - m)
    softmax      y_c = e^(x_c - m) / s            dx_c = y_c * (dy_c - sum_j dy_j * y_j)
    log_softmax  y_c = (x_c - m) - ln s           dx_c = dy_c - e^(y_c) * sum_j dy_j

Layouts   all (rows, C)
Tasks     rows; C runs along the lanes, the last vector partly filled. Each pass reads the row again: it lies in the nearest
          cache, or, up to one vector of classes, in a register

Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.kernel import math as functions
from striate.kernel.language import Builder, IntLike, Num, Tensor, narrow


@dataclass(frozen=True)
class Rows:
    """The vectors of a row of C numbers, all of the same lanes."""

    k: Builder
    C: int

    @property
    def lanes(self) -> int:
        return narrow(self.C, self.k.lanes)

    def __iter__(self) -> Iterator[tuple[IntLike, int | None]]:
        """(first, count); count is None for whole vectors."""
        rest = self.C % self.lanes
        for first in self.k.range(0, self.C - rest, self.lanes):
            yield first, None
        if rest:
            yield self.C - rest, rest

    def read(self, x: Tensor, row: IntLike, first: IntLike, count: int | None, fill: float = 0.0) -> Num:
        """A vector of the row, `fill` past its end."""
        value = x.vec(row, first, lanes=self.lanes, count=count)
        if count is None or not fill:
            return value
        return self.k.where(self.k.iota(self.lanes) < count, value, self.k.constant(fill, self.lanes))

    def total(self, name: str, start: float, value: Callable[[IntLike, int | None], Num]) -> Num:
        """The sum ('add') or the largest ('max') of value(first, count) over the row."""
        cell = self.k.cell(start, self.lanes)
        for first, count in self:
            v = value(first, count)
            cell.set(self.k.maximum(v, cell.value) if name == "max" else cell.value + v)
        return self.k.reduce(name, cell.value)

    def peak(self, x: Tensor, row: IntLike) -> Num:
        """The row's largest number, as a scalar."""
        return self.total("max", -math.inf, lambda first, count: self.read(x, row, first, count, -math.inf))

    def shifted_sum(self, x: Tensor, row: IntLike) -> tuple[Num, Num]:
        """m and s of the head of this file, as scalars; NaN in the row makes s NaN."""
        peak = self.peak(x, row)
        m = self.k.splat(peak, self.lanes)
        s = self.total("add", 0.0, lambda first, count: functions.exp(self.k, self.read(x, row, first, count, -math.inf) - m))
        return peak, s


@dataclass(frozen=True)
class Softmax(Kernel):
    """y = e^(x - m) / s."""

    C: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        x, y = k.tensor("x", (count_rows, self.C)), k.tensor("y", (count_rows, self.C))
        for row in k.share(count_rows):
            m, total = k.splat(rows.peak(x, row), rows.lanes), k.cell(0.0, rows.lanes)
            for first, count in rows:  # the exponentials wait in y
                e = functions.exp(k, rows.read(x, row, first, count, -math.inf) - m)
                total.add(e)
                y.store(e, row, first, count=count)
            inverse = k.splat(1.0 / k.reduce("add", total.value), rows.lanes)
            for first, count in rows:
                y.store(rows.read(y, row, first, count) * inverse, row, first, count=count)


@dataclass(frozen=True)
class LogSoftmax(Kernel):
    """y = (x - m) - ln s."""

    C: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        x, y = k.tensor("x", (count_rows, self.C)), k.tensor("y", (count_rows, self.C))
        for row in k.share(count_rows):
            peak, total = rows.shifted_sum(x, row)
            m, log = k.splat(peak, rows.lanes), k.splat(functions.log(k, total), rows.lanes)
            for first, count in rows:
                y.store(rows.read(x, row, first, count) - m - log, row, first, count=count)


@dataclass(frozen=True)
class SoftmaxGradient(Kernel):
    """dx = y * (dy - sum dy * y)."""

    C: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "y", "dx")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        dy, y, dx = (k.tensor(name, (count_rows, self.C)) for name in ("dy", "y", "dx"))
        for row in k.share(count_rows):
            product = rows.total("add", 0.0, lambda i, n, row=row: rows.read(dy, row, i, n) * rows.read(y, row, i, n))
            mixed = k.splat(product, rows.lanes)
            for first, count in rows:
                dx.store(rows.read(y, row, first, count) * (rows.read(dy, row, first, count) - mixed), row, first, count=count)


@dataclass(frozen=True)
class LogSoftmaxGradient(Kernel):
    """dx = dy - e^y * sum dy."""

    C: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "y", "dx")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        dy, y, dx = (k.tensor(name, (count_rows, self.C)) for name in ("dy", "y", "dx"))
        for row in k.share(count_rows):
            total = k.splat(rows.total("add", 0.0, lambda i, n, row=row: rows.read(dy, row, i, n)), rows.lanes)
            for first, count in rows:
                chance = functions.exp(k, rows.read(y, row, first, count))
                dx.store(rows.read(dy, row, first, count) - chance * total, row, first, count=count)
