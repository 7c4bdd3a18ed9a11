"""Sums, means and maxima over the middle axis; channels stay.

    y[a, c] = chain( scale * sum_b x[a, b, c] )         mean: scale / B          max: without scale, NaN wins

    parts     part[i, c] = sum or max of x[b, c] over rows i*B/parts .. (i+1)*B/parts: a cut that is the same for any number
              of threads; `Reduce` over (1, parts, C) finishes it. Of few channels a part has several rows: `strands`

Layouts   x (A, B, C)   y (A, C)   part (parts * strands, C)
Tasks     one image and up to four vectors of channels; with C = 1 one image, its B numbers along the lanes
Registers four accumulators + four rows
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import add, row_blocks, rows_at_once, tree
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.sharing import part_of

VECTORS = 4
MOST = 8
"""Vectors of sums under way at a time, where several rows are read as whole vectors."""


def largest(k: Builder, a: Num, b: Num) -> Num:
    """The larger; NaN where either is NaN."""
    return k.where(b.equals(b), k.maximum(b, a), b)


def monoid(k: Builder, kind: str) -> tuple[float, Callable[[Num, Num], Num]]:
    """What a reduction starts with, and how it combines two numbers."""
    return (-math.inf, lambda a, b: largest(k, a, b)) if kind == "max" else (0.0, add)


def across(k: Builder, kind: str, a: Num) -> Num:
    """All lanes as one number."""
    if kind != "max":
        return k.reduce("add", a)
    real, zero = a.equals(a), k.constant(0.0, a.lanes)
    nan = k.reduce("add", k.where(real, zero, a))  # the machine's own maximum loses NaN
    return k.reduce("max", k.where(real, a, k.constant(-math.inf, a.lanes))) + nan


def fold(k: Builder, kind: str, first: IntLike, last: IntLike, read: Callable[[IntLike, IntLike | None], Num]) -> Num:
    """One number out of the elements first .. last - 1, which lie side by side; read(position, count) gives a vector."""
    start, combine = monoid(k, kind)
    lanes, total = k.lanes, k.cell(start, k.lanes)
    step = VECTORS * lanes
    blocks = first + (last - first) // step * step
    for i in k.range(first, blocks, step):
        total.set(combine(total.value, tree([read(i + v * lanes, None) for v in range(VECTORS)], combine)))
    whole = blocks + (last - blocks) // lanes * lanes
    for i in k.range(blocks, whole, lanes):
        total.set(combine(total.value, read(i, None)))
    for _ in k.when(k.int_compare("lt", whole, last)):
        inside = k.iota(lanes) < k.splat(k.from_int(last - whole), lanes)
        total.set(combine(total.value, k.where(inside, read(whole, last - whole), k.constant(start, lanes))))
    return across(k, kind, total.value)


def reduce_middle(k: Builder, kind: str, x: Tensor, C: int, finish: Callable[..., Any], scale: float = 1.0) -> None:
    """x (A, B, C): `finish(value, a, channel, count=...)` for every vector of the result."""
    A, B, _ = x.shape
    each = scale / k.from_int(B, "f32") if kind == "mean" else k.constant(scale)
    if C == 1:
        flat = x.view((A, B))
        for a in k.share(A):
            finish(fold(k, kind, 0, B, lambda i, count, a=a: flat.vec(a, i, lanes=k.lanes, count=count)) * each, a, 0)
        return
    wide = VECTORS * k.lanes
    groups = C // wide
    for task in k.share(A * groups) if groups else ():
        vectors = [(v * k.lanes, k.lanes, k.lanes) for v in range(VECTORS)]
        columns(k, kind, x, finish, each, task // groups, task % groups * wide, vectors)
    if C % wide:
        rest = [(first - groups * wide, lanes, count) for first, lanes, count in k.blocks(C)[groups * VECTORS:]]
        for a in k.share(A):
            columns(k, kind, x, finish, each, a, groups * wide, rest)


def columns(k: Builder, kind: str, x: Tensor, finish: Callable[..., Any], each: Num, a: IntLike, channel: IntLike,
            vectors: Sequence[tuple[int, int, int]]) -> None:
    """All rows of one image, for a few vectors of channels (offset, lanes, count)."""
    start, combine = monoid(k, kind)
    cells = [k.cell(start, lanes) for _, lanes, _ in vectors]
    for row, size in row_blocks(k, 0, x.shape[1], 4):
        for cell, (offset, lanes, count) in zip(cells, vectors, strict=True):
            rows = [x.vec(a, row + i, channel + offset, lanes=lanes, count=count) for i in range(size)]
            cell.set(combine(cell.value, tree(rows, combine)))
    for cell, (offset, lanes, count) in zip(cells, vectors, strict=True):
        finish(cell.value * k.splat(each, lanes), a, channel + offset, count=count if count < lanes else None)


@dataclass(frozen=True)
class Reduce(Kernel):
    """kind: sum, mean or max; see the head of this file."""

    kind: str
    C: int
    chain: Chain = Chain()
    scale: float = 1.0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("A", "B", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        A, B = k.int("A"), k.int("B")
        reduce_middle(k, self.kind, k.tensor("x", (A, B, self.C)), self.C, self.chain.bind(k, (A, self.C)), self.scale)


def strands(C: int, lanes: int) -> int:
    """How many rows of C numbers fill whole vectors, four or more: each row keeps a sum of its own. 0 if that takes too many.

    >>> strands(6, 16), strands(32, 16), strands(17, 16)
    (16, 2, 0)
    """
    whole = math.lcm(C, lanes)
    whole *= -(-VECTORS * lanes // whole)
    return whole // C if whole <= MOST * lanes else 0


@dataclass(frozen=True)
class ReduceParts(Kernel):
    """kind: sum or max. x (B, C) -> part (parts * strands, C), or (parts, C) without strands; empty parts hold 0 or -infinity.

    strands: neighbouring rows that are read as whole vectors, and added up apart.
    """

    kind: str
    C: int
    parts: int
    strands: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("B", "x", "part")

    def build(self, k: Builder) -> None:
        B, C = k.int("B"), self.C
        x, part = k.tensor("x", (B, C)), k.tensor("part", (self.parts * max(1, self.strands), C))
        for i in k.share(self.parts):
            if self.strands:
                self.together(k, x.view((B * C,)), part, i)
            else:
                self.row_by_row(k, x, part, i)

    def together(self, k: Builder, flat: Tensor, part: Tensor, i: IntLike) -> None:
        """Whole vectors of `strands` rows; rows that are left over go to the first strands of the last part."""
        (start, combine), size = monoid(k, self.kind), self.strands * self.C
        sums, whole = part.view((self.parts, size)), flat.shape[0] // size
        cells = [k.cell(start, k.lanes) for _ in range(size // k.lanes)]
        for block in k.range(*part_of(i, self.parts, whole)):
            for v, cell in enumerate(cells):
                cell.set(combine(cell.value, flat.vec(block * size + v * k.lanes, lanes=k.lanes)))
        for v, cell in enumerate(cells):
            sums.store(cell.value, i, v * k.lanes)
        for _ in k.when(k.int_compare("eq", i, self.parts - 1)):
            for at in k.range(whole * size, flat.shape[0]):
                place = i, at - whole * size
                sums.store(combine(sums[place], flat[at]), *place)

    def row_by_row(self, k: Builder, x: Tensor, part: Tensor, i: IntLike) -> None:
        """Rows that are no whole vectors, some at a time."""
        start, combine = monoid(k, self.kind)
        for c, lanes, count in k.vectors(self.C):
            part.store(k.constant(start, lanes), i, c, count=count)
        for row, size in row_blocks(k, *part_of(i, self.parts, x.shape[0]), rows_at_once(self.C)):
            for c, lanes, count in k.vectors(self.C):
                rows = [x.vec(row + r, c, lanes=lanes, count=count) for r in range(size)]
                part.store(combine(part.vec(i, c, lanes=lanes, count=count), tree(rows, combine)), i, c, count=count)
