"""The same value in another form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import cast

import numpy as np

from striate.cpu.kernels.copy import Axis, Lines, StridedCopy, merged
from striate.cpu.kernels.pack import PackWeights, TurnWeights, UnpackWeights
from striate.cpu.layout import Form, Layout, Packed, layout_of, plain, refine
from striate.cpu.lower import Lowering
from striate.cpu.plan import Buffer
from striate.graph import Value


def convert(low: Lowering, value: Value, form: Form) -> None:
    """Make the value in this form out of one that it has."""
    if isinstance(form, Packed):
        _to_packed(low, value, form)
    else:
        known = [f for f in low.places[value] if isinstance(f, Layout)]
        if known:
            _between(low, value, known[0], form)
        else:
            _unpack(low, value)
            low.need(value, form)


def rowwise(form: Packed) -> Layout:
    """Logical rows, with the columns in the order that the packed form has them."""
    rows = form.groups * form.K
    if form.columns is None:
        return plain((rows, form.C, form.R, form.S))
    return layout_of((rows, *form.columns.dims), (0, *(a + 1 for a in form.columns.order)))


def _to_packed(low: Lowering, value: Value, form: Packed) -> None:
    for known in [f for f in low.places[value] if isinstance(f, Packed)]:
        if form.turned and not known.turned and replace(form, turned=False, lanes=known.lanes) == known:
            low.call(TurnWeights(known, form.lanes), packed=low.need(value, known), turned=low.make(value, form))
            return
    source = low.need(value, rowwise(form))
    low.call(PackWeights(replace(form, columns=None)), plain=source, packed=low.make(value, form))


def _unpack(low: Lowering, value: Value) -> None:
    form = next(f for f in low.places[value] if isinstance(f, Packed))
    low.call(UnpackWeights(replace(form, columns=None)), packed=low.need(value, form), plain=low.make(value, rowwise(form)))


def _between(low: Lowering, value: Value, known: Layout, form: Layout) -> None:
    source, target = refine(known, form.dims), refine(form, known.dims)
    if source is None or target is None:
        if known.plain or form.plain:
            raise ValueError(f"{known} and {form} do not nest")
        low.need(value, plain(value.shape))
        _between(low, value, plain(value.shape), form)
        return
    (extents, x_strides), (_, y_strides) = source, target
    axes = sorted(zip(extents, x_strides, y_strides, strict=True), key=lambda axis: -axis[2])
    strided_copy(low, value, axes, low.need(value, known), low.make(value, form))


def strided_copy(low: Lowering, value: Value, axes: Sequence[tuple[int, int, int]], x: Buffer, y: Buffer, x_offset: int = 0,
                 y_offset: int = 0, partial: bool = False) -> None:
    """y[y_offset + sum i*y_stride] = x[x_offset + sum i*x_stride] for axes of (extent, x_stride, y_stride), in elements."""
    item = np.dtype(value.dtype).itemsize
    if item == 8:  # two words each
        axes = [*((n, 2 * a, 2 * b) for n, a, b in axes), (2, 1, 1)]
        x_offset, y_offset = 2 * x_offset, 2 * y_offset
    kind = "f32" if value.dtype == "float32" else "u8" if item == 1 else "i32"
    few = lines(axes)
    if few is not None:
        inner, still, sizes = few
        low.call(Lines(inner, still, kind), partial=partial, x_start=x_offset, y_start=y_offset, x=x, y=y, **sizes)
        return
    (rows, *dims), x_strides, y_strides = zip(*axes, strict=True)
    low.call(StridedCopy(tuple(dims), x_strides, y_strides, x_offset, y_offset, kind), partial=partial, rows=rows, x=x, y=y)


def lines(axes: Sequence[tuple[int, int, int]]) -> tuple[int, bool, dict[str, int]] | None:
    """A copy as one of lines, for whose sizes no machine code is made: (inner, still, the sizes); None where it is none.

    Measured: as fast as code for the sizes, but for lines of a few numbers, where it takes up to twice as long; that counts
    where there are many of them.
    """
    outer = cast(list[tuple[int, int, int]], [(a.extent, a.x, a.y) for a in merged([Axis(*axis) for axis in axes])])
    few = prod(extent for extent, _, _ in outer) <= 4096
    straight = outer[-1][2] == 1 and outer[-1][1] in (0, 1)
    width, step, _ = outer.pop() if straight else (1, 1, 1)
    if len(outer) not in (1, 2) or not (few or width >= 8) or any(step < 0 for axis in outer for step in axis):
        return None
    (rows, x_row, y_row), *between = outer
    steps = {"x_inner": between[0][1], "y_inner": between[0][2]} if between else {}
    sizes = {"rows": rows, "width": width, "x_row": x_row, "y_row": y_row, **steps}
    return (between[0][0] if between else 1), step == 0, sizes
