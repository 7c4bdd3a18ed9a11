"""What an operator's output sees of its inputs, axis by axis: what receptive fields are made of.

Output p of an axis sees the input positions

    ceil((p * num + low) / den)  ..  floor((p * num + high) / den)

with whole numbers num, den > 0, low <= high. num / den is the stride. Outside of 0 .. n - 1 lies padding.

    position p itself                  num 1        den 1      low = high = 0
    window                             num stride   den 1      low = -pad, high = D - 1 - pad
    transposed window                  num 1        den stride low = pad - D + 1, high = pad
    adaptive pooling, n to P           num n        den P      low = 1 - P, high = n - 1
    nearest neighbour, n to P          num n        den P      low = 1 - P, high = 0
    mirror                             num -1       den 1      low = high = n - 1

A `View` says this of one input: for each of the input's axes (output axis, Sight), or None where an output sees the whole axis.

Sources: Dumoulin & Visin, arXiv:1603.07285, sections 2 and 4; Araujo, Norris & Sim, Computing receptive fields of
convolutional neural networks, Distill 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.window import Index, Window

Array = np.ndarray
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sight:
    """The law of one axis, of a contiguous run of positions.

    >>> up = Sight(num=1, den=2, low=-1, high=0)
    >>> [(up.first(p), up.last(p)) for p in range(4)]
    [(0, 0), (0, 0), (1, 1), (1, 1)]
    """

    num: int = 1
    den: int = 1
    low: int = 0
    high: int = 0

    def first(self, p: Index) -> Index:
        """The lowest position that output p sees; it may lie in the padding. p may be an array."""
        return -(-(p * self.num + self.low) // self.den)

    def last(self, p: Index) -> Index:
        """The highest position that output p sees; below `first` where it sees nothing."""
        return (p * self.num + self.high) // self.den

    def seen(self, outputs: Array, n: int) -> Array:
        """A mask of the n input positions: those that any of the marked outputs sees.

        >>> Sight(num=2, high=2).seen(np.array([True, False, True]), 8).astype(int)
        array([1, 1, 1, 0, 1, 1, 1, 0])
        """
        if self == SAME and len(outputs) == n:
            return outputs
        p = np.flatnonzero(outputs)
        first, stop = (np.minimum(np.maximum(ends, 0), n) for ends in (self.first(p), self.last(p) + 1))
        edges = np.bincount(first, minlength=n + 1) - np.bincount(np.maximum(first, stop), minlength=n + 1)
        return edges[:n].cumsum() > 0


@dataclass(frozen=True)
class Taps(Sight):
    """A window's law; it knows the holes of a dilated window."""

    window: Window = Window(1)

    def seen(self, outputs: Array, n: int) -> Array:
        w = self.window
        if w == Window(1) and len(outputs) == n:
            return outputs
        read = (w.read(np.flatnonzero(outputs)[:, None], np.arange(w.size))).ravel()
        mask = np.zeros(n, bool)
        mask[read[(0 <= read) & (read < n)]] = True
        return mask


@dataclass(frozen=True)
class Writers(Sight):
    """A transposed window's law: an output sees the positions whose window reaches it."""

    window: Window = Window(1)

    def seen(self, outputs: Array, n: int) -> Array:
        w = self.window
        reached = w.read(np.arange(n)[:, None], np.arange(w.size))
        inside = (0 <= reached) & (reached < len(outputs))
        return (inside & outputs[np.where(inside, reached, 0)]).any(1)


SAME = Sight()
"""Position p of the output sees position p of the input."""
Link = tuple[int, Sight] | None
View = tuple[Link, ...]


def taps(window: Window) -> Sight:
    """What one output of a window sees.

    >>> seen = taps(Window(3, stride=2, pads=(1, 1)))
    >>> seen.first(0), seen.last(0)
    (-1, 1)
    """
    return Taps(window.stride, 1, window.read(0, 0), window.read(0, window.size - 1), window)


def writers(window: Window) -> Sight:
    """What one output of a transposed window sees: the way back through `window`."""
    return Writers(1, window.stride, -window.read(0, window.size - 1), -window.read(0, 0), window)


