"""Copies between strided arrays: slices, concatenations, padding, expansion, and changes of layout; and a fill.

    y[y_offset + sum_d i_d * y_stride_d] = x[x_offset + sum_d i_d * x_stride_d]        for all i_d below the extents (rows, *dims)

Axes that lie behind one another in both arrays become one, and the axis with the smallest stride in y goes innermost.
Then one of three loops does the work:

    line    y is contiguous, x is too or stands still: vectors
    tile    y is contiguous along one axis and x along another: squares of lanes x lanes, transposed in registers
    points  anything else: one element at a time, along y

Layouts   any      Tasks  blocks of a line, rows of tiles, or lines of points      Registers  one square: lanes vectors
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import elements
from striate.kernel.language import Builder, IntLike, Tensor, narrow

BLOCK = 32
"""Vectors of a line that one task copies."""


@dataclass(frozen=True)
class Axis:
    """One axis of a copy."""

    extent: IntLike
    x: int
    y: int


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The same copy with the fewest axes, from the largest stride in y to the smallest.

    >>> merged([Axis(8, 60, 60), Axis(1, 60, 60), Axis(10, 6, 6), Axis(6, 1, 1)])
    [Axis(extent=480, x=1, y=1)]
    """
    found: list[Axis] = []
    for axis in sorted((a for a in axes if a.extent != 1), key=lambda a: -abs(a.y)):
        if found and isinstance(axis.extent, int) and (found[-1].x, found[-1].y) == (axis.x * axis.extent, axis.y * axis.extent):
            axis = Axis(found.pop().extent * axis.extent, axis.x, axis.y)
        found.append(axis)
    return found or [Axis(1, 1, 1)]


@dataclass(frozen=True)
class StridedCopy(Kernel):
    """Axes are (rows, *dims) and the strides, in elements, cover them all; a stride of 0 in x repeats. dtype: f32, i32 or u8."""

    dims: tuple[int, ...]
    x_strides: tuple[int, ...]
    y_strides: tuple[int, ...]
    x_offset: int = 0
    y_offset: int = 0
    dtype: str = "f32"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        axes = merged([Axis(*a) for a in zip((k.int("rows"), *self.dims), self.x_strides, self.y_strides, strict=True)])
        line = axes[-1]
        across = next((i for i, axis in enumerate(axes) if axis.x == 1), -1)
        if line.y == 1 and line.x in (0, 1):
            self.line(k, axes)
        elif line.y == 1 and across >= 0:
            self.tile(k, [*axes[:across], *axes[across + 1: -1], axes[across], line])
        else:
            self.points(k, axes)

    def tensors(self, k: Builder, axes: Sequence[Axis]) -> tuple[Tensor, Tensor]:
        shape = [a.extent for a in axes]
        x, y = k.tensor("x", (1,), self.dtype), k.tensor("y", (1,), self.dtype)
        return x.view(shape, [a.x for a in axes], self.x_offset), y.view(shape, [a.y for a in axes], self.y_offset)

    def line(self, k: Builder, axes: Sequence[Axis]) -> None:
        *outer, line = axes
        x, y = self.tensors(k, axes)
        lanes = narrow(line.extent, k.lanes) if isinstance(line.extent, int) else k.lanes
        blocks = (line.extent + (BLOCK * lanes - 1)) // (BLOCK * lanes)
        for task in k.share(size_of(outer) * blocks):
            place, first = index_of(outer, task // blocks), task % blocks * (BLOCK * lanes)
            last = k.min(first + BLOCK * lanes, line.extent)
            whole = first + (last - first) // lanes * lanes

            def move(at: IntLike, count: IntLike | None, place: Sequence[IntLike] = place) -> None:
                value = x.vec(*place, at, lanes=lanes, count=count) if line.x else k.splat(x[(*place, at)], lanes)
                y.store(value, *place, at, count=count)

            for at in k.range(first, whole, lanes):
                move(at, None)
            if lanes > 1:
                for _ in k.when(k.int_compare("lt", whole, last)):
                    move(whole, last - whole)

    def tile(self, k: Builder, axes: Sequence[Axis]) -> None:
        """The last two axes are the ones along which x, and y, are contiguous."""
        *outer, across, along = axes
        x, y = self.tensors(k, axes)
        side = min(narrow(a.extent, k.lanes) if isinstance(a.extent, int) else k.lanes for a in (across, along))
        strips = (across.extent + (side - 1)) // side
        for task in k.share(size_of(outer) * strips):
            place, first = index_of(outer, task // strips), task % strips * side
            whole = along.extent // side * side
            for _ in k.when(k.int_compare("le", first + side, across.extent)):
                for at in k.range(0, whole, side):
                    square(k, x, y, place, first, at, side, side, side)
                if whole != along.extent:
                    square(k, x, y, place, first, whole, side, side, along.extent - whole)
            for _ in k.when(k.int_compare("gt", first + side, across.extent)):
                for a in k.range(first, across.extent):
                    for at in k.range(along.extent):
                        y.store(x[(*place, a, at)], *place, a, at)

    def points(self, k: Builder, axes: Sequence[Axis]) -> None:
        *outer, line = axes
        x, y = self.tensors(k, axes)
        for task in k.share(size_of(outer) * line.extent if not outer else size_of(outer)):
            if not outer:
                y.store(x[task], task)
                continue
            place = index_of(outer, task)
            for at in k.range(line.extent):
                y.store(x[(*place, at)], *place, at)


def square(k: Builder, x: Tensor, y: Tensor, place: Sequence[IntLike], first: IntLike, at: IntLike, side: int, wide: int, high: int) -> None:
    pass


def size_of(axes: Sequence[Axis]) -> IntLike:
    """Positions along the axes."""
    total: IntLike = 1
    for axis in axes:
        total = axis.extent * total
    return total


def index_of(axes: Sequence[Axis], task: IntLike) -> list[IntLike]:
    """The indices of one of these positions."""
    index: list[IntLike] = []
    for axis in reversed(axes[1:]):
        index.insert(0, task % axis.extent)
        task = task // axis.extent
    return [task, *index] if axes else []
