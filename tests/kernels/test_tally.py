"""Sums that kernels take of their results while they write them."""

from itertools import pairwise, product

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, apply, blank, check, close, compiled, floats, last
from tests.kernels.test_conv_direct import form_of as conv_form
from tests.kernels.test_conv_direct import weights
from tests.kernels.test_depthwise import lanes_of, pack
from tests.kernels.test_gemm import form_of

from striate import ops
from striate.cpu.kernels import conv_direct
from striate.cpu.kernels.conv_direct import ConvDirect, Taps
from striate.cpu.kernels.depthwise import Depthwise, DepthwisePhases
from striate.cpu.kernels.gemm import Gemm
from striate.cpu.kernels.pointwise import CHANNEL, FULL, Chain
from striate.cpu.kernels.tally import Moments, Sums
from striate.cpu.kernels.winograd_lines import WinogradLines
from striate.cpu.kernels.winograd_lines_form import FORMS
from striate.cpu.rules.conv import phase
from striate.window import windows

PARTS = 4
MOMENTS = Chain(("channel",), ((ops.Add(), (0, 1)),), (2,), tally=Moments((2,), PARTS))
each_machine = pytest.mark.parametrize("meaning", MACHINES)


def moments(y, cuts):
    """Count, mean and squared deviations of each part of the rows of y."""
    found = []
    for first, stop in cuts:
        rows, none = y[first:stop].astype(np.float64), np.zeros(y.shape[1])
        found.append([none + len(rows), rows.mean(0), ((rows - rows.mean(0)) ** 2).sum(0)] if len(rows) else [none] * 3)
    return np.array(found, np.float32)


