"""Regions of interest on the CPU."""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import roi as kernels
from striate.cpu.layout import channels_last, plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.rules.pool import make_index
from striate.graph import Value


def sizes(x: Value, op: Any) -> tuple[Any, ...]:
    """C, H, W of the map, P, Q of the output, and the scale between image and map."""
    return (*x.shape[1:], *op.output_size, op.scale)


@rule(ops.RoIPool)
def roi_pool(low: Lowering, group: Group) -> None:
    node = group.node
    (x, boxes), (y, index) = node.inputs, node.outputs
    source, corners = low.need(x, channels_last(x.shape)), low.need(boxes, plain(boxes.shape))
    chain, places = low.chain(group, channels_last(y.shape))
    kernel = kernels.RoIPool(*sizes(x, node.op), chain=chain)
    low.call(kernel, N=x.shape[0], B=boxes.shape[0], x=source, boxes=corners, index=make_index(low, index, 4), **places)


@rule(ops.RoIPoolGradient)
def roi_pool_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, index, boxes), dx = node.inputs, node.output
    source, chosen = low.need(dy, channels_last(dy.shape)), low.need(index, channels_last(index.shape))
    corners, made = low.need(boxes, plain(boxes.shape)), low.make(dx, channels_last(dx.shape))
    kernel = kernels.RoIPoolGradient(*sizes(dx, node.op))
    low.call(kernel, N=dx.shape[0], B=boxes.shape[0], dy=source, index=chosen, boxes=corners, dx=made)


@rule(ops.RoIAlign)
def roi_align(low: Lowering, group: Group) -> None:
    node = group.node
    x, boxes = node.inputs
    source, corners = low.need(x, channels_last(x.shape)), low.need(boxes, plain(boxes.shape))
    chain, places = low.chain(group, channels_last(node.output.shape))
    kernel = kernels.RoIAlign(*sizes(x, node.op), sampling=node.op.sampling, aligned=node.op.aligned, chain=chain)
    low.call(kernel, N=x.shape[0], B=boxes.shape[0], x=source, boxes=corners, **places)


@rule(ops.RoIAlignGradient)
def roi_align_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, boxes), dx = node.inputs, node.output
    source, corners = low.need(dy, channels_last(dy.shape)), low.need(boxes, plain(boxes.shape))
    kernel = kernels.RoIAlignGradient(*sizes(dx, node.op), sampling=node.op.sampling, aligned=node.op.aligned)
    low.call(kernel, N=dx.shape[0], B=boxes.shape[0], dy=source, boxes=corners, dx=low.make(dx, channels_last(dx.shape)))
