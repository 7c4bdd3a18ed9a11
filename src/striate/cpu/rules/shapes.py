"""Reshape and transpose are free: the same memory, read otherwise. Concat, slice, pad and expand are copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels.copy import Fill
from striate.cpu.layout import Layout, canonical, layout_of, plain, transposed
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.cpu.rules.convert import strided_copy
from striate.graph import Value


@rule(ops.Reshape)
def reshape(low: Lowering, group: Group) -> None:
    node = group.node
    for form, buffer in list(low.forms(node.inputs[0]).items()):
        if isinstance(form, Layout):
            low.alias(node.output, form, buffer)
    if not low.places.get(node.output):
        form = plain(node.inputs[0].shape)
        low.alias(node.output, form, low.need(node.inputs[0], form))


@rule(ops.Transpose)
def transpose(low: Lowering, group: Group) -> None:
    node = group.node
    x, axes = node.inputs[0], node.op.axes
    for form, buffer in list(low.forms(x).items()):
        turned = transposed(form, x.shape, axes) if isinstance(form, Layout) else None
        if turned is not None:
            low.alias(node.output, turned, buffer)
    if not low.places.get(node.output):
        turned = layout_of([x.shape[a] for a in axes], [axes.index(i) for i in range(x.ndim)])
        low.alias(node.output, turned, low.need(x, plain(x.shape)))


def axis_order(shape: Sequence[int]) -> list[int]:
    """The physical order in which copies are done: the canonical one of images, or row-major."""
    return [0, 2, 3, 1] if len(shape) == 4 and canonical(shape) != plain(shape) else list(range(len(shape)))


def copy(low: Lowering, x: Value, y: Value, order: Sequence[int], extents: Sequence[int], x_start: Sequence[int],
         x_step: Sequence[int], y_start: Sequence[int], y_step: Sequence[int], buffer) -> None:
    """y[y_start + i * y_step] = x[x_start + i * x_step] for all i below the extents, all by logical axis."""
    x_strides, y_strides = axis_strides(x.shape, order), axis_strides(y.shape, order)
    axes = [(extents[a], x_strides[a] * x_step[a], y_strides[a] * y_step[a]) for a in order if extents[a] != 1]
    strided_copy(low, x, axes or [(1, 1, 1)], low.need(x, layout_of(x.shape, order)), buffer,
                 sum(s * n for s, n in zip(x_start, x_strides, strict=True)),
                 sum(s * n for s, n in zip(y_start, y_strides, strict=True)), partial=tuple(extents) != y.shape)


def axis_strides(shape: Sequence[int], order: Sequence[int]) -> list[int]:
    """Elements between neighbours along each logical axis, for this physical order."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return strides


def result(low: Lowering, value: Value, order: Sequence[int]):
    return low.make(value, layout_of(value.shape, order))


def ones(shape: Sequence[int]) -> list[int]:
    return [1] * len(shape)


def zeros(shape: Sequence[int]) -> list[int]:
    return [0] * len(shape)


@rule(ops.Concat)
def concat(low: Lowering, group: Group) -> None:
    node = group.node
    y, axis = node.output, node.op.axis
    order = axis_order(y.shape)
    for x in node.inputs:
        low.need(x, layout_of(x.shape, order))
    made, start = result(low, y, order), 0
    for x in node.inputs:
        at = zeros(y.shape)
        at[axis] = start
        copy(low, x, y, order, x.shape, zeros(x.shape), ones(x.shape), at, ones(y.shape), made)
        start += x.shape[axis]


@rule(ops.Slice)
def slice_(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    order = axis_order(x.shape)
    low.need(x, layout_of(x.shape, order))
    copy(low, x, y, order, y.shape, node.op.starts, node.op.steps, zeros(y.shape), ones(y.shape), result(low, y, order))


@rule(ops.SliceGradient)
def slice_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, dx = node.inputs[0], node.output
    order = axis_order(dx.shape)
    low.need(dy, layout_of(dy.shape, order))
    made = result(low, dx, order)
    if all(step == 1 for step in node.op.steps):
        fill_around(low, dx, order, node.op.starts, dy.shape, 0.0, made)
    else:
        low.call(Fill(0.0), rows=dx.spec.size, y=made)
    copy(low, dy, dx, order, dy.shape, zeros(dy.shape), ones(dy.shape), node.op.starts, node.op.steps, made)


@rule(ops.Pad)
def pad(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    order = axis_order(y.shape)
    low.need(x, layout_of(x.shape, order))
    made, starts = result(low, y, order), [before for before, _ in node.op.pads]
    fill_around(low, y, order, starts, x.shape, float(node.op.value), made)
    copy(low, x, y, order, x.shape, zeros(x.shape), ones(x.shape), starts, ones(y.shape), made)


def fill_around(low: Lowering, y: Value, order: Sequence[int], starts: Sequence[int], extents: Sequence[int], number: float,
                made: Buffer) -> None:
    """Write a number around the box of `extents` that begins at `starts`: for each axis, outermost first, what lies below and
    above the box there, and inside of it on the axes before."""
    strides, source = axis_strides(y.shape, order), low.buffer("value", 1, np.dtype(y.dtype).itemsize, "constant")
    low.constants[source] = np.array([number], y.dtype)
    first, sizes = zeros(y.shape), list(y.shape)
    for axis in order:
        low_end, high_end = starts[axis], starts[axis] + extents[axis]
        for begin, end in ((0, low_end), (high_end, y.shape[axis])):
            if begin < end:
                box = [(end - begin if a == axis else sizes[a], 0, strides[a]) for a in order]
                offset = sum((begin if a == axis else first[a]) * strides[a] for a in order)
                strided_copy(low, y, [a for a in box if a[0] > 1] or [(1, 0, 1)], source, made, 0, offset, partial=True)
        first[axis], sizes[axis] = low_end, extents[axis]


@rule(ops.Flip)
def flip(low: Lowering, group: Group) -> None:
    node = group.node
    x, y, turned = node.inputs[0], node.output, node.op.axes
    order = axis_order(x.shape)
    low.need(x, layout_of(x.shape, order))
    starts = [n - 1 if a in turned else 0 for a, n in enumerate(x.shape)]
    copy(low, x, y, order, x.shape, starts, [-1 if a in turned else 1 for a in range(x.ndim)], zeros(y.shape), ones(y.shape),
         result(low, y, order))


@rule(ops.Expand)
def expand(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    aligned = (1,) * (y.ndim - x.ndim) + x.shape
    order = axis_order(y.shape)
    source = low.need(x, layout_of(aligned, order))
    x_strides, y_strides = axis_strides(aligned, order), axis_strides(y.shape, order)
    x_strides = [0 if aligned[a] == 1 else s for a, s in enumerate(x_strides)]
    axes = [(y.shape[a], x_strides[a], y_strides[a]) for a in order if y.shape[a] != 1]
    if axes:
        strided_copy(low, x, axes, source, result(low, y, order))
    else:
        low.alias(y, plain(y.shape), source)
