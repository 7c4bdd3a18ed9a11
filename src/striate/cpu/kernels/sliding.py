"""Sliding windows in kernels: which taps and which windows there are, as far as possible while the kernel is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from striate.kernel.language import Builder, IntLike, Num
from striate.window import Window

UNROLLED = 4
"""Taps of one axis that are written out; more run in a loop."""


def runs(n: int, alike: Callable[[int], Any]) -> list[tuple[int, int, Any]]:
    """(first, length, what they share) of neighbours in 0 .. n - 1 that are alike.

    >>> runs(5, lambda i: 0 < i < 4)
    [(0, 1, False), (1, 3, True), (4, 1, False)]
    """
    found, first = [], 0
    for value, same in groupby(alike(i) for i in range(n)):
        length = len(list(same))
        found.append((first, length, value))
        first += length
    return found


def each(k: Builder, first: IntLike, last: IntLike) -> Iterator[Any]:
    """first .. last - 1, written out if they are few."""
    if isinstance(first, int) and isinstance(last, int) and last - first <= UNROLLED:
        return iter(range(first, last))
    return k.range(first, last)


def repeated(k: Builder, size: int, low: IntLike, high: IntLike) -> Iterator[IntLike]:
    """The taps low .. high - 1; where the bounds are known only when the kernel runs, every tap, those outside moved inside.

    So few taps are written out with neither loop nor branch; a maximum may see a pixel twice.
    """
    if isinstance(low, int) and isinstance(high, int):
        yield from each(k, low, high)
    else:
        for r in each(k, 0, size):
            yield k.min(k.max(r, low), high - 1)


def whole(window: Window, n: int) -> bool:
    """One window that sees every pixel and nothing else."""
    return window.size == n and window.dilation == 1 and window.pads == (0, 0)


def disjoint(window: Window) -> bool:
    """Every pixel is read by one window at most, and those lie side by side from the first pixel on."""
    return window.size == window.stride and window.dilation == 1 and window.pads[0] == 0


def taps_inside(k: Builder, window: Window, p: IntLike, n: int) -> tuple[IntLike, IntLike]:
    """First and last + 1 tap of output p that reads real pixels: numbers where they are the same for all outputs."""
    known = {window.bounds(i, n) for i in range(window.out(n))}
    return known.pop() if len(known) == 1 else window.bounds(p, n, k.min, k.max)


def tap_count(k: Builder, window: Window, p: IntLike, n: int, include_pad: bool) -> int | Num:
    """What the average of row p divides by: an int where all rows have the same."""
    known = {window.count(i, n, include_pad) for i in range(window.out(n))}
    if len(known) == 1:
        return known.pop()
    own, pixels = window.counted(n, include_pad)
    low, high = own.bounds(p, pixels, k.min, k.max)
    return k.from_int(high - low, "f32")


def block_of(window: Window, n: int, j: int, across: Callable[[int], int]) -> tuple[int, tuple]:
    """What a block of `stride` pixels from j * stride on needs.

    (pixels, windows): (window from j on, its divisor, ((pixel of the block, tap), ...)) for all windows that read them.

    >>> block_of(Window(3, stride=2, pads=(1, 1)), 28, 5, lambda q: 1)
    (2, ((0, 1, ((0, 1), (1, 2))), (1, 1, ((1, 0),))))
    """
    first = j * window.stride
    pixels = range(min(window.stride, n - first))
    met = [(q - j, t, s) for t in pixels for q, s in window.readers(first + t, n)]
    offsets = sorted({offset for offset, _, _ in met})
    return len(pixels), tuple((o, across(o + j), tuple((t, s) for q, t, s in met if q == o)) for o in offsets)


def met_rows(k: Builder, window: Window, pixel: IntLike, low: IntLike, high: IntLike) -> Iterator[tuple[IntLike, IntLike]]:
    """(output, tap) for the windows that read the pixel: those of low .. high - 1 that do not step over it."""
    for p in k.range(low, high):
        distance = pixel - window.read(p, 0)
        if window.dilation == 1:
            yield p, distance
        else:
            for _ in k.when(k.int_compare("eq", distance % window.dilation, 0)):
                yield p, distance // window.dilation
