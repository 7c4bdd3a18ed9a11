"""Convolution on the CPU: the choice of algorithm, tile and layout for the three operators."""

from __future__ import annotations

import math
from typing import Any

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels.conv_direct import ConvDirect, Taps, tile_for
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.conv_winograd import ConvWinograd, Pads, WinogradFilter, winograd_for, winograd_pays
from striate.cpu.kernels.depthwise import Depthwise, DepthwiseWeights
from striate.cpu.kernels.gemm import Gemm, GemmWeights
from striate.cpu.kernels.pack import AddParts
from striate.cpu.kernels.winograd_weights import winograd_weights_for, winograd_weights_pays
from striate.cpu.layout import Packed, channels_last
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.graph import Value
from striate.kernel.language import narrow
from striate.window import Window

PARTS = 16
"""Into how many parts a batch is cut where gradients are summed over it: fixed, so that the bits do not depend on threads."""


def weight_form(low: Lowering, weight: tuple[int, ...], groups: int, turned: bool = False) -> Packed:
    """The packed form of convolution weights (K, C/G, R, S) on this machine; depthwise ones run along the lanes."""
    K, C, R, S = weight
    if depthwise(weight, groups):
        return Packed(1, K, 1, R, S, narrow(K, low.machine.lanes))
    channels = C if turned else K // groups
    return Packed(groups, K // groups, C, R, S, narrow(channels, low.machine.lanes), turned)


def depthwise(weight: tuple[int, ...], groups: int) -> bool:
    """One window for each channel."""
    return weight[0] == groups > 1 == weight[1]


def pointwise_convolution(window: tuple[Window, ...], groups: int) -> bool:
    """A 1x1 convolution with stride 1: a matrix product over pixels."""
    return groups == 1 and all(w.size == w.stride == 1 and w.pads == (0, 0) for w in window)


@rule(ops.Conv2d)
def conv2d(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, weight, *bias) = node.op, node.inputs
    form = weight_form(low, weight.shape, op.groups)
    _, C, H, W = x.shape
    N, K, P, Q = node.output.shape
    source, w = low.need(x, channels_last(x.shape)), low.need(weight, form)
    chain, places = low.chain(group, channels_last(node.output.shape), bias=bias[0] if bias else None)
    if pointwise_convolution(op.window, op.groups):
        low.call(_gemm(low, C, K, form.lanes, N * P * Q, chain), M=N * P * Q, x=source, w=w, **places)
        return
    if winograd_fits(low, op.window, op.groups) and winograd_pays(C, K, P, Q, filter_batch(low, weight, N)):
        kernel = winograd_for(low.machine, C, H, W, K, pads_of(op.window), chain)
        _winograd(low, kernel, WinogradFilter(C, K, form.lanes), w, N=N, x=source, **places)
        return
    height, width = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in op.window)
    kernel = direct(low, (C, H, W, K, P, Q), op, height, width, chain=chain)
    low.call(kernel, N=N, x=source, w=w, **places)


