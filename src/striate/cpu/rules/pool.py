"""Pooling on the CPU."""

from __future__ import annotations

import math

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import pool as kernels
from striate.cpu.kernels import pool_adaptive as adaptive
from striate.cpu.kernels import unpool
from striate.cpu.kernels.copy import Fill
from striate.cpu.kernels.pool_stochastic import StochasticPool
from striate.cpu.layout import channels_last, plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.graph import Value
from striate.window import Window

INDEX = {"int32": "i32", "int64": "i64"}
"""Whole numbers in the kernel language."""


def tap_type(low: Lowering, tap: Value, window: tuple[Window, ...]) -> str:
    """The narrowest element that numbers every tap of a window, and one more; users see whole words."""
    return "u8" if math.prod(w.size for w in window) < 256 and tap not in low.graph.outputs else "i32"


def make_index(low: Lowering, value: Value, item: int) -> Buffer:
    """Memory for whole numbers that only the operator's gradient reads; they lie as the gradient wants them."""
    made = low.buffer(value.name, value.spec.size, item)
    low.alias(value, channels_last(value.shape), made)
    return made


def is_read(low: Lowering, value: Value) -> bool:
    return value in low.graph.users() or value in low.graph.outputs


@rule(ops.MaxPool1d, ops.MaxPool2d, ops.MaxPool3d)
def max_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x, (y, tap) = node.inputs[0], node.outputs
    N, C, *size = x.shape
    source = low.need(x, channels_last(x.shape))
    kind = tap_type(low, tap, node.op.window) if is_read(low, tap) else ""
    chain, places = low.chain(group, channels_last(y.shape))
    extra = {"tap": make_index(low, tap, 1 if kind == "u8" else 4)} if kind else {}
    low.call(kernels.MaxPool(C, tuple(size), node.op.window, chain, kind), N=N, x=source, **places, **extra)


@rule(ops.MaxPool1dGradient, ops.MaxPool2dGradient, ops.MaxPool3dGradient)
def max_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, tap = node.inputs
    N, C, *size = node.output.shape
    source, index = low.need(dy, channels_last(dy.shape)), low.need(tap, channels_last(tap.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = kernels.MaxPoolGradient(C, tuple(size), node.op.window, tap_type(low, tap, node.op.window), chain)
    low.call(kernel, N=N, dy=source, tap=index, **places)


@rule(ops.AvgPool1d, ops.AvgPool2d, ops.AvgPool3d)
def avg_pool(low: Lowering, group: Group) -> None:
    node = group.node
    op, x = node.op, node.inputs[0]
    N, C, *size = x.shape
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(kernels.AvgPool(C, tuple(size), op.window, op.count_include_pad, op.divisor, chain), N=N, x=source, **places)


@rule(ops.AvgPool1dGradient, ops.AvgPool2dGradient, ops.AvgPool3dGradient)
def avg_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, dy = node.op, node.inputs[0]
    N, C, *size = node.output.shape
    source = low.need(dy, channels_last(dy.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = kernels.AvgPoolGradient(C, tuple(size), op.window, op.count_include_pad, op.divisor, chain)
    low.call(kernel, N=N, dy=source, **places)


@rule(ops.AdaptiveAvgPool1d, ops.AdaptiveAvgPool2d, ops.AdaptiveAvgPool3d)
def adaptive_avg_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x = node.inputs[0]
    N, C, *size = x.shape
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(adaptive.AdaptiveAvgPool(C, tuple(size), node.op.output_size, chain), N=N, x=source, **places)


@rule(ops.AdaptiveAvgPool1dGradient, ops.AdaptiveAvgPool2dGradient, ops.AdaptiveAvgPool3dGradient)
def adaptive_avg_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy = node.inputs[0]
    N, C, *size = node.output.shape
    source = low.need(dy, channels_last(dy.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(adaptive.AdaptiveAvgPoolGradient(C, tuple(size), dy.shape[2:], chain), N=N, dy=source, **places)


@rule(ops.AdaptiveMaxPool1d, ops.AdaptiveMaxPool2d, ops.AdaptiveMaxPool3d)
def adaptive_max_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x, (y, index) = node.inputs[0], node.outputs
    N, C, *size = x.shape
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(y.shape))
    kernel = adaptive.AdaptiveMaxPool(C, tuple(size), node.op.output_size, chain)
    low.call(kernel, N=N, x=source, index=make_index(low, index, 4), **places)


@rule(ops.AdaptiveMaxPool1dGradient, ops.AdaptiveMaxPool2dGradient, ops.AdaptiveMaxPool3dGradient)
def adaptive_max_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, index = node.inputs
    N, C, *size = node.output.shape
    source, chosen = low.need(dy, channels_last(dy.shape)), low.need(index, channels_last(index.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = adaptive.AdaptiveMaxPoolGradient(C, tuple(size), dy.shape[2:], chain)
    low.call(kernel, N=N, dy=source, index=chosen, **places)


@rule(ops.TapIndex)
def tap_index(low: Lowering, group: Group) -> None:
    node = group.node
    op, tap = node.op, node.inputs[0]
    kernel = unpool.TapIndex(tap.shape[1], op.input_size, op.window, tap_type(low, tap, op.window))
    source = low.need(tap, channels_last(tap.shape))
    low.call(kernel, N=tap.shape[0], tap=source, index=low.make(node.output, channels_last(tap.shape)))


@rule(ops.MaxUnpool)
def max_unpool(low: Lowering, group: Group) -> None:
    node = group.node
    (x, index), y = node.inputs, node.output
    form, made = channels_last(x.shape), low.make(y, channels_last(y.shape))
    kernel = unpool.MaxUnpool(x.shape[1], math.prod(x.shape[2:]), math.prod(y.shape[2:]), INDEX[index.dtype])
    low.call(Fill(0.0), rows=y.spec.size, y=made)
    low.call(kernel, partial=True, N=x.shape[0], x=low.need(x, form), index=low.need(index, form), y=made)


@rule(ops.MaxUnpoolGradient)
def max_unpool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, index), dx = node.inputs, node.output
    form, places = channels_last(dx.shape), (math.prod(dx.shape[2:]), math.prod(dy.shape[2:]))
    source, chosen = low.need(dy, channels_last(dy.shape)), low.need(index, form)
    chain, made = low.chain(group, form)
    kernel = unpool.MaxUnpoolGradient(dx.shape[1], *places, INDEX[index.dtype], chain)
    low.call(kernel, N=dx.shape[0], dy=source, index=chosen, **made)


@rule(ops.StochasticPool2d)
def stochastic_pool(low: Lowering, group: Group) -> None:
    node = group.node
    (x, random), (y, tap) = node.inputs, node.outputs
    N, C, *size = x.shape
    source, key = low.need(x, channels_last(x.shape)), low.need(random, plain(random.shape))
    kind = tap_type(low, tap, node.op.window)
    chain, places = low.chain(group, channels_last(y.shape))
    kernel = StochasticPool(C, tuple(size), node.op.window, node.op.stream, chain, kind)
    index = make_index(low, tap, 1 if kind == "u8" else 4)
    low.call(kernel, N=N, x=source, random=key, tap=index, **places)
