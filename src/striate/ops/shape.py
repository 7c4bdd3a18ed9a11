"""Operators that move elements and compute nothing. All are linear; each one's gradient moves the elements back.

    reshape    same elements in row-major order           gradient: reshape back
    transpose  y[i_axes[0], i_axes[1], ...] = x[i]        gradient: transpose by the inverse permutation
    concat     the inputs one after another on an axis    gradient: a slice for each
    slice      y[i] = x[start + i * step]                 gradient: slice_gradient, dx[start + i * step] = dy[i], else 0
    expand     axes of size 1 repeated                    gradient: sum over the repeated axes
    pad        x with `value` around it                   gradient: a slice
    flip       y[i] = x[n - 1 - i] on some axes           gradient: flip back

Source: NumPy's reshape, transpose, concatenate, basic slicing, broadcast_to, pad and flip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.errors import DtypeError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, axis, traffic
from striate.ops.elementwise import unbroadcast
from striate.ops.sight import SAME, View, mirrored, regrouped, shifted


class Movement(Op):
    """Reads and writes elements, computes nothing."""

    linear_in = ("x",)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(**traffic(inputs, outputs))


@dataclass(frozen=True)
class Reshape(Movement):
    """The same elements, in row-major order, in another shape.

    >>> Reshape((2, 12)).infer(Spec((2, 3, 4)))
    Spec(shape=(2, 12), dtype='float32')
    """

    shape: tuple[int, ...]
    name = "reshape"

    def infer(self, x: Spec) -> Spec:
        fill_shape(x.shape, self.shape)
        return Spec(self.shape, x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [regrouped(inputs[0].shape, self.shape)]

    def reference(self, x: Array) -> Array:
        return x.reshape(self.shape)

    def gradient(self, g, x, y, dy):
        return [g.apply(Reshape(x[0].shape), dy[0])]

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
        (old,), new = (x.shape for x in inputs), outputs[0].shape
        while old and new and old[0] == new[0]:  # axes in front that stay
            old, new = old[1:], new[1:]
        return " = ".join([" * ".join(map(str, sizes)) or "1" for sizes in (old, new)])

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost()  # the bytes stay where they are


@dataclass(frozen=True)
class Transpose(Movement):
    """Axis i of the output is axis axes[i] of the input."""

    axes: tuple[int, ...]
    name = "transpose"

    def infer(self, x: Spec) -> Spec:
        if sorted(self.axes) != list(range(len(x.shape))):
            raise ShapeError(f"axes {self.axes} do not name each of the {len(x.shape)} axes of x {x.shape} once",
                             fix=f"permute the numbers 0 to {len(x.shape) - 1}")
        return Spec(tuple(x.shape[i] for i in self.axes), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [tuple((self.axes.index(i), SAME) for i in range(len(self.axes)))]

    def reference(self, x: Array) -> Array:
        return x.transpose(self.axes)

    def gradient(self, g, x, y, dy):
        return [g.apply(Transpose(tuple(self.axes.index(i) for i in range(len(self.axes)))), dy[0])]


@dataclass(frozen=True)
class Concat(Movement):
    """The inputs one after another along an axis; any number of them."""

    axis: int
    name = "concat"

    def infer(self, *x: Spec) -> Spec:
        if not x:
            raise ShapeError("concat got no inputs", fix="give it at least one")
        first = x[0].shape
        axis(self.axis, len(first))
        for i, other in enumerate(x):
            rest = [(*v[: self.axis], *v[self.axis + 1 :]) for v in (first, other.shape)]
            if len(other.shape) != len(first) or rest[0] != rest[1]:
                raise ShapeError(f"input {i} has shape {other.shape} and input 0 has {first}: they differ outside axis "
                                 f"{self.axis}", fix="make all other sizes equal")
            if other.dtype != x[0].dtype:
                raise DtypeError(f"input {i} has dtype {other.dtype} and input 0 has {x[0].dtype}", fix="give all one dtype")
        total = sum(v.shape[self.axis] for v in x)
        return Spec((*first[: self.axis], total, *first[self.axis + 1 :]), x[0].dtype)

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
        sizes = " + ".join(str(x.shape[self.axis]) for x in inputs)
        return f"axis {self.axis}: {sizes} = {outputs[0].shape[self.axis]}"

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        offsets = np.cumsum([0, *(x.shape[self.axis] for x in inputs)]).tolist()
        return [tuple((i, shifted(-offset) if i == self.axis else SAME) for i in range(len(x.shape)))
                for x, offset in zip(inputs, offsets)]

    def reference(self, *x: Array) -> Array:
        return np.concatenate(x, self.axis)

    def gradient(self, g, x, y, dy):
        stops = np.cumsum([v.shape[self.axis] for v in x]).tolist()
        return [g.apply(slice_axis(dy[0].shape, self.axis, stop - v.shape[self.axis], stop), dy[0])
                for v, stop in zip(x, stops, strict=True)]


@dataclass(frozen=True)
class Slice(Movement):
    """y[i] = x[start + i * step], on every axis; steps are positive and stops lie inside.

    >>> Slice((1,), (6,), (2,)).reference(np.arange(6))
    array([1, 3, 5])
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]
    name = "slice"

    def infer(self, x: Spec) -> Spec:
        if len(self.starts) != len(x.shape):
            raise ShapeError(f"a slice of {len(self.starts)} axes does not fit x {x.shape}", fix="give one range for each axis")
        for i, (n, start, stop) in enumerate(zip(x.shape, self.starts, self.stops)):
            if not 0 <= start <= stop <= n:
                raise ShapeError(f"the slice {start}:{stop} is outside axis {i} of x {x.shape}", fix=f"stay within 0:{n}")
        return Spec(tuple(len(range(*part)) for part in zip(self.starts, self.stops, self.steps)), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [tuple((i, shifted(start, step)) for i, (start, step) in enumerate(zip(self.starts, self.steps)))]

    def reference(self, x: Array) -> Array:
        return x[tuple(map(slice, self.starts, self.stops, self.steps))]

    def gradient(self, g, x, y, dy):
        return [g.apply(SliceGradient(self.starts, self.stops, self.steps, x[0].shape), dy[0])]


@dataclass(frozen=True)
class SliceGradient(Movement):
    """dx of `shape`, zero but for dx[start + i * step] = dy[i]."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]
    name = "slice_gradient"
    inputs = ("dy",)
    linear_in = ("dy",)

    def infer(self, dy: Spec) -> Spec:
        part = tuple(len(range(*axis)) for axis in zip(self.starts, self.stops, self.steps))
        if dy.shape != part:
            raise ShapeError(f"dy {dy.shape} does not fit the slice {part} of {self.shape}", fix="give it the slice's shape")
        return Spec(self.shape, dy.dtype)

    def reference(self, dy: Array) -> Array:
        x = np.zeros(self.shape, dy.dtype)
        x[tuple(map(slice, self.starts, self.stops, self.steps))] = dy
        return x

    def gradient(self, g, x, y, dy):
        return [g.apply(Slice(self.starts, self.stops, self.steps), dy[0])]


@dataclass(frozen=True)
class Expand(Movement):
    """x repeated along its axes of size 1, and along new axes in front, up to `shape`."""

    shape: tuple[int, ...]
    name = "expand"

    def infer(self, x: Spec) -> Spec:
        own = (1,) * (len(self.shape) - len(x.shape)) + x.shape
        if len(own) != len(self.shape) or any(m not in (1, n) for m, n in zip(own, self.shape)):
            raise ShapeError(f"x {x.shape} does not expand to {self.shape}", fix="only axes of size 1 can be repeated")
        return Spec(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        return np.broadcast_to(x, self.shape)

    def gradient(self, g, x, y, dy):
        return [unbroadcast(dy[0], x[0].shape)]


@dataclass(frozen=True)
class Pad(Movement):
    """x with (low, high) elements of `value` around each axis."""

    pads: tuple[tuple[int, int], ...]
    value: float = 0.0
    name = "pad"

    def infer(self, x: Spec) -> Spec:
        if len(self.pads) != len(x.shape) or any(p < 0 for both in self.pads for p in both):
            raise ShapeError(f"pads {self.pads} do not fit x {x.shape}", fix="give (low, high), both at least 0, for each axis")
        return Spec(tuple(low + n + high for n, (low, high) in zip(x.shape, self.pads)), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [tuple((i, shifted(-low)) for i, (low, _) in enumerate(self.pads))]

    def reference(self, x: Array) -> Array:
        return np.pad(x, self.pads, constant_values=self.value)

    def gradient(self, g, x, y, dy):
        starts = tuple(low for low, _ in self.pads)
        stops = tuple(low + n for (low, _), n in zip(self.pads, x[0].shape))
        return [g.apply(Slice(starts, stops, (1,) * len(starts)), dy[0])]


@dataclass(frozen=True)
class Flip(Movement):
    """x with the order of its elements reversed along some axes.

    >>> Flip((0,)).reference(np.arange(3)).tolist()
    [2, 1, 0]
    """

    axes: tuple[int, ...]
    name = "flip"

    def infer(self, x: Spec) -> Spec:
        for i in self.axes:
            axis(i, len(x.shape))
        return x

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [tuple((i, mirrored(n) if i in self.axes else SAME) for i, n in enumerate(inputs[0].shape))]

    def reference(self, x: Array) -> Array:
        return np.flip(x, self.axes)

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0])]


def fill_shape(shape: tuple[int, ...], wanted: Sequence[int]) -> tuple[int, ...]:
    """The wanted shape, with one -1 replaced by what the number of elements leaves over.

    >>> fill_shape((2, 3, 4), (2, -1))
    (2, 12)
    """
    new = tuple(int(n) for n in wanted)
    size, known = math.prod(shape), math.prod(n for n in new if n != -1)
    if new.count(-1) > 1 or any(n < -1 for n in new):
        raise ShapeError(f"the shape {new} is not clear", fix="use sizes of at least 0 and at most one -1")
    if -1 in new and known and size % known == 0:
        return tuple(size // known if n == -1 else n for n in new)
    if -1 in new or known != size:
        text = " * ".join(str(n) for n in shape) or "1"
        raise ShapeError(f"x {shape} has {text} = {size} elements and does not fill {new}", fix="keep the number of elements")
    return new


def flat_shape(shape: tuple[int, ...], start: int, end: int) -> tuple[int, ...]:
    """The shape with the axes start to end, both included, made one.

    >>> flat_shape((2, 3, 4, 5), 1, -1)
    (2, 60)
    """
    if not shape:
        return (1,)
    first, last = axis(start, len(shape)), axis(end, len(shape))
    if first > last:
        raise ShapeError(f"flatten from axis {start} to axis {end} of {shape} goes backwards", fix="give the lower axis first")
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def expand_shape(shape: tuple[int, ...], wanted: Sequence[int]) -> tuple[int, ...]:
    """The wanted shape, with every -1 replaced by the size that the axis has.

    >>> expand_shape((3, 1), (2, -1, 4))
    (2, 3, 4)
    """
    lead = len(wanted) - len(shape)
    return tuple(shape[i - lead] if n == -1 and i >= lead else int(n) for i, n in enumerate(wanted))


def repeat_shapes(shape: tuple[int, ...], times: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Three shapes that repeat an array: with axes of 1 to repeat along, repeated, and merged again.

    >>> repeat_shapes((2, 3), (2, 1, 4))
    ((1, 2, 1, 3), (2, 2, 4, 3), (2, 2, 12))
    """
    counts = [int(t) for t in times]
    if len(counts) < len(shape) or any(t < 0 for t in counts):
        raise ShapeError(f"repeat{tuple(counts)} does not fit an input of {len(shape)} axes, {shape}",
                         fix="give one number from 0 up for each axis")
    own = (1,) * (len(counts) - len(shape)) + shape
    single, wide = [], []
    for n, t in zip(own, counts, strict=True):
        single += [n] if t == 1 else [1] if n == 1 else [1, n]
        wide += [n] if t == 1 else [t] if n == 1 else [t, n]
    return tuple(single), tuple(wide), tuple(n * t for n, t in zip(own, counts, strict=True))


def split_stops(n: int, sizes: int | Sequence[int]) -> tuple[int, ...]:
    """Where the parts of a split end.

    >>> split_stops(7, 3), split_stops(7, (2, 5))
    ((3, 6, 7), (2, 7))
    """
    if isinstance(sizes, Sequence):
        stops = tuple(int(s) for s in np.cumsum(sizes))
        if not stops or stops[-1] != n or min(sizes) < 0:
            raise ShapeError(f"parts of {tuple(sizes)} = {sum(sizes)} elements do not fill the axis of {n}",
                             fix="let them add up to it")
        return stops
    if sizes < 1:
        raise ShapeError(f"parts of {sizes} elements do not fill the axis of {n}", fix="use at least 1")
    return (*range(sizes, n, sizes), n)


def slice_axis(shape: tuple[int, ...], at: int, start: int, stop: int) -> Slice:
    """The slice start:stop of one axis, all of the others."""
    starts = tuple(start if i == at else 0 for i in range(len(shape)))
    stops = tuple(min(stop, n) if i == at else n for i, n in enumerate(shape))
    return Slice(starts, stops, (1,) * len(shape))


def slice_of(shape: tuple[int, ...], key: Any) -> tuple[Slice | None, tuple[int, ...]]:
    """What x[key] means for whole numbers, slices, `...` and None: the slice (None where all is kept) and the final shape.

    >>> slice_of((2, 3, 4), (0, ..., slice(None, None, 2)))
    (Slice(starts=(0, 0, 0), stops=(1, 3, 4), steps=(1, 1, 2)), (3, 2))
    """
    keys = key if isinstance(key, tuple) else (key,)
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if given > len(shape) or sum(k is Ellipsis for k in keys) > 1:
        raise ShapeError(f"an index of {given} axes does not fit {shape}", fix=f"give at most {len(shape)} and one '...'")
    rest = (slice(None),) * (len(shape) - given)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    ranges: list[range] = []
    final: list[int] = []
    for item in (*keys[:at], *rest, *keys[at + 1 :]):
        if item is None:
            final.append(1)
        elif isinstance(item, slice):
            ranges.append(_range(item, shape[len(ranges)], len(ranges)))
            final.append(len(ranges[-1]))
        else:
            n = shape[len(ranges)]
            ranges.append(_single(item, n, len(ranges)))
    starts, stops, steps = (tuple(getattr(r, name) for r in ranges) for name in ("start", "stop", "step"))
    whole = all(r == range(n) for r, n in zip(ranges, shape, strict=True))
    return None if whole else Slice(starts, stops, steps), tuple(final)


def _range(item: slice, n: int, at: int) -> range:
    start, stop, step = item.indices(n)
    if step < 1:
        raise ShapeError(f"the slice of axis {at} has step {step}", fix="use a step of at least 1")
    return range(start, max(start, stop), step)


def _single(item: Any, n: int, at: int) -> range:
    if not hasattr(item, "__index__"):
        raise ShapeError(f"{item!r} is no index of an axis", fix="use whole numbers, slices, ... and None")
    if not -n <= int(item) < n:
        raise ShapeError(f"index {item} is outside axis {at} of {n} elements", fix=f"use {-n} to {n - 1}")
    first = int(item) % n
    return range(first, first + 1)
