"""Group normalisation, channels last: N samples of `rows` pixels, C channels in G groups of width C / G.

    statistics   `norm.NormStatistics`: count, mean, squared deviations of each channel, in parts of each sample
    groups       the parts merged in their order, then the channels of a group:
                 mean = sum_c mean_c / width        variance = (sum_c M_c / rows + sum_c (mean_c - mean)^2) / width
    spread       mean and rstd = 1 / sqrt(variance + eps) of its group for every channel
    normalise    y = chain( (x - mean) * rstd * weight + bias )
    backward     `norm.NormGradientParts`: sums of dy and dy * xhat, then with e = weight * dy
                 slope = -rstd^2 * sum(e * xhat) / M        shift = -rstd * sum e / M        M = rows * width
                 dx = chain( weight * rstd * dy + slope * (x - mean) + shift )        then `norm.NormGradientFinish`

Layouts   x y dy dx (N, rows, C)   part (N, parts, 3 or 2, C)   mean variance (N, G)   means rstds slopes shifts (N, C)
Tasks     samples; blocks of rows of a sample

Source: Wu & He, Group normalization, arXiv:1803.08494, section 3; Chan, Golub & LeVeque 1982.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.norm import VECTORS, deviation, merge
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Num, Tensor

BLOCK = 4096
"""Numbers of one task, in whole rows."""


@dataclass(frozen=True)
class GroupMoments(Kernel):
    """part (N, parts, 3, C) -> mean, variance (N, G); the first part of each sample becomes their sum."""

    C: int
    G: int
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "part", "mean", "variance")

    def build(self, k: Builder) -> None:
        N, width = k.int("N"), self.C // self.G
        part = k.tensor("part", (N, self.parts, 3, self.C))
        means, variances = (k.tensor(name, (N, self.G)) for name in ("mean", "variance"))
        for n in k.share(N):
            self.add_parts(k, part, n)
            rows = part[n, 0, 0, 0]
            for g in k.range(self.G):
                mean = total(k, width, lambda c, n=n, g=g: part[n, 0, 1, g * width + c]) * (1.0 / width)

                def spread(c: IntLike, n: IntLike = n, g: IntLike = g, mean: Num = mean, rows: Num = rows) -> Num:
                    distance = part[n, 0, 1, g * width + c] - mean
                    return part[n, 0, 2, g * width + c] / rows + distance * distance

                means.store(mean, n, g)
                variances.store(total(k, width, spread) * (1.0 / width), n, g)

    def add_parts(self, k: Builder, part: Tensor, n: IntLike) -> None:
        """The moments of each channel over all rows of a sample."""
        for c, lanes, count in k.vectors(self.C):
            cells = [k.cell(part.vec(n, 0, j, c, lanes=lanes, count=count)) for j in range(3)]
            for i in k.range(1, self.parts):
                n_a, mean_a, spread_a = (cell.value for cell in cells)
                n_b, mean_b, spread_b = (part.vec(n, i, j, c, lanes=lanes, count=count) for j in range(3))
                both = k.maximum(n_a + n_b, 1.0)  # empty parts add nothing
                share = n_b / both
                found = merge(k, mean_a, mean_b, spread_a + spread_b, share, n_a * share)
                for cell, value in zip(cells, (n_a + n_b, *found), strict=True):
                    cell.set(value)
            for j, cell in enumerate(cells):
                part.store(cell.value, n, 0, j, c, count=count)


def total(k: Builder, size: int, term: Callable[[IntLike], Num]) -> Num:
    """The sum of term(0) .. term(size - 1), one after the other."""
    found = k.cell(0.0)
    for c in k.range(size):
        found.add(term(c))
    return found.value


@dataclass(frozen=True)
class GroupSpread(Kernel):
    """mean, variance (N, G) -> means, rstds (N, C)."""

    C: int
    G: int
    eps: float

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "mean", "variance", "means", "rstds")

    def build(self, k: Builder) -> None:
        N, width = k.int("N"), self.C // self.G
        mean, variance = (k.tensor(name, (N * self.G,)) for name in ("mean", "variance"))
        means, rstds = (k.tensor(name, (N * self.G, width)) for name in ("means", "rstds"))
        for i in k.share(N * self.G):
            rstd = deviation(k, variance[i], self.eps)
            for c, lanes, count in k.vectors(width):
                means.store(k.splat(mean[i], lanes), i, c, count=count)
                rstds.store(k.splat(rstd, lanes), i, c, count=count)


def samples(k: Builder, C: int, prepare: Callable[..., tuple[Num, ...]]) -> Iterator[tuple]:
    """(row of all samples, channel, lanes, count, prepared) over this thread's blocks of rows, in the order of memory.

    prepare(n, channel, lanes, count) reads what is known of a sample's channel; up to `VECTORS` vectors stay in registers.
    """
    N, rows, size = k.int("N"), k.int("rows"), max(1, BLOCK // C)
    blocks = (rows + (size - 1)) // size
    for task in k.share(N * blocks):
        n = task // blocks
        first = (task - n * blocks) * size
        bounds = n * rows + first, n * rows + k.min(first + size, rows)
        if C > VECTORS * k.lanes:
            for row in k.range(*bounds):
                for vector in k.vectors(C):
                    yield row, *vector, prepare(n, *vector)
            continue
        vectors = [(c, lanes, count if count < lanes else None) for c, lanes, count in k.blocks(C)]
        prepared = [prepare(n, *vector) for vector in vectors]
        for row in k.range(*bounds):
            for vector, numbers in zip(vectors, prepared, strict=True):
                yield row, *vector, numbers


def by_sample(k: Builder, C: int, *names: str) -> Callable[..., Iterator[Num]]:
    """Reads a vector of each of the named arrays (N, C)."""
    tensors = [k.tensor(name, (k.int("N"), C)) for name in names]
    return lambda n, c, lanes, count: (t.vec(n, c, lanes=lanes, count=count) for t in tensors)


@dataclass(frozen=True)
class GroupNormalise(Kernel):
    """x, weight, bias, means, rstds -> y."""

    C: int
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "rows", "x", "weight", "bias", "means", "rstds", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        C, shape = self.C, (k.int("N") * k.int("rows"), self.C)
        read, weight, bias = by_sample(k, C, "means", "rstds"), k.tensor("weight", (C,)), k.tensor("bias", (C,))
        x, finish = k.tensor("x", shape), self.chain.bind(k, shape)

        def prepare(n: IntLike, c: IntLike, lanes: int, count: int | None) -> tuple[Num, ...]:
            mean, rstd = read(n, c, lanes, count)
            return mean, rstd * weight.vec(c, lanes=lanes, count=count), bias.vec(c, lanes=lanes, count=count)

        for row, c, lanes, count, (mean, scale, shift) in samples(k, C, prepare):
            finish(k.fma(x.vec(row, c, lanes=lanes, count=count) - mean, scale, shift), row, c, count=count)


@dataclass(frozen=True)
class GroupSlopes(Kernel):
    """part (N, parts, 2, C) -> slopes, shifts (N, C); the first part of each sample becomes their sum."""

    C: int
    G: int
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "rows", "part", "weight", "rstds", "slopes", "shifts")

    def build(self, k: Builder) -> None:
        N, width = k.int("N"), self.C // self.G
        part, weight = k.tensor("part", (N, self.parts, 2, self.C)), k.tensor("weight", (self.C,))
        rstds, slopes, shifts = (k.tensor(name, (N, self.C)) for name in ("rstds", "slopes", "shifts"))
        each = -1.0 / (k.from_int(k.int("rows"), "f32") * float(width))
        for n in k.share(N):
            for c, lanes, count in k.vectors(self.C):
                for j in range(2):
                    found = k.cell(0.0, lanes)
                    for i in k.range(self.parts):
                        found.add(part.vec(n, i, j, c, lanes=lanes, count=count))
                    part.store(found.value, n, 0, j, c, count=count)
            for g in k.range(self.G):
                first = g * width
                sums = [total(k, width, lambda c, n=n, f=first, j=j: weight[f + c] * part[n, 0, j, f + c]) for j in range(2)]
                rstd = rstds[n, first]
                for c, lanes, count in k.vectors(width):
                    shifts.store(k.splat(sums[0] * each * rstd, lanes), n, first + c, count=count)
                    slopes.store(k.splat(sums[1] * each * rstd * rstd, lanes), n, first + c, count=count)


@dataclass(frozen=True)
class GroupGradient(Kernel):
    """dx out of dy, x and what the other kernels found."""

    C: int
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "rows", "dy", "x", "weight", "means", "rstds", "slopes", "shifts", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        C, shape = self.C, (k.int("N") * k.int("rows"), self.C)
        read, weight = by_sample(k, C, "means", "rstds", "slopes", "shifts"), k.tensor("weight", (C,))
        x, dy, finish = k.tensor("x", shape), k.tensor("dy", shape), self.chain.bind(k, shape)

        def prepare(n: IntLike, c: IntLike, lanes: int, count: int | None) -> tuple[Num, ...]:
            mean, rstd, slope, shift = read(n, c, lanes, count)
            return mean, rstd * weight.vec(c, lanes=lanes, count=count), slope, shift

        for row, c, lanes, count, (mean, scale, slope, shift) in samples(k, C, prepare):
            centred = x.vec(row, c, lanes=lanes, count=count) - mean
            finish(k.fma(dy.vec(row, c, lanes=lanes, count=count), scale, k.fma(centred, slope, shift)), row, c, count=count)
