"""Direct convolution and its two gradients against the operators, over windows, strides, dilations, pads, groups and tails."""

from itertools import product

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats, last

from striate import ops
from striate.cpu.kernels.conv_direct import ConvDirect, Depth, Taps, tile_for
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.layout import Packed
from striate.cpu.rules.conv import phase
from striate.kernel.language import narrow
from striate.window import windows

CASES = {  # (N, C, H, W, K, groups), window
    "one pixel": ((1, 1, 1, 1, 1, 1), windows(1)),
    "3 p1": ((2, 5, 7, 6, 17, 1), windows(3, 1, 1)),
    "3 s2 p1, 2 groups": ((1, 6, 9, 8, 8, 2), windows(3, 2, 1)),
    "5x3 s3 pads d2": ((3, 3, 11, 13, 9, 1), windows((5, 3), 3, ((1, 2), (0, 3)), (1, 2))),
    "larger than the input": ((1, 2, 3, 4, 3, 1), windows(7, 2, 3)),
    "window below the stride": ((2, 4, 9, 7, 5, 1), windows(2, 4, 1)),
    "many channels": ((1, 40, 5, 5, 33, 1), windows(3, 1, 1)),
    "d2 s3": ((1, 3, 10, 9, 4, 1), windows(3, 3, 2, 2)),
    "a vector of half as many lanes": ((1, 2, 4, 5, 24, 1), windows(3, 1, 1)),
    "and partly filled": ((1, 24, 4, 5, 37, 1), windows((1, 3), 1, 0)),
}
each = pytest.mark.parametrize(("shape", "window"), CASES.values(), ids=CASES)
each_machine = pytest.mark.parametrize("meaning", MACHINES)


