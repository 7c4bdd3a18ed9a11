"""Batch normalisation over rows of C channels, channels last; its sums also serve N samples of so many rows each.

    statistics   part[i] = (count, mean, sum of squared deviations) of rows i*rows/parts .. (i+1)*rows/parts, in one pass
                 over blocks of rows (one row, where rows are long), as in tally.py
    finish       the parts merged in their order; variance = M / n; rstd = 1 / sqrt(variance + eps)
    normalise    y = chain( (x - mean) * rstd * weight + bias )
    gradient     dbias = sum dy    dweight = sum dy * xhat    xhat = (x - mean) * rstd        in parts, then in their order
                 dx = chain( weight * rstd * (dy - dbias / rows - xhat * dweight / rows) )

Layouts   x y dy dx (N*rows, C)   part (N*parts, 3, C) or (N*parts, 2, C)   all else (N, C); a batch is one sample: N = 1
Tasks     parts; rows
A kernel that ends before a batch norm, in either pass, may take statistics and sums itself while it writes (tally.py).
Source: Ioffe & Szegedy, arXiv:1502.03167, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import add, elements, row_blocks, rows_at_once, tree
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.tally import block_moments, merge
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.sharing import part_of

VECTORS = 4
"""Up to so many vectors of channels, what is known of each channel stays in registers from row to row."""


@dataclass(frozen=True)
class NormStatistics(Kernel):
    """x -> part (N*parts, 3, C): count, mean and sum of squared deviations."""

    C: int
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "rows", "x", "part")

    def build(self, k: Builder) -> None:
        N, rows, C = k.int("N"), k.int("rows"), self.C
        x, part = k.tensor("x", (N * rows, C)), k.tensor("part", (N * self.parts, 3, C))
        for i in k.share(N * self.parts):
            first, last = rows_of(i, self.parts, rows)
            for c, lanes, count in k.vectors(C):
                part.store(k.splat(k.from_int(last - first, "f32"), lanes), i, 0, c, count=count)
                part.store(k.constant(0.0, lanes), i, 1, c, count=count)
                part.store(k.constant(0.0, lanes), i, 2, c, count=count)
            for row, size in row_blocks(k, first, last, rows_at_once(C)):
                seen = k.from_int(row - first, "f32")
                share = float(size) / (seen + float(size))
                for c, lanes, count in k.vectors(C):
                    block = [x.vec(row + r, c, lanes=lanes, count=count) for r in range(size)]
                    old_mean, old_spread = (part.vec(i, j, c, lanes=lanes, count=count) for j in (1, 2))
                    mean, spread = block_moments(block, old_spread)
                    mean, spread = merge(k, old_mean, mean, spread, k.splat(share, lanes), k.splat(seen * share, lanes))
                    part.store(mean, i, 1, c, count=count)
                    part.store(spread, i, 2, c, count=count)


def rows_of(task: IntLike, parts: int, rows: IntLike) -> tuple[IntLike, IntLike]:
    """First and last row of a part: tasks count the parts of the first sample, then those of the second, and so on."""
    sample = task // parts
    first, last = part_of(task - sample * parts, parts, rows)
    return sample * rows + first, sample * rows + last


@dataclass(frozen=True)
class NormFinish(Kernel):
    """part (parts, 3, C) -> mean, biased variance and 1 / sqrt(variance + eps)."""

    C: int
    parts: int
    eps: float

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("part", "mean", "variance", "rstd")

    def build(self, k: Builder) -> None:
        part = k.tensor("part", (self.parts, 3, self.C))
        results = [k.tensor(name, (self.C,)) for name in ("mean", "variance", "rstd")]
        for c, count in elements(k, self.C):
            cells = [k.cell(0.0, k.lanes) for _ in range(3)]
            for i in k.range(self.parts):
                n_a, mean_a, spread_a = (cell.value for cell in cells)
                n_b, mean_b, spread_b = (part.vec(i, j, c, lanes=k.lanes, count=count) for j in range(3))
                total = n_a + n_b
                share = k.where(n_b > 0.0, n_b / total, k.constant(0.0, k.lanes))
                found = merge(k, mean_a, mean_b, spread_a + spread_b, share, n_a * share)
                for cell, value in zip(cells, (total, *found), strict=True):
                    cell.set(value)
            total, mean, spread = (cell.value for cell in cells)
            variance = spread / total
            for tensor, value in zip(results, (mean, variance, deviation(k, variance, self.eps)), strict=True):
                tensor.store(value, c, count=count)


def deviation(k: Builder, variance: Num, eps: float) -> Num:
    """1 / sqrt(variance + eps)"""
    return 1.0 / k.unary("sqrt", variance + eps)


def channels(k: Builder, rows: IntLike, C: int, prepare: Callable[..., tuple[Num, ...]]) -> Iterator[tuple]:
    """(row, channel, lanes, count, prepared) over this thread's rows, in the order of memory; see `VECTORS` for `prepare`."""
    if C <= VECTORS * k.lanes:
        vectors = [(c, lanes, count if count < lanes else None) for c, lanes, count in k.blocks(C)]
        prepared = [prepare(*vector) for vector in vectors]
        for row in k.share(rows):
            for vector, numbers in zip(vectors, prepared, strict=True):
                yield row, *vector, numbers
    else:
        for row in k.share(rows):
            for vector in k.vectors(C):
                yield row, *vector, prepare(*vector)


