"""How a value lies in memory.

A value's meaning is its logical shape; its memory is row-major over some order of its axes. `Layout` says which: `dims` are
the logical extents, `order` their physical sequence, outermost first. Axes of extent 1 are dropped and neighbours that stay
neighbours are merged, so equal memory means equal layouts, and a reshape never changes one:

    (N, C, H, W) channels last   Layout(dims=(N, C, H*W), order=(0, 2, 1))
    flattened to (N, C*H*W)      the same

`Packed` is the memory of convolution and linear weights: what the kernels read, vector after vector.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Row-major over `dims` taken in `order`; made by `layout_of`, which normalises."""

    dims: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def size(self) -> int:
        """Floats in memory."""
        return math.prod(self.dims)

    @property
    def plain(self) -> bool:
        return self.order == tuple(range(len(self.order)))

    def strides(self) -> tuple[int, ...]:
        """Elements between neighbours along each logical axis of `dims`."""
        found = [0] * len(self.dims)
        step = 1
        for axis in reversed(self.order):
            found[axis] = step
            step *= self.dims[axis]
        return tuple(found)

    def pack(self, array: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """A logical array as it lies in memory, flat; written to `out` if it is given."""
        flat = np.empty(array.size, array.dtype) if out is None else out
        flat.reshape([self.dims[a] for a in self.order])[...] = array.reshape(self.dims).transpose(self.order)
        return flat

    def unpack(self, flat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The way back to the logical array."""
        physical = flat.reshape([self.dims[a] for a in self.order])
        return np.ascontiguousarray(physical.transpose(np.argsort(self.order))).reshape(shape)


def layout_of(shape: Sequence[int], order: Sequence[int]) -> Layout:
    """The normal form of an order of axes.

    >>> layout_of((8, 16, 5, 5), (0, 2, 3, 1))
    Layout(dims=(8, 16, 25), order=(0, 2, 1))
    >>> layout_of((8, 16, 1, 1), (0, 2, 3, 1)) == plain((8, 16))
    True
    """
    kept = [axis for axis in order if shape[axis] != 1]
    runs: list[list[int]] = []  # physical runs of logically neighbouring axes
    for axis in kept:
        between = runs and all(shape[a] == 1 for a in range(runs[-1][-1] + 1, axis)) and axis > runs[-1][-1]
        if between:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    logical = sorted(range(len(runs)), key=lambda i: runs[i][0])
    dims = tuple(math.prod(shape[a] for a in runs[i]) for i in logical)
    return Layout(dims, tuple(logical.index(i) for i in range(len(runs))))


def plain(shape: Sequence[int]) -> Layout:
    """Row-major, as NumPy and the user have it."""
    return layout_of(shape, range(len(shape)))


def last(shape: Sequence[int], axis: int) -> Layout:
    """One axis innermost, the others in their order."""
    return layout_of(shape, [a for a in range(len(shape)) if a != axis] + [axis])


def channels_last(shape: Sequence[int]) -> Layout:
    return last(shape, 1) if len(shape) > 2 else plain(shape)


def canonical(shape: Sequence[int]) -> Layout:
    """The order in which random masks count elements: channels last for images, row-major otherwise."""
    return channels_last(shape) if len(shape) == 4 else plain(shape)


def boundaries(dims: Sequence[int]) -> set[int]:
    """Products of the trailing extents: where a row-major shape may be cut."""
    found, step = set(), 1
    for n in reversed(dims):
        step *= n
        found.add(step)
    return found


def refine(layout: Layout, dims: Sequence[int]) -> tuple[list[int], list[int]] | None:
    """The layout over finer axes that both it and `dims` are made of: (extents, strides); None where they do not nest.

    >>> refine(channels_last((2, 6, 4, 4)), (2, 96))
    ([2, 6, 16], [96, 1, 6])
    """
    cuts = sorted(boundaries(layout.dims) | boundaries(dims) | {1})
    extents, strides = [], []
    own = sorted(boundaries(layout.dims) | {1})
    steps = dict(zip(own[:-1], reversed(layout.strides()), strict=True))  # cut below an axis -> its stride
    for low, high in itertools.pairwise(cuts):
        if high % low:
            return None
        base = max(cut for cut in own if cut <= low and cut in steps)
        extents.append(high // low)
        strides.append(steps[base] * (low // base))
    return extents[::-1], strides[::-1]


def transposed(layout: Layout, shape: Sequence[int], axes: Sequence[int]) -> Layout | None:
    """The layout of the same memory, once its logical axes are permuted."""
    finer = refine(layout, shape)
    if finer is None:
        return None
    extents, strides = finer
    groups: list[list[int]] = []
    position = 0
    for n in shape:
        group, size = [], 1
        while size < n:
            group.append(position)
            size *= extents[position]
            position += 1
        groups.append(group)
    sequence = [i for axis in axes for i in groups[axis]]
    dims = [extents[i] for i in sequence]
    by_stride = sorted(range(len(sequence)), key=lambda j: -strides[sequence[j]])
    return layout_of(dims, by_stride)


def columns_of(layout: Layout, columns: int) -> Layout | None:
    """The layout of the innermost `columns` logical elements, where rows lie one after the other; None where they do not."""
    finer = refine(layout, (layout.size // columns, columns))
    if finer is None:
        return None
    extents, strides = finer
    inner = len(extents)
    size = 1
    while size < columns:
        inner -= 1
        size *= extents[inner]
    rows = strides[:inner]
    if any(s < columns for s in rows) or sorted(rows, reverse=True) != rows:
        return None
    by_stride = sorted(range(inner, len(extents)), key=lambda j: -strides[j])
    return layout_of(extents[inner:], [j - inner for j in by_stride])


@dataclass(frozen=True)
class Packed:
    """Weights (K, C/G, R, S) as (G, blocks of output channels, R, S, input channels, lanes), zero in lanes past the end.

    turned: input and output channels change places, for the input gradient: (G, blocks of C/G, R, S, K/G, lanes).
    columns: the order in which a linear layer's input lies in memory, where it differs from the logical one.
    """

    groups: int
    K: int
    C: int
    R: int
    S: int
    lanes: int
    turned: bool = False
    columns: Layout | None = None

    @property
    def vectored(self) -> int:
        """Channels that run along the lanes."""
        return self.C if self.turned else self.K

    @property
    def blocks(self) -> int:
        return -(-self.vectored // self.lanes)

    @property
    def size(self) -> int:
        """Floats in memory; K and C count the channels of one group."""
        inner = self.K if self.turned else self.C
        return self.groups * self.blocks * self.R * self.S * inner * self.lanes

    def pack(self, array: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Logical weights as they lie in memory, flat; written to `out` if it is given."""
        if self.turned and self.columns is not None:
            rows = array.reshape(self.K, self.C)[:, np.argsort(self._places(self.columns))]
            return replace(self, columns=None).pack(rows, out)
        flat = np.empty(self.size, np.float32) if out is None else out
        if self.vectored % self.lanes:
            flat.fill(0)
        for rows, block in self._blocks(array, flat):
            block[...] = rows
        return flat

    def unpack(self, flat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The way back to the logical weights."""
        if self.turned and self.columns is not None:
            rows = replace(self, columns=None).unpack(flat, (self.K, self.C))
            return rows[:, self._places(self.columns)].reshape(shape)
        array = np.empty(self.groups * self.K * self.C * self.R * self.S, np.float32)
        for rows, block in self._blocks(array, flat):
            rows[...] = block
        return array.reshape(shape)

    def _blocks(self, array: np.ndarray, flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same numbers in logical and in packed weights, a vector of channels at a time: views that fit into the cache."""
        dims, order = ((self.C,), (0,)) if self.columns is None else (self.columns.dims, self.columns.order)
        w = array.reshape(self.groups, self.K, *dims, self.R, self.S)
        inner = [2 + axis for axis in order]
        w = w.transpose(0, 2, 3, 4, 1) if self.turned else w.transpose(0, 1, w.ndim - 2, w.ndim - 1, *inner)
        m = flat.reshape(self.groups, self.blocks, *w.shape[2:], self.lanes)
        for group, block in itertools.product(range(self.groups), range(self.blocks)):
            rows = w[group, block * self.lanes: (block + 1) * self.lanes]
            yield rows, np.moveaxis(m[group, block], -1, 0)[: len(rows)]

    def _places(self, columns: Layout) -> np.ndarray:
        """For each logical column, its place in memory."""
        return columns.unpack(np.arange(self.C), (self.C,))


Form = Layout | Packed
