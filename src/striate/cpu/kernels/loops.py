"""Loops that several kernels share: over the elements of an array, over blocks of rows, over groups of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from striate.kernel.language import Builder, IntLike, Num, narrow

Value = TypeVar("Value")


def elements(k: Builder, size: IntLike, lanes: int = 0) -> Iterator[tuple[IntLike, IntLike | None]]:
    """(first, count) of this thread's vectors of a flat array: whole ones (count None), then the rest, on the first thread."""
    lanes = lanes or k.lanes
    whole = size // lanes
    for i in k.share(whole):
        yield i * lanes, None
    rest = size - whole * lanes
    for _ in k.when(k.int_compare("eq", k.thread, 0)):
        for _ in k.when(k.int_compare("gt", rest, 0)):
            yield whole * lanes, rest


def rows_at_once(C: int) -> int:
    """Rows of C numbers that one block adds up before it touches its sums: about 1 KB side by side, or a single row.

    Measured: memory wants to be read in its order. Several long rows at once are half as fast; short ones are twice as fast.
    """
    return min(16, 256 // C) if C <= 64 else 1


def row_blocks(k: Builder, first: IntLike, last: IntLike, size: int) -> Iterator[tuple[IntLike, int]]:
    """(row, rows) of the blocks of `size` rows from first to last, then single rows."""
    whole = first
    if size > 1:
        whole = first + (last - first) // size * size
        for row in k.range(first, whole, size):
            yield row, size
    for row in k.range(whole, last):
        yield row, 1


def groups(k: Builder, C: int, vectors: int) -> Iterator[tuple[IntLike, list[tuple[int, int, int | None]]]]:
    """(first channel, [(offset, lanes, count)]) of a few vectors at a time, the whole groups in a loop that runs.

    Several vectors of a pixel are one walk over the pixels with as many sums under way.
    """
    wide = vectors * k.lanes
    for first in k.range(0, C - C % wide, wide):
        yield first, [(v * k.lanes, k.lanes, None) for v in range(vectors)]
    if C % wide:
        yield C - C % wide, [(c, lanes, count if count < lanes else None) for c, lanes, count in k.blocks(C % wide)]


def channel_vectors(k: Builder, channels: int, lanes: int, first: IntLike = 0, last: IntLike | None = None) -> Iterator[tuple]:
    """(vector, count) for the vectors first..last-1 of the channels: whole ones in a loop, then the partly filled one."""
    whole, rest = divmod(channels, lanes)
    end = -(-channels // lanes) if last is None else last
    for vector in k.range(first, k.min(end, whole)):
        yield vector, None
    if rest and (not isinstance(end, int) or end > whole):
        for _ in [0] if isinstance(end, int) else k.when(end > whole):
            yield whole, rest


def once(k: Builder, index: IntLike) -> IntLike:
    """An index (of at least 0) as a number of its own, so that a loop inside adds to it and does not add it up again."""
    return k.max(index, 0)


def widths(vectors: int, filled: int, lanes: int) -> list[int]:
    """Lanes of the vectors of a tile; the last is no wider than it must be for the lanes that are filled, 0 for all of them.

    >>> widths(2, 8, 16), widths(2, 0, 16), widths(1, 3, 8)
    ([16, 8], [16, 16], [4])
    """
    return [lanes] * (vectors - 1) + [narrow(filled, lanes) if filled else lanes]


def widened(k: Builder, value: Num, lanes: int) -> Num:
    """The vector with zeros behind it."""
    if value.lanes == lanes:
        return value
    known = k.splat(value, max(2, value.lanes))
    return k.shuffle(known, k.constant(0.0, known.lanes), [*range(value.lanes), *[known.lanes] * (lanes - value.lanes)])


def tree(values: Sequence[Value], combine: Callable[[Value, Value], Value]) -> Value:
    """Neighbours are combined first: short chains for the machine, small rounding errors."""
    found = list(values)
    while len(found) > 1:
        pairs = [combine(a, b) for a, b in zip(found[::2], found[1::2], strict=False)]
        found = pairs + found[2 * len(pairs):]
    return found[0]


def add(a: Num, b: Num) -> Num:
    return a + b
