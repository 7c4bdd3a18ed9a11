"""Winograd down the lines of an image: the convolution, its input gradient and its weight gradient against the operators."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, apply, blank, close, floats, for_threads, last

from striate import ops
from striate.cpu.kernels.conv_direct import ConvDirect, Taps, tile_for
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.winograd_lines import WinogradLines
from striate.cpu.kernels.winograd_lines_form import FORMS, NINE
from striate.cpu.kernels.winograd_lines_weights import WinogradLinesWeights
from striate.cpu.layout import Packed
from striate.cpu.rules.conv import phase
from striate.kernel.language import narrow
from striate.window import windows

CASES = {  # (N, C, H, W, K), window
    "LeNet's": ((2, 6, 14, 14, 16), windows(5)),
    "first layer": ((1, 1, 9, 11, 6), windows(5, 1, 2)),
    "fewer lines than a window": ((1, 2, 3, 4, 3), windows(5, 1, 2)),
    "one line of outputs": ((2, 3, 5, 6, 9), windows((5, 3), 1, ((0, 0), (1, 0)))),
    "uneven pads": ((1, 5, 13, 8, 17), windows((5, 2), 1, ((4, 1), (0, 1)))),
    "columns with strides": ((1, 3, 12, 9, 8), windows((5, 3), (1, 2), ((2, 2), (1, 1)), (1, 2))),
    "many channels": ((1, 21, 7, 5, 40), windows(5, 1, 1)),
}
each = pytest.mark.parametrize(("shape", "window"), CASES.values(), ids=CASES)
each_machine = pytest.mark.parametrize("meaning", MACHINES)
ROUNDING = 1e-5


def of(shape, window, meaning: str, turned: bool = False) -> tuple[np.ndarray, Packed]:
    """Weights and how they are packed."""
    _, C, _, _, K = shape
    taps = window[0].size, window[1].size
    return floats(K, C, *taps, seed=1), Packed(1, K, C, *taps, narrow(C if turned else K, MACHINES[meaning].lanes), turned)


def run(conv: ConvDirect, meaning: str, x: np.ndarray, w: np.ndarray, wanted: np.ndarray, **more: np.ndarray) -> None:
    kernel = WinogradLines(conv)
    u = apply(kernel.filter, meaning, 1, w=w, u=blank(kernel.filter.floats()))["u"]
    got = for_threads(kernel, meaning, "y0", N=len(x), x=last(x), u=u, y0=blank(*wanted.shape), **more)
    close(got, wanted, ROUNDING, f"{kernel} {meaning}")


@each_machine
@each
def test_forward(shape, window, meaning):
    """With a bias and a ReLU at its end."""
    N, C, H, W, K = shape
    w, form = of(shape, window, meaning)
    x, b = floats(N, C, H, W), floats(K, seed=2)
    y = last(np.maximum(ops.Conv2d(window, 1).reference(x, w, b), 0))
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    lanes, pixels, vectors = tile_for(MACHINES[meaning], y.shape[2], K, columns.count)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))
    conv = ConvDirect(C, H, W, K, y.shape[1], y.shape[2], (form.R, form.S), rows, columns, lanes=lanes, pixels=pixels,
                      vectors=vectors, chain=chain)
    run(conv, meaning, x, form.pack(w), y, e0=b)


@each_machine
@each
def test_input_gradient(shape, window, meaning):
    """Lines of the filter from the last to the first; columns with strides fall into phases, which write apart."""
    N, C, H, W, K = shape
    height, width = window
    if width.stride > 1:
        pytest.skip("its phases are written apart")
    w, form = of(shape, window, meaning, turned=True)
    dy = floats(N, K, height.out(H), width.out(W), seed=3)
    dx = last(ops.Conv2dInputGradient(window, 1, (H, W)).reference(dy, w))
    lanes, pixels, vectors = tile_for(MACHINES[meaning], W, C, width.size)
    conv = ConvDirect(K, dy.shape[2], dy.shape[3], C, H, W, (form.R, form.S), phase(height, 0), phase(width, 0), lanes=lanes,
                      pixels=pixels, vectors=vectors)
    run(conv, meaning, dy, form.pack(w), dx)


@each_machine
@each
@pytest.mark.parametrize("parts", [1, 4])
def test_weight_gradient(shape, window, meaning, parts):
    N, C, H, W, K = shape
    _, form = of(shape, window, meaning)
    x, dy = floats(N, C, H, W), floats(N, K, window[0].out(H), window[1].out(W), seed=3)
    taps, vectors = (14, 1) if form.blocks == 1 else (4, 2)
    kernel = WinogradLinesWeights(ConvWeights(C, H, W, K, window, 1, form.lanes, taps, vectors, parts))
    got = for_threads(kernel, meaning, "dw", N=N, x=last(x), dy=last(dy), dw=blank(parts, form.size))
    wanted = form.pack(ops.Conv2dWeightGradient(window, 1).reference(x.astype(float), dy.astype(float)))
    close(got.sum(0), wanted, ROUNDING, f"{kernel} {meaning}")


def test_the_points_give_a_convolution():
    """A' (G w . B' d) out of exact matrices: five outputs of five taps over nine pixels."""
    A = np.array([[p**j for j in range(5)] for p in POINTS])
    B = np.array([np.polynomial.polynomial.polyfromroots([q for q in POINTS if q != p]) for p in POINTS])
    assert len(set(POINTS)) == 9 and [float(np.float32(v)) for v in (A.min(), A.max(), *PAIRS)] == [A.min(), A.max(), *PAIRS]
    w, d = np.arange(1.0, 6), np.arange(9.0) ** 2
    np.testing.assert_allclose(A.T @ ((A * np.array(SCALE)[:, None]) @ w * (B @ d)), np.correlate(d, w, "valid"), rtol=1e-12)