def per_channel(k: Builder, C: int, *names: str) -> Callable[..., Iterator[Num]]:
    """Reads a vector of each of the named arrays of one number a channel."""
    tensors = [k.tensor(name, (C,)) for name in names]
    return lambda c, lanes, count: (t.vec(c, lanes=lanes, count=count) for t in tensors)


@dataclass(frozen=True)
class Normalise(Kernel):
    """Training: y from the batch's mean and rstd."""

    C: int
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "weight", "bias", "mean", "rstd", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        read = per_channel(k, self.C, "mean", "rstd", "weight", "bias")

        def prepare(*place) -> tuple[Num, ...]:
            mean, rstd, weight, bias = read(*place)
            return mean, rstd * weight, bias

        rows, C = k.int("rows"), self.C
        x, finish = k.tensor("x", (rows, C)), self.chain.bind(k, (rows, C))
        for row, c, lanes, count, (mean, scale, bias) in channels(k, rows, C, prepare):
            finish(k.fma(x.vec(row, c, lanes=lanes, count=count) - mean, scale, bias), row, c, count=count)


@dataclass(frozen=True)
class NormGradientParts(Kernel):
    """x, dy -> part (N*parts, 2, C): sums of dy and of dy * xhat."""

    C: int
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "rows", "x", "dy", "mean", "rstd", "part")

    def build(self, k: Builder) -> None:
        N, rows, C = k.int("N"), k.int("rows"), self.C
        x, dy, part = k.tensor("x", (N * rows, C)), k.tensor("dy", (N * rows, C)), k.tensor("part", (N * self.parts, 2, C))
        means, rstds = (k.tensor(name, (N, C)) for name in ("mean", "rstd"))
        for i in k.share(N * self.parts):
            first, last = rows_of(i, self.parts, rows)
            for c, lanes, count in k.vectors(C):
                part.store(k.constant(0.0, lanes), i, 0, c, count=count)
                part.store(k.constant(0.0, lanes), i, 1, c, count=count)
            for row, size in row_blocks(k, first, last, rows_at_once(C)):
                for c, lanes, count in k.vectors(C):
                    read = [t.vec(i // self.parts, c, lanes=lanes, count=count) for t in (means, rstds)]
                    self.block(k, x, part, dy, i, row, size, c, lanes, count, *read)

    def block(self, k: Builder, x: Tensor, part: Tensor, dy: Tensor, i: IntLike, row: IntLike, size: int, c: IntLike, lanes: int,
              count: IntLike | None, mean: Num, rstd: Num) -> None:
        """Add a block of rows, for one vector of channels."""
        gradients = [dy.vec(row + r, c, lanes=lanes, count=count) for r in range(size)]
        products = [g * (x.vec(row + r, c, lanes=lanes, count=count) - mean) for r, g in enumerate(gradients)]
        sums = part.vec(i, 0, c, lanes=lanes, count=count) + tree(gradients, add)
        weighted = k.fma(tree(products, add), rstd, part.vec(i, 1, c, lanes=lanes, count=count))
        part.store(sums, i, 0, c, count=count)
        part.store(weighted, i, 1, c, count=count)


@dataclass(frozen=True)
class NormGradientFinish(Kernel):
    """part (N, parts, 2, C) -> dweight, dbias: the sum over N of each first part, which holds the sums of its sample."""

    C: int
    parts: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "part", "dweight", "dbias")

    def build(self, k: Builder) -> None:
        N = k.int("N")
        part = k.tensor("part", (N, self.parts, 2, self.C))
        for c, count in elements(k, self.C):
            for j, name in enumerate(("dbias", "dweight")):
                total = k.cell(0.0, k.lanes)
                for n in k.range(N):
                    total.add(part.vec(n, 0, j, c, lanes=k.lanes, count=count))
                k.tensor(name, (self.C,)).store(total.value, c, count=count)


@dataclass(frozen=True)
class NormGradient(Kernel):
    """dx; for each channel it is scale * dy + slope * (x - mean) + shift."""

    C: int
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "dy", "weight", "mean", "rstd", "dweight", "dbias", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows, C = k.int("rows"), self.C
        x, dy, finish = k.tensor("x", (rows, C)), k.tensor("dy", (rows, C)), self.chain.bind(k, (rows, C))
        read, each = per_channel(k, C, "mean", "rstd", "weight", "dweight", "dbias"), -1.0 / k.from_int(rows, "f32")

        def prepare(c: IntLike, lanes: int, count: IntLike | None) -> tuple[Num, ...]:
            mean, rstd, weight, dweight, dbias = read(c, lanes, count)
            scale = weight * rstd
            share = scale * k.splat(each, lanes)
            return mean, scale, share * rstd * dweight, share * dbias

        for row, c, lanes, count, (mean, scale, slope, shift) in channels(k, rows, C, prepare):
            centred = x.vec(row, c, lanes=lanes, count=count) - mean
            finish(k.fma(dy.vec(row, c, lanes=lanes, count=count), scale, k.fma(centred, slope, shift)), row, c, count=count)
