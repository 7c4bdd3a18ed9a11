"""Convolution on the CPU: the choice of algorithm, tile and layout for the operators, over one, two or three axes.

Axes that a convolution has not have one pixel and a window of one tap; memory does not know the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels.conv_direct import ConvDirect, Depth, Taps, tile_for
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.conv_weights_rows import ConvWeightsRows
from striate.cpu.kernels.conv_winograd import ConvWinograd, Pads, WinogradFilter, balanced, winograd_for
from striate.cpu.kernels.depthwise import Depthwise, DepthwisePhases, DepthwiseWeights
from striate.cpu.kernels.gemm import Gemm, GemmWeights
from striate.cpu.kernels.gemm_strassen import GemmStrassen, Met, StrassenWeights
from striate.cpu.kernels.pack import AddParts
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.scratch import round_up
from striate.cpu.kernels.strassen_cost import strassen_for
from striate.cpu.kernels.tally import PARTS
from striate.cpu.kernels.winograd import FOUR
from striate.cpu.kernels.winograd_cost import winograd_form, winograd_pays
from striate.cpu.kernels.winograd_lines import lines_for
from striate.cpu.kernels.winograd_lines_weights import WinogradLinesWeights, lines_weights_pay
from striate.cpu.kernels.winograd_weights import WinogradWeights, winograd_weights_for, winograd_weights_pays
from striate.cpu.layout import Packed, channels_last
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.graph import Value
from striate.kernel.language import narrow
from striate.window import Window

FROM_MEMORY = 2**23
"""Bytes of an array that comes from memory, or from the far end of the last-level cache: kernels ask for it ahead of time."""


def axes(size: Sequence[int]) -> tuple[int, int, int]:
    """(D, H, W) of one, two or three sizes.

    >>> axes((28, 28))
    (1, 28, 28)
    """
    d, h, w = (1, 1, *size)[-3:]
    return d, h, w


def window_axes(window: tuple[Window, ...]) -> tuple[Window, Window, Window]:
    """The windows of depth, height and width."""
    d, h, w = (Window(1), Window(1), *window)[-3:]
    return d, h, w


def weight_form(low: Lowering, weight: tuple[int, ...], groups: int, turned: bool = False) -> Packed:
    """The packed form of convolution weights (K, C/G, R, S) on this machine; depthwise ones run along the lanes.

    The depth taps of a convolution in space count as rows: (K, C/G, T*R, S).
    """
    (K, C), (T, rows, S) = weight[:2], axes(weight[2:])
    R = T * rows
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


def pixels_met(x: Sequence[int], y: Sequence[int], op: Any) -> Met | None:
    """The pixels that a 1x1 convolution with strides meets, which are the rows of a matrix product."""
    slices, rows, columns = window_axes(op.window)
    if op.groups > 1 or slices != Window(1) or any(w.size > 1 or w.pads != (0, 0) for w in (rows, columns)):
        return None
    (_, H, W), (_, P, Q) = axes(x[2:]), axes(y[2:])
    return Met(P, Q, H * W, rows.stride * W, columns.stride) if (P, Q) != (H, W) else None


@rule(ops.Conv1d, ops.Conv2d, ops.Conv3d)
def convolution(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, weight, *bias) = node.op, node.inputs
    form = weight_form(low, weight.shape, op.groups)
    source, w = low.need(x, channels_last(x.shape)), low.need(weight, form)
    y = node.output
    chain, places = low.chain(group, channels_last(y.shape), bias=bias[0] if bias else None)
    (N, C), K, (_, H, W), (_, P, Q) = x.shape[:2], y.shape[1], axes(x.shape[2:]), axes(y.shape[2:])
    rows, met = (N, math.prod(y.shape[2:])), pixels_met(x.shape, y.shape, op)
    if pointwise_convolution(op.window, op.groups) or (met and strassen(low, weight, form, rows, chain, met)):
        matrix_product(low, weight, form, rows, source, w, chain, places, met)
        return
    fixed = is_fixed(low, weight)
    if winograd_fits(low, op.window, op.groups) and winograd_pays(C, K, P, Q, N, fixed):
        points = winograd_form(C, K, P, Q, N) if fixed else FOUR
        kernel = balanced(winograd_for(low.machine, C, H, W, K, pads_of(op.window), chain, points), N, low.threads)
        _winograd(low, kernel, WinogradFilter(C, K, form.lanes, form=points), w, N=N, x=source, **places)
        return
    taps = tuple(taps_of(v) for v in window_axes(op.window))
    _direct(low, direct(low, x.shape, y.shape, op, taps, chain=chain), N, weight, source, w, places)


def taps_of(window: Window) -> Taps:
    """The taps of a forward convolution."""
    return Taps(window.size, -window.pads[0], window.dilation, window.stride)


def direct(low: Lowering, x: Sequence[int], y: Sequence[int], op: Any, taps: Sequence[Taps], **more: Any) -> ConvDirect:
    """The direct kernel from shape x to shape y: depthwise where every channel has its own window."""
    (C, K), (D, H, W), (O, P, Q) = (x[1], y[1]), axes(x[2:]), axes(y[2:])
    T, R, S = (w.size for w in window_axes(op.window))
    slices, rows, columns = taps
    more = {"depth": Depth(D, O, T, slices, O)} | more
    sizes = C, H, W, K, P, Q, (R, S), rows, columns, op.groups
    if C == K == op.groups > 1:
        far = 4 * math.prod(x) >= FROM_MEMORY
        return Depthwise(*sizes, lanes=narrow(C, low.machine.lanes), pixels=min(8, Q), ahead=far, **more)
    lanes, pixels, vectors = tile_for(low.machine, Q, K // op.groups, columns.count)
    return ConvDirect(*sizes, lanes=lanes, pixels=pixels, vectors=vectors, **more)


def strassen(low: Lowering, weight: Value, form: Packed, rows: tuple[int, int], chain: Chain,
             met: Met | None = None) -> GemmStrassen | None:
    """The kernel for (images, rows of each), where it pays and its rounding is allowed."""
    C, K = (form.K, form.C) if form.turned else (form.C, form.K)
    return None if low.precise else strassen_for(low.machine, *rows, C, K, is_fixed(low, weight), chain, met)


def matrix_product(low: Lowering, weight: Value, form: Packed, rows: tuple[int, int], x: Buffer, w: Buffer, chain: Chain,
                   places: dict[str, Buffer], met: Met | None = None) -> None:
    """All rows (images, rows of each) times packed weights, by Strassen's algorithm where it pays."""
    C, K = (form.K, form.C) if form.turned else (form.C, form.K)
    M, fast = math.prod(rows), strassen(low, weight, form, rows, chain, met)
    if fast is None:
        low.call(_gemm(low, C, K, form.lanes, M, chain), M=M, x=x, w=w, **places)
        return
    right = StrassenWeights(C, K, form.lanes, fast.vectors)
    u, scratch = low.buffer("strassen.weights", right.u_floats()), low.buffer("scratch", fast.scratch_floats() * low.threads)
    low.call(right, w=w, u=u)
    low.call(fast, M=M, x=x, u=u, scratch=scratch, **places)