def shifted(offset: int, step: int = 1) -> Sight:
    """Output p sees position p * step + offset: a slice, or with a negative offset a padding."""
    return Sight(step, 1, offset, offset)


def mirrored(n: int) -> Sight:
    """Output p sees position n - 1 - p."""
    return Sight(-1, 1, n - 1, n - 1)


def adaptive(n: int, out: int) -> Sight | None:
    """Adaptive pooling of n positions to `out`: floor(p * n / out) to ceil((p + 1) * n / out) - 1 (`window.span`)."""
    return None if out == 1 else Sight(n, out, 1 - out, n - 1)


def images(sights: Sequence[Sight | None]) -> View:
    """(N, C, ...) with a law for each axis after the channels: an item sees itself, every channel sees all channels."""
    return ((0, SAME), None, *(None if sight is None else (2 + i, sight) for i, sight in enumerate(sights)))


def through(window: Sequence[Window]) -> View:
    """(N, C, ...) seen through a window."""
    return images([taps(w) for w in window])


def pooling(window: Sequence[Window], size: Sequence[int]) -> View:
    """`through` a window; one of stride 1 that covers its axis, without padding, is global pooling and sees all of it."""
    covers = [1 < w.size == n and w.stride == 1 and w.pads == (0, 0) for w, n in zip(window, size)]
    return images([None if all_of_it else taps(w) for w, all_of_it in zip(window, covers)])


def whole(shape: Shape) -> View:
    """Every output sees all of the input."""
    return (None,) * len(shape)


def aligned(x: Shape, y: Shape) -> View:
    """Output sees the input at its own position, aligned at the last axis; the whole of an axis whose size differs.

    >>> aligned((4, 1), (2, 4, 3))
    ((1, Sight(num=1, den=1, low=0, high=0)), None)
    """
    lead = len(y) - len(x)
    return tuple((i + lead, SAME) if i + lead >= 0 and n == y[i + lead] else None for i, n in enumerate(x))


def without(shape: Shape, axes: Sequence[int]) -> View:
    """Each position sees itself, but the whole of some axes, which stay."""
    return tuple(None if i in axes else (i, SAME) for i in range(len(shape)))


def regrouped(x: Shape, y: Shape) -> View:
    """A reshape: axes that keep their elements to themselves see themselves; of axes that are joined or cut, the outermost.

    Joined (A, B) -> A*B: output p comes from row p // B. Cut A*B -> (A, B): row a holds positions a*B .. a*B + B - 1.

    >>> regrouped((1, 8, 5, 5), (1, 2, 4, 25))
    ((0, Sight(num=1, den=1, low=0, high=0)), (1, Sight(num=4, den=1, low=0, high=3)), \
(3, Sight(num=1, den=5, low=-4, high=0)), None)
    """
    view: list[Link] = [None] * len(x)
    for ins, outs in groups(x, y):
        rows, columns = math.prod(x[i] for i in ins[1:]), math.prod(y[j] for j in outs[1:])
        if len(ins) == 1 or len(outs) == 1:
            view[ins[0]] = (outs[0], Sight(columns, rows, 1 - rows, columns - 1))
    return tuple(view)


def groups(x: Shape, y: Shape) -> list[tuple[list[int], list[int]]]:
    """Axes of x and y that hold the same elements, as small as can be; axes of one element are left out, but for equal places.

    >>> groups((1, 6, 4), (1, 2, 3, 4))
    [([0], [0]), ([1], [1, 2]), ([2], [3])]
    """
    found: list[tuple[list[int], list[int]]] = [([0], [0])] if x[:1] == y[:1] == (1,) else []
    left, right = ([i for i, n in enumerate(shape) if n != 1] for shape in (x, y))
    while left and right:
        ins, outs = [left.pop(0)], [right.pop(0)]
        while (a := math.prod(x[i] for i in ins)) != (b := math.prod(y[j] for j in outs)):
            (ins if a < b else outs).append((left if a < b else right).pop(0))
        found.append((ins, outs))
    return found
