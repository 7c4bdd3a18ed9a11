"""A thread's scratch: memory of its own for what a kernel makes on its way, such as sums, copies and transformed pixels.

Each thread has one piece of the argument `scratch`, comes back to it with every task, and so finds it in its second-level cache.
A kernel names the parts of a piece with their shapes and strides, each at the start of a cache line:

    scratch() -> {name: (shape, strides)}      scratch_floats() -> floats(scratch())      private(k, scratch()) -> {name: Tensor}

Rows that are read side by side lie an odd number of lines apart, or a line further than need be: powers of two would meet in a
few sets of the cache. Pieces lie a page (`GAP`) further apart than need be: a core that reads one in its order asks for the lines
that follow, and would take those away that the next thread is writing.
"""

from __future__ import annotations

from striate.kernel.language import Builder, Tensor, row_major
from striate.kernel.machine import LINE

GAP = 1024
"""Floats between two threads' pieces."""
Shape = tuple[tuple[int, ...], tuple[int, ...]]
"""(shape, strides)"""


def round_up(n: int, step: int) -> int:
    return -(-n // step) * step


def packed_shape(*shape: int) -> Shape:
    """(shape, strides) without gaps."""
    return shape, tuple(row_major(shape))  # type: ignore[return-value]


def floats(parts: dict[str, Shape]) -> int:
    """Floats that the parts take, each a whole number of cache lines, and the gap behind them."""
    return GAP + sum(round_up(shape[0] * strides[0], LINE) for shape, strides in parts.values())


def private(k: Builder, parts: dict[str, Shape]) -> dict[str, Tensor]:
    """The parts of this thread's piece of the argument `scratch`."""
    size = floats(parts)
    whole = k.tensor("scratch", (k.threads, size))
    views, at = {}, k.thread * size
    for name, (shape, strides) in parts.items():
        views[name] = whole.view(shape, strides, at)
        at = at + round_up(shape[0] * strides[0], LINE)
    return views
