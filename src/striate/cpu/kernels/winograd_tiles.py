"""How Winograd's tiles lie on an image, and how an image comes to the points.

A tile is 4 outputs wide, or 3: a short tile leaves the point at infinity out, since that one adds to its fourth output only.
So a row of 14 outputs is cut into 4 + 4 + 3 + 3 and costs 6 + 6 + 5 + 5 products in place of 24, and 7 into 4 + 3. In the larger
form tiles are 6 outputs wide, or 5.

    unit    a run of neighbours in a row of tiles: a whole row, or equal parts of one that is long (then no tile is short)
    block   the units that are brought to the points together; its tiles have slots 0, 1, ... in the points' memory

The points and their transforms stand in winograd.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from striate.cpu.kernels.loops import channel_vectors
from striate.cpu.kernels.scratch import Shape
from striate.cpu.kernels.winograd import FOUR, Form
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.machine import LINE


@dataclass(frozen=True)
class Axis:
    """Tiles along n outputs: `full` ones of four, then short ones of three or fewer, which need no product at infinity.

    So 14 outputs take (6 + 6 + 5 + 5)^2 = 484 products, where four tiles of four would take 576.

    >>> Axis(28).sizes, Axis(14).sizes, Axis(7).sizes, Axis(5).sizes
    ([4, 4, 4, 4, 4, 4, 4], [4, 4, 3, 3], [4, 3], [3, 2])
    """

    n: int
    mixed: bool = True
    form: Form = FOUR

    @property
    def tile(self) -> int:
        return self.form.tile

    @property
    def count(self) -> int:
        return -(-self.n // self.tile)

    @property
    def full(self) -> int:
        return max(0, self.n - (self.tile - 1) * self.count) if self.mixed else self.count

    @property
    def sizes(self) -> list[int]:
        return [min(self.tile if t < self.full else self.tile - 1, self.n - self.starts[t]) for t in range(self.count)]

    @property
    def starts(self) -> list[int]:
        return [self.tile * t - max(0, t - self.full) for t in range(self.count)]

    @property
    def points(self) -> int:
        """Products along this axis, over all tiles."""
        return self.form.side * self.count - (self.count - self.full)

    def start(self, k: Builder, t: IntLike) -> IntLike:
        """The first output of tile t."""
        return t * self.tile if self.full == self.count else t * self.tile - k.max(t - self.full, 0)

    def size(self, k: Builder, t: IntLike) -> IntLike:
        """The outputs of tile t."""
        return k.min(self.start(k, t + 1), self.n) - self.start(k, t)

    def at_least(self, size: int) -> int:
        """Tiles of at least this size; they are the first ones."""
        return sum(s >= size for s in self.sizes)


@dataclass(frozen=True)
class Tiles:
    """Tiles on outputs (P, Q). A unit of work is a run of up to `run` neighbours in a row of tiles.

    >>> tiles = Tiles(14, 14, run=4)
    >>> tiles.height.count, tiles.segments, tiles.units(2)
    (4, 1, 8)
    """

    P: int
    Q: int
    run: int
    form: Form = FOUR

    @property
    def segments(self) -> int:
        """Units of a row of tiles."""
        return -(-Axis(self.Q, form=self.form).count // self.run)

    @property
    def height(self) -> Axis:
        return Axis(self.P, self.segments == 1, self.form)

    @property
    def width(self) -> Axis:
        return Axis(self.Q, self.segments == 1, self.form)

    def units(self, N: IntLike) -> IntLike:
        return N * (self.height.count * self.segments)

    def place(self, unit: IntLike) -> tuple[IntLike, IntLike, IntLike]:
        """(image, row of tiles, first tile) of a unit."""
        row = unit // self.segments
        return row // self.height.count, row % self.height.count, (unit % self.segments) * self.run

    def before(self, unit: IntLike) -> IntLike:
        """Tiles in all units before this one."""
        return unit // self.segments * self.width.count + unit % self.segments * self.run

    def full_rows(self, k: Builder, unit: IntLike) -> IntLike:
        """Units before this one in rows of full tiles, where a unit is a whole row."""
        rows = self.height
        return unit // rows.count * rows.full + k.min(unit % rows.count, rows.full)

    def in_run(self, k: Builder, first: IntLike) -> IntLike:
        """Tiles of the unit that begins at tile `first`: fewer at the end of a row."""
        columns = self.width.count
        return k.min(self.run, first * -1 + columns) if columns % self.run else min(self.run, columns)

    def divide(self, count: int) -> bool:
        """Whether all that `Block.range` gives are multiples of `count`."""
        return all(n % count == 0 for n in (self.run, self.width.count, self.width.full))


class Block:
    """Units first .. first + units - 1, and the slots of their tiles: 0, 1, ... in an order that serves the point at infinity.

    Where a unit is a whole row, short tiles sit out the products at infinity of their axis. What takes part there stands
    together, in four groups:    full rows, short columns | full, full | short rows, full columns | short, short
    """

    def __init__(self, k: Builder, tiles: Tiles, first: IntLike, units: IntLike):
        self.k, self.tiles, self.first = k, tiles, first
        self.total = tiles.before(first + units) - tiles.before(first)
        if tiles.segments == 1:
            self.full = tiles.full_rows(k, first + units) - tiles.full_rows(k, first)
            self.short = units - self.full

    def slots(self, unit: IntLike) -> tuple[IntLike, IntLike]:
        """(near, far): tile t of a unit has the slot near + t if it is full in width, else far + t."""
        tiles, k = self.tiles, self.k
        if tiles.segments > 1:
            near = tiles.before(unit) - tiles.before(self.first)
            return near, near
        columns = tiles.width
        rank, before = unit - self.first, tiles.full_rows(k, unit) - tiles.full_rows(k, self.first)
        short_row = tiles.full_rows(k, unit + 1) * -1 + tiles.full_rows(k, unit) + 1
        order = before + short_row * (rank - before * 2 + self.full)
        narrow = columns.count - columns.full
        near = self.full * narrow + order * columns.full
        far = order * narrow + short_row * (self.full + self.short) * columns.full - columns.full
        return near, far

    def slot(self, places: tuple[IntLike, IntLike], t: IntLike) -> IntLike:
        """The slot of tile t of the unit whose `slots` these are."""
        (near, far), columns = places, self.tiles.width
        if columns.full == columns.count:
            return near + t
        short = self.k.min(self.k.max(t - (columns.full - 1), 0), 1)
        return near + t + short * (far - near)

    def range(self, a: IntLike, b: IntLike) -> tuple[IntLike, IntLike]:
        """The slots that take part in the product at point (a, b)."""
        columns = self.tiles.width
        if self.tiles.segments > 1:
            return 0, self.total
        narrow = columns.count - columns.full
        infinity = self.tiles.form.side - 1
        high, wide = a // infinity, b // infinity
        begin = wide * self.full * narrow
        without = high * self.short * columns.count + (high * -1 + 1) * wide * self.short * narrow
        return begin, self.total - without


@dataclass(frozen=True)
class Transform:
    """Brings the tiles of an image (N, H, W, channels) to the points.

    A tile is `side` pixels wide, begins `low` pixels before its first output, and `matrix` takes it to the points: `separate`
    for pixels under a window (as many as points), `evaluate` for gradients of outputs (a short tile has one less). First the
    columns of a whole unit, whose pixels neighbours share, into `strip`, then the rows of each tile. What lies outside of the
    image is zero: which rows that are is known when the kernel is written, so a border costs less than the inside.
    """

    H: int
    W: int
    channels: int
    low: tuple[int, int]
    matrix: Callable[[Builder, Sequence[Num]], list[Num]]
    side: int
    tiles: Tiles
    lanes: int

    @property
    def points(self) -> int:
        """Points along an axis."""
        return self.tiles.form.side

    @property
    def width(self) -> int:
        """Columns of the strip."""
        return self.tiles.form.tile * (self.tiles.run - 1) + self.side

    def strip(self, depth: int) -> Shape:
        """(shape, strides) of the strip for that many channels."""
        point = self.width * depth + LINE
        return (self.points, self.width, depth), (point, depth, 1)

    def build(self, k: Builder, image: Tensor, strip: Tensor, points: Tensor, block: Block, unit: IntLike, first: IntLike = 0,
              last: IntLike | None = None) -> None:
        """One unit, channel vectors first..last-1: points[e, slot, channel - first channel]."""
        n, row, tile = self.tiles.place(unit)
        self.columns(k, image, strip, n, row, tile, first, last)
        end = -(-self.channels // self.lanes) if last is None else last
        places, columns = block.slots(unit), self.tiles.width
        for low, high, side in self.tile_kinds(self.tiles.in_run(k, tile)):
            for t in k.range(low, high):
                slot, at = block.slot(places, t), columns.start(k, t)
                for a in k.range(self.points):
                    for vector in k.range(end - first):
                        c = vector * self.lanes
                        pixels = [strip.vec(a, at + s, c, lanes=self.lanes) for s in range(side)]
                        pixels += [k.constant(0.0, self.lanes)] * (self.side - side)
                        for b, value in enumerate(self.matrix(k, pixels)):
                            points.store(value, a * self.points + b, slot, c)

    def columns(self, k: Builder, image: Tensor, strip: Tensor, n: IntLike, row: IntLike, tile: IntLike, first: IntLike,
                last: IntLike | None) -> None:
        """strip[a, column] = sum over r of matrix[a, r] * image[n, first row + r - top, first column + column - left]."""
        top, left = self.low
        start, up = self.tiles.width.start(k, tile) * -1 + left, self.tiles.height.start(k, row) - top
        begin, end = k.max(start, 0), k.min(start + self.W, self.width)
        self.clear(k, strip, 0, begin, first, last)
        self.clear(k, strip, end, self.width, first, last)
        for low, high, inside in self.row_kinds():
            whole = high - low == self.tiles.height.count
            for _ in [0] if whole else k.when(k.int_compare("ge", row, low) & k.int_compare("lt", row, high)):
                for column in k.range(begin, end):
                    for vector, count in channel_vectors(k, self.channels, self.lanes, first, last):
                        pixels = [k.constant(0.0, self.lanes)] * self.side
                        for r in inside:
                            pixels[r] = image.vec(n, up + r, column - start, vector * self.lanes, lanes=self.lanes, count=count)
                        for a, value in enumerate(self.matrix(k, pixels)):
                            strip.store(value, a, column, (vector - first) * self.lanes)

    def clear(self, k: Builder, strip: Tensor, begin: IntLike, end: IntLike, first: IntLike, last: IntLike | None) -> None:
        stop = -(-self.channels // self.lanes) if last is None else last
        for column in k.range(begin, end):
            for vector in k.range(stop - first):
                for a in range(self.points):
                    strip.store(k.constant(0.0, self.lanes), a, column, vector * self.lanes)

    @property
    def short_side(self) -> int:
        """Pixels of a short tile: one less, unless the last one meets nothing but the point that is left out."""
        return self.side if self.side == self.points else self.side - 1

    def tile_kinds(self, tiles: IntLike) -> list[tuple[IntLike, IntLike, int]]:
        """(first tile of a unit, last + 1, pixels in width)."""
        columns = self.tiles.width
        if self.short_side == self.side or columns.full == columns.count:
            return [(0, tiles, self.side)]
        return [(0, columns.full, self.side), (columns.full, columns.count, self.short_side)]

    def row_kinds(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """(first row of tiles, last + 1, pixel rows inside the image), neighbours alike taken together."""
        rows = self.tiles.height
        sides = [self.side if row < rows.full else self.short_side for row in range(rows.count)]
        inside = [tuple(r for r in range(side) if 0 <= start - self.low[0] + r < self.H)
                  for start, side in zip(rows.starts, sides, strict=True)]
        kinds, at = [], 0
        for shared, alike in groupby(inside):
            count = len(list(alike))
            kinds.append((at, at + count, shared))
            at += count
        return kinds
