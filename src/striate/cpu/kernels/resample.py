"""Resampling, channels last: each spatial axis has a table of the pixels that an output pixel reads, and of their weights.

    y[n, p, q, c] = chain( sum_{i of p} sum_{j of q} weight_1[i] * weight_2[j] * x[n, index_1[i], index_2[j], c] )

The entries of output p are taps*p .. taps*(p+1) - 1 where every output has as many, else start[p] .. start[p+1] - 1: the table
of a transposed matrix, which gathers, so that each pixel of a gradient is written once.

Layouts   x (N, ..., C)   y (N, ..., C)   index, start i64   weight f32
Tasks     rows: all axes of y but the last
Registers four accumulators, one weight
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Num, Tensor

VECTORS = 4
UNROLLED = 4
"""Up to so many entries of an axis are unrolled."""


@dataclass(frozen=True)
class Table:
    """One axis: n input pixels, `size` output pixels, entries in all; taps of each output, 0 where they differ."""

    n: int
    size: int
    entries: int
    taps: int
    weighted: bool = False


@dataclass(frozen=True)
class Resample(Kernel):
    """x -> y; see the head of this file."""

    C: int
    axes: tuple[Table, ...]
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        tables = [f"index{i}" for i in range(len(self.axes))]
        tables += [f"start{i}" for i, axis in enumerate(self.axes) if not axis.taps]
        tables += [f"weight{i}" for i, axis in enumerate(self.axes) if axis.weighted]
        return ("N", "x", *tables, *self.chain.arguments)

    def build(self, k: Builder) -> None:
        N, sizes = k.int("N"), [axis.size for axis in self.axes]
        x = k.tensor("x", (N, *(axis.n for axis in self.axes), self.C))
        tables = [AxisTable(k, i, axis) for i, axis in enumerate(self.axes)]
        finish = self.chain.bind(k, (N, *sizes, self.C))
        for task in k.share(N * math.prod(sizes[:-1])):
            place: list[IntLike] = []
            for size in reversed(sizes[:-1]):
                place.insert(0, task % size)
                task = task // size
            for last in k.range(sizes[-1]):
                self.pixel(k, x, tables, finish, task, [*place, last])

    def pixel(self, k: Builder, x: Tensor, tables: Sequence[AxisTable], finish: Any, n: IntLike, place: list[IntLike]) -> None:
        """All channels of one output pixel, a few vectors at a time."""
        wide = VECTORS * k.lanes
        whole = self.C // wide * wide
        for c in k.range(0, whole, wide):
            self.vectors(k, x, tables, finish, (n, *place), [(c + v * k.lanes, k.lanes, None) for v in range(VECTORS)])
        rest = [(whole + c, lanes, count if count < lanes else None) for c, lanes, count in k.blocks(self.C - whole)]
        if rest:
            self.vectors(k, x, tables, finish, (n, *place), rest)

    def vectors(self, k: Builder, x: Tensor, tables: Sequence[AxisTable], finish: Any, place: tuple[IntLike, ...],
                vectors: Sequence[tuple[IntLike, int, int | None]]) -> None:
        """The sums for a few vectors of channels; a single entry is copied."""
        if all(axis.taps == 1 and not axis.weighted for axis in self.axes):
            index = [table.index.int(p) for table, p in zip(tables, place[1:], strict=True)]
            for c, lanes, count in vectors:
                finish(x.vec(place[0], *index, c, lanes=lanes, count=count), *place, c, count=count)
            return
        totals = [k.cell(0.0, lanes) for _, lanes, _ in vectors]
        for index, weight in entries(tables, place[1:]):
            for total, (c, lanes, count) in zip(totals, vectors, strict=True):
                value = x.vec(place[0], *index, c, lanes=lanes, count=count)
                total.add(value) if weight is None else total.fma(value, k.splat(weight, lanes))
        for total, (c, _, count) in zip(totals, vectors, strict=True):
            finish(total.value, *place, c, count=count)


class AxisTable:
    """The memory of a table, and the loop over one output's entries."""

    def __init__(self, k: Builder, i: int, axis: Table):
        self.k, self.axis, self.index = k, axis, k.tensor(f"index{i}", (axis.entries,), "i64")
        self.start = None if axis.taps else k.tensor(f"start{i}", (axis.size + 1,), "i64")
        self.weight = k.tensor(f"weight{i}", (axis.entries,)) if axis.weighted else None

    def entries(self, p: IntLike) -> Iterator[tuple[IntLike, Num | None]]:
        """(pixel, weight) of output p; a weight of None is 1."""
        taps = self.axis.taps
        bounds = (p * taps, p * taps + taps) if self.start is None else (self.start.int(p), self.start.int(p + 1))
        steps = (p * taps + t for t in range(taps)) if 0 < taps <= UNROLLED else self.k.range(*bounds)
        for i in steps:
            yield self.index.int(i), None if self.weight is None else self.weight[i]


def entries(tables: Sequence[AxisTable], place: Sequence[IntLike]) -> Iterator[tuple[list[IntLike], Num | None]]:
    """(pixels, product of the weights) of all pairs of entries of one output pixel, the last axis innermost."""
    if not tables:
        yield [], None
        return
    for pixel, weight in tables[0].entries(place[0]):
        for pixels, others in entries(tables[1:], place[1:]):
            yield [pixel, *pixels], others if weight is None else weight if others is None else weight * others
