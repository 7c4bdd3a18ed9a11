"""Copies between strided arrays: slices, concatenations, padding, expansion, and changes of layout; and a fill.

    y[y_offset + sum_d i_d * y_stride_d] = x[x_offset + sum_d i_d * x_stride_d]        for all i_d below the extents (rows, *dims)

Axes that lie behind one another in both arrays become one, and the axis with the smallest stride in y goes innermost.
Then one of three loops does the work:

    line    y is contiguous, x is too or stands still: vectors
    tile    y is contiguous along one axis and x along another: squares of lanes x lanes, transposed in registers
    points  anything else: one element at a time, along y

`Lines` copies lines between arrays whose sizes are arguments of the run: one machine code for all concatenations and slices.

Layouts   any      Tasks  blocks of a line, rows of tiles, or lines of points      Registers  one square: lanes vectors
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import elements
from striate.kernel.language import Builder, IntLike, Tensor, narrow

BLOCK = 32
"""Vectors of a line, or squares of a strip, that one task copies."""


@dataclass(frozen=True)
class Axis:
    """One axis of a copy."""

    extent: IntLike
    x: IntLike
    y: IntLike


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The same copy with the fewest axes, from the largest stride in y to the smallest.

    >>> merged([Axis(8, 60, 60), Axis(1, 60, 60), Axis(10, 6, 6), Axis(6, 1, 1)])
    [Axis(extent=480, x=1, y=1)]
    """
    found: list[Axis] = []
    for axis in sorted((a for a in axes if a.extent != 1), key=lambda a: -abs(cast(int, a.y))):
        if found and isinstance(axis.extent, int) and (found[-1].x, found[-1].y) == (axis.x * axis.extent, axis.y * axis.extent):
            axis = Axis(found.pop().extent * axis.extent, axis.x, axis.y)
        found.append(axis)
    return found or [Axis(1, 1, 1)]


class Copy(Kernel):
    """What the copies share: a walk along lines."""

    dtype: str

    def starts(self, k: Builder) -> tuple[IntLike, IntLike]:
        """The first element of x and of y."""
        raise NotImplementedError

    def tensors(self, k: Builder, x_axes: Sequence[Axis], y_axes: Sequence[Axis]) -> tuple[Tensor, Tensor]:
        x, y = k.tensor("x", (1,), self.dtype), k.tensor("y", (1,), self.dtype)
        x_start, y_start = self.starts(k)
        return (x.view([a.extent for a in x_axes], [a.x for a in x_axes], x_start),
                y.view([a.extent for a in y_axes], [a.y for a in y_axes], y_start))

    def line(self, k: Builder, axes: Sequence[Axis], tasks: Iterable[tuple[list[IntLike], IntLike, IntLike]]) -> None:
        """y is contiguous along the last axis, x too or it stands still; tasks are (indices of the outer axes, first, last)."""
        line, (x, y) = axes[-1], self.tensors(k, axes, axes)
        lanes = narrow(line.extent, k.lanes) if isinstance(line.extent, int) else k.lanes

        def move(place: Sequence[IntLike], at: IntLike, count: IntLike | None) -> None:
            value = x.vec(*place, at, lanes=lanes, count=count) if line.x else k.splat(x[(*place, at)], lanes)
            y.store(value, *place, at, count=count)

        for place, first, last in tasks:
            whole = first + (last - first) // lanes * lanes
            for at in k.range(first, whole, lanes):
                move(place, at, None)
            if lanes > 1:
                for _ in k.when(k.int_compare("lt", whole, last)):
                    move(place, whole, last - whole)


