"""How the threads of a team share the work of a kernel: who begins with what, and what is passed on.

Thread t of T has range(total) from total*t/T to total*(t+1)/T as its own part, cut into stretches. It takes them one by one from
front to back, and so finds in its cache what the kernel before left there; then it takes what others have not begun of theirs.
Whoever is held up, by the system or by a neighbour on its core, holds up nobody else for longer than a stretch.

Which stretches of a part are taken is counted at `taken`, int64 (threads, SHARES), zero when the kernel begins.

Source: Blumofe & Leiserson, Scheduling multithreaded computations by work stealing, JACM 46(5), 1999.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from striate.kernel.language import Builder, IntLike

STRETCHES, NEIGHBOURS = 16, 8
"""Stretches of a part, and among how many threads they are passed on."""
SHARES = 8
"""Shares of a kernel that are passed on: a thread's counters fill a cache line."""


@overload
def part_of(part: int, parts: int, total: int) -> tuple[int, int]: ...
@overload
def part_of(part: IntLike, parts: IntLike, total: IntLike) -> tuple[IntLike, IntLike]: ...
def part_of(part: IntLike, parts: IntLike, total: IntLike) -> tuple[IntLike, IntLike]:
    """Where a part of range(total), one of so many alike, begins and ends: a thread's own, or one that no thread decides.

    >>> [part_of(part, 3, 10) for part in range(3)]
    [(0, 3), (3, 6), (6, 10)]
    """
    return (part * total) // parts, ((part + 1) * total) // parts


def cut(k: Builder, begin: IntLike, end: IntLike, unit: IntLike) -> tuple[IntLike, IntLike]:
    """(length, count) of the stretches of a part, which are cut at multiples of the length; unit: the length, 0 for about
    as many as STRETCHES."""
    by = unit or k.max((end - begin + (STRETCHES - 1)) // STRETCHES, 1)
    return by, k.min((end + (by - 1)) // by - begin // by, end - begin)


def stretch(k: Builder, begin: IntLike, end: IntLike, by: IntLike, number: IntLike) -> tuple[IntLike, IntLike]:
    """Where a stretch of a part begins and ends."""
    start = (begin // by + number) * by
    return k.max(start, begin), k.min(start + by, end)


def own(k: Builder, total: IntLike, unit: IntLike) -> Iterator[tuple[IntLike, IntLike]]:
    """The stretches of this thread's own part."""
    begin, end = part_of(k.thread, k.threads, total)
    by, count = cut(k, begin, end, unit)
    for number in k.range(count):
        yield stretch(k, begin, end, by, number)