def form_of(shape, window, meaning: str, turned: bool = False) -> Packed:
    _, C, _, _, K, groups = shape
    lanes = narrow((C if turned else K) // groups, MACHINES[meaning].lanes)
    return Packed(groups, K // groups, C // groups, window[0].size, window[1].size, lanes, turned)


def weights(shape, window) -> np.ndarray:
    _, C, _, _, K, groups = shape
    return floats(K, C // groups, window[0].size, window[1].size, seed=1)


@each_machine
@each
def test_forward(shape, window, meaning):
    """With a bias and a ReLU at its end."""
    N, C, H, W, K, groups = shape
    x, w, b, form = floats(N, C, H, W), weights(shape, window), floats(K, seed=2), form_of(shape, window, meaning)
    y = last(np.maximum(ops.Conv2d(window, groups).reference(x, w, b), 0))
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    _, pixels, vectors = tile_for(MACHINES[meaning], y.shape[2], K // groups, columns.count)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))
    kernel = ConvDirect(C, H, W, K, *y.shape[1:3], (form.R, form.S), rows, columns, groups, lanes=form.lanes, pixels=pixels,
                        vectors=vectors, chain=chain)
    check(kernel, {"N": N, "x": last(x), "w": form.pack(w), "e0": b}, {"y0": y}, meanings=(meaning,))


@each_machine
@each
def test_input_gradient(shape, window, meaning):
    """One kernel for each phase of the strides; each writes its own pixels and no others."""
    N, C, H, W, K, groups = shape
    (height, width), w, form = window, weights(shape, window), form_of(shape, window, meaning, turned=True)
    P, Q = height.out(H), width.out(W)
    dy = floats(N, K, P, Q, seed=3)
    dx = last(ops.Conv2dInputGradient(window, groups, (H, W)).reference(dy, w))
    for h in range(min(height.stride, H)):
        for v in range(min(width.stride, W)):
            wanted = np.full_like(dx, np.nan)
            wanted[:, h::height.stride, v::width.stride] = dx[:, h::height.stride, v::width.stride]
            kernel = ConvDirect(K, P, Q, C, -(-(H - h) // height.stride), -(-(W - v) // width.stride), (form.R, form.S),
                                phase(height, h), phase(width, v), groups, (H, W), (height.stride, width.stride), (h, v),
                                form.lanes, 3, 2)
            check(kernel, {"N": N, "x": last(dy), "w": form.pack(w)}, {"y0": wanted}, meanings=(meaning,))


@each_machine
@each
@pytest.mark.parametrize("parts", [1, 4])
def test_weight_gradient(shape, window, meaning, parts):
    N, C, H, W, K, groups = shape
    form = form_of(shape, window, meaning)
    x, dy = floats(N, C, H, W), floats(N, K, window[0].out(H), window[1].out(W), seed=3)
    op, wanted = ops.Conv2dWeightGradient(window, groups), np.zeros((parts, form.size), np.float32)
    for part in range(parts):
        own = slice(N * part // parts, N * (part + 1) // parts)
        if x[own].size:
            wanted[part] = form.pack(op.reference(x[own], dy[own]))
    kernel = ConvWeights(C, H, W, K, window, groups, form.lanes, 4, 2, parts)
    check(kernel, {"N": N, "x": last(x), "dy": last(dy)}, {"dw": wanted}, meanings=(meaning,))


SPACE = {  # (N, C, D, H, W, K, groups), window
    "one voxel": ((1, 1, 1, 1, 1, 1, 1), windows(1, rank=3)),
    "3 p1": ((2, 5, 4, 3, 6, 17, 1), windows(3, 1, 1, rank=3)),
    "2x3x1 s2 d2, 2 groups": ((1, 6, 6, 5, 7, 8, 2), windows((2, 3, 1), 2, ((0, 2), (1, 0), (0, 0)), (2, 1, 1), rank=3)),
    "larger than the input": ((1, 2, 2, 3, 1, 3, 1), windows(5, (2, 1, 3), 2, rank=3)),
    "window below the stride": ((3, 9, 5, 5, 4, 5, 1), windows(2, 3, 1, rank=3)),
}
each_space = pytest.mark.parametrize(("shape", "window"), SPACE.values(), ids=SPACE)


def space_form(shape, window, meaning: str, turned: bool = False) -> Packed:
    C, K, groups = shape[1], *shape[5:]
    taps = [w.size for w in window]
    lanes = narrow((C if turned else K) // groups, MACHINES[meaning].lanes)
    return Packed(groups, K // groups, C // groups, taps[0] * taps[1], taps[2], lanes, turned)


@each_machine
@each_space
def test_forward_in_space(shape, window, meaning):
    N, C, D, H, W, K, groups = shape
    x, w = floats(N, C, D, H, W), floats(K, C // groups, *(v.size for v in window), seed=1)
    form = space_form(shape, window, meaning)
    y = last(ops.Conv3d(window, groups).reference(x, w))
    slices, rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    O, P, Q = y.shape[1:4]
    kernel = ConvDirect(C, H, W, K, P, Q, (window[1].size, window[2].size), rows, columns, groups, lanes=form.lanes, pixels=3,
                        vectors=2, depth=Depth(D, O, window[0].size, slices, O))
    check(kernel, {"N": N, "x": last(x), "w": form.pack(w)}, {"y0": y}, meanings=(meaning,))


@each_machine
@each_space
def test_input_gradient_in_space(shape, window, meaning):
    N, C, D, H, W, K, groups = shape
    size, strides = (D, H, W), tuple(v.stride for v in window)
    out = tuple(v.out(n) for v, n in zip(window, size, strict=True))
    w, form = floats(K, C // groups, *(v.size for v in window), seed=1), space_form(shape, window, meaning, turned=True)
    dy = floats(N, K, *out, seed=3)
    dx = last(ops.Conv3dInputGradient(window, groups, size).reference(dy, w))
    for first in product(*(range(min(s, n)) for s, n in zip(strides, size, strict=True))):
        part = [-(-(n - a) // s) for n, a, s in zip(size, first, strides, strict=True)]
        slices, rows, columns = (phase(v, a) for v, a in zip(window, first, strict=True))
        own = (slice(None), *(slice(a, None, s) for a, s in zip(first, strides, strict=True)))
        wanted = np.full_like(dx, np.nan)
        wanted[own] = dx[own]
        kernel = ConvDirect(K, *out[1:], C, *part[1:], (window[1].size, window[2].size), rows, columns, groups, size[1:],
                            strides[1:], first[1:], form.lanes, 3, 2,
                            depth=Depth(out[0], part[0], window[0].size, slices, D, strides[0], first[0]))
        check(kernel, {"N": N, "x": last(dy), "w": form.pack(w)}, {"y0": wanted}, meanings=(meaning,))


@each_machine
@each_space
@pytest.mark.parametrize("parts", [1, 4])
def test_weight_gradient_in_space(shape, window, meaning, parts):
    """Slices of the output count as images where the batch is cut in parts."""
    N, C, D, H, W, K, groups = shape
    form, op = space_form(shape, window, meaning), ops.Conv3dWeightGradient(window, groups)
    x, dy = floats(N, C, D, H, W), floats(N, K, *(v.out(n) for v, n in zip(window, (D, H, W), strict=True)), seed=3)
    slices, wanted = N * dy.shape[2], np.zeros((parts, form.size), np.float32)
    for part in range(parts):
        own = np.zeros(slices, np.float32)
        own[slices * part // parts : slices * (part + 1) // parts] = 1
        wanted[part] = form.pack(op.reference(x, dy * own.reshape(N, 1, -1, 1, 1)))
    kernel = ConvWeights(C, H, W, K, window[1:], groups, form.lanes, 4, 2, parts, D, window[0])
    check(kernel, {"N": N, "x": last(x), "dy": last(dy)}, {"dw": wanted}, meanings=(meaning,))


def test_heavy_weights_go_by_blocks():
    """Weights past the second-level cache take the other order of loops."""
    x, w, window = floats(2, 160, 3, 4), floats(90, 160, 3, 3, seed=1), windows(3, 1, 1)
    form, taps = Packed(1, 90, 160, 3, 3, 16), Taps(3, -1, 1, 1)
    kernel = ConvDirect(160, 3, 4, 90, 3, 4, (3, 3), taps, taps, pixels=4)
    y = last(ops.Conv2d(window).reference(x, w))
    check(kernel, {"N": 2, "x": last(x), "w": form.pack(w)}, {"y0": y}, meanings=("host", "sse2"))


def test_heavy_weights_and_large_images_go_by_lines():
    """Pixels past the second-level cache: all groups of channels take a few lines, then the next."""
    x, w, window = floats(2, 160, 21, 60), floats(90, 160, 3, 3, seed=1), windows(3, (2, 1), 1)
    form, rows, columns = Packed(1, 90, 160, 3, 3, 16), Taps(3, -1, 1, 2), Taps(3, -1, 1, 1)
    kernel = ConvDirect(160, 21, 60, 90, 11, 60, (3, 3), rows, columns, pixels=7)
    assert kernel.lines() == 2
    y = last(ops.Conv2d(window).reference(x, w))
    check(kernel, {"N": 2, "x": last(x), "w": form.pack(w)}, {"y0": y}, meanings=("host",))


def test_no_sum_leaves_its_register():
    """The tile that is chosen for AVX-512 fits its registers: no vector is spilled in the whole kernel."""
    from striate.cpu.cache import source_of
    from striate.kernel.compile import assembly
    from striate.kernel.machine import named

    machine, taps = named("avx512"), Taps(3, -1, 1, 1)
    lanes, pixels, vectors = tile_for(machine, 28, 32, 3)
    text = assembly(source_of(ConvDirect(32, 28, 28, 32, 28, 28, (3, 3), taps, taps, lanes=lanes, pixels=pixels, vectors=vectors),
                              machine), machine)
    lines = [line for line in text.splitlines() if "zmm" in line]
    assert sum("vfmadd" in line for line in lines) >= 3 * pixels * vectors
    assert not [line for line in lines if "vmovups" in line and "rsp)" in line]
