"""The memory plan: every array's place in one arena, before the first run.

A buffer lives from the first kernel that names it to the last. Buffers that live at different times may share memory: they
are placed from the largest to the smallest, each at the lowest offset where no other that lives with it lies.

Source: Pisarchyk & Lee, Efficient memory management for deep neural net inference, arXiv:2001.03288 (greedy by size).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(eq=False)
class Buffer:
    """Memory of a program. `region` says whose it is; arena buffers are placed by `place`."""

    name: str
    bytes: int
    region: str = "arena"
    offset: int = 0
    first: int = -1
    last: int = -1
    claimed: bool = False
    """A gradient that has its place beside its parameter."""

    def use(self, call: int) -> None:
        """Note that a call names this buffer."""
        self.first = call if self.first < 0 else min(self.first, call)
        self.last = max(self.last, call)

    def lives_with(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(buffers: list[Buffer]) -> int:
    """Give every arena buffer its offset; returns the arena's bytes."""
    first, last, begin, end = table = np.zeros((4, len(buffers)), np.int64)
    """Of those that are placed, from the lowest offset to the highest."""
    for count, buffer in enumerate(sorted(buffers, key=lambda b: (-b.bytes, b.first))):
        with_it = (first[:count] <= buffer.last) & (last[:count] >= buffer.first)
        free = np.concatenate([[0], np.maximum.accumulate(end[:count][with_it])])
        fits = np.flatnonzero(free[:-1] + buffer.bytes <= begin[:count][with_it])
        buffer.offset = int(free[fits[0] if len(fits) else -1])
        at = np.searchsorted(begin[:count], buffer.offset, "right")
        table[:, at + 1: count + 1] = table[:, at: count]
        table[:, at] = buffer.first, buffer.last, buffer.offset, aligned(buffer.offset + buffer.bytes)
    return int(end.max(initial=0))
