"""Pooling on the CPU."""

from __future__ import annotations

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import pool as kernels
from striate.cpu.kernels import pool_adaptive as adaptive
from striate.cpu.layout import channels_last
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.graph import Value
from striate.window import Window2d


def tap_type(low: Lowering, tap: Value, window: Window2d) -> str:
    """The narrowest element that numbers every tap of a window; users see whole words."""
    return "u8" if window[0].size * window[1].size <= 256 and tap not in low.graph.outputs else "i32"


def make_index(low: Lowering, value: Value, item: int) -> Buffer:
    """Memory for whole numbers that only the operator's gradient reads; they lie as the gradient wants them."""
    made = low.buffer(value.name, value.spec.size, item)
    low.alias(value, channels_last(value.shape), made)
    return made


def is_read(low: Lowering, value: Value) -> bool:
    return value in low.graph.users() or value in low.graph.outputs


@rule(ops.MaxPool2d)
def max_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x, (y, tap) = node.inputs[0], node.outputs
    N, C, H, W = x.shape
    source = low.need(x, channels_last(x.shape))
    kind = tap_type(low, tap, node.op.window) if is_read(low, tap) else ""
    chain, places = low.chain(group, channels_last(y.shape))
    extra = {"tap": make_index(low, tap, 1 if kind == "u8" else 4)} if kind else {}
    low.call(kernels.MaxPool(C, H, W, node.op.window, chain, kind), N=N, x=source, **places, **extra)


@rule(ops.MaxPool2dGradient)
def max_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, tap = node.inputs
    N, C, H, W = node.output.shape
    source, index = low.need(dy, channels_last(dy.shape)), low.need(tap, channels_last(tap.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = kernels.MaxPoolGradient(C, H, W, node.op.window, tap_type(low, tap, node.op.window), chain)
    low.call(kernel, N=N, dy=source, tap=index, **places)


@rule(ops.AvgPool2d)
def avg_pool(low: Lowering, group: Group) -> None:
    node = group.node
    op, x = node.op, node.inputs[0]
    N, C, H, W = x.shape
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(kernels.AvgPool(C, H, W, op.window, op.count_include_pad, op.divisor, chain), N=N, x=source, **places)


@rule(ops.AvgPool2dGradient)
def avg_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, dy = node.op, node.inputs[0]
    N, C, H, W = node.output.shape
    source = low.need(dy, channels_last(dy.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(kernels.AvgPoolGradient(C, H, W, op.window, op.count_include_pad, op.divisor, chain), N=N, dy=source, **places)


@rule(ops.AdaptiveAvgPool2d)
def adaptive_avg_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x = node.inputs[0]
    (N, C, H, W), (P, Q) = x.shape, node.op.output_size
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(adaptive.AdaptiveAvgPool(C, H, W, P, Q, chain), N=N, x=source, **places)


@rule(ops.AdaptiveAvgPool2dGradient)
def adaptive_avg_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy = node.inputs[0]
    (N, C, H, W), (P, Q) = node.output.shape, dy.shape[2:]
    source = low.need(dy, channels_last(dy.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    low.call(adaptive.AdaptiveAvgPoolGradient(C, H, W, P, Q, chain), N=N, dy=source, **places)


@rule(ops.AdaptiveMaxPool2d)
def adaptive_max_pool(low: Lowering, group: Group) -> None:
    node = group.node
    x, (y, index) = node.inputs[0], node.outputs
    (N, C, H, W), (P, Q) = x.shape, node.op.output_size
    source = low.need(x, channels_last(x.shape))
    chain, places = low.chain(group, channels_last(y.shape))
    kernel = adaptive.AdaptiveMaxPool(C, H, W, P, Q, chain)
    low.call(kernel, N=N, x=source, index=make_index(low, index, 4), **places)


@rule(ops.AdaptiveMaxPool2dGradient)
def adaptive_max_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, index = node.inputs
    (N, C, H, W), (P, Q) = node.output.shape, dy.shape[2:]
    source, chosen = low.need(dy, channels_last(dy.shape)), low.need(index, channels_last(index.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = adaptive.AdaptiveMaxPoolGradient(C, H, W, P, Q, chain)
    low.call(kernel, N=N, dy=source, index=chosen, **places)
