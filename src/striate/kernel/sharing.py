"""How the threads of a team share the work of a kernel: who begins with what, and what is passed on.

Thread t of T has range(total) from total*t/T to total*(t+1)/T as its own part, cut into stretches. It takes them one by one from
front to back, and so finds in its cache what the kernel before left there; then it takes what others have not begun of theirs.
Whoever is held up, by the system or by a neighbour on its core, holds up nobody else for longer than a stretch.

Which stretches of a part are taken is counted at `taken`, int64 (threads, SHARES), zero when the kernel begins.

Source: Blumofe & Leiserson, Scheduling multithreaded computations by work stealing, JACM 46(5), 1999.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from striate.kernel.language import Builder, IntLike

STRETCHES, NEIGHBOURS = 16, 8
"""Stretches of a part, and among how many threads they are passed on."""
SHARES = 8
"""Shares of a kernel that are passed on: a thread's counters fill a cache line."""


def part(k: Builder, total: IntLike, thread: IntLike) -> tuple[IntLike, IntLike]:
    """Where a thread's own part of range(total) begins and ends."""
    return (total * thread) // k.threads, (total * (thread + 1)) // k.threads


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
    begin, end = part(k, total, k.thread)
    by, count = cut(k, begin, end, unit)
    for number in k.range(count):
        yield stretch(k, begin, end, by, number)