def tiles(M, pixels):
    """The parts of a product: whole tiles of rows, and the last rows with the last part."""
    cuts = [M // pixels * i // PARTS * pixels for i in range(PARTS)]
    return list(zip(cuts, [*cuts[1:], M], strict=True))


@each_machine
@pytest.mark.parametrize(("M", "C", "K"), [(1, 1, 1), (5, 3, 40), (18, 5, 17), (43, 7, 33), (64, 4, 16)])
@pytest.mark.parametrize("block", [1, 2])
def test_moments_of_a_product(M, C, K, block, meaning):
    x, w, bias, form = floats(M, C), floats(K, C, seed=1), floats(K, seed=2) + 3, form_of(C, K, meaning)
    y = x @ w.T + bias
    kernel = Gemm(C, K, form.lanes, 4, 2, block, MOMENTS)
    inputs = {"M": M, "x": x, "w": form.pack(w), "e0": bias}
    check(kernel, inputs, {"y0": y, "part": moments(y, tiles(M, 4))}, meanings=(meaning,))


@each_machine
def test_moments_far_from_zero(meaning):
    """A mean a thousand times the deviation."""
    x, w, form = floats(50, 3), floats(9, 3, seed=1), form_of(3, 9, meaning)
    bias = np.full(9, 4096, np.float32)
    y = x @ w.T + bias
    inputs = {"M": 50, "x": x, "w": form.pack(w), "e0": bias}
    part = moments(y, tiles(50, 4))
    check(Gemm(3, 9, form.lanes, 4, 2, 1, MOMENTS), inputs, {"y0": y, "part": part}, 1e-3, meanings=(meaning,))


@each_machine
def test_sums_of_a_product(meaning):
    M, C, K = 43, 7, 33
    x, w, other, form = floats(M, C), floats(K, C, seed=1), floats(M, K, seed=2), form_of(C, K, meaning)
    centre, y = floats(K, seed=3), x @ w.T
    steps = (ops.ReLU(), (0,)), (ops.Subtract(), (1, 2)), (ops.Multiply(), (3, 4))
    chain = Chain((FULL, CHANNEL), steps, (3,), tally=Sums((3, 5), PARTS))
    kept = np.maximum(y, 0)
    part = np.array([[kept[a:b].sum(0), (kept * (other - centre))[a:b].sum(0)] for a, b in tiles(M, 4)], np.float32)
    inputs = {"M": M, "x": x, "w": form.pack(w), "e0": other, "e1": centre}
    check(Gemm(C, K, form.lanes, 4, 2, chain=chain), inputs, {"y0": kept, "part": part}, 1e-4, meanings=(meaning,))


@each_machine
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(("shape", "window"), [
    ((3, 3, 19, 12, 40, 1), windows(7, 2, 3)), ((2, 5, 12, 7, 24, 1), windows(3, 2, 1)), ((1, 1, 9, 9, 6, 1), windows(5, 1, 2)),
], ids=str)
def test_moments_of_lines(shape, window, form, meaning):
    """Parts are whole tiles of lines."""
    N, C, H, W, K, _ = shape
    x, w, bias, packed = floats(N, C, H, W), weights(shape, window), floats(K, seed=2) + 3, conv_form(shape, window, meaning)
    y = last(ops.Conv2d(window, 1).reference(x, w, bias))
    P, Q = y.shape[1:3]
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    conv = ConvDirect(C, H, W, K, P, Q, (packed.R, packed.S), rows, columns, lanes=packed.lanes, pixels=3, vectors=2,
                      chain=MOMENTS)
    kernel = WinogradLines(conv, form)
    u = apply(kernel.filter, meaning, 1, w=packed.pack(w), u=blank(kernel.filter.floats()))["u"]
    ends = [number // kernel.lines.count * P + min(number % kernel.lines.count * kernel.lines.tile, P)
            for number in (N * kernel.lines.count * i // PARTS for i in range(PARTS + 1))]
    part = moments(y.reshape(-1, K), [(first * Q, stop * Q) for first, stop in pairwise(ends)])
    inputs = {"N": N, "x": last(x), "u": u, "e0": bias}
    for threads in (3,) if meaning == "interpreter" else (1, 3, -3):
        found = apply(kernel, meaning, threads, **inputs, y0=blank(*y.shape), part=blank(*part.shape))
        close(found["y0"], y, 1e-5, "y")
        close(found["part"], part, 1e-4, "part")


CASES = {  # (N, C, H, W, K, groups), window
    "3 p1": ((2, 5, 7, 6, 17, 1), windows(3, 1, 1)),
    "3 s2 p1, 2 groups": ((1, 6, 9, 8, 8, 2), windows(3, 2, 1)),
    "many channels": ((3, 4, 5, 5, 70, 1), windows(3, 1, 1)),
    "one row": ((1, 3, 1, 9, 20, 1), windows((1, 3), 2)),
}


@each_machine
@pytest.mark.parametrize(("shape", "window"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("heavy", [False, True])
def test_moments_of_a_convolution(shape, window, heavy, meaning, monkeypatch):
    """With weights that stay in cache, and one group of output channels after the other."""
    monkeypatch.setattr(conv_direct, "SMALL_WEIGHTS", 0 if heavy else 2**20)
    N, C, H, W, K, groups = shape
    x, w, bias, form = floats(N, C, H, W), weights(shape, window), floats(K, seed=2), conv_form(shape, window, meaning)
    y = last(ops.Conv2d(window, groups).reference(x, w, bias))
    P, Q = y.shape[1:3]
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    kernel = ConvDirect(C, H, W, K, P, Q, (form.R, form.S), rows, columns, groups, lanes=form.lanes, pixels=3, vectors=2,
                        chain=MOMENTS)
    cuts = [(N * P * i // PARTS * Q, N * P * (i + 1) // PARTS * Q) for i in range(PARTS)]
    wanted = {"y0": y, "part": moments(y.reshape(-1, K), cuts)}
    conv_direct_inputs = {"N": N, "x": last(x), "w": form.pack(w), "e0": bias}
    compiled.cache_clear()  # the same specification is another kernel now
    check(kernel, conv_direct_inputs, wanted, 1e-4, meanings=(meaning,))
    compiled.cache_clear()


@each_machine
@pytest.mark.parametrize("stride", [1, 2])
def test_sums_of_a_depthwise_input_gradient(stride, meaning):
    """Of one kernel, and of all phases of a stride together."""
    C, H, W = 19, 7, 6
    window = windows(3, stride, 1)
    P, Q = (w.out(n) for w, n in zip(window, (H, W)))
    lanes = lanes_of(meaning, C)
    weight, dy, other = floats(C, 1, 3, 3, seed=1), floats(2, C, P, Q), floats(2, H, W, C, seed=2)
    dx = last(ops.Conv2dInputGradient(window, C, (H, W)).reference(dy, weight))
    chain = Chain((FULL,), ((ops.ReLUGradient(), (0, 1)), (ops.Multiply(), (2, 1))), (2,), tally=Sums((2, 3), PARTS))
    phases = []
    for h, w in product(range(stride), repeat=2):
        O, S = -(-(H - h) // stride), -(-(W - w) // stride)
        phases.append(Depthwise(C, P, Q, C, O, S, (3, 3), phase(window[0], h), phase(window[1], w), C, (H, W),
                                (stride, stride), (h, w), lanes=lanes, pixels=4, chain=chain, ahead=True))
    kernel = phases[0] if stride == 1 else DepthwisePhases(tuple(phases))
    kept, lines = np.where(other > 0, dx, 0), 2 * -(-H // stride)
    part = np.zeros((PARTS, 2, C), np.float32)
    for i in range(PARTS):
        for line in range(lines * i // PARTS, lines * (i + 1) // PARTS):
            n, p = divmod(line, lines // 2)
            rows = slice(p * stride, p * stride + stride)
            part[i] += [kept[n, rows].sum((0, 1)), (kept * other)[n, rows].sum((0, 1))]
    inputs = {"N": 2, "x": last(dy), "w": pack(weight, lanes), "e0": other}
    check(kernel, inputs, {"y0": kept, "part": part}, 1e-4, meanings=(meaning,))
