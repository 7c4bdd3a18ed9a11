"""Sums by channel that a kernel takes of its results while they are still in registers: batch normalisation wants them.

    moments   part[i] = (count, mean, sum of squared deviations) of v over the pixels of part i; a tile of pixels has its own
              mean and deviations, and is merged by Chan's formula
                  n = a + b    d = mean_b - mean_a    mean = mean_a + d*b/n    M = M_a + M_b + d*d*a*b/n
    sums      part[i] = (sum v_1, sum v_2, ...) over the same pixels

Parts are a fixed cut of the pixels, each the work of one thread, so the bits do not depend on the threads.

Layouts   part (parts, rows, C), C channels
Source: Chan, Golub & LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1982.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.cpu.kernels.loops import add, tree
from striate.kernel.language import Builder, IntLike, Num, Tensor

PARTS = 16
"""Into how many parts a batch is cut where it is summed over: fixed, so that the bits do not depend on threads."""
LEAST_ROWS = 1024
"""A matrix product of fewer rows takes no sums: what it writes is soon read again."""


@dataclass(frozen=True)
class Tally:
    """Of which numbers of a chain (`Chain.steps`) sums are taken, and in how many parts."""

    refs: tuple[int, ...]
    parts: int

    @property
    def rows(self) -> int:
        """Numbers of a part for each channel."""
        raise NotImplementedError

    def clear(self, k: Builder, part: Tensor, i: IntLike, size: IntLike, first: IntLike, channels: int) -> None:
        """Begin part i, of `size` pixels, for some channels."""
        for c, lanes, count in k.vectors(channels):
            for row in range(self.rows):
                part.store(k.constant(0.0, lanes), i, row, first + c, count=count)

    def note(self, k: Builder, part: Tensor, i: IntLike, seen: IntLike, c: IntLike, count: IntLike | None,
             blocks: Sequence[Sequence[Num]]) -> None:
        """Add a tile of pixels, for one vector of channels; `blocks` has the numbers of each reference, `seen` pixels of the
        part were before."""
        raise NotImplementedError


@dataclass(frozen=True)
class Moments(Tally):
    """Count, mean and sum of squared deviations of one number of the chain."""

    @property
    def rows(self) -> int:
        return 3

    def clear(self, k: Builder, part: Tensor, i: IntLike, size: IntLike, first: IntLike, channels: int) -> None:
        super().clear(k, part, i, size, first, channels)
        for c, lanes, count in k.vectors(channels):
            part.store(k.splat(k.from_int(size, "f32"), lanes), i, 0, first + c, count=count)

    def note(self, k: Builder, part: Tensor, i: IntLike, seen: IntLike, c: IntLike, count: IntLike | None,
             blocks: Sequence[Sequence[Num]]) -> None:
        (block,) = blocks
        lanes, before = block[0].lanes, k.from_int(seen, "f32")
        share = float(len(block)) / (before + float(len(block)))
        mean, spread = (part.vec(i, j, c, lanes=lanes, count=count) for j in (1, 2))
        found, spread = block_moments(block, spread)
        mean, spread = merge(k, mean, found, spread, k.splat(share, lanes), k.splat(before * share, lanes))
        part.store(mean, i, 1, c, count=count)
        part.store(spread, i, 2, c, count=count)


@dataclass(frozen=True)
class Sums(Tally):
    """The sum of each of some numbers of the chain."""

    @property
    def rows(self) -> int:
        return len(self.refs)

    def note(self, k: Builder, part: Tensor, i: IntLike, seen: IntLike, c: IntLike, count: IntLike | None,
             blocks: Sequence[Sequence[Num]]) -> None:
        for row, block in enumerate(blocks):
            part.store(part.vec(i, row, c, lanes=block[0].lanes, count=count) + tree(block, add), i, row, c, count=count)


def block_moments(block: Sequence[Num], spread: Num) -> tuple[Num, Num]:
    """The mean of a block of pixels, and its squared deviations added to `spread`."""
    if len(block) == 1:
        return block[0], spread
    mean = tree(block, add) * (1.0 / len(block))
    return mean, spread + tree([(v - mean) * (v - mean) for v in block], add)


def merge(k: Builder, mean_a: Num, mean_b: Num, spreads: Num, share: Num, both: Num) -> tuple[Num, Num]:
    """Chan's formula; spreads = M_a + M_b, share = b / n, both = a*b / n."""
    distance = mean_b - mean_a
    return k.fma(distance, share, mean_a), k.fma(distance * distance, both, spreads)
