"""Sums, means and maxima over the middle axis; channels stay.

    y[a, c] = chain( scale * sum_b x[a, b, c] )         mean: scale / B          max: without scale, NaN wins

    parts     part[i, c] = sum or max of x[b, c] over rows i*B/parts .. (i+1)*B/parts: a cut that is the same for any number
              of threads; `Reduce` over (1, parts, C) finishes it

Layouts   x (A, B, C)   y (A, C)   part (parts, C)
Tasks     one image and up to four vectors of channels; with C = 1 one image, its B numbers along the lanes
Registers four accumulators + four rows
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import add, part_of, row_blocks, rows_at_once, tree
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import Builder, IntLike, Num, Tensor

VECTORS = 4


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


@dataclass(frozen=True)
class ReduceParts(Kernel):
    """kind: sum or max. x (B, C) -> part (parts, C); empty parts hold 0 or -infinity."""

    kind: str
    C: int
    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("B", "x", "part")

    def build(self, k: Builder) -> None:
        B, C = k.int("B"), self.C
        x, part = k.tensor("x", (B, C)), k.tensor("part", (self.parts, C))
        flat = x.view((B * C,))
        start, combine = monoid(k, self.kind)
        for i in k.share(self.parts):
            first, last = part_of(i, self.parts, B)
            if C == 1:
                part.store(fold(k, self.kind, first, last, lambda at, count: flat.vec(at, lanes=k.lanes, count=count)), i, 0)
                continue
            for c, lanes, count in k.vectors(C):
                part.store(k.constant(start, lanes), i, c, count=count)
            for row, size in row_blocks(k, first, last, rows_at_once(C)):
                for c, lanes, count in k.vectors(C):
                    rows = [x.vec(row + r, c, lanes=lanes, count=count) for r in range(size)]
                    part.store(combine(part.vec(i, c, lanes=lanes, count=count), tree(rows, combine)), i, c, count=count)