def _gemm(low: Lowering, C: int, K: int, lanes: int, rows: int, chain) -> Gemm:
    """The product of so many rows. Heavy weights are read once for a block of up to 8 tiles, all blocks alike; what few rows
    read but once is heavy sooner."""
    _, pixels, vectors = tile_for(low.machine, max(rows, 8), K, 1)
    tiles = -(-rows // pixels)
    heavy = C * K > (2**17 if tiles <= 8 else 2**19)
    return Gemm(C, K, lanes, pixels, vectors, -(-tiles // -(-tiles // 8)) if heavy else 1, chain)


def winograd_fits(low: Lowering, window: tuple[Window, ...], groups: int) -> bool:
    """Whether Winograd's algorithm can compute a convolution: 3x3, stride 1, and its rounding is allowed."""
    plain = len(window) == 2 and all((w.size, w.stride, w.dilation) == (3, 1, 1) and max(w.pads) <= 2 for w in window)
    return plain and groups == 1 and not low.precise


def is_fixed(low: Lowering, weight: Value) -> bool:
    """Whether a parameter stays as it is from run to run, so that what is made of it can be made once."""
    return weight in low.graph.sources and weight not in low.graph.updates


def pads_of(window: tuple[Window, ...]) -> Pads:
    return window[0].pads, window[1].pads


def _winograd(low: Lowering, kernel: ConvWinograd, filters: WinogradFilter, w: Buffer, **places: Buffer | int) -> None:
    """The filter brought to Winograd's points, then the convolution."""
    u = low.buffer("winograd.filter", filters.u_floats())
    low.call(filters, w=w, u=u)
    low.call(kernel, u=u, scratch=low.buffer("scratch", kernel.scratch_floats() * low.threads), **places)


def _direct(low: Lowering, conv: ConvDirect, N: int, source: Value, x: Buffer, w: Buffer, places: dict[str, Buffer],
            partial: bool = False) -> None:
    """A direct convolution with the parameter `source`, by Winograd's points down its lines where this pays."""
    kernel = None if low.precise or type(conv) is not ConvDirect else lines_for(conv, N, is_fixed(low, source))
    if kernel is None:
        low.call(conv, partial, N=N, x=x, w=w, **places)
        return
    u = low.buffer("winograd.filter", kernel.filter.floats())
    low.call(kernel.filter, w=w, u=u)
    scratch = low.buffer("scratch", kernel.scratch_floats() * low.threads)
    low.call(kernel, partial, N=N, x=x, u=u, scratch=scratch, **places)


@rule(ops.Conv1dInputGradient, ops.Conv2dInputGradient, ops.Conv3dInputGradient,
      ops.ConvTranspose1d, ops.ConvTranspose2d, ops.ConvTranspose3d)
def input_gradient(low: Lowering, group: Group) -> None:
    """A transposed convolution is the input gradient of a convolution, with a bias."""
    node = group.node
    op, (dy, weight, *bias) = node.op, node.inputs
    home = weight_form(low, weight.shape, op.groups)
    packed, source = low.need(weight, home), low.need(dy, channels_last(dy.shape))
    (N, K), C, (_, H, W), (_, P, Q) = dy.shape[:2], node.output.shape[1], axes(node.output.shape[2:]), axes(dy.shape[2:])
    chain, places = low.chain(group, channels_last(node.output.shape), bias=bias[0] if bias else None)
    if winograd_fits(low, op.window, op.groups) and winograd_pays(K, C, H, W, N, is_fixed(low, weight)):
        (top, bottom), (left, right) = pads_of(op.window)
        pads = (2 - top, 2 - bottom), (2 - left, 2 - right)
        kernel = balanced(winograd_for(low.machine, K, P, Q, C, pads, chain), N, low.threads)
        _winograd(low, kernel, WinogradFilter(C, K, home.lanes, True, kernel.lanes), packed, N=N, x=source, **places)
        return
    form = weight_form(low, weight.shape, op.groups, turned=True)  # the same for a depthwise filter, which has nothing to turn
    w = low.need(weight, form)
    if pointwise_convolution(op.window, op.groups):
        matrix_product(low, weight, form, (N, math.prod(dy.shape[2:])), source, w, chain, places)
        return
    kernels = list(phases(low, op, dy.shape, node.output.shape, chain))
    by_channel = tuple(kernel for kernel in kernels if isinstance(kernel, Depthwise))
    if len(by_channel) > 1:
        low.call(DepthwisePhases(by_channel), N=N, x=source, w=w, **places)
        return
    for kernel in kernels:
        _direct(low, kernel, N, weight, source, w, places, partial=True)


def phases(low: Lowering, op: Any, dy: Sequence[int], dx: Sequence[int], chain: Chain) -> Iterator[ConvDirect]:
    """One kernel for each phase of the strides: the pixels first, first + stride, ... of every axis of dx."""
    window, size = window_axes(op.window), axes(dx[2:])
    strides = tuple(w.stride for w in window)
    for first in product(*(range(min(s, n)) for s, n in zip(strides, size, strict=True))):
        part = [-(-(n - a) // s) for n, a, s in zip(size, first, strides, strict=True)]
        taps = tuple(phase(w, a) for w, a in zip(window, first, strict=True))
        depth = Depth(axes(dy[2:])[0], part[0], window[0].size, taps[0], size[0], strides[0], first[0])
        yield direct(low, dy, (dx[0], dx[1], *part), op, taps, out_size=size[1:], out_step=strides[1:], out_first=first[1:],
                     chain=chain, depth=depth)


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


@rule(ops.Conv1dWeightGradient, ops.Conv2dWeightGradient, ops.Conv3dWeightGradient)
def weight_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, dy) = node.op, node.inputs
    form = weight_form(low, node.output.shape, op.groups)
    source, gradient = low.need(x, channels_last(x.shape)), low.need(dy, channels_last(dy.shape))
    (N, C), K, (D, H, W), (_, P, Q) = x.shape[:2], dy.shape[1], axes(x.shape[2:]), axes(dy.shape[2:])
    if winograd_fits(low, op.window, op.groups) and winograd_weights_pays(C, K, P, Q, N):
        wide = winograd_weights_for(low.machine, C, H, W, K, pads_of(op.window), N)
        with_scratch(low, node.output, form, wide, N=N, x=source, dy=gradient)
        return
    conv = direct(low, x.shape, dy.shape, op, tuple(taps_of(v) for v in window_axes(op.window)))
    if isinstance(conv, Depthwise):
        with_parts(low, node.output, form, PARTS,
                   lambda dw: low.call(DepthwiseWeights(conv, PARTS), N=N, x=source, dy=gradient, dw=dw))
        return
    if rows_pay(op.groups, C, form, source.bytes + gradient.bytes):
        if pointwise_convolution(op.window, op.groups):
            D, (H, W) = 1, strips(D * H * W)
            P = H
        kernel = weights_rows(low, form, (C, H, W, K), op.window, D, N * P)
        with_scratch(low, node.output, form, kernel, N=N, x=source, dy=gradient)
        return
    if pointwise_convolution(op.window, op.groups):
        gemm_weights(low, node.output, form, x.spec.size // C, C, K, source, gradient)
        return
    parts = PARTS if form.size <= 2**15 else 1
    taps, vectors = weight_tile(low, form)
    slices, height, width = window_axes(op.window)
    kernel = ConvWeights(C, H, W, K, (height, width), op.groups, form.lanes, taps, vectors, parts, D, slices)
    if not low.precise and parts > 1 and lines_weights_pay(kernel, N):
        with_scratch(low, node.output, form, WinogradLinesWeights(kernel), N=N, x=source, dy=gradient)
        return
    with_parts(low, node.output, form, parts, lambda dw: low.call(kernel, N=N, x=source, dy=gradient, dw=dw))


def rows_pay(groups: int, C: int, form: Packed, read: int) -> bool:
    """Whether copying rows for a weight gradient pays: enough products share a copy, and there is more than one vector of dy.

    read: bytes of x and dy. Measured: from 2 MB on copies that several taps share are up to 1.6 times as fast, and those of one
    tap from 4 MB on; what is less stays in the caches, and kernels that read it where it lies are faster by up to a fifth.
    """
    least, from_memory = (96, 2**21) if form.S > 1 else (64, 2**22)
    return groups == 1 and C * form.S >= least and form.blocks > 1 and read >= from_memory


def strips(pixels: int) -> tuple[int, int]:
    """(height, width) of an image whose lines may be cut anew, as those of a pointwise convolution: about 32 pixels wide.

    >>> strips(56 * 56), strips(7 * 7), strips(13 * 13)
    ((98, 32), (1, 49), (13, 13))
    """
    widths = [n for n in range(min(8, pixels), pixels + 1) if pixels % n == 0]
    width = min(widths, key=lambda n: abs(math.log(n / 32)))
    return pixels // width, width


def weights_rows(low: Lowering, form: Packed, sizes: tuple[int, int, int, int], window: tuple[Window, ...], D: int,
                 lines: int) -> ConvWeightsRows:
    """The kernel, and how its work is cut: as few tasks as keep all threads busy, for each copies rows anew."""
    channels, vectors = (8, 2) if low.machine.registers >= 32 else (4, 2)
    parts = PARTS if form.size <= 2**14 and lines >= 2 * PARTS else 1
    columns, C = -(-form.blocks // vectors), sizes[0]
    slices, height, width = window_axes(window)
    block = round_up(-(-C // max(1, round(C / 256))), channels)
    whole = ConvWeightsRows(*sizes, (height, width), form.lanes, channels, vectors, block, columns, parts, D, slices)
    tasks = parts * form.R * (1 if C % block else C // block)  # channels that are left over are shared by themselves
    runs = next((n for n in range(1, columns) if tasks * n % low.threads == 0 or tasks * n >= 8 * low.threads), columns)
    return replace(whole, wide=-(-columns // runs))


def weight_tile(low: Lowering, form: Packed) -> tuple[int, int]:
    """(taps, vectors) of a weight gradient's register tile.

    Few vectors of which the last is narrow go one by one: two widths that share a pixel spill sums.
    """
    if low.machine.registers < 32:
        return (4, 2) if form.blocks > 1 else (10, 1)
    if 1 < form.blocks <= 4 and narrow(form.K % form.lanes or form.lanes, form.lanes) < form.lanes:
        return 24, 1
    return (12, 2) if form.blocks > 1 else (14, 1)


def gemm_weights(low: Lowering, value: Value, form: Packed, rows: int, C: int, K: int, x: Buffer, dy: Buffer) -> None:
    """The weight gradient of a matrix product."""
    parts = PARTS if form.size <= 2**14 and rows >= 8 * PARTS else 1
    channels, vectors = weight_tile(low, form)
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


def with_scratch(low: Lowering, value: Value, form: Packed, kernel: WinogradWeights | WinogradLinesWeights | ConvWeightsRows,
                 **places: Buffer | int) -> None:
    """The same with a kernel that knows its parts and needs memory for each thread."""
    scratch = low.buffer("scratch", kernel.scratch_floats() * low.threads)
    with_parts(low, value, form, kernel.parts, lambda dw: low.call(kernel, dw=dw, scratch=scratch, **places))