@dataclass(frozen=True)
class Lines(Copy):
    """y[y_start + i * y_row + j * y_inner + c] = x[x_start + i * x_row + j * x_inner + c] for i < rows, j < inner, c < width.

    still: x[...] without c, the same number along the line.
    """

    inner: int = 1
    still: bool = False
    dtype: str = "f32"

    @property
    def arguments(self) -> tuple[str, ...]:
        steps = ("x_row", "y_row", "x_inner", "y_inner") if self.inner > 1 else ("x_row", "y_row")
        return ("rows", "width", *steps, "x_start", "y_start", "x", "y")

    def starts(self, k: Builder) -> tuple[IntLike, IntLike]:
        return k.int("x_start"), k.int("y_start")

    def build(self, k: Builder) -> None:
        axes = [Axis(k.int("rows"), k.int("x_row"), k.int("y_row"))]
        if self.inner > 1:
            axes.append(Axis(self.inner, k.int("x_inner"), k.int("y_inner")))
        width, long = k.int("width"), BLOCK * k.lanes
        axes.append(Axis(width, 0 if self.still else 1, 1))
        for _ in k.when(k.int_compare("le", width, long)):
            self.line(k, axes, ((index_of(axes[:-1], row), 0, width) for row in k.share(size_of(axes[:-1]))))
        for _ in k.when(k.int_compare("gt", width, long)):
            self.line(k, axes, blocks(k, axes, long))


@dataclass(frozen=True)
class StridedCopy(Copy):
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
            lanes = narrow(line.extent, k.lanes) if isinstance(line.extent, int) else k.lanes
            self.line(k, axes, blocks(k, axes, BLOCK * lanes))
        elif line.y == 1 and across >= 0:
            self.tile(k, [*axes[:across], *axes[across + 1: -1], axes[across], line])
        else:
            self.points(k, axes)

    def starts(self, k: Builder) -> tuple[IntLike, IntLike]:
        return self.x_offset, self.y_offset

    def tile(self, k: Builder, axes: Sequence[Axis]) -> None:
        """x is contiguous along the last axis but one, y along the last."""
        *outer, across, along = axes
        side = min(narrow(a.extent, k.lanes) if isinstance(a.extent, int) else k.lanes for a in (across, along))
        open_ended = next((a.extent for a in (across, along) if not isinstance(a.extent, int)), None)
        if open_ended is None:
            self.squares(k, outer, across, along, side)
            return
        for _ in k.when(k.int_compare("ge", open_ended, side)):
            self.squares(k, outer, across, along, side)
        for _ in k.when(k.int_compare("lt", open_ended, side)):
            self.points(k, axes)

    def squares(self, k: Builder, outer: Sequence[Axis], across: Axis, along: Axis, side: int) -> None:
        """The last square of a row or column is moved back to lie inside, unless the axis is shorter than a square."""
        x, y = self.tensors(k, [*outer, along, across], [*outer, across, along])
        wide, high = (min(side, a.extent) if isinstance(a.extent, int) else side for a in (across, along))
        strips = Axis((across.extent + (side - 1)) // side, 0, 0)
        for (*place, strip), first, last in blocks(k, [*outer, strips, along], BLOCK * side):
            column = inside(k, strip * side, across.extent, side)
            for at in k.range(first, last, side):
                row = inside(k, at, along.extent, side)
                lines = [x.vec(*place, row + min(i, high - 1), column, lanes=side, count=wide) for i in range(side)]
                for i, turned in enumerate(k.transpose(lines)[:wide]):
                    y.store(turned, *place, column + i, row, count=high)

    def points(self, k: Builder, axes: Sequence[Axis]) -> None:
        x, y = self.tensors(k, axes, axes)
        for place, first, last in blocks(k, axes, BLOCK * k.lanes):
            for at in k.range(first, last):
                y.store(x[(*place, at)], *place, at)


def inside(k: Builder, at: IntLike, extent: IntLike, side: int) -> IntLike:
    """The start of a square, moved back from the end."""
    return k.min(at, extent - side) if not isinstance(extent, int) or extent >= side else at


def blocks(k: Builder, axes: Sequence[Axis], size: int) -> Iterator[tuple[list[IntLike], IntLike, IntLike]]:
    """(indices of the outer axes, first, last) of this thread's blocks of the last axis."""
    *outer, line = axes
    count = (line.extent + (size - 1)) // size
    for task in k.share(size_of(outer) * count):
        first = task % count * size
        yield index_of(outer, task // count), first, k.min(first + size, line.extent)


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


@dataclass(frozen=True)
class Fill(Kernel):
    """y (rows) = value."""

    value: float

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "y")

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        y = k.tensor("y", (rows,))
        for i, count in elements(k, rows):
            y.store(k.constant(self.value, k.lanes), i, count=count)
