"""The memory plan: every array's place in one arena, before the first run.

A buffer lives from the first kernel that names it to the last. Buffers that live at different times may share memory: they
are placed from the largest to the smallest, each at the lowest offset where no other that lives with it lies.

Source: Pisarchyk & Lee, Efficient memory management for deep neural net inference, arXiv:2001.03288 (greedy by size).
"""

from __future__ import annotations

from dataclasses import dataclass

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
    placed: list[Buffer] = []
    total = 0
    for buffer in sorted(buffers, key=lambda b: (-b.bytes, b.first)):
        offset = 0
        for other in placed:  # sorted by offset
            if buffer.lives_with(other):
                if offset + buffer.bytes <= other.offset:
                    break
                offset = max(offset, aligned(other.offset + other.bytes))
        buffer.offset = offset
        total = max(total, aligned(offset + buffer.bytes))
        placed.append(buffer)
        placed.sort(key=lambda b: b.offset)
    return total