def direct(low: Lowering, sizes: tuple[int, int, int, int, int, int], op: Any, rows: Taps, columns: Taps,
           **more: Any) -> ConvDirect:
    """The direct kernel for sizes (C, H, W, K, P, Q): depthwise where every channel has its own window."""
    C, _, _, K, _, Q = sizes
    window = op.window[0].size, op.window[1].size
    if C == K == op.groups > 1:
        lanes = narrow(C, low.machine.lanes)
        return Depthwise(*sizes, window, rows, columns, op.groups, lanes=lanes, pixels=min(8, Q), **more)
    lanes, pixels, vectors = tile_for(low.machine, Q, K // op.groups, columns.count)
    return ConvDirect(*sizes, window, rows, columns, op.groups, lanes=lanes, pixels=pixels, vectors=vectors, **more)


def _gemm(low: Lowering, C: int, K: int, lanes: int, rows: int, chain) -> Gemm:
    _, pixels, vectors = tile_for(low.machine, max(rows, 8), K, 1)
    return Gemm(C, K, lanes, pixels, vectors, block=8 if rows > 1024 else 1, chain=chain)


def winograd_fits(low: Lowering, window: tuple[Window, ...], groups: int) -> bool:
    """Whether Winograd's algorithm can compute a convolution: 3x3, stride 1, and its rounding is allowed."""
    plain = all((w.size, w.stride, w.dilation) == (3, 1, 1) and max(w.pads) <= 2 for w in window)
    return plain and groups == 1 and not low.precise


def filter_batch(low: Lowering, weight: Value, N: int) -> int | None:
    """The images that share the work of bringing a filter to Winograd's points; None where it is done once for all runs."""
    fixed = weight in low.graph.sources and weight not in low.graph.updates
    return None if fixed else N


def pads_of(window: tuple[Window, ...]) -> Pads:
    return window[0].pads, window[1].pads


def _winograd(low: Lowering, kernel: ConvWinograd, filters: WinogradFilter, w: Buffer, **places: Buffer | int) -> None:
    """The filter brought to Winograd's points, then the convolution."""
    u = low.buffer("winograd.filter", filters.u_floats())
    low.call(filters, w=w, u=u)
    low.call(kernel, u=u, scratch=low.buffer("scratch", kernel.scratch_floats() * low.threads), **places)


@rule(ops.Conv2dInputGradient)
def input_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dy, weight) = node.op, node.inputs
    home = weight_form(low, weight.shape, op.groups)
    packed = low.need(weight, home)
    source = low.need(dy, channels_last(dy.shape))
    N, K, P, Q = dy.shape
    _, C, H, W = node.output.shape
    chain, places = low.chain(group, channels_last(node.output.shape))
    if winograd_fits(low, op.window, op.groups) and winograd_pays(K, C, H, W, filter_batch(low, weight, N)):
        (top, bottom), (left, right) = pads_of(op.window)
        pads = (2 - top, 2 - bottom), (2 - left, 2 - right)
        kernel = winograd_for(low.machine, K, P, Q, C, pads, chain)
        _winograd(low, kernel, WinogradFilter(C, K, home.lanes, True, kernel.lanes), packed, N=N, x=source, **places)
        return
    form = weight_form(low, weight.shape, op.groups, turned=True)  # the same for a depthwise filter, which has nothing to turn
    w = low.need(weight, form)
    if pointwise_convolution(op.window, op.groups):
        low.call(_gemm(low, K, C, form.lanes, N * H * W, chain), M=N * H * W, x=source, w=w, **places)
        return
    height, width = op.window
    for first_h in range(min(height.stride, H)):
        for first_w in range(min(width.stride, W)):
            rows, columns = phase(height, first_h), phase(width, first_w)
            p, q = -(-(H - first_h) // height.stride), -(-(W - first_w) // width.stride)
            kernel = direct(low, (K, P, Q, C, p, q), op, rows, columns, out_size=(H, W), out_step=(height.stride, width.stride),
                            out_first=(first_h, first_w), chain=chain)
            low.call(kernel, N=N, x=source, w=w, **places)


def phase(window: Window, first: int) -> Taps:
    """The taps that meet input pixels first, first + stride, ...: output pixel a*1 + ... of dy, farthest tap first.

    >>> phase(Window(3, stride=2, pads=(1, 1)), 0)
    Taps(count=1, first=0, gap=1, step=1, weight=1, turn=-2)
    """
    met = [r for r in range(window.size) if (first + window.pads[0] - r * window.dilation) % window.stride == 0]
    if not met:
        return Taps(0, 0, 1, 1)
    common = math.gcd(window.stride, window.dilation)
    start = (first + window.pads[0] - met[-1] * window.dilation) // window.stride
    return Taps(len(met), start, window.dilation // common, 1, met[-1], -(window.stride // common))


@rule(ops.Conv2dWeightGradient)
def weight_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, dy) = node.op, node.inputs
    form = weight_form(low, node.output.shape, op.groups)
    source, gradient = low.need(x, channels_last(x.shape)), low.need(dy, channels_last(dy.shape))
    N, C, H, W = x.shape
    _, K, P, Q = dy.shape
    if pointwise_convolution(op.window, op.groups):
        gemm_weights(low, node.output, form, N * H * W, C, K, source, gradient)
        return
    if winograd_fits(low, op.window, op.groups) and winograd_weights_pays(C, K, P, Q, N):
        wide = winograd_weights_for(low.machine, C, H, W, K, pads_of(op.window), N)
        scratch = low.buffer("scratch", wide.scratch_floats() * low.threads)
        with_parts(low, node.output, form, wide.parts,
                   lambda dw: low.call(wide, N=N, x=source, dy=gradient, dw=dw, scratch=scratch))
        return
    if depthwise(node.output.shape, op.groups):
        height, width = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in op.window)
        kernel = DepthwiseWeights(direct(low, (C, H, W, K, P, Q), op, height, width), PARTS)
        with_parts(low, node.output, form, PARTS, lambda dw: low.call(kernel, N=N, x=source, dy=gradient, dw=dw))
        return
    parts = PARTS if form.size <= 2**15 else 1
    taps, vectors = weight_tile(low, form.blocks)
    kernel = ConvWeights(C, H, W, K, op.window, op.groups, form.lanes, taps, vectors, parts)
    with_parts(low, node.output, form, parts, lambda dw: low.call(kernel, N=N, x=source, dy=gradient, dw=dw))


def weight_tile(low: Lowering, blocks: int) -> tuple[int, int]:
    """(taps, vectors) of a weight gradient's register tile."""
    if low.machine.registers < 32:
        return (4, 2) if blocks > 1 else (10, 1)
    return (12, 2) if blocks > 1 else (14, 1)


def gemm_weights(low: Lowering, value: Value, form: Packed, rows: int, C: int, K: int, x: Buffer, dy: Buffer) -> None:
    """The weight gradient of a matrix product."""
    parts = PARTS if form.size <= 2**14 and rows >= 8 * PARTS else 1
    channels, vectors = weight_tile(low, form.blocks)
    chunk = max(16, 2**16 // (C + K))
    kernel = GemmWeights(C, K, form.lanes, min(channels, C), vectors if form.blocks > 2 else 1, chunk, parts)
    with_parts(low, value, form, parts, lambda dw: low.call(kernel, M=rows, x=x, dy=dy, dw=dw))


def with_parts(low: Lowering, value: Value, form: Packed, parts: int, compute) -> None:
    """Compute a gradient in parts and add them, or at once."""
    if parts == 1:
        compute(low.make(value, form))
        return
    part = low.buffer(f"{value.name}.parts", parts * form.size)
    compute(part)
    low.call(AddParts(parts), size=form.size, part=part, y=low.make(value, form))
