"""Depthwise convolution and its gradients against the operators, over strides, dilations, pads and channel tails."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats, last

from striate import ops
from striate.cpu.kernels.conv_direct import Taps
from striate.cpu.kernels.depthwise import Depthwise, DepthwisePhases, DepthwiseWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.rules.conv import phase
from striate.kernel.language import narrow
from striate.window import windows

SHAPES = [(1, 1, 7, 6), (3, 17, 5, 9), (2, 32, 6, 13), (1, 40, 8, 1)]  # N, C, H, W
WINDOWS = {
    "3 p1": windows(3, 1, 1),
    "3 s2 p1": windows(3, 2, 1),
    "5 p2": windows(5, 1, 2),
    "3x2 s1x2 pads": windows((3, 2), (1, 2), ((0, 1), (1, 0))),
    "3 d2 p2": windows(3, 1, 2, 2),
    "2 s3 p1": windows(2, 3, 1),
    "1": windows(1),
}
CASES = [(shape, window) for shape in SHAPES for window in WINDOWS.values()]
each = pytest.mark.parametrize(("shape", "window"), CASES, ids=[f"{shape} {name}" for shape in SHAPES for name in WINDOWS])
each_machine = pytest.mark.parametrize("meaning", MACHINES)


def forward(shape, window, lanes: int, pixels: int = 4, chain: Chain = Chain()) -> Depthwise:
    _, C, H, W = shape
    rows, columns = (Taps(w.size, -w.pads[0], w.dilation, w.stride) for w in window)
    P, Q = (w.out(n) for w, n in zip(window, (H, W)))
    return Depthwise(C, H, W, C, P, Q, tuple(w.size for w in window), rows, columns, C, lanes=lanes, pixels=pixels, chain=chain,
                     ahead=W % 2 == 1)


def lanes_of(meaning: str, channels: int) -> int:
    return narrow(channels, MACHINES[meaning].lanes)


def pack(weight: np.ndarray, lanes: int) -> np.ndarray:
    """(C, 1, R, S) as (C/lanes, R, S, lanes), zero past C."""
    full = np.pad(weight[:, 0], ((0, -len(weight) % lanes), (0, 0), (0, 0)))
    return np.ascontiguousarray(full.reshape(-1, lanes, *full.shape[1:]).transpose(0, 2, 3, 1))


def weights(shape, window, seed: int = 1) -> np.ndarray:
    return floats(shape[1], 1, *(w.size for w in window), seed=seed)


@each_machine
@each
def test_forward(shape, window, meaning):
    x, weight, lanes = floats(*shape), weights(shape, window), lanes_of(meaning, shape[1])
    y = ops.Conv2d(window, shape[1]).reference(x, weight)
    inputs = {"N": shape[0], "x": last(x), "w": pack(weight, lanes)}
    check(forward(shape, window, lanes), inputs, {"y0": last(y)}, meanings=(meaning,))


@each_machine
@each
def test_input_gradient(shape, window, meaning):
    """One kernel for each phase of the strides, and all of them in one."""
    (N, C, H, W), (height, width), lanes = shape, window, lanes_of(meaning, shape[1])
    P, Q = height.out(H), width.out(W)
    dy, weight = floats(N, C, P, Q), weights(shape, window)
    inputs = {"N": N, "x": last(dy), "w": pack(weight, lanes)}
    dx = last(ops.Conv2dInputGradient(window, C, (H, W)).reference(dy, weight))
    phases = []
    for h in range(min(height.stride, H)):
        for w in range(min(width.stride, W)):
            wanted = np.full_like(dx, np.nan)
            wanted[:, h::height.stride, w::width.stride] = dx[:, h::height.stride, w::width.stride]
            O, S = -(-(H - h) // height.stride), -(-(W - w) // width.stride)
            kernel = Depthwise(C, P, Q, C, O, S, (height.size, width.size), phase(height, h), phase(width, w), C, (H, W),
                               (height.stride, width.stride), (h, w), lanes, 4)
            check(kernel, inputs, {"y0": wanted}, meanings=(meaning,))
            phases.append(kernel)
    check(DepthwisePhases(tuple(phases)), inputs, {"y0": dx}, meanings=(meaning,))


@each_machine
@each
@pytest.mark.parametrize("parts", [1, 4])
def test_weight_gradient(shape, window, meaning, parts):
    N, C = shape[:2]
    lanes = lanes_of(meaning, C)
    conv = forward(shape, window, lanes)
    x, dy = floats(*shape), floats(N, C, conv.P, conv.Q, seed=2)
    op = ops.Conv2dWeightGradient(window, C)
    rows = N * conv.P
    wanted = np.zeros((parts, *pack(weights(shape, window), lanes).shape), np.float32)
    for part in range(parts):
        inside = np.arange(rows).reshape(N, 1, conv.P, 1)
        own = (inside >= rows * part // parts) & (inside < rows * (part + 1) // parts)
        wanted[part] = pack(op.reference(x, np.where(own, dy, 0).astype(np.float32)), lanes)
    check(DepthwiseWeights(conv, parts), {"N": N, "x": last(x), "dy": last(dy)}, {"dw": wanted}, meanings=(meaning,))


def test_chain_ends_the_kernel():
    shape, window = (2, 20, 9, 10), windows(3, 1, 1)
    x, weight, bias = floats(*shape), weights(shape, window), floats(20)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))
    lanes = lanes_of("host", 20)
    y = np.maximum(ops.Conv2d(window, 20).reference(x, weight, bias), 0)
    check(forward(shape, window, lanes, 8, chain), {"N": 2, "x": last(x), "w": pack(weight, lanes), "e0": bias}, {"y0": last(y)})
